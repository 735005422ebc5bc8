//! The form of a segment: a header, then frames.
//!
//! ```text
//! header   magic (8) · source id (16) · number of the first frame (8) · checksum of these (4)
//! frame    length of the content (4) · checksum (4) · content
//! ```
//!
//! Numbers are little-endian, checksums CRC-32C (RFC 3720, B.4). A frame's checksum covers the source id, the frame's
//! number, the length and the content: bytes that are right elsewhere are wrong here. Space that was reserved and not
//! written is zero, and no frame has the length 0.

use super::{FRAME_BYTES, Sequence, SourceId};

const MAGIC: &[u8; 8] = b"SLCLICK1";
/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 36;
/// Bytes before the content of a frame.
pub(super) const PREFIX_BYTES: usize = 8;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source: SourceId,
    pub(super) first: Sequence,
}

impl Header {
    pub(super) fn write(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(self.source.bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..32]);
        bytes[32..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if these bytes are none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (fields, sum) = bytes.get(..HEADER_BYTES)?.split_at(32);
        if &fields[..8] != MAGIC || crc32c::crc32c(fields).to_le_bytes() != sum {
            return None;
        }
        let source = SourceId::from_bytes(fields[8..24].try_into().ok()?);
        let first = Sequence::from_le_bytes(fields[24..].try_into().ok()?);
        (first > 0).then_some(Self { source, first })
    }
}

/// Makes and checks frames of one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framer {
    /// The checksum over the source id, from which that of every frame goes on.
    seed: u32,
}

/// What stands at a place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole frame.
    Frame(&'a [u8]),
    /// The beginning of what may be a frame, or nothing: more bytes are needed to tell.
    Cut,
    /// No frame.
    Nothing,
}

impl Framer {
    pub(super) fn new(source: SourceId) -> Self {
        Self { seed: crc32c::crc32c(source.bytes()) }
    }

    /// Appends a frame to a buffer. The content is not empty and not longer than [`FRAME_BYTES`].
    pub(super) fn write(self, sequence: Sequence, content: &[u8], buffer: &mut Vec<u8>) {
        // `FRAME_BYTES` fits.
        let length = (content.len() as u32).to_le_bytes();
        buffer.extend(length);
        buffer.extend(self.sum(sequence, length, content).to_le_bytes());
        buffer.extend(content);
    }

    /// Looks at what bytes begin with.
    pub(super) fn read(self, sequence: Sequence, bytes: &[u8]) -> Found<'_> {
        let Some((prefix, rest)) = bytes.split_at_checked(PREFIX_BYTES) else { return Found::Cut };
        let length = [prefix[0], prefix[1], prefix[2], prefix[3]];
        let sum = [prefix[4], prefix[5], prefix[6], prefix[7]];
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes == 0 || bytes > FRAME_BYTES {
            return Found::Nothing;
        }
        let Some(content) = rest.get(..bytes) else { return Found::Cut };
        if self.sum(sequence, length, content).to_le_bytes() == sum {
            Found::Frame(content)
        } else {
            Found::Nothing
        }
    }

    fn sum(self, sequence: Sequence, length: [u8; 4], content: &[u8]) -> u32 {
        let sum = crc32c::crc32c_append(self.seed, &sequence.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(sum, &length), content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(byte: u8) -> SourceId {
        SourceId::from_bytes([byte; 16])
    }

    #[test]
    fn header_is_read_as_written_and_every_wrong_bit_is_seen() {
        let header = Header { source: source(7), first: 42 };
        let bytes = header.write();
        assert_eq!(Header::read(&bytes), Some(header));
        for at in 0..bytes.len() * 8 {
            let mut wrong = bytes;
            wrong[at / 8] ^= 1 << (at % 8);
            assert_eq!(Header::read(&wrong), None, "bit {at}");
        }
        assert_eq!(Header::read(&bytes[..HEADER_BYTES - 1]), None);
        assert_eq!(Header::read(&[0; HEADER_BYTES]), None);
    }

    #[test]
    fn frame_is_read_as_written_and_every_wrong_bit_is_seen() {
        let framer = Framer::new(source(1));
        let mut bytes = Vec::new();
        framer.write(9, b"a click", &mut bytes);
        assert_eq!(framer.read(9, &bytes), Found::Frame(b"a click"));
        for at in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[at / 8] ^= 1 << (at % 8);
            assert!(!matches!(framer.read(9, &wrong), Found::Frame(_)), "bit {at}");
        }
    }

    #[test]
    fn frame_of_another_number_or_source_is_none() {
        let framer = Framer::new(source(1));
        let mut bytes = Vec::new();
        framer.write(9, b"a click", &mut bytes);
        assert_eq!(framer.read(10, &bytes), Found::Nothing);
        assert_eq!(Framer::new(source(2)).read(9, &bytes), Found::Nothing);
    }

    #[test]
    fn cut_frames_are_told_from_nothing() {
        let framer = Framer::new(source(1));
        let mut bytes = Vec::new();
        framer.write(1, b"a click", &mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(framer.read(1, &bytes[..cut]), Found::Cut, "{cut} bytes");
        }
        assert_eq!(framer.read(1, &[0; 64]), Found::Nothing);
        assert_eq!(framer.read(1, &[0xff; 64]), Found::Nothing);
    }
}
