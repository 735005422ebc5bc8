use proptest::prelude::*;

use super::*;
use crate::domain::{destination::Destination, name::VariantId};

const KEY: SplitKey = SplitKey::of_bytes([7; 16]);

fn variants(weights: &[(&str, u16)]) -> Vec<Variant> {
    let variant = |(id, weight): &(&str, u16)| Variant {
        id: VariantId::parse(id).unwrap(),
        destination: Destination::parse(&format!("/{id}")).unwrap(),
        weight: Weight::parse((*weight).into()).unwrap(),
    };
    weights.iter().map(variant).collect()
}

fn drawn<'a>(key: &'a SplitKey, visitor: Sign<'a>) -> Drawn<'a> {
    Drawn { key, shop: "acme", slug: "sale", rule: "test", visitor }
}

/// Returns the ids that visitors get, in their order.
fn split(visitors: u32, weights: &[(&str, u16)]) -> Vec<String> {
    let variants = variants(weights);
    let chosen = |visitor: u32| {
        let id = format!("visitor {visitor}");
        variants[drawn(&KEY, Sign::Id(&id)).among(&variants)].id.to_string()
    };
    (0..visitors).map(chosen).collect()
}

#[test]
fn others_compute_the_same() {
    let lines = include_str!("../../../tests/data/splits.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut checked = 0;
    for line in lines {
        let cells: Vec<_> = line.split('\t').collect();
        let [key, shop, slug, rule, visitor, weights, hashes, rarities, chosen] = cells[..] else {
            panic!("{line}")
        };
        let key = SplitKey::of_bytes(u128::from_str_radix(key, 16).unwrap().to_be_bytes());
        let visitor = match visitor.split_once(':').unwrap() {
            ("id", id) => Sign::Id(id),
            (_, client) => {
                let (address, user_agent) = client.split_once('|').unwrap();
                Sign::Client((!address.is_empty()).then(|| address.parse().unwrap()), user_agent)
            }
        };
        let weights: Vec<_> = weights.split(',').map(|pair| pair.split_once('=').unwrap()).collect();
        let weights: Vec<_> = weights.iter().map(|(id, weight)| (*id, weight.parse().unwrap())).collect();
        let variants = variants(&weights);
        let drawn = Drawn { key: &key, shop, slug, rule, visitor };
        assert_eq!(variants[drawn.among(&variants)].id.as_str(), chosen, "{line}");
        for (hash, expected) in hashes.split(',').zip(rarities.split(',')) {
            let hash = u64::from_str_radix(hash, 16).unwrap();
            assert_eq!(rarity(hash).to_string(), expected, "{line}");
        }
        let first = SipHasher24::new_with_key(key.bytes());
        let told = |visitor: Sign<'_>| {
            let mut hash = first;
            let id = variants[0].id.as_str();
            hash.write(format!("{shop}\u{1f}{slug}\u{1f}{rule}\u{1f}{id}\u{1f}").as_bytes());
            visitor.write(&mut hash);
            format!("{:016x}", hash.finish())
        };
        assert_eq!(Some(&*told(visitor)), hashes.split(',').next(), "{line}");
        checked += 1;
    }
    assert!(checked > 90, "only {checked} vectors were checked");
}

#[test]
fn rarities_are_logarithms() {
    assert_eq!(rarity(0), 65 << 40);
    assert_eq!(rarity(u64::MAX), 1);
    // One half, and a little more.
    assert_eq!(rarity(1 << 63), 1 << 40);
    for hash in (0..64).map(|bit| 3_u64 << 62 >> bit) {
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        let (exact, ours) = (64.0 - (hash as f64 + 0.5).log2(), rarity(hash) as f64 / (1_u64 << 40) as f64);
        assert!((exact - ours).abs() < 1e-9, "{hash}: {ours} is not {exact}");
    }
}

#[test]
fn shares_are_as_the_weights() {
    for weights in [
        &[("a", 1), ("b", 1)][..],
        &[("a", 70), ("b", 30)],
        &[("a", 9_999), ("b", 1_000), ("c", 100)],
        &[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("nobody", 0)],
    ] {
        let got = split(100_000, weights);
        let counted: Vec<_> = variants(weights)
            .iter()
            .map(|variant| {
                let count = got.iter().filter(|id| **id == variant.id.as_str()).count();
                (u64::try_from(count).unwrap(), variant.weight)
            })
            .collect();
        let fit = crate::domain::fit::Fit::of(&counted);
        assert!(fit.p_value > 0.001, "{weights:?}: {counted:?}, p = {}", fit.p_value);
    }
}

#[test]
fn from_even_thirds_to_half_a_sixth_moves_and_no_more() {
    let (before, after) =
        (split(100_000, &[("a", 1), ("b", 1), ("c", 1)]), split(100_000, &[("a", 2), ("b", 1), ("c", 1)]));
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(_, after)| *after == "a"));
    // 1/2 - 1/3 of 100,000, give or take five standard deviations.
    assert!((16_077..=17_256).contains(&moved.len()), "{} moved", moved.len());
}

#[test]
fn rules_are_drawn_apart() {
    let variants = variants(&[("a", 1), ("b", 1)]);
    let ids: Vec<_> = (0..10_000).map(|visitor| format!("visitor {visitor}")).collect();
    let base = drawn(&KEY, Sign::Id(""));
    for other in [
        Drawn { shop: "acme2", ..drawn(&KEY, Sign::Id("")) },
        Drawn { slug: "sale2", ..drawn(&KEY, Sign::Id("")) },
        Drawn { rule: "test2", ..drawn(&KEY, Sign::Id("")) },
        Drawn { key: &SplitKey::of_bytes([8; 16]), ..drawn(&KEY, Sign::Id("")) },
    ] {
        let same = ids.iter().filter(|id| {
            let visitor = Sign::Id(id);
            Drawn { visitor, ..base }.among(&variants) == Drawn { visitor, ..other }.among(&variants)
        });
        // Half of them, give or take five standard deviations.
        assert!((4_750..=5_250).contains(&same.count()));
    }
}

#[test]
fn address_is_one_however_it_is_written() {
    let of = |address: &str| {
        let mut hash = SipHasher24::new_with_key(KEY.bytes());
        Sign::Client(Some(address.parse().unwrap()), "x").write(&mut hash);
        hash.finish()
    };
    assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
    assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
}

proptest! {
    /// Who changes one weight moves visitors to that variant or from it, never between others.
    #[test]
    fn changed_weight_moves_only_who_must_move(
        weights in prop::collection::vec(0_u16..=10_000, 2..=20),
        changed in any::<prop::sample::Index>(),
        to in 0_u16..=10_000,
        visitors in prop::collection::vec("[a-z0-9]{1,12}", 1..60),
    ) {
        let names: Vec<_> = (0..weights.len()).map(|at| format!("v{at}")).collect();
        let changed = changed.index(weights.len());
        let before: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
        let mut after = before.clone();
        after[changed].1 = to;
        prop_assume!(before.iter().any(|(_, weight)| *weight > 0) && after.iter().any(|(_, weight)| *weight > 0));
        let (old, new) = (variants(&before), variants(&after));
        for id in &visitors {
            let (was, is) = (drawn(&KEY, Sign::Id(id)).among(&old), drawn(&KEY, Sign::Id(id)).among(&new));
            prop_assert!(new[is].weight.number() > 0, "weight 0 gets nobody");
            if was != is {
                prop_assert_eq!(if to > before[changed].1 { is } else { was }, changed);
            }
        }
    }

    /// Neither the order of variants nor others without a weight decide.
    #[test]
    fn order_does_not_decide(weights in prop::collection::vec(1_u16..=10_000, 2..=20), id in "[a-z0-9]{1,12}") {
        let names: Vec<_> = (0..weights.len()).map(|at| format!("v{at}")).collect();
        let all: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
        let mut turned = all.clone();
        turned.reverse();
        turned.push(("nobody", 0));
        let (straight, turned) = (variants(&all), variants(&turned));
        let chosen = |of: &[Variant]| of[drawn(&KEY, Sign::Id(&id)).among(of)].id.clone();
        prop_assert_eq!(chosen(&straight), chosen(&turned));
    }

    /// What is more probable is less rare.
    #[test]
    fn rarity_falls(low in any::<u64>(), high in any::<u64>()) {
        let (low, high) = (low.min(high), low.max(high));
        prop_assert!(rarity(low) >= rarity(high) && rarity(high) >= 1 && rarity(low) <= 65 << 40);
    }
}
