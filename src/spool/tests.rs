//! Folders of every kind, cut, spoilt, shared and full.

mod faults;
mod laws;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use super::{Batch, Reader, Sequence, Spool, SpoolError, SpoolSettings, segment};

fn settings(folder: &Path) -> SpoolSettings {
    SpoolSettings {
        folder: folder.to_owned(),
        segment_bytes: 4_096,
        limit_bytes: 1_024 * 1_024,
        retained_bytes: 1_024 * 1_024,
        retained_for: Duration::from_secs(3_600),
        sync_every: Duration::from_millis(1),
    }
}

fn open(folder: &Path) -> Spool {
    Spool::open(settings(folder)).unwrap()
}

/// Waits until everything that was written is on the disk.
fn confirm(spool: &Spool) {
    let written = spool.depth().written;
    let mut confirmed = spool.confirmed();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { confirmed.wait_for(|confirmed| *confirmed >= written).await.unwrap() });
}

/// Reads everything from a frame on.
fn read(spool: &Spool, from: Sequence) -> Vec<Batch> {
    let mut reader = Reader::new(spool.clone(), from);
    let mut batches = Vec::new();
    loop {
        match reader.batch(1_000, 1 << 20).unwrap() {
            Batch::UpToDate => return batches,
            batch @ (Batch::Frames { .. } | Batch::Missing { .. }) => batches.push(batch),
        }
    }
}

/// Returns the frames of batches with their numbers; fails if any is missing.
fn frames(batches: Vec<Batch>) -> Vec<(Sequence, Vec<u8>)> {
    let mut all = Vec::new();
    for batch in batches {
        let Batch::Frames { first, contents } = batch else { panic!("{batch:?}") };
        all.extend((first..).zip(contents));
    }
    all
}

fn content(number: Sequence) -> Vec<u8> {
    let length = 1 + (number * 37 % 300) as usize;
    number.to_string().into_bytes().into_iter().cycle().take(length).collect()
}

/// Writes frames with these numbers and closes.
fn write(folder: &Path, numbers: std::ops::RangeInclusive<Sequence>) {
    let spool = open(folder);
    for number in numbers {
        assert_eq!(spool.append(&content(number)).unwrap(), number);
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "segment")).collect();
    found.sort();
    found
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

#[test]
fn frames_are_read_in_order_over_segments_and_starts() {
    let folder = tempfile::tempdir().unwrap();
    for start in 0..3 {
        write(folder.path(), start * 100 + 1..=start * 100 + 100);
    }
    assert!(segments(folder.path()).len() > 5);
    let spool = open(folder.path());
    let expected: Vec<_> = (1..=300).map(|number| (number, content(number))).collect();
    assert_eq!(frames(read(&spool, 1)), expected);
    for from in [2, 57, 100, 101, 299, 300] {
        assert_eq!(frames(read(&spool, from)), expected[from as usize - 1..]);
    }
    assert!(read(&spool, 301).is_empty());
}

#[test]
fn segment_that_cannot_be_begun_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let longest = vec![b'x'; 3_000];
    spool.append(&longest).unwrap();
    let in_the_way = folder.path().join(format!("{:020}.segment", 2));
    fs::create_dir(&in_the_way).unwrap();
    for _ in 0..3 {
        spool.append(&longest).unwrap_err();
    }
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(spool.append(&longest).unwrap(), 2);
    confirm(&spool);
    assert_eq!(frames(read(&spool, 1)).len(), 2);
}

#[test]
fn batches_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1..=40);
    let spool = open(folder.path());
    let mut reader = Reader::new(spool, 1);
    let mut taken = 0;
    while let Batch::Frames { contents, .. } = reader.batch(3, 300).unwrap() {
        assert!(contents.len() <= 3);
        let all_but_last: usize = contents.iter().rev().skip(1).map(Vec::len).sum();
        assert!(all_but_last < 300);
        taken += contents.len();
    }
    assert_eq!(taken, 40);
}

#[test]
fn cut_at_any_byte_leaves_every_whole_frame_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let short = |number: Sequence| vec![b'a' + number as u8; number as usize * 3 % 11 + 1];
    {
        let spool = open(folder.path());
        for number in 1..=8 {
            spool.append(&short(number)).unwrap();
        }
    }
    let [path] = &segments(folder.path())[..] else { panic!("one segment") };
    let whole = fs::read(path).unwrap();
    let mut ends = vec![segment::HEADER_BYTES];
    for number in 1..=8 {
        ends.push(ends.last().unwrap() + segment::PREFIX_BYTES + short(number).len());
    }
    assert_eq!(*ends.last().unwrap(), whole.len());
    for cut in 0..=whole.len() {
        // Cut off, still zero, and zero but for what the disk wrote out of order.
        let mut torn = whole.clone();
        torn[cut..].fill(0);
        let mut out_of_order = torn.clone();
        let tail = out_of_order.len().saturating_sub(3).max(cut);
        out_of_order[tail..].copy_from_slice(&whole[tail..]);
        for bytes in [&whole[..cut], &torn, &out_of_order] {
            let copy = copy(folder.path());
            fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
            let left = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1) as Sequence;
            // What a cut or a zero took may have been zero already.
            let left = if *bytes == whole { 8 } else { left };
            let spool = open(copy.path());
            assert_eq!(spool.append(b"after").unwrap(), left + 1, "cut at {cut}");
            confirm(&spool);
            let mut expected: Vec<_> = (1..=left).map(|number| (number, short(number))).collect();
            expected.push((left + 1, b"after".to_vec()));
            assert_eq!(frames(read(&spool, 1)), expected, "cut at {cut}");
        }
    }
}

#[test]
fn numbers_go_on_when_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    {
        let spool = open(folder.path());
        for number in 1..=5 {
            spool.append(&content(number)).unwrap();
        }
        confirm(&spool);
        spool.set_shipped(5);
    }
    for path in segments(folder.path()) {
        fs::remove_file(path).unwrap();
    }
    let spool = open(folder.path());
    assert_eq!(spool.append(b"x").unwrap(), 6);
    confirm(&spool);
    assert_eq!(
        read(&spool, 4),
        [Batch::Missing { first: 4, last: 5 }, Batch::Frames { first: 6, contents: vec![b"x".to_vec()] }]
    );
}

#[test]
fn second_owner_is_refused_and_told_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let refused = Spool::open(settings(folder.path())).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    drop(first);
    open(folder.path());
}

#[test]
fn folder_keeps_its_id_and_finds_it_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1..=3);
    let source = open(folder.path()).source();
    assert_eq!(open(folder.path()).source(), source);
    fs::remove_file(folder.path().join("source")).unwrap();
    assert_eq!(open(folder.path()).source(), source);
    let renewed = open(folder.path()).renew_source().unwrap();
    assert_ne!(renewed, source);
    let spool = open(folder.path());
    assert_eq!(spool.source(), renewed);
    assert_eq!(frames(read(&spool, 1)).len(), 3, "what has the old id is still read");
}

#[test]
fn full_log_says_so_until_postgres_has_something() {
    let folder = tempfile::tempdir().unwrap();
    let limited = SpoolSettings { limit_bytes: 5 * 4_096, ..settings(folder.path()) };
    let spool = Spool::open(limited).unwrap();
    let refused = loop {
        if let Err(error) = spool.append(&[7; 500]) {
            break error;
        }
    };
    assert!(matches!(refused, SpoolError::Full { limit } if limit == 5 * 4_096), "{refused:?}");
    confirm(&spool);
    let written = spool.depth().written;
    let on_disk: u64 = segments(folder.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(on_disk <= 5 * 4_096, "{on_disk}");
    assert_eq!(frames(read(&spool, 1)).len() as u64, written);
    spool.set_shipped(written / 2);
    assert_eq!(spool.append(&[8; 500]).unwrap(), written + 1, "a refused click takes no number");
    confirm(&spool);
    let left = frames(read(&spool, written / 2 + 1));
    assert_eq!(left.last().unwrap(), &(written + 1, vec![8; 500]));
}

#[test]
fn burst_fills_the_log_up_to_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limited = SpoolSettings { limit_bytes: 5 * 4_096, ..settings(folder.path()) };
    let spool = Spool::open(limited).unwrap();
    let burst: Vec<_> = (1..=200_u8).map(|number| vec![number; 400]).collect();
    let fates = spool.append_all(&burst);
    let kept = spool.depth().written;
    assert!((10..200).contains(&kept), "{kept}");
    for (number, fate) in (1..=200).zip(fates) {
        match fate {
            Ok(sequence) => assert_eq!(sequence, number),
            Err(error) => assert!(number > kept && matches!(error, SpoolError::Full { .. }), "{error:?}"),
        }
    }
    confirm(&spool);
    assert_eq!(frames(read(&spool, 1)), (1..=kept).zip(burst).collect::<Vec<_>>());
}

#[test]
fn spoilt_frames_are_told_of_and_passed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1..=60);
    let paths = segments(folder.path());
    let mut bytes = fs::read(&paths[0]).unwrap();
    // The content of the second frame.
    let second = segment::HEADER_BYTES + segment::PREFIX_BYTES * 2 + content(1).len();
    bytes[second] ^= 1;
    fs::write(&paths[0], bytes).unwrap();
    // A whole segment.
    fs::remove_file(&paths[1]).unwrap();
    let spool = open(folder.path());
    let batches = read(&spool, 1);
    let missing: Vec<_> = batches
        .iter()
        .filter_map(|batch| match batch {
            Batch::Missing { first, last } => Some((*first, *last)),
            Batch::Frames { .. } | Batch::UpToDate => None,
        })
        .collect();
    assert_eq!(missing[0], (2, 2));
    assert_eq!(missing.len(), 2, "{missing:?}");
    let whole = batches.into_iter().filter(|batch| matches!(batch, Batch::Frames { .. })).collect();
    let numbers: Vec<_> = frames(whole)
        .into_iter()
        .map(|(number, bytes)| {
            assert_eq!(bytes, content(number));
            number
        })
        .collect();
    let lost = |number: &Sequence| missing.iter().any(|(first, last)| (first..=last).contains(&number));
    let expected: Vec<_> = (1..=60).filter(|number| !lost(number)).collect();
    assert_eq!(numbers, expected);
    // From a frame behind the spoilt one.
    let mut reader = Reader::new(spool, 4);
    assert!(matches!(reader.batch(10, 1 << 20).unwrap(), Batch::Frames { first: 4, .. }));
}

#[test]
fn segment_without_a_header_is_set_aside_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1..=40);
    let last = segments(folder.path()).pop().unwrap();
    let bytes = fs::metadata(&last).unwrap().len();
    fs::write(&last, vec![0; bytes as usize]).unwrap();
    let spool = open(folder.path());
    assert!(last.with_extension("damaged").exists());
    let first_lost: Sequence = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(spool.append(b"x").unwrap(), first_lost, "nothing of it can have been shipped");
    confirm(&spool);
    assert_eq!(frames(read(&spool, 1)).len() as u64, first_lost);
}

#[test]
fn many_writers_share_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    thread::scope(|scope| {
        for writer in 0..8_u64 {
            let spool = spool.clone();
            scope.spawn(move || {
                for number in 0..200_u64 {
                    spool.append(format!("{writer} {number}").as_bytes()).unwrap();
                }
            });
        }
    });
    confirm(&spool);
    let all = frames(read(&spool, 1));
    assert_eq!(all.len(), 1_600);
    for writer in 0..8 {
        let own: Vec<_> = all
            .iter()
            .filter_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().strip_prefix(&format!("{writer} ")))
            .collect();
        let expected: Vec<_> = (0..200).map(|number| number.to_string()).collect();
        assert_eq!(own, expected, "each writer's clicks keep their order");
    }
}

#[test]
fn contents_have_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let large = SpoolSettings { segment_bytes: 1 << 20, ..settings(folder.path()) };
    let spool = Spool::open(SpoolSettings { limit_bytes: 1 << 30, ..large }).unwrap();
    assert!(matches!(spool.append(b""), Err(SpoolError::TooLong { bytes: 0 })));
    assert!(matches!(spool.append(&vec![1; super::FRAME_BYTES + 1]), Err(SpoolError::TooLong { .. })));
    let longest = vec![1; super::FRAME_BYTES];
    for number in 1..=40 {
        assert_eq!(spool.append(&longest).unwrap(), number);
    }
    confirm(&spool);
    assert_eq!(frames(read(&spool, 1)), (1..=40).map(|number| (number, longest.clone())).collect::<Vec<_>>());
}

#[test]
fn folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Spool::open(settings(&file.join("spool"))).unwrap_err().to_string();
    assert!(error.starts_with("cannot make the folder ") && error.contains("file/spool"), "{error}");
}

#[test]
fn closed_log_is_given_up_although_clones_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    spool.append(b"click").unwrap();
    assert!(matches!(Spool::open(settings(folder.path())), Err(SpoolError::Owned { .. })));
    spool.close();
    assert!(matches!(spool.append(b"click"), Err(SpoolError::Closed)));
    assert_eq!(open(folder.path()).depth().written, 1);
}

#[tokio::test]
async fn whoever_waits_for_the_disk_is_told_that_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let slow = SpoolSettings { sync_every: Duration::from_secs(3_600), ..settings(folder.path()) };
    let spool = Spool::open(slow).unwrap();
    let sequence = spool.append(b"click").unwrap();
    let waiting = tokio::spawn({
        let spool = spool.clone();
        async move { spool.wait_for(sequence).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    spool.fail();
    assert!(matches!(waiting.await.unwrap(), Err(SpoolError::Unconfirmed { confirmed: 0 })));
    assert!(matches!(spool.append(b"click"), Err(SpoolError::Unconfirmed { confirmed: 0 })));
}

#[tokio::test]
async fn what_the_disk_confirmed_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let at_once = SpoolSettings { sync_every: Duration::ZERO, ..settings(folder.path()) };
    let spool = Spool::open(at_once).unwrap();
    for _ in 0..20 {
        let sequence = spool.append(b"click").unwrap();
        spool.wait_for(sequence).await.unwrap();
        assert!(*spool.confirmed().borrow() >= sequence);
    }
}

#[test]
fn segments_are_no_older_than_what_postgres_said_last() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Duration::from_millis(20);
    let spool = Spool::open(SpoolSettings { retained_for: keep, ..settings(folder.path()) }).unwrap();
    for number in 1..=200 {
        spool.append(&content(number)).unwrap();
    }
    confirm(&spool);
    spool.set_shipped(200);
    let (oldest, begun) = (spool.oldest(), SystemTime::now());
    while begun.elapsed().unwrap_or_default() < 2 * keep {
        thread::yield_now();
    }
    // PostgreSQL is silent: nobody knows whether it still has them.
    assert_eq!(spool.inner().expired(), None);
    assert_eq!(spool.oldest(), oldest);
    spool.set_shipped(200);
    let deadline = Instant::now() + Duration::from_secs(20);
    while spool.oldest() == oldest {
        assert!(Instant::now() < deadline, "an old segment was not removed");
        thread::yield_now();
    }
}

#[test]
fn full_log_has_a_segment_ready_before_whoever_writes_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let limit_bytes = 5 * 4_096;
    let spool = Spool::open(SpoolSettings { limit_bytes, ..settings(folder.path()) }).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    for number in 1..=200 {
        spool.append(&content(number)).unwrap();
        confirm(&spool);
        spool.set_shipped(number);
        // More than a half of the segment is used: what is kept of those before makes room for the next.
        while spool.inner().lock().active.offset > 3_000 && spool.inner().lock().prepared.is_none() {
            assert!(Instant::now() < deadline, "no segment is made ahead");
            thread::yield_now();
        }
        assert!(spool.depth().bytes <= limit_bytes);
    }
    assert!(spool.oldest() > 1, "there was room for all");
}
