//! Which rules of a link a visit can meet at all: a link with a thousand rules should not cost a hundred times one with
//! ten.
//!
//! Each rule is filed under clues of which the visit must show one for the rule to match: `all` needs any one of its
//! members, so it is filed under the most telling; `any` is filed under those of all its members; a `not` and tests that
//! have no clue are asked always. Clues are hashes: that two fall together costs an evaluation, never a match.

use std::{
    hash::{BuildHasher, Hash},
    net::IpAddr,
    sync::Arc,
};

use foldhash::fast::FixedState;
use ipnet::IpNet;

use super::facts::Facts;
use crate::{
    classify::address::{normalize, normalize_net},
    domain::{
        condition::{CallerTest, Condition, Predicate, QueryTest},
        limits,
        query::pieces,
        window::{TimeWindow, WeeklyHours},
    },
};

/// Rules from which on a shortlist pays for itself.
const FROM_RULES: usize = 16;
/// Clues of a rule from which on it is asked always: a list of hundreds is met often anyway.
const MOST_CLUES: usize = 64;
/// Words of a set of rules.
const WORDS: usize = limits::RULES.div_ceil(64);

/// The kinds of clues, the least telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Traffic,
    InEu,
    Continent,
    Hours,
    Time,
    Device,
    Os,
    Browser,
    Language,
    Country,
    Program,
    Tag,
    ParameterName,
    CallerName,
    Network,
    HostBelow,
    Host,
    Partner,
    ParameterValue,
    CallerValue,
}

/// The rules of a link by their clues.
#[derive(Debug)]
pub(super) struct Shortlist {
    /// In order; the rule of each clue stands at the same place of `rules`.
    clues: Box<[u32]>,
    rules: Box<[u16]>,
    /// A bit for each clue: most clues that a visit shows are none of ours, and one look here tells.
    sieve: Box<[u64]>,
    /// The rules that are asked always.
    always: Rules,
    /// Windows and hours are no values to look up: each is tested once, however many rules name it.
    windows: Box<[(TimeWindow, u32)]>,
    /// In the order of their zones.
    hours: Box<[(WeeklyHours, u32)]>,
    /// Bit per kind of clue that there is: no other facts are looked at.
    kinds: u32,
}

/// A set of rules.
type Rules = [u64; WORDS];

/// Clues of one condition, of which a visit must show one, and the least telling kind among them.
struct Clues {
    kind: Kind,
    hashes: Vec<(Kind, u32)>,
}

impl Shortlist {
    /// Files the rules of a link, if there are enough of them.
    pub(super) fn new(conditions: &[Arc<Condition>]) -> Option<Box<Self>> {
        // More than the limit is not written by us; the plain way answers all the same.
        if !(FROM_RULES..=limits::RULES).contains(&conditions.len()) {
            return None;
        }
        let mut filed = Vec::new();
        let mut always = [0; WORDS];
        let mut kinds = 0;
        let (mut windows, mut hours) = (Vec::new(), Vec::new());
        for (at, when) in (0_u16..).zip(conditions) {
            match clues(when).filter(|clues| clues.hashes.len() <= MOST_CLUES) {
                None => insert(&mut always, at),
                Some(clues) => {
                    for (kind, clue) in clues.hashes {
                        kinds |= 1 << kind as u32;
                        filed.push((clue, at));
                    }
                    when.for_each_predicate(&mut |predicate| match predicate {
                        Predicate::Time(window) => windows.push((window.clone(), clue(Kind::Time, window))),
                        Predicate::Weekly(weekly) => hours.push((weekly.clone(), clue(Kind::Hours, weekly))),
                        Predicate::Device(_)
                        | Predicate::Os { .. }
                        | Predicate::Browser { .. }
                        | Predicate::Language(_)
                        | Predicate::Country(_)
                        | Predicate::Continent(_)
                        | Predicate::InEu {}
                        | Predicate::NewVisitor {}
                        | Predicate::VisitorTotalVisits(_)
                        | Predicate::LinkTotalVisits(_)
                        | Predicate::PartnerTotalVisits(_)
                        | Predicate::ReferrerHost { .. }
                        | Predicate::Query { .. }
                        | Predicate::ClientAddress(_)
                        | Predicate::Traffic(_)
                        | Predicate::Partner(_)
                        | Predicate::Program(_)
                        | Predicate::PartnerTag(_)
                        | Predicate::Caller { .. } => {}
                    });
                }
            }
        }
        filed.sort_unstable();
        filed.dedup();
        let (clues, rules): (Vec<_>, Vec<_>) = filed.into_iter().unzip();
        // Those that no rule is filed under need no test, others only one.
        windows.retain(|(_, clue)| clues.binary_search(clue).is_ok());
        windows.sort_unstable_by_key(|(_, clue)| *clue);
        windows.dedup();
        hours.retain(|(_, clue)| clues.binary_search(clue).is_ok());
        hours.sort_unstable_by(|(left, one), (right, other)| {
            (left.zone().as_str(), one).cmp(&(right.zone().as_str(), other))
        });
        hours.dedup();
        Some(Box::new(Self {
            sieve: sieve(&clues),
            clues: clues.into(),
            rules: rules.into(),
            always,
            windows: windows.into(),
            hours: hours.into(),
            kinds,
        }))
    }

    /// Returns the places of the rules that the visit can meet, in order.
    pub(super) fn candidates<'a>(&'a self, facts: &Facts<'a>) -> impl Iterator<Item = usize> {
        let mut found = self.always;
        self.show(facts, |clue| {
            if !is_marked(&self.sieve, clue) {
                return;
            }
            let start = self.clues.partition_point(|filed| *filed < clue);
            let same = self.clues[start..].iter().take_while(|filed| **filed == clue);
            for (_, rule) in same.zip(&self.rules[start..]) {
                insert(&mut found, *rule);
            }
        });
        found.into_iter().enumerate().flat_map(|(word, bits)| {
            let after = |rest: &u64| Some(rest & (rest - 1)).filter(|rest| *rest != 0);
            let words = std::iter::successors(Some(bits).filter(|bits| *bits != 0), after);
            words.map(move |rest| word * 64 + rest.trailing_zeros() as usize)
        })
    }

    /// Calls `found` with every clue that the visit shows.
    fn show<'a>(&'a self, facts: &Facts<'a>, mut found: impl FnMut(u32)) {
        let visit = facts.visit;
        let agent = &visit.agent;
        let has = |kind: Kind| self.kinds >> kind as u32 & 1 == 1;
        let in_window = |(window, _): &&(TimeWindow, u32)| window.contains(visit.time);
        self.windows.iter().filter(in_window).for_each(|(_, clue)| found(*clue));
        for of_zone in self.hours.chunk_by(|(left, _), (right, _)| left.zone() == right.zone()) {
            let local = facts.weekday_and_hour(of_zone[0].0.zone());
            let in_hours = |(hours, _): &&(WeeklyHours, u32)| hours.contains_local(local);
            of_zone.iter().filter(in_hours).for_each(|(_, clue)| found(*clue));
        }
        if has(Kind::Traffic) {
            found(clue(Kind::Traffic, facts.traffic));
        }
        agent
            .device
            .known()
            .filter(|_| has(Kind::Device))
            .into_iter()
            .for_each(|it| found(clue(Kind::Device, it)));
        agent.os.known().filter(|_| has(Kind::Os)).into_iter().for_each(|it| found(clue(Kind::Os, it)));
        agent
            .browser
            .known()
            .filter(|_| has(Kind::Browser))
            .into_iter()
            .for_each(|it| found(clue(Kind::Browser, it)));
        if has(Kind::Language) {
            facts.language().known().into_iter().for_each(|language| found(clue(Kind::Language, language)));
        }
        if let Some(country) = visit.country.known() {
            found(clue(Kind::Country, country));
            found(clue(Kind::Continent, country.continent()));
            if has(Kind::InEu) && country.in_eu() {
                found(clue(Kind::InEu, ()));
            }
        }
        if let Some(partner) = facts.partner {
            found(clue(Kind::Partner, partner.code.as_str()));
            partner.program().into_iter().for_each(|program| found(clue(Kind::Program, program.as_str())));
            partner.tags().iter().for_each(|tag| found(clue(Kind::Tag, tag.as_str())));
        }
        if has(Kind::Network)
            && let Some(address) = visit.address.known()
        {
            networks(normalize(address)).into_iter().for_each(|network| found(clue(Kind::Network, network)));
        }
        if (has(Kind::Host) || has(Kind::HostBelow))
            && let Some(host) = facts.referrer_host().known()
        {
            found(clue(Kind::Host, host));
            let below =
                std::iter::successors(Some(host), |host| host.split_once('.').map(|(_, parent)| parent));
            below.for_each(|host| found(clue(Kind::HostBelow, host)));
        }
        if has(Kind::ParameterName) || has(Kind::ParameterValue) {
            for piece in pieces(visit.query) {
                let Some(name) = piece.name() else { continue };
                found(clue(Kind::ParameterName, &*name));
                piece
                    .value()
                    .into_iter()
                    .for_each(|value| found(clue(Kind::ParameterValue, (&*name, &*value))));
            }
        }
        if has(Kind::CallerName) || has(Kind::CallerValue) {
            for (name, value) in visit.attributes {
                found(clue(Kind::CallerName, name.as_str()));
                found(clue(Kind::CallerValue, (name.as_str(), value.as_str())));
            }
        }
    }
}

fn insert(rules: &mut Rules, at: u16) {
    rules[usize::from(at / 64)] |= 1 << (at % 64);
}

/// Marks clues in a table of about eight bits for each.
fn sieve(clues: &[u32]) -> Box<[u64]> {
    let mut sieve = vec![0; (clues.len() / 8 + 1).next_power_of_two()];
    let last = sieve.len() - 1;
    clues.iter().for_each(|clue| sieve[(*clue as usize / 64) & last] |= 1 << (clue % 64));
    sieve.into()
}

fn is_marked(sieve: &[u64], clue: u32) -> bool {
    let word = sieve[(clue as usize / 64) & (sieve.len() - 1)];
    word >> (clue % 64) & 1 == 1
}

fn clue(kind: Kind, value: impl Hash) -> u32 {
    // The low half of the hash; more bits would only make collisions rarer that cost next to nothing.
    FixedState::default().hash_one((kind, value)) as u32
}

/// Returns the clues of which a visit must show one for the condition to hold; `None` = it may hold without any.
fn clues(condition: &Condition) -> Option<Clues> {
    match condition {
        Condition::All(group) => {
            let members = group.members().iter().filter_map(clues);
            members.max_by_key(|clues| (clues.kind, std::cmp::Reverse(clues.hashes.len())))
        }
        Condition::Any(group) => group.members().iter().map(clues).reduce(|all, more| {
            let (mut all, more) = (all?, more?);
            all.kind = all.kind.min(more.kind);
            all.hashes.extend(more.hashes);
            Some(all)
        })?,
        Condition::Not(_) | Condition::IsKnown(_) => None,
        Condition::Is(predicate) => clues_of(predicate),
    }
}

fn clues_of(predicate: &Predicate) -> Option<Clues> {
    match predicate {
        Predicate::Device(classes) => Some(each(Kind::Device, classes.iter())),
        Predicate::Os { families, .. } => Some(each(Kind::Os, families.iter())),
        Predicate::Browser { families, .. } => Some(each(Kind::Browser, families.iter())),
        Predicate::Language(ranges) => Some(each(Kind::Language, ranges.iter())),
        Predicate::Country(countries) => Some(each(Kind::Country, countries.iter())),
        Predicate::Continent(continents) => Some(each(Kind::Continent, continents.iter())),
        Predicate::InEu {} => Some(each(Kind::InEu, std::iter::once(()))),
        // A count is no value to look up.
        Predicate::NewVisitor {}
        | Predicate::VisitorTotalVisits(_)
        | Predicate::LinkTotalVisits(_)
        | Predicate::PartnerTotalVisits(_) => None,
        Predicate::ReferrerHost { hosts, include_subdomains } => {
            let kind = if *include_subdomains { Kind::HostBelow } else { Kind::Host };
            Some(each(kind, hosts.iter().map(|host| host.as_str())))
        }
        Predicate::Query { name, test } => Some(match test {
            QueryTest::Equals(values) => {
                each(Kind::ParameterValue, values.iter().map(|value| (name.as_str(), value.as_str())))
            }
            QueryTest::Present
            | QueryTest::WithoutValue
            | QueryTest::Contains(_)
            | QueryTest::StartsWith(_) => each(Kind::ParameterName, std::iter::once(name.as_str())),
        }),
        Predicate::ClientAddress(blocks) => {
            let networks = blocks.iter().map(network).collect::<Option<Vec<_>>>()?;
            Some(each(Kind::Network, networks.into_iter()))
        }
        Predicate::Traffic(classes) => Some(each(Kind::Traffic, classes.iter())),
        Predicate::Time(window) => Some(each(Kind::Time, std::iter::once(window))),
        Predicate::Weekly(hours) => Some(each(Kind::Hours, std::iter::once(hours))),
        Predicate::Partner(codes) => Some(each(Kind::Partner, codes.iter().map(|code| code.as_str()))),
        Predicate::Program(programs) => {
            Some(each(Kind::Program, programs.iter().map(|program| program.as_str())))
        }
        Predicate::PartnerTag(tags) => Some(each(Kind::Tag, tags.iter().map(|tag| tag.as_str()))),
        Predicate::Caller { name, test } => Some(match test {
            CallerTest::Equals(values) => {
                each(Kind::CallerValue, values.iter().map(|value| (name.as_str(), value.as_str())))
            }
            CallerTest::Contains(_)
            | CallerTest::StartsWith(_)
            | CallerTest::LessThan(_)
            | CallerTest::AtMost(_)
            | CallerTest::GreaterThan(_)
            | CallerTest::AtLeast(_) => each(Kind::CallerName, std::iter::once(name.as_str())),
        }),
    }
}

fn each(kind: Kind, values: impl Iterator<Item = impl Hash>) -> Clues {
    Clues { kind, hashes: values.map(|value| (kind, clue(kind, value))).collect() }
}

/// The beginning of an address: its family, how many bits of it, and these.
type Network = (u8, u8, u32);

/// Returns the networks by which an address is filed.
fn networks(address: IpAddr) -> [Network; 2] {
    match address {
        IpAddr::V4(v4) => [8, 16].map(|length| (4, length, v4.to_bits() >> (32 - u32::from(length)))),
        IpAddr::V6(v6) => {
            [16, 32].map(|length| (6, length, (v6.to_bits() >> (128 - u32::from(length))) as u32))
        }
    }
}

/// Returns the longest of those networks that a block lies in whole.
fn network(block: &IpNet) -> Option<Network> {
    let block = normalize_net(*block);
    networks(block.network()).into_iter().rfind(|(_, length, _)| *length <= block.prefix_len())
}
