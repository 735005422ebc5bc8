//! Rates: how much was done in a second, and how one stands to another.

use std::time::Instant;

/// What one round measured.
#[derive(Clone, Copy)]
pub(crate) struct Rate(f64);

impl Rate {
    /// Measures how long so many take.
    pub(crate) async fn of(count: usize, work: impl Future<Output = ()>) -> Self {
        let begun = Instant::now();
        work.await;
        Self(count as f64 / begun.elapsed().as_secs_f64())
    }
}

/// A row of a table: its rounds.
pub(crate) struct Rates {
    name: &'static str,
    rounds: Vec<f64>,
}

impl Rates {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    pub(crate) fn push(&mut self, rate: Rate) {
        self.rounds.push(rate.0);
    }
}

/// Returns the median, the least and the most.
fn spread(mut all: Vec<f64>) -> (f64, f64, f64) {
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[0], all[all.len() - 1])
}

/// Prints rows with their spread.
pub(crate) fn print(title: &str, unit: &str, rows: &[Rates]) {
    println!("\n{title}; median of {} rounds, in turns", rows.first().map_or(0, |row| row.rounds.len()));
    println!("{:<34} {unit:>9} {:>19}", "", "least – most");
    for row in rows {
        let (middle, least, most) = spread(row.rounds.clone());
        println!("{:<34} {middle:>9.0} {least:>9.0} – {most:<7.0}", row.name);
    }
    println!();
}

/// Prints how a row stands to another, round by round, since both ran in the same moments.
pub(crate) fn compare(row: &Rates, against: &Rates, wanted: &str) {
    let ratios = row.rounds.iter().zip(&against.rounds).map(|(one, other)| one / other);
    let (middle, least, most) = spread(ratios.collect());
    println!("{} / {}: {middle:.2} × ({least:.2} – {most:.2}); wanted: {wanted}", row.name, against.name);
}
