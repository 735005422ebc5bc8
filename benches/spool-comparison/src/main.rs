//! What the local log of clicks could be made of: own segments, raft-engine, fjall.
//!
//! ```text
//! spool-comparison append FOLDER            clicks a second and latencies, from 1, 2 and 8 threads
//! spool-comparison waiting FOLDER [NAME [CLICKS]]
//!                                           start-up, first batch, draining, disk and memory with many clicks waiting
//! ```

mod engines;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, exit},
    thread,
    time::{Duration, Instant},
};

use engines::{Kind, Log};

/// Bytes of a click.
const BYTES: usize = 300;
/// Clicks of one measurement of appending, over all threads.
const CLICKS: u64 = 400_000;
const ROUNDS: usize = 5;
/// Clicks that are read at once.
const BATCH: u64 = 10_000;
/// How long after all was dropped the disk is looked at.
const SETTLING: Duration = Duration::from_secs(15);
/// Clicks that wait, unless it is said.
const WAITING: u64 = 20_000_000;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["append", folder] => append(Path::new(folder)),
        ["waiting", folder] => Kind::ALL.iter().for_each(|kind| waiting(*kind, Path::new(folder), WAITING)),
        ["waiting", folder, kind] => waiting(named(kind), Path::new(folder), WAITING),
        ["waiting", folder, kind, clicks] => {
            waiting(named(kind), Path::new(folder), clicks.parse().expect("a number"));
        }
        // One phase with one of them, in a process of its own: its memory is nobody else's.
        ["fill", kind, folder, clicks] => {
            fill(named(kind), Path::new(folder), clicks.parse().expect("a number"))
        }
        ["drain", kind, folder] => drain(named(kind), Path::new(folder)),
        _ => {
            eprintln!("spool-comparison append FOLDER | waiting FOLDER [NAME [CLICKS]]");
            exit(2);
        }
    }
}

fn named(name: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).expect("one of them")
}

fn append(base: &Path) {
    println!("appending {BYTES} bytes; median of {ROUNDS} rounds of {CLICKS} clicks, interleaved");
    println!(
        "{:<14} {:>7} {:>10} {:>19} {:>8} {:>8} {:>9} {:>9}",
        "", "threads", "clicks/s", "least – most", "p50 µs", "p99 µs", "p99.9 µs", "most ms"
    );
    for threads in [1, 2, 8] {
        let mut rounds: [Vec<Figures>; 3] = Default::default();
        for round in 0..ROUNDS {
            for (kind, rounds) in Kind::ALL.into_iter().zip(&mut rounds) {
                let folder = fresh(base, &format!("{}-{round}", kind.name()));
                let log = kind.open(&folder);
                rounds.push(run(&log, threads));
                log.close();
                fs::remove_dir_all(&folder).expect("a folder");
            }
        }
        for (kind, rounds) in Kind::ALL.into_iter().zip(&rounds) {
            let median = |figure: fn(&Figures) -> f64| {
                let mut all: Vec<_> = rounds.iter().map(figure).collect();
                all.sort_by(f64::total_cmp);
                (all[all.len() / 2], all[0], all[all.len() - 1])
            };
            let (per_second, least, most) = median(|figures| figures.per_second);
            println!(
                "{:<14} {threads:>7} {per_second:>10.0} {least:>9.0} – {most:<7.0} {:>8.1} {:>8.1} {:>9.1} {:>9.1}",
                kind.name(),
                median(|figures| figures.micros[0]).0,
                median(|figures| figures.micros[1]).0,
                median(|figures| figures.micros[2]).0,
                median(|figures| figures.micros[3] / 1e3).0,
            );
        }
    }
}

struct Figures {
    per_second: f64,
    /// At 50, 99, 99.9 and 100 %.
    micros: [f64; 4],
}

/// Appends from this many threads as fast as it goes.
fn run(log: &Log, threads: u64) -> Figures {
    let begun = Instant::now();
    let mut nanos: Vec<u64> = thread::scope(|scope| {
        let work = |thread| {
            move || {
                let each = CLICKS / threads;
                let mut nanos = Vec::with_capacity(each as usize);
                for number in 0..each {
                    let click = click(number);
                    let begun = Instant::now();
                    log.append(thread, number, &click);
                    nanos.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
                }
                nanos
            }
        };
        let working: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
        working.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let took = begun.elapsed().as_secs_f64();
    nanos.sort_unstable();
    let at = |share: f64| nanos[((nanos.len() as f64 * share) as usize).min(nanos.len() - 1)] as f64 / 1e3;
    Figures { per_second: nanos.len() as f64 / took, micros: [0.5, 0.99, 0.999, 1.0].map(at) }
}

/// Returns a click: different from others, and not to be compressed.
fn click(number: u64) -> [u8; BYTES] {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut click = [0; BYTES];
    for bytes in click.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.copy_from_slice(&state.to_le_bytes()[..bytes.len()]);
    }
    click
}

fn waiting(kind: Kind, base: &Path, clicks: u64) {
    let bytes = (clicks * BYTES as u64) as f64 / 1e9;
    println!("{}: {clicks} clicks of {BYTES} bytes wait ({bytes:.1} GB)", kind.name());
    let folder = fresh(base, kind.name());
    let path = folder.to_str().expect("a path");
    phase(&["fill", kind.name(), path, &clicks.to_string()]);
    println!("  on the disk {:.2} GB", gigabytes(&folder));
    forget(&folder);
    phase(&["drain", kind.name(), path]);
    println!("  on the disk {SETTLING:?} later: {:.2} GB", gigabytes(&folder));
    fs::remove_dir_all(&folder).expect("a folder");
}

fn phase(words: &[&str]) {
    let own = env::current_exe().expect("a program");
    let ended = Command::new(own).args(words).status().expect("a process");
    assert!(ended.success(), "{words:?}");
}

fn fill(kind: Kind, folder: &Path, clicks: u64) {
    let begun = Instant::now();
    let log = kind.open(folder);
    (0..clicks).for_each(|number| log.append(0, number, &click(number)));
    let per_second = clicks as f64 / begun.elapsed().as_secs_f64();
    log.close();
    println!("  filled from one thread: {per_second:.0} clicks/s, memory {:.0} MB at most", memory());
}

fn drain(kind: Kind, folder: &Path) {
    let begun = Instant::now();
    let log = kind.open(folder);
    println!("  opened in {:?}, memory {:.0} MB at most", rounded(begun), memory());
    let begun = Instant::now();
    let read = log.read(0, 0, BATCH);
    println!("  first {read} read in {:?}", rounded(begun));
    let begun = Instant::now();
    let read = log.drain(BATCH);
    let per_second = read as f64 / begun.elapsed().as_secs_f64();
    println!("  {read} read and dropped: {per_second:.0} clicks/s, memory {:.0} MB at most", memory());
    // Each removes files in its own time.
    thread::sleep(SETTLING);
    log.close();
}

fn rounded(begun: Instant) -> Duration {
    Duration::from_micros(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// The most memory that this process had, in MB: what is mapped from files and read again when needed counts too.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1e3
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

fn gigabytes(folder: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let blocks: u64 = files(folder).iter().map(|file| file.metadata().map_or(0, |file| file.blocks())).sum();
    (blocks * 512) as f64 / 1e9
}

/// Lets the system forget the contents of files, for what opens them to read them from the disk.
fn forget(folder: &Path) {
    for file in files(folder) {
        let ended = Command::new("dd")
            .arg(format!("if={}", file.display()))
            .args(["iflag=nocache", "count=0", "status=none"])
            .status();
        assert!(ended.is_ok_and(|ended| ended.success()), "dd cannot forget {}", file.display());
    }
}

fn fresh(base: &Path, name: &str) -> PathBuf {
    let folder = base.join(name.replace(' ', "-"));
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("a folder");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
