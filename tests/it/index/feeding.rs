//! Records in any order, in pieces, again and again: the same index.

use proptest::{collection::vec, prelude::*};
use smartlinks::{
    domain::{
        condition::{Condition, Predicate},
        fingerprint::{Fingerprints, IndexedKind},
        link::{LinkState, Routing, Sharing},
        revision::Revision,
        visit::Attribution,
    },
    index::{Counts, PartnerState, Record, Writer},
};

use super::{
    random,
    world::{Ask, Nowhere, World, code, destination, partner, shop_id, slug},
};

fn link(revision: i64, to: &str) -> Record {
    Record::Link {
        shop: shop_id(),
        slug: slug("sale"),
        revision: Revision(revision),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing::to(destination(to)),
        pending: None,
    }
}

fn broken(revision: i64) -> Record {
    Record::BrokenLink {
        shop: shop_id(),
        slug: slug("sale"),
        revision: Revision(revision),
        problem: "unknown kind of condition".into(),
    }
}

fn shop(revision: i64, world: Option<&World>) -> Record {
    Record::Shop {
        shop: shop_id(),
        revision: Revision(revision),
        settings: world.map(|world| world.shop.clone()),
        default_link: slug("sale"),
    }
}

fn anna(revision: i64, state: Option<PartnerState>) -> Record {
    Record::Partner { shop: shop_id(), code: code("anna"), revision: Revision(revision), state }
}

fn location(writer: &Writer) -> Result<String, Nowhere> {
    Ask::default().resolve(writer.snapshot()).map(|answer| answer.location)
}

fn loaded(world: &World) -> Writer {
    let mut writer = Writer::new();
    writer.apply(world.records(), Revision(1));
    writer
}

#[test]
fn older_record_is_ignored() {
    let mut writer = loaded(&World::to("/one"));
    writer.apply([link(5, "/five")], Revision(5));
    let snapshot = writer.apply([link(4, "/four"), anna(0, None), shop(0, None)], Revision(6));
    assert_eq!(location(&writer).unwrap(), "https://shop.example/five");
    assert_eq!(Ask::partner("anna").resolve(&snapshot).unwrap().attribution, Attribution::Credited);
    assert_eq!(snapshot.revision(), Revision(6));
}

#[test]
fn revision_of_the_snapshot_never_goes_back() {
    let mut writer = loaded(&World::to("/one"));
    writer.apply([], Revision(9));
    assert_eq!(writer.apply([link(5, "/five")], Revision(5)).revision(), Revision(9));
}

#[test]
fn snapshots_that_were_handed_out_stay_as_they_are() {
    let mut writer = loaded(&World::to("/one"));
    let before = writer.snapshot().clone();
    writer.apply([link(2, "/two")], Revision(2));
    assert_eq!(Ask::default().resolve(&before).unwrap().location, "https://shop.example/one");
    assert_eq!(location(&writer).unwrap(), "https://shop.example/two");
}

#[test]
fn broken_link_keeps_its_last_good_form() {
    let mut writer = loaded(&World::to("/good"));
    let snapshot = writer.apply([broken(2)], Revision(2));
    assert_eq!(location(&writer).unwrap(), "https://shop.example/good");
    let named: Vec<_> =
        snapshot.broken().map(|it| (it.slug.as_str(), it.revision, it.problem.as_str())).collect();
    assert_eq!(named, [("sale", Revision(2), "unknown kind of condition")]);
    let snapshot = writer.apply([link(3, "/mended")], Revision(3));
    assert_eq!(snapshot.broken().count(), 0);
    assert_eq!(location(&writer).unwrap(), "https://shop.example/mended");
}

#[test]
fn broken_link_that_was_never_good_is_not_found() {
    let mut writer = Writer::new();
    let snapshot = writer.apply([shop(1, Some(&World::to("/s"))), broken(1)], Revision(1));
    assert!(location(&writer).is_err());
    assert_eq!(snapshot.broken().count(), 1);
}

#[test]
fn deleted_shop_answers_nothing_until_it_is_back() {
    let world = World::to("/s");
    let mut writer = loaded(&world);
    let by_host = Ask { host: Some("go.shop.example".into()), ..Ask::default() };
    writer.apply([shop(2, None)], Revision(2));
    assert_eq!(location(&writer), Err(Nowhere::NoShop));
    assert_eq!(by_host.resolve(writer.snapshot()), Err(Nowhere::NoShop));
    writer.apply([shop(3, Some(&world))], Revision(3));
    assert_eq!(by_host.resolve(writer.snapshot()).unwrap().location, "https://shop.example/s");
}

#[test]
fn deleted_partner_is_unknown_and_so_are_its_aliases() {
    let mut writer = loaded(&World::to("/s"));
    let attribution =
        |writer: &Writer, code| Ask::partner(code).resolve(writer.snapshot()).unwrap().attribution;
    writer.apply([anna(2, None)], Revision(2));
    assert_eq!(attribution(&writer, "anna"), Attribution::UnknownPartner);
    assert_eq!(attribution(&writer, "annie"), Attribution::UnknownPartner);
    let (_, state) = partner("anna", &["anni"], None, &[], true);
    writer.apply([anna(3, Some(state))], Revision(3));
    assert_eq!(attribution(&writer, "anna"), Attribution::Credited);
    assert_eq!(attribution(&writer, "anni"), Attribution::Credited);
    assert_eq!(attribution(&writer, "annie"), Attribution::UnknownPartner, "an alias that was taken away");
}

#[test]
fn host_moves_between_shops_in_either_order() {
    let (with_host, without) = (World::to("/s"), {
        let mut world = World::to("/s");
        world.shop.link_hosts = vec![smartlinks::domain::host::Host::parse("other.example").unwrap()];
        world
    });
    let other = |revision, world: &World| Record::Shop {
        shop: smartlinks::domain::name::ShopId::parse("other").unwrap(),
        revision: Revision(revision),
        settings: Some(world.shop.clone()),
        default_link: slug("sale"),
    };
    let records = [shop(1, Some(&with_host)), shop(2, Some(&without)), other(3, &with_host)];
    for order in [[0, 1, 2], [2, 1, 0], [2, 0, 1], [0, 2, 1], [1, 2, 0], [1, 0, 2]] {
        let mut writer = Writer::new();
        for at in order {
            writer.apply([records[at].clone()], Revision(3));
        }
        // The other shop has no link, but it is a shop.
        let found = Ask { host: Some("go.shop.example".into()), ..Ask::default() }.resolve(writer.snapshot());
        assert!(matches!(found, Err(Nowhere::NoFallback(_))), "{order:?}: {found:?}");
    }
}

#[test]
fn counts_leave_out_what_is_deleted_but_for_links() {
    let mut writer = loaded(&World::to("/s"));
    assert_eq!(writer.snapshot().counts(), Counts { shops: 1, partners: 3, links: 1 });
    let snapshot = writer.apply([anna(2, None), shop(2, None)], Revision(2));
    assert_eq!(snapshot.counts(), Counts { shops: 0, partners: 2, links: 1 });
}

#[test]
fn records_survive_their_written_form() {
    let world = World::to("/é?a#b")
        .utm(&[("source", "{partner}")])
        .rule("eu", Condition::Is(Predicate::InEu {}))
        .listed(&["b", "a"])
        .fallback("https://help.example/")
        .window(Some("2026-01-01T00:00:00Z"), None);
    let mut writer = loaded(&world);
    writer.apply([broken(2), anna(2, None)], Revision(2));
    let lines: Vec<String> =
        writer.snapshot().records().map(|record| serde_json::to_string(&record).unwrap()).collect();
    let read = lines.iter().map(|line| serde_json::from_str::<Record>(line).unwrap());
    let mut copy = Writer::new();
    copy.apply(read, writer.snapshot().revision());
    assert_eq!(copy.snapshot().broken().count(), 1);
    assert_eq!(copy.snapshot().counts(), writer.snapshot().counts());
    for ask in [Ask::partner("ben"), Ask::partner("anna").click(), Ask::query("a=1&c=2")] {
        assert_eq!(ask.resolve(copy.snapshot()), ask.resolve(writer.snapshot()));
    }
    let mut again: Vec<String> =
        copy.snapshot().records().map(|record| serde_json::to_string(&record).unwrap()).collect();
    let mut lines = lines;
    lines.sort();
    again.sort();
    assert_eq!(again, lines);
}

#[test]
fn fingerprints_are_of_what_the_tables_hold() {
    let mut writer = loaded(&World::to("/s"));
    let mut expected = Fingerprints::new();
    expected.add(IndexedKind::Shop, "acme", "", Revision(1));
    for code in ["anna", "ben", "zoe"] {
        expected.add(IndexedKind::Partner, "acme", code, Revision(1));
    }
    expected.add(IndexedKind::Link, "acme", "sale", Revision(1));
    assert_eq!(writer.snapshot().fingerprints(), expected);

    writer.apply([broken(2), anna(2, None)], Revision(2));
    expected.remove(IndexedKind::Partner, "acme", "anna", Revision(1));
    expected.remove(IndexedKind::Link, "acme", "sale", Revision(1));
    expected.add(IndexedKind::Link, "acme", "sale", Revision(2));
    assert_eq!(
        writer.snapshot().fingerprints(),
        expected,
        "the row of the table is the one that cannot be read"
    );

    writer.apply([shop(3, None)], Revision(3));
    assert_eq!(writer.snapshot().fingerprints(), Fingerprints::new(), "of deleted shops nothing counts");

    let mut never_good = Writer::new();
    never_good.apply([shop(1, Some(&World::to("/s"))), broken(1)], Revision(1));
    let mut expected = Fingerprints::new();
    expected.add(IndexedKind::Shop, "acme", "", Revision(1));
    expected.add(IndexedKind::Link, "acme", "sale", Revision(1));
    assert_eq!(never_good.snapshot().fingerprints(), expected);
}

#[test]
fn last_good_form_of_a_broken_link_can_be_taken_over() {
    let mut writer = loaded(&World::to("/s"));
    let good = link(3, "/x");
    writer.apply([good.clone()], Revision(3));
    let snapshot = writer.apply([broken(4)], Revision(4));
    let Record::Link { shop, slug, .. } = &good else { panic!("no link") };
    let kept = snapshot.link_record(shop, slug).unwrap();
    assert_eq!(kept, good);
    // In an index that was read anew, and saw only the broken form, it stands in again.
    let mut anew = loaded(&World::to("/s"));
    anew.apply([broken(4)], Revision(4));
    let again = anew.apply([kept], Revision(4));
    assert_eq!(again.link_record(shop, slug), Some(good));
    assert_eq!(again.broken().count(), 1);
}

/// What a random history writes: of which object, and whether it is deleted or broken by it.
#[derive(Clone, Copy, Debug)]
struct Write {
    object: u8,
    gone: bool,
}

/// Makes a history of records, one revision each.
fn history(writes: &[Write]) -> Vec<Record> {
    let world = World::to("/s").fallback("https://help.example/");
    let numbered = (1_i64..).zip(writes);
    let record = |(revision, write): (i64, &Write)| match (write.object, write.gone) {
        (0, gone) => shop(revision, (!gone).then_some(&world)),
        (1, gone) => {
            let alias = format!("an{revision}");
            let (_, state) =
                partner("anna", &[&alias], (revision % 2 == 0).then_some("gold"), &[], revision % 3 > 0);
            anna(revision, (!gone).then_some(state))
        }
        (_, true) => broken(revision),
        (_, false) => link(revision, &format!("/s{revision}")),
    };
    numbered.map(record).collect()
}

proptest! {
    #[test]
    fn order_and_pieces_do_not_matter(
        writes in vec((0_u8..4, prop::bool::weighted(0.3)).prop_map(|(object, gone)| Write { object, gone }), 1..12),
        keys in vec(any::<u32>(), 12),
        piece in 1_usize..5,
    ) {
        let records = history(&writes);
        let end = Revision(i64::try_from(records.len()).unwrap());
        let mut at_once = Writer::new();
        at_once.apply(records.clone(), end);
        let mut one_by_one = Writer::new();
        for (revision, record) in (1..).zip(&records) {
            one_by_one.apply([record.clone()], Revision(revision));
        }
        let mut shuffled: Vec<_> = keys.iter().zip(records.clone()).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let mut in_pieces = Writer::new();
        for chunk in shuffled.chunks(piece) {
            in_pieces.apply(chunk.iter().map(|(_, record)| record.clone()), end);
        }
        let mut copy = Writer::new();
        copy.apply(at_once.snapshot().records(), end);
        let aliases = (1..=records.len()).map(|revision| format!("an{revision}"));
        let asks: Vec<_> = aliases.chain(["anna".into(), String::new()]).map(|name| Ask::partner(&name)).collect();
        for other in [&one_by_one, &in_pieces, &copy] {
            for ask in &asks {
                prop_assert_eq!(ask.resolve(at_once.snapshot()), ask.resolve(other.snapshot()));
            }
            prop_assert_eq!(at_once.snapshot().counts(), other.snapshot().counts());
            prop_assert_eq!(at_once.snapshot().fingerprints(), other.snapshot().fingerprints());
            prop_assert!(at_once.snapshot().broken().eq(other.snapshot().broken()));
        }
    }

    #[test]
    fn copy_by_records_answers_alike(rules in random::rules(1..10), visits in vec(random::visit(), 1..10)) {
        let world = World::to("/s").with(|world| world.routing.rules = rules);
        let snapshot = world.snapshot();
        let copy = Writer::new().apply(snapshot.records(), snapshot.revision());
        for case in visits {
            prop_assert_eq!(case.ask.resolve(&snapshot), case.ask.resolve(&copy));
        }
    }
}
