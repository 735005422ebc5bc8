//! Fingerprints of everything that an index is made of, in buckets, so that an index and the tables can be compared
//! without reading every row.
//!
//! The fingerprint of a row is the MD5 of `{kind}/{shop}/{key}@{revision}`: its first 8 bytes, big-endian, are what is
//! summed up (wrapping), its 9th byte is the bucket. A sum does not depend on the order and takes a row out again as
//! easily as in. PostgreSQL computes the same from its tables; nothing here is a secret.
//!
//! What counts: shops and partners that are not deleted, and every link, deleted ones included; a link on which a
//! publish is pending counts a second time, under the revision of the publish. Of deleted shops nothing counts.

use md5::{Digest, Md5};

use super::{named::named_enum, revision::Revision};

/// How many buckets each kind has.
pub const BUCKETS: usize = 256;

named_enum! {
    /// A kind of object that an index is made of.
    pub enum IndexedKind: "kind of object" {
        /// A shop; its key is empty.
        Shop = "shop",
        /// A partner; its key is the code.
        Partner = "partner",
        /// A link; its key is the slug.
        Link = "link",
    }
}

/// What one row adds to its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The bucket.
    pub bucket: u8,
    /// What is added to its sum.
    pub sum: i64,
}

impl Fingerprint {
    /// Computes the fingerprint of a row.
    pub fn of(kind: IndexedKind, shop: &str, key: &str, revision: Revision) -> Self {
        let digest = Md5::digest(format!("{kind}/{shop}/{key}@{revision}"));
        let (sum, rest) = digest.split_at(8);
        let sum = sum.iter().fold(0, |sum, &byte| sum << 8 | i64::from(byte));
        Self { bucket: rest[0], sum }
    }
}

/// The sums of the buckets of every kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints([Box<[i64; BUCKETS]>; IndexedKind::ALL.len()]);

impl Fingerprints {
    /// Begins with nothing.
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| Box::new([0; BUCKETS])))
    }

    /// Returns the sum of a bucket.
    pub fn sum(&self, kind: IndexedKind, bucket: u8) -> i64 {
        self.0[kind as usize][usize::from(bucket)]
    }

    /// Adds to the sum of a bucket.
    pub fn add_sum(&mut self, kind: IndexedKind, Fingerprint { bucket, sum }: Fingerprint) {
        let held = &mut self.0[kind as usize][usize::from(bucket)];
        *held = held.wrapping_add(sum);
    }

    /// Takes a row in.
    pub fn add(&mut self, kind: IndexedKind, shop: &str, key: &str, revision: Revision) {
        self.add_sum(kind, Fingerprint::of(kind, shop, key, revision));
    }

    /// Takes a row out that was taken in with this revision.
    pub fn remove(&mut self, kind: IndexedKind, shop: &str, key: &str, revision: Revision) {
        let Fingerprint { bucket, sum } = Fingerprint::of(kind, shop, key, revision);
        self.add_sum(kind, Fingerprint { bucket, sum: sum.wrapping_neg() });
    }

    /// Returns the buckets that differ.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (IndexedKind, u8)> + 'a {
        IndexedKind::ALL
            .iter()
            .flat_map(|&kind| (0..=u8::MAX).map(move |bucket| (kind, bucket)))
            .filter(|&(kind, bucket)| self.sum(kind, bucket) != other.sum(kind, bucket))
    }
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_as_documented() {
        // `printf link/acme/summer-sale@42 | md5sum`
        let print = Fingerprint::of(IndexedKind::Link, "acme", "summer-sale", Revision(42));
        assert_eq!(print, Fingerprint { bucket: 37, sum: -386_838_607_755_221_314 });
    }

    #[test]
    fn rows_taken_out_leave_no_trace() {
        let mut prints = Fingerprints::new();
        for revision in 1..=100 {
            prints.add(IndexedKind::Link, "acme", "summer-sale", Revision(revision));
            prints.add(IndexedKind::Shop, "acme", "", Revision(revision));
        }
        assert!(prints.differing(&Fingerprints::new()).count() > 0);
        for revision in (1..=100).rev() {
            prints.remove(IndexedKind::Link, "acme", "summer-sale", Revision(revision));
            prints.remove(IndexedKind::Shop, "acme", "", Revision(revision));
        }
        assert_eq!(prints, Fingerprints::new());
    }

    #[test]
    fn bucket_that_differs_is_named() {
        let mut prints = Fingerprints::new();
        prints.add(IndexedKind::Partner, "acme", "anna", Revision(7));
        let bucket = Fingerprint::of(IndexedKind::Partner, "acme", "anna", Revision(7)).bucket;
        let differing: Vec<_> = prints.differing(&Fingerprints::new()).collect();
        assert_eq!(differing, [(IndexedKind::Partner, bucket)]);
    }
}
