//! The same rules by the index, one by one, and by `a-tree`, in turns.
//!
//! An A-Tree finds every expression that holds, and the first rule is the least of them. It gets what our visitors have as
//! an event; making it is measured with it, as finding out what a visit has is with the index. Rules on networks and on
//! hours of the week are left out of all sides: its language has no words for them.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod expression;
#[path = "../../support/processor.rs"]
mod processor;
#[path = "../../support/ruled.rs"]
mod ruled;

use std::{hint::black_box, sync::Arc};

use a_tree::ATree;
use ruled::{Form, PARTNERS, Visitor, index, now, rule_of};
use smartlinks::{domain::link::Rule, index::Snapshot};

/// Fewer than the index is measured with elsewhere: an A-Tree of a thousand rules takes much more.
const LINKS: usize = 64;
const VISITS: usize = 2_003;
const ROUNDS: usize = 15;

/// A visitor, and what the index looks up for them.
struct Known {
    visitor: Visitor,
    link: usize,
    program: String,
}

impl Known {
    fn new(at: usize) -> Self {
        let visitor = Visitor::new(LINKS, at);
        let number =
            |name: &str| name.rsplit('-').next().and_then(|it| it.parse::<usize>().ok()).expect("a number");
        let (link, program) = (number(&visitor.slug), number(&visitor.partner) % PARTNERS % 10);
        Self { visitor, link, program: format!("program-{program}") }
    }
}

fn main() {
    let visitors: Vec<_> = (0..VISITS).map(Known::new).collect();
    println!("{LINKS} links, {VISITS} visitors, the last rule matches; median of {ROUNDS} rounds, in turns");
    println!("{:>6} {:>28} {:>28} {:>28}", "rules", "index, ns", "one by one, ns", "a-tree, ns");
    for count in [1, 10, 100, 1_000] {
        let none = index(LINKS, Form::Plain, |_| Vec::new());
        let by_index = index(LINKS, Form::Plain, |link| rules(link, count));
        let one_by_one = index(LINKS, Form::OneByOne, |link| rules(link, count));
        let trees: Vec<_> = (0..LINKS).map(|link| expression::tree(&rules(link, count))).collect();
        agree(&by_index, &trees, &visitors);
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            times[0].push(resolve(&none, &visitors));
            times[1].push(resolve(&by_index, &visitors));
            times[2].push(resolve(&one_by_one, &visitors));
            times[3].push(search(&trees, &visitors));
        }
        let [bare, ours, naive, theirs] = times.map(spread);
        println!("{count:>6} {ours:>28} {naive:>28} {theirs:>28}    a whole answer without rules: {bare}");
    }
}

/// Rules of the kinds that both sides have.
fn rules(link: usize, count: usize) -> Vec<Rule> {
    let kind = |number: usize| if matches!(number % 14, 7 | 9) { number + 1 } else { number };
    let when = |number: usize| rule_of(link, kind(number), number == count).when;
    (1..=count).map(|number| Rule { when: when(number), ..rule_of(link, number, true) }).collect()
}

/// Checks that both find the same rule for each visitor.
fn agree(snapshot: &Snapshot, trees: &[ATree<usize>], visitors: &[Known]) {
    for visitor in visitors {
        let found = first(&trees[visitor.link], visitor).map(|number| format!("rule-{number}"));
        let ours = snapshot.resolve(&visitor.visitor.visit("")).expect("a shop").rule;
        assert_eq!(found, ours.map(|rule| rule.to_string()));
    }
}

fn first(tree: &ATree<usize>, visitor: &Known) -> Option<usize> {
    let event = expression::event(tree, visitor);
    let report = tree.search(&event).expect("a search");
    report.matches().iter().map(|number| **number).min()
}

/// Returns the nanoseconds of the processor for one answer.
fn resolve(snapshot: &Arc<Snapshot>, visitors: &[Known]) -> f64 {
    let visits: Vec<_> = visitors.iter().map(|visitor| visitor.visitor.visit("")).collect();
    let begin = processor::time();
    for visit in &visits {
        black_box(snapshot.resolve(black_box(visit)).expect("a shop"));
    }
    (processor::time() - begin).as_nanos() as f64 / VISITS as f64
}

/// Returns the nanoseconds of the processor for one search.
fn search(trees: &[ATree<usize>], visitors: &[Known]) -> f64 {
    let begin = processor::time();
    for visitor in visitors {
        black_box(first(&trees[visitor.link], black_box(visitor)));
    }
    (processor::time() - begin).as_nanos() as f64 / VISITS as f64
}

/// Writes the median, the least and the most.
fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    format!("{:.0} ({:.0} – {:.0})", times[ROUNDS / 2], times[0], times[ROUNDS - 1])
}
