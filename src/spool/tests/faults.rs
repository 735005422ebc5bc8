//! What a log does after something went wrong: with its files, its id, or PostgreSQL.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{Spool, SpoolSettings, confirm, content, copy, frames, open, read, segments, settings, write};

#[test]
fn what_is_set_aside_does_not_replace_what_was_before() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1..=40);
    let last = segments(folder.path()).pop().unwrap();
    let spoilt = [b"first".repeat(20), b"second".repeat(20), b"third".repeat(20)];
    for bytes in &spoilt {
        fs::write(&last, bytes).unwrap();
        drop(open(folder.path()));
    }
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside = files.filter(|path| path.to_str().unwrap().contains(".damaged"));
    let mut aside: Vec<_> = aside.map(|path| fs::read(path).unwrap()).collect();
    aside.sort();
    assert_eq!(aside, spoilt);
}

/// Opens what a crash of the machine would leave of a log now.
fn after_a_crash(folder: &tempfile::TempDir) -> (tempfile::TempDir, Spool) {
    let copy = copy(folder.path());
    let spool = open(copy.path());
    (copy, spool)
}

/// Returns a log whose 60 frames PostgreSQL has, as its folder says too.
fn shipped() -> (tempfile::TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1..=60);
    open(folder.path()).set_shipped(60);
    let spool = open(folder.path());
    assert_eq!(spool.depth().shipped, 60);
    (folder, spool)
}

#[test]
fn nothing_is_shipped_under_a_new_id_even_after_a_crash() {
    let (folder, spool) = shipped();
    let source = spool.renew_source().unwrap();
    let (_copy, spool) = after_a_crash(&folder);
    assert_eq!(spool.source(), source);
    let depth = spool.depth();
    assert_eq!(
        (depth.shipped, depth.retained_bytes),
        (0, 0),
        "what PostgreSQL does not have would be removed"
    );
    assert_eq!(spool.append(&content(61)).unwrap(), 61);
}

#[test]
fn what_a_restore_took_back_is_not_shipped_even_after_a_crash() {
    let (folder, spool) = shipped();
    spool.set_shipped(7);
    let (_copy, spool) = after_a_crash(&folder);
    assert_eq!(spool.depth().shipped, 7);
    assert_eq!(frames(read(&spool, 8)).len(), 53);
}

#[test]
fn segment_that_cannot_be_removed_stays_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let at_once = SpoolSettings { retained_bytes: 0, ..settings(folder.path()) };
    let spool = Spool::open(at_once).unwrap();
    for number in 1..=60 {
        spool.append(&content(number)).unwrap();
    }
    confirm(&spool);
    let before = segments(folder.path());
    // Nothing but a folder can stand in the way, for root too.
    let aside = folder.path().join("aside");
    fs::rename(&before[0], &aside).unwrap();
    fs::create_dir(&before[0]).unwrap();
    spool.set_shipped(60);
    for number in 61..=70 {
        spool.append(&content(number)).unwrap();
        confirm(&spool);
    }
    assert!(before[1].exists(), "the oldest goes first");
    assert_eq!(spool.oldest(), 1);
    fs::remove_dir(&before[0]).unwrap();
    fs::rename(&aside, &before[0]).unwrap();
    let began = Instant::now();
    for number in 71.. {
        if !before[0].exists() && !before[1].exists() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it is still there");
        spool.append(&content(number)).unwrap();
        confirm(&spool);
        thread::yield_now();
    }
}
