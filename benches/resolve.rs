//! One resolution in process: `cargo bench --bench resolve`.
//!
//! User agents and countries are memoised facts here, as they are for most clicks; everything else is found out per
//! visit. Links, visitors and addresses differ, because a loop over one of each would measure the cache of the CPU. What is
//! told is time of the processor.
//!
//! - `-- memory`: what a million links take in the index, and as rows in PostgreSQL
//! - `-- replay`: how fast a draft judges recorded clicks
//! - `-- analysis`: how long a write thinks about the rules of a link

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

#[path = "support/database.rs"]
mod database;
#[path = "support/hard.rs"]
mod hard;
#[path = "support/link_rows.rs"]
mod link_rows;
#[path = "support/processor.rs"]
mod processor;
#[path = "support/ruled.rs"]
mod ruled;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use ruled::{Form, PARTNERS, Visitor, index, link_of, now, rule_of, settings};
use smartlinks::{
    domain::{
        click::{ClickFacts, Counters, LoggedClick},
        click_id::ClickId,
        client::{Browser, DeviceClass, Os, TrafficClass},
        destination::Destination,
        fact::Fact,
        geo::Country,
        limits,
        link::{Description, Link, LinkState, Routing, Rule, Sharing},
        name::{DisplayName, PartnerCode, ShopId, Slug},
        revision::Revision,
        visit::{Attribution, Channel, ResolveReason},
    },
    index::{
        Snapshot, Writer,
        analysis::{Analysis, analyse},
        replay::{Draft, Flows},
    },
};
use tokio::runtime;

const LINKS: usize = 1_024;
const VISITS: usize = 4_099;
/// Short and many: on a busy machine few rounds are interrupted, and the median is of those that are not.
const ROUNDS: usize = 31;
const MANY_LINKS: usize = 1_000_000;
const REPLAYED_CLICKS: u32 = 1_000_000;
/// As many clicks are made up before they are judged.
const REPLAYED_AT_ONCE: usize = 10_000;
const REPLAYED_RULES: usize = 10;
/// How often each link is thought about.
const THOUGHTS: usize = 7;

fn main() {
    match std::env::args().find(|argument| ["memory", "replay", "analysis"].contains(&&**argument)).as_deref()
    {
        Some("memory") => memory(),
        Some("replay") => replay(),
        Some("analysis") => analysis(),
        Some(_) | None => resolve(),
    }
}

/// What is measured: rules of each link, the form of their conditions, the query, and the times.
struct Row {
    rules: usize,
    way: &'static str,
    snapshot: Arc<Snapshot>,
    query: &'static str,
    times: Vec<f64>,
}

fn resolve() {
    let visitors: Vec<_> = (0..VISITS).map(|at| Visitor::new(LINKS, at)).collect();
    let asking = "gclid=EAIaIQobChMI&q=red+shoes&page=2";
    let mut rows = Vec::new();
    for rules in [0, 1, 10, 100, 1_000] {
        let of_link = |link| last_matches(link, rules);
        let (snapshot, plain) = (index(LINKS, Form::Plain, of_link), index(LINKS, Form::OneByOne, of_link));
        for (way, snapshot, query) in [
            ("index", &snapshot, ""),
            ("index, 3 pieces of query", &snapshot, asking),
            ("one by one", &plain, ""),
        ] {
            rows.push(Row { rules, way, snapshot: snapshot.clone(), query, times: Vec::new() });
        }
    }
    // Interleaved, so that a busy moment of the machine does not fall on one row alone.
    for _ in 0..ROUNDS {
        for row in &mut rows {
            row.times.push(measure(&row.snapshot, &visitors, row.query));
        }
    }
    println!("{LINKS} links, {VISITS} visitors, the last rule matches; median of {ROUNDS} rounds");
    println!("{:>6}  {:<24} {:>10} {:>10} {:>10}", "rules", "", "ns", "least", "most");
    for Row { rules, way, mut times, .. } in rows {
        times.sort_by(f64::total_cmp);
        let (median, least, most) = (times[ROUNDS / 2], times[0], times[ROUNDS - 1]);
        println!("{rules:>6}  {way:<24} {median:>10.0} {least:>10.0} {most:>10.0}");
    }
}

/// Makes the rules of a link, of which the last one matches.
fn last_matches(link: usize, rules: usize) -> Vec<Rule> {
    (1..=rules).map(|rule| rule_of(link, rule, rule == rules)).collect()
}

/// Returns the nanoseconds of one resolution.
fn measure(snapshot: &Snapshot, visitors: &[Visitor], query: &str) -> f64 {
    let visits: Vec<_> = visitors.iter().map(|visitor| visitor.visit(query)).collect();
    let begin = processor::time();
    for visit in &visits {
        black_box(snapshot.resolve(black_box(visit)).unwrap());
    }
    (processor::time() - begin).as_nanos() as f64 / VISITS as f64
}

/// Prints what an index of a million links with three rules each takes: distinct slugs, names and destinations, 1,000
/// distinct conditions; and what the same links take as rows of PostgreSQL's table, its indices not counted.
/// `cargo bench --bench resolve -- memory`, on Linux.
fn memory() {
    let rules =
        |link: usize| (0..3).map(|rule| rule_of(link, 1 + (link * 3 + rule) % 1_000, false)).collect();
    let links = || (0..MANY_LINKS).map(move |at| link_of(at, rules(at)));
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(link_rows::size(links())) / MANY_LINKS;
    let before = resident();
    let begin = Instant::now();
    // The writer keeps what links share: it counts too.
    let mut writer = Writer::new();
    let snapshot = writer.apply(links(), Revision(1));
    let took = begin.elapsed();
    let each = (resident() - before) / MANY_LINKS;
    println!("{} links with 3 rules: {each} bytes each, built in {took:.1?}", snapshot.counts().links);
    println!("rows of PostgreSQL: {rows} bytes each; index / rows: {:.2} ×", each as f64 / rows as f64);
}

/// Prints how long a write thinks about the rules of a link. `cargo bench --bench resolve -- analysis`.
fn analysis() {
    let shop = settings();
    println!("at most {} steps; median of {THOUGHTS}", limits::WRITE_STEPS);
    println!("{:<44} {:>6} {:>10} {:>8} {:>8} {:>8}", "", "rules", "steps", "ms", "most", "ns/step");
    for (name, rules) in hard::links() {
        let link = link_with(rules);
        let ask = Analysis {
            link: &link,
            shop: &shop,
            countries: true,
            now: now(),
            steps: limits::WRITE_STEPS,
            thorough: false,
        };
        let mut times = Vec::new();
        let mut steps = 0;
        for _ in 0..THOUGHTS {
            let begin = processor::time();
            steps = black_box(analyse(black_box(&ask))).steps;
            times.push((processor::time() - begin).as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (median, most) = (times[THOUGHTS / 2], times[THOUGHTS - 1]);
        let count = link.routing.rules.len();
        println!(
            "{name:<44} {count:>6} {steps:>10} {median:>8.1} {most:>8.1} {:>8.1}",
            median * 1e6 / steps as f64
        );
    }
}

/// Makes a link with these rules.
fn link_with(rules: Vec<Rule>) -> Link {
    Link {
        shop: ShopId::parse("acme").unwrap(),
        slug: Slug::parse("link-0").unwrap(),
        is_default: false,
        display_name: DisplayName::parse("Link").unwrap(),
        description: Description::default(),
        tags: Vec::new(),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing { rules, ..Routing::to(Destination::parse("/sale").unwrap()) },
        golden_clicks: Vec::new(),
    }
}

/// Prints how fast a draft of ten rules judges a million recorded clicks, and what that takes of memory; reading them from
/// PostgreSQL not included. `cargo bench --bench resolve -- replay`, on Linux.
fn replay() {
    let draft = Draft::new(link_with(last_matches(0, REPLAYED_RULES)), None);
    let before = resident();
    let mut flows = Flows::new(limits::REPLAY_FLOWS, limits::REPLAY_SAMPLES);
    let mut took = Duration::ZERO;
    for first in (0..REPLAYED_CLICKS).step_by(REPLAYED_AT_ONCE) {
        let clicks: Vec<_> = (first..).take(REPLAYED_AT_ONCE).map(recorded).collect();
        let begin = processor::time();
        for click in &clicks {
            let fate = draft.judge(click, None);
            flows.add(click, fate);
        }
        took += processor::time() - begin;
    }
    let tally = flows.tally();
    let rate = f64::from(REPLAYED_CLICKS) / took.as_secs_f64();
    println!(
        "{REPLAYED_CLICKS} recorded clicks against {REPLAYED_RULES} rules: {rate:.0}/s of processor time"
    );
    let grown = resident().saturating_sub(before) / 1_024;
    println!("{tally:?}, {} flows, {grown} KiB more than before", flows.into_flows().len());
}

/// Makes up a recorded click.
fn recorded(number: u32) -> LoggedClick {
    let at = number as usize;
    let partner = PartnerCode::parse(&format!("partner-{}", at % PARTNERS)).unwrap();
    LoggedClick {
        id: ClickId::new(
            now(),
            (u128::from(number) * 0x9e37_79b9_7f4a_7c15).to_le_bytes()[..10].try_into().unwrap(),
        ),
        shop: ShopId::parse("acme").unwrap(),
        facts: ClickFacts {
            slug: Some(Slug::parse("link-0").unwrap()),
            revision: Revision(1),
            channel: Some(Channel::Link),
            reason: Some(ResolveReason::Default),
            rule: None,
            variant: None,
            destination: format!("/sale/{}", at % 2_003),
            partner: Some(partner),
            program: None,
            attribution: Some(Attribution::Credited),
            traffic: Some(TrafficClass::Human),
            country: Some(Country::parse(["DE", "FR", "IT", "ES", "PL"][at % 5]).unwrap()),
            device: Some(DeviceClass::ALL[at % 3]),
            os: Some(Os::ALL[at % 7]),
            browser: Some(Browser::ALL[at % 11]),
            language: Some(["de-de", "fr-fr", "it"][at % 3].to_owned()),
            referrer: Fact::Known(format!("blog-{}.example", at % 1_009)),
            sub_ids: Vec::new(),
        },
        traffic_why: String::new(),
        visitor: None,
        counters: Counters::default(),
    }
}

/// Returns the bytes of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
}
