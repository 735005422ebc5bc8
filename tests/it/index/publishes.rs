//! Versions of links that are committed ahead: the time of the visit decides which of two answers.

use jiff::{SignedDuration, Timestamp};
use smartlinks::{
    domain::{
        condition::{Condition, CountTest, Predicate},
        fingerprint::{Fingerprints, IndexedKind},
        link::{LinkState, Routing, Sharing},
        revision::Revision,
        visit::{Attribution, Miss},
    },
    index::{PendingLink, PendingPublish, Record, Snapshot, Writer},
};

use super::world::{Ask, Nowhere, World, code, destination, rule, shop_id, slug, time};

const INSTANT: &str = "2026-11-27T00:00:00Z";

/// The versions of a link before and after the instant.
fn worlds() -> (World, World) {
    let before = World::to("/old").rule("phones", Condition::Is(Predicate::InEu {}));
    let after = World::to("/new").with(|world| world.sharing = Sharing::selected(vec![code("anna")], vec![]));
    (before, after)
}

/// The record of the link, which becomes another one at the instant.
fn record(before: &World, revision: i64, after: Option<&World>) -> Record {
    let pending = |after: &World| PendingLink {
        revision: Revision(7),
        effective_time: time(INSTANT),
        sharing: after.sharing.clone(),
        routing: after.routing.clone(),
    };
    Record::Link {
        shop: shop_id(),
        slug: slug("sale"),
        revision: Revision(revision),
        state: before.state,
        sharing: before.sharing.clone(),
        routing: before.routing.clone(),
        pending: after.map(pending).map(Box::new),
    }
}

fn writer(before: &World, after: &World) -> Writer {
    let mut writer = Writer::new();
    writer.apply(before.records(), Revision(1));
    writer.apply([record(before, 1, Some(after))], Revision(7));
    writer
}

fn at(time: Timestamp, partner: &str) -> Ask {
    Ask { time, ..Ask::partner(partner) }
}

/// Visits just before, at and after the instant, and far away from it, with what follows it in the end.
fn around() -> Vec<(Timestamp, bool)> {
    let instant = time(INSTANT);
    let (nano, days) = (SignedDuration::from_nanos(1), SignedDuration::from_hours(24 * 300));
    vec![
        (instant - days, false),
        (instant - nano, false),
        (instant, true),
        (instant + nano, true),
        (instant + days, true),
    ]
}

#[test]
fn time_of_the_visit_decides_and_each_version_answers_as_if_it_were_alone() {
    let (before, after) = worlds();
    let snapshot = writer(&before, &after).snapshot().clone();
    let (old, new) = (before.snapshot(), after.snapshot());
    for (time, is_new) in around() {
        for partner in ["", "anna", "ben"] {
            let ask = at(time, partner);
            let alone = ask.resolve(if is_new { &new } else { &old }).unwrap();
            let together = ask.resolve(&snapshot).unwrap();
            assert_eq!(together.location, alone.location, "{time}");
            assert_eq!(
                (together.partner, together.attribution, together.rule),
                (alone.partner, alone.attribution, alone.rule)
            );
            // The revision is that of the index: the same on both sides of the instant.
            assert_eq!(together.revision, Revision(7));
        }
    }
    let ben = at(time(INSTANT), "ben").resolve(&snapshot).unwrap();
    assert_eq!(ben.attribution, Attribution::NotShared);
}

#[test]
fn explanation_says_which_version_answers() {
    let (before, after) = worlds();
    let writer = writer(&before, &after);
    let pending = PendingPublish { revision: Revision(7), effective_time: time(INSTANT) };
    for (time, is_new) in around() {
        at(time, "").asked(writer.snapshot(), |asked| {
            let explanation = asked.explain();
            let window = explanation.window.unwrap();
            assert_eq!(window.pending, Some(pending));
            assert_eq!(window.revision, Revision(if is_new { 7 } else { 1 }));
            assert_eq!(explanation.rules.len(), usize::from(!is_new));
        });
    }
    at(time(INSTANT), "").asked(&before.snapshot(), |asked| {
        assert_eq!(asked.explain().window.unwrap().pending, None);
    });
}

#[test]
fn state_is_that_of_the_link_on_both_sides() {
    let (before, after) = worlds();
    let before = before.with(|world| world.state = LinkState::Paused);
    let writer = writer(&before, &after);
    for (time, _) in around() {
        let nowhere = at(time, "").resolve(writer.snapshot()).unwrap_err();
        assert_eq!(nowhere, Nowhere::NoFallback(Miss::Paused));
    }
}

#[test]
fn records_of_an_index_hold_what_is_pending() {
    let (before, after) = worlds();
    let first = writer(&before, &after);
    let mut second = Writer::new();
    let lines: Vec<String> =
        first.snapshot().records().map(|record| serde_json::to_string(&record).unwrap()).collect();
    let read = lines.iter().rev().map(|line| serde_json::from_str(line).unwrap());
    second.apply(read, Revision(7));
    assert_eq!(first.snapshot().fingerprints(), second.snapshot().fingerprints());
    for (time, _) in around() {
        let ask = at(time, "anna");
        assert_eq!(ask.resolve(first.snapshot()), ask.resolve(second.snapshot()));
    }
}

fn fingerprints(snapshot: &Snapshot) -> Fingerprints {
    let mut prints = snapshot.fingerprints();
    // What the tables would say without the publish.
    prints.remove(IndexedKind::Link, "acme", "sale", Revision(7));
    prints
}

#[test]
fn cancelled_and_settled_leave_nothing_behind() {
    let (before, after) = worlds();
    let mut writer = writer(&before, &after);
    assert_eq!(fingerprints(writer.snapshot()), before.snapshot().fingerprints());
    // An edit of the link before the instant leaves the publish alone.
    let edited = World::to("/edited");
    writer.apply([record(&edited, 8, Some(&after))], Revision(8));
    let location = |writer: &Writer, (time, _): (Timestamp, bool)| {
        at(time, "").resolve(writer.snapshot()).unwrap().location
    };
    let all = |writer: &Writer| around().into_iter().map(|it| location(writer, it)).collect::<Vec<_>>();
    let pages = |pages: [&str; 5]| pages.map(|page| format!("https://shop.example/{page}")).to_vec();
    assert_eq!(all(&writer), pages(["edited", "edited", "new", "new", "new"]));
    // Cancelled: the link is written by nobody, and its row says the same revision.
    let mut cancelled = Writer::new();
    cancelled.apply(writer.snapshot().records(), Revision(8));
    cancelled.apply([record(&edited, 8, None)], Revision(9));
    assert_eq!(all(&cancelled), pages(["edited"; 5]));
    // Settled: the link is what was pending, for visits of any time.
    writer.apply([record(&after, 9, None)], Revision(9));
    assert_eq!(all(&writer), pages(["new"; 5]));
    // What comes too late changes nothing.
    writer.apply([record(&edited, 8, Some(&World::to("/late")))], Revision(9));
    assert_eq!(all(&writer), pages(["new"; 5]));
}

#[test]
fn counters_of_either_version_are_read_from_the_commit_on() {
    let counting = rule("third", Condition::Is(Predicate::LinkTotalVisits(CountTest::AtLeast(3))));
    let plain = World::to("/s");
    let looking = World::to("/s").with(|world| {
        world.routing = Routing { rules: vec![counting], ..Routing::to(destination("/s")) };
    });
    let links =
        |snapshot: &Snapshot| snapshot.counted().into_iter().flat_map(|shop| shop.links).collect::<Vec<_>>();
    for (before, after) in [(&plain, &looking), (&looking, &plain)] {
        let mut writer = writer(before, after);
        assert_eq!(links(writer.snapshot()), [slug("sale")]);
        // What is looked at from the instant on moves before it, too.
        for (time, is_new) in around() {
            let counts = at(time, "").asked(writer.snapshot(), |asked| asked.counting().is_some());
            assert_eq!(counts, !is_new || std::ptr::eq(after, &looking), "{time}");
        }
        writer.apply([record(&plain, 9, None)], Revision(9));
        assert_eq!(links(writer.snapshot()), []);
    }
}
