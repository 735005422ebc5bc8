//! Figures: rounds, rows, and how they stand to each other.

use std::{fs, time::Duration};

/// Every round of a row lasts so long.
pub(crate) const ROUND: Duration = Duration::from_secs(2);
/// Rounds; the median counts.
pub(crate) const ROUNDS: usize = 7;

/// What one round of a row measured.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Latencies at 50, 99 and 99.9 %.
    pub(crate) latency: [Duration; 3],
    /// The generator's part of the processor time that was used on the machine.
    pub(crate) generator: f64,
    /// Processor time that this process took for each answer, without the generator. Unlike the rate it is much the same
    /// on a machine that has other work too; what other processes took for the answer is not in it.
    pub(crate) served: Duration,
}

impl Round {
    /// Makes figures of the latencies of all answers.
    pub(crate) fn of(mut nanos: Vec<u64>, took: Duration, clock: &Clock) -> Self {
        // At once: what follows takes time too.
        let (generator, others) = (clock.share(), clock.others());
        assert!(!nanos.is_empty(), "nothing was answered");
        nanos.sort_unstable();
        let at = |share: f64| {
            let place = (nanos.len() as f64 * share) as usize;
            Duration::from_nanos(nanos[place.min(nanos.len() - 1)])
        };
        let latency = [at(0.5), at(0.99), at(0.999)];
        let answers = nanos.len();
        let served = Duration::from_nanos(others / answers as u64);
        Self { per_second: answers as f64 / took.as_secs_f64(), latency, generator, served }
    }
}

/// Measures what processor time this thread takes of all that is used on the machine. It runs until it is asked.
pub(crate) struct Clock {
    thread: u64,
    process: u64,
    machine: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { thread: thread_nanos(), process: process_nanos(), machine: machine_nanos() }
    }

    fn share(&self) -> f64 {
        (thread_nanos() - self.thread) as f64 / (machine_nanos() - self.machine).max(1) as f64
    }

    /// Returns what the other threads of this process took.
    fn others(&self) -> u64 {
        (process_nanos() - self.process).saturating_sub(thread_nanos() - self.thread)
    }
}

fn thread_nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
}

/// Returns the time of all threads of this process that still run.
fn process_nanos() -> u64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = |text: String| text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok());
    threads.filter_map(|thread| nanos(fs::read_to_string(thread.path().join("schedstat")).ok()?)).sum()
}

/// Returns busy time of all processors, from ticks of a hundredth of a second.
fn machine_nanos() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).flat_map(str::parse).collect();
    let busy = |at: usize| ticks.get(at).copied().unwrap_or_default();
    // user, nice, system, irq, softirq
    (busy(0) + busy(1) + busy(2) + busy(5) + busy(6)) * 10_000_000
}

/// A row of a table: its rounds.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Round>,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    /// Returns the median of a figure over the rounds.
    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        let mut all: Vec<_> = self.rounds.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.median(|round| round.per_second)
    }

    pub(crate) fn latency(&self, at: usize) -> f64 {
        self.median(|round| round.latency[at].as_secs_f64() * 1e6)
    }
}

/// Prints rows with their spread.
pub(crate) fn print(title: &str, rows: &[Row]) {
    println!("\n{title}; median of {ROUNDS} rounds of {ROUND:?}, interleaved");
    println!(
        "{:<42} {:>9} {:>19} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "", "per s", "least – most", "p50 µs", "p99 µs", "p99.9 µs", "served µs", "generator"
    );
    for row in rows {
        let all = || row.rounds.iter().map(|round| round.per_second);
        let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
        println!(
            "{:<42} {:>9.0} {:>9.0} – {:<7.0} {:>9.0} {:>9.0} {:>9.0} {:>9.1} {:>8.0} %",
            row.name,
            row.per_second(),
            least,
            most,
            row.latency(0),
            row.latency(1),
            row.latency(2),
            row.median(|round| round.served.as_secs_f64() * 1e6),
            row.median(|round| round.generator) * 100.0,
        );
    }
}

/// Prints how a row stands to another: throughput and p99, round by round, since both ran in the same moments.
pub(crate) fn compare(row: &Row, against: &Row, wanted: &str) {
    let ratio = |figure: &dyn Fn(&Round) -> f64| {
        let pairs = row.rounds.iter().zip(&against.rounds);
        let mut all: Vec<_> = pairs.map(|(round, other)| figure(round) / figure(other)).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[0], all[all.len() - 1])
    };
    let (middle, least, most) = ratio(&|round| round.per_second);
    let (p99, ..) = ratio(&|round| round.latency[1].as_secs_f64());
    println!(
        "{} / {}: {middle:.2} × ({least:.2} – {most:.2}), p99 {p99:.2} ×; wanted: {wanted}",
        row.name, against.name
    );
}
