use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
};

use super::*;

fn shop() -> ShopId {
    ShopId::parse("acme").unwrap()
}

fn slug() -> Slug {
    Slug::parse("sale").unwrap()
}

fn anna() -> PartnerCode {
    PartnerCode::parse("anna").unwrap()
}

fn counted() -> Vec<CountedShop> {
    vec![CountedShop { shop: shop(), links: vec![slug()], partners: true }]
}

fn reading(rolled: Sequence, link: u64, partner: u64) -> Reading {
    let partners = (partner > 0).then(|| (shop(), anna(), partner));
    Reading { rolled, links: vec![(shop(), slug(), link)], partners: partners.into_iter().collect() }
}

fn count(counters: &Counters, counts: bool) -> (Totals, Option<Ticket>) {
    let (shop, slug, anna) = (shop(), slug(), anna());
    counters.count(Counting { shop: &shop, link: Some(&slug), partner: Some(&anna), counts })
}

fn totals(link: u64, partner: u64) -> Totals {
    Totals { link: Some(link), partner: Some(partner) }
}

/// Makes counters that were read.
fn read(link: u64, partner: u64) -> Counters {
    let counters = Counters::default();
    counters.track(&counted());
    counters.apply(&counted(), &reading(0, link, partner), Own::default());
    counters
}

fn click(counters: &Counters, sequence: Sequence) -> Totals {
    let (totals, ticket) = count(counters, true);
    ticket.unwrap().written(sequence);
    totals
}

#[test]
fn nothing_is_known_before_it_was_read_and_nothing_is_forgotten() {
    let counters = Counters::default();
    assert_eq!(click(&counters, 1), Totals::default());
    counters.track(&counted());
    assert!(counters.are_unread(&counted()));
    assert_eq!(click(&counters, 2), Totals::default());
    let (early, ticket) = count(&counters, true);
    assert_eq!(early, Totals::default());
    assert_eq!(count(&counters, false).0, Totals::default());

    counters.apply(&counted(), &reading(0, 10, 5), Own::default());
    assert!(!counters.are_unread(&counted()));
    ticket.unwrap().written(3);
    assert_eq!(click(&counters, 4), totals(14, 9));
}

#[test]
fn looking_counts_nothing() {
    let counters = read(7, 0);
    for _ in 0..3 {
        let (seen, ticket) = count(&counters, false);
        assert_eq!(seen, totals(8, 1));
        assert!(ticket.is_none());
    }
    assert_eq!(click(&counters, 1), totals(8, 1));
    assert_eq!(count(&counters, false).0, totals(9, 2));
}

#[test]
fn what_postgres_has_counted_moves_over_in_one_step() {
    let counters = read(0, 0);
    for sequence in 1..=10 {
        assert_eq!(click(&counters, sequence), totals(sequence, sequence));
    }
    for (rolled, of_others) in [(4, 0), (4, 3), (10, 3), (10, 5)] {
        let reading = reading(rolled, rolled + of_others, rolled + of_others);
        counters.apply(&counted(), &reading, Own::default());
        assert_eq!(count(&counters, false).0, totals(11 + of_others, 11 + of_others), "{rolled} {of_others}");
    }
    // A click that PostgreSQL had before its answer left.
    let (_, ticket) = count(&counters, true);
    counters.apply(&counted(), &reading(11, 16, 16), Own::default());
    ticket.unwrap().written(11);
    assert_eq!(count(&counters, false).0, totals(17, 17));
}

#[test]
fn local_log_and_memory_tell_of_a_click_once() {
    let counters = Counters::default();
    counters.track(&counted());
    click(&counters, 8);
    let (_, ticket) = count(&counters, true);
    let own = Own {
        links: [((shop(), slug()), vec![5, 6, 8, 9])].into(),
        partners: [((shop(), anna()), vec![6, 9])].into(),
    };
    counters.apply(&counted(), &reading(5, 100, 0), own);
    ticket.unwrap().written(9);
    assert_eq!(count(&counters, false).0, totals(104, 4));
}

#[test]
fn restored_database_is_behind_until_it_has_the_clicks_again() {
    let counters = read(0, 0);
    for sequence in 1..=6 {
        click(&counters, sequence);
    }
    counters.apply(&counted(), &reading(6, 6, 6), Own::default());
    let own = Own {
        links: [((shop(), slug()), vec![3, 4, 5, 6])].into(),
        partners: [((shop(), anna()), vec![3, 4, 5, 6])].into(),
    };
    counters.apply(&counted(), &reading(2, 2, 2), own);
    assert_eq!(count(&counters, false).0, totals(7, 7));
}

#[test]
fn erased_partner_begins_anew() {
    let counters = read(5, 5);
    counters.apply(&counted(), &reading(0, 3, 0), Own::default());
    assert_eq!(count(&counters, false).0, totals(4, 1));
}

#[test]
fn number_of_a_click_that_is_not_recorded_is_given_again() {
    let counters = read(98, 0);
    let (first, first_ticket) = count(&counters, true);
    let (second, second_ticket) = count(&counters, true);
    assert_eq!((first.link, second.link), (Some(99), Some(100)));
    drop(first_ticket);
    second_ticket.unwrap().written(1);
    assert_eq!(count(&counters, false).0.link, Some(99));
    assert_eq!(click(&counters, 2).link, Some(99));
    assert_eq!(click(&counters, 3).link, Some(101));
    // The last ones, in both orders.
    for swap in [false, true] {
        let mut tickets = [count(&counters, true).1, count(&counters, true).1];
        tickets.reverse();
        if swap {
            tickets.reverse();
        }
        drop(tickets);
        assert_eq!(count(&counters, false).0.link, Some(102), "{swap}");
    }
    let both = [click(&counters, 4).link, click(&counters, 5).link];
    assert_eq!(both, [Some(102), Some(103)]);
    // Clicks of others have it by now.
    let (_, lost) = count(&counters, true);
    click(&counters, 6);
    drop(lost);
    counters.apply(&counted(), &reading(6, 200, 0), Own::default());
    assert_eq!(count(&counters, false).0.link, Some(201));
}

#[test]
fn concurrent_clicks_get_every_number_once() {
    const IDLE: u64 = u64::MAX;
    let (counters, next) = (read(0, 0), AtomicU64::new(1));
    // The least number that each thread's click may get.
    let under_way = [const { AtomicU64::new(IDLE) }; 4];
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        let (counters, next) = (&counters, &next);
        let clicking = |under_way: &AtomicU64| {
            let click = |_| {
                let (totals, ticket) = count(counters, true);
                under_way.store(next.load(SeqCst), SeqCst);
                ticket.unwrap().written(next.fetch_add(1, SeqCst));
                under_way.store(IDLE, SeqCst);
                totals.link.unwrap()
            };
            (0..500).map(click).collect::<Vec<_>>()
        };
        let threads: Vec<_> =
            under_way.iter().map(|under_way| scope.spawn(move || clicking(under_way))).collect();
        // PostgreSQL counts meanwhile.
        while threads.iter().any(|thread| !thread.is_finished()) {
            let written = next.load(SeqCst);
            let rolled = under_way.iter().map(|least| least.load(SeqCst)).fold(written, u64::min) - 1;
            counters.apply(&counted(), &reading(rolled, rolled, rolled), Own::default());
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=2_000).collect::<Vec<_>>());
    assert_eq!(count(&counters, false).0, totals(2_001, 2_001));
}

#[test]
fn what_no_rule_looks_at_is_forgotten() {
    let counters = read(5, 5);
    counters.track(&[]);
    assert_eq!(count(&counters, false).0, Totals::default());
    counters.track(&counted());
    assert!(counters.are_unread(&counted()));
}
