//! From destination to location, line by line of the small print.

use smartlinks::domain::policy::{QueryConflict, QueryPass};

use super::world::{Ask, World, click_id, destination, own};

/// The location of a destination without anything else.
fn to(text: &str) -> String {
    World::to(text).location("")
}

/// The location of a destination visited with a query.
fn visited(text: &str, query: &str) -> String {
    World::to(text).location(query)
}

#[test]
fn l1_home_page_has_its_slash() {
    assert_eq!(to(""), "https://shop.example/");
    assert_eq!(to("/"), "https://shop.example/");
    assert_eq!(to("?a=1"), "https://shop.example/?a=1");
    assert_eq!(to("#top"), "https://shop.example/#top");
    assert_eq!(visited("", "a=1"), "https://shop.example/?a=1");
}

#[test]
fn l2_leading_slash_is_added() {
    assert_eq!(to("sale/summer"), "https://shop.example/sale/summer");
    assert_eq!(to(&"a".repeat(2_048)).len(), "https://shop.example/".len() + 2_048);
}

#[test]
fn l3_l4_l11_l38_bytes_stay_as_they_are() {
    for path in [
        "/a/../b/./c",
        "/100%",
        "/%zz",
        "/\"<>^`{|}",
        "/{partner}",
        "/s#a#b",
        "/s?x=%2f%2F#%2f",
        "/s?a=1;b=2",
    ] {
        assert_eq!(to(path), format!("https://shop.example{path}"));
    }
}

#[test]
fn l5_l6_l7_absolute_destinations_are_written_as_given() {
    assert_eq!(to("HTTPS://Shop.Example/x"), "HTTPS://Shop.Example/x");
    assert_eq!(to("https://shop.example"), "https://shop.example/");
    assert_eq!(to("https://b.example?a=1"), "https://b.example/?a=1");
    assert_eq!(to("https://b.example#x"), "https://b.example/#x");
    assert_eq!(to("https://b.example:443/x"), "https://b.example:443/x");
}

#[test]
fn l9_bare_question_mark_and_hash_stay() {
    assert_eq!(to("/s?"), "https://shop.example/s?");
    assert_eq!(to("/s#"), "https://shop.example/s#");
    assert_eq!(to("/s?#"), "https://shop.example/s?#");
    assert_eq!(visited("/s?", "a=1"), "https://shop.example/s?a=1");
    assert_eq!(visited("/s#", "a=1"), "https://shop.example/s?a=1#");
}

#[test]
fn l10_what_is_not_ascii_in_a_destination_is_encoded() {
    assert_eq!(to("/é/日?ü=ö#ß"), "https://shop.example/%C3%A9/%E6%97%A5?%C3%BC=%C3%B6#%C3%9F");
    assert_eq!(visited("/é?ü", "a"), "https://shop.example/%C3%A9?%C3%BC&a");
}

#[test]
fn l16_what_the_visitor_sends_is_not_encoded_again() {
    assert_eq!(visited("/s", "q=日本&%e6=+%zz"), "https://shop.example/s?q=日本&%e6=+%zz");
    assert_eq!(visited("/é", "q=é"), "https://shop.example/%C3%A9?q=é");
}

#[test]
fn l15_empty_pieces_stay_where_they_are() {
    assert_eq!(visited("/s?a=1&&b=2&", "&c=3&&"), "https://shop.example/s?a=1&&b=2&&&c=3&&");
    assert_eq!(visited("/s", "&"), "https://shop.example/s?&");
    assert_eq!(World::to("/s").listed(&["a"]).location("&a=1&"), "https://shop.example/s?a=1");
}

#[test]
fn l18_names_are_compared_decoded_once() {
    assert_eq!(visited("/s?a+b=1", "a%20b=2&c=3"), "https://shop.example/s?a+b=1&c=3");
    assert_eq!(visited("/s?a%2520b=1", "a%20b=2"), "https://shop.example/s?a%2520b=1&a%20b=2");
    let listed = World::to("/s").listed(&["näme"]);
    assert_eq!(listed.location("n%C3%A4me=1&nme=2"), "https://shop.example/s?n%C3%A4me=1");
}

#[test]
fn l18_l33_l46_our_names_go_in_every_disguise_from_both_sides() {
    for disguise in [
        "ref=x",
        "re%66=x",
        "REF=x",
        "ref[]=x",
        "ref%5B0%5D=x",
        "ref",
        "ref=",
        "%20ref=x",
        "+ref=x",
        "ref%00y=x",
        "ref[=x",
        "click_id=1",
        "click.id=1",
        "click+id=1",
        "click%5Bid=1",
        "Click_ID[a]=1",
    ] {
        assert_eq!(visited("/s", disguise), "https://shop.example/s", "visitor sends {disguise}");
        assert_eq!(to(&format!("/s?{disguise}")), "https://shop.example/s", "destination says {disguise}");
        let between = format!("a=1&{disguise}&b=2");
        assert_eq!(visited("/s", &between), "https://shop.example/s?a=1&b=2", "{disguise}");
        assert_eq!(to(&format!("/s?{between}#f")), "https://shop.example/s?a=1&b=2#f", "{disguise}");
    }
    for other in ["refs=1", "pref=1", "re.f=1", "click-id=1", "clickid=1"] {
        assert_eq!(visited("/s", other), format!("https://shop.example/s?{other}"));
    }
}

#[test]
fn l18_fragment_is_not_looked_at() {
    assert_eq!(to("/s#?ref=x&click_id=1"), "https://shop.example/s#?ref=x&click_id=1");
}

#[test]
fn own_parameters_come_last_and_once() {
    let answer = World::to("/s?ref=z&a=1#f")
        .answer(&Ask { query: "click_id=9&b=2&ref=zoe".into(), ..Ask::partner("anna") }.click());
    assert_eq!(answer.location, format!("https://shop.example/s?a=1&b=2&ref=anna&click_id={}#f", click_id()));
}

#[test]
fn click_id_that_is_not_sent_is_not_ours() {
    let world = World::to("/s").with(|world| world.shop.click_id_param = None);
    assert_eq!(world.answer(&Ask::query("click_id=1").click()).location, "https://shop.example/s?click_id=1");
}

#[test]
fn l34_accepted_parameters_never_arrive() {
    let world = World::to("/s?aff=q").accepting(&["via", "aff"]);
    assert_eq!(world.location("via=anna&a=1"), "https://shop.example/s?a=1&ref=anna");
    assert_eq!(world.location("via=nobody&aff=ben&a=1"), "https://shop.example/s?a=1");
    assert_eq!(
        world.answer(&Ask { query: "via=ben".into(), ..Ask::partner("anna") }).location,
        "https://shop.example/s?ref=anna"
    );
}

#[test]
fn l35_lists_and_overrides_have_no_effect_on_our_names() {
    let world = World::to("/s?ref=d").listed(&["ref", "a"]).overridden("ref", QueryConflict::VisitorWins);
    assert_eq!(world.location("ref=x&a=1"), "https://shop.example/s?a=1");
}

#[test]
fn l36_of_two_equal_own_names_the_partner_is_set() {
    let world = World::to("/s").with(|world| world.shop.click_id_param = Some(own("REF")));
    assert_eq!(world.answer(&Ask::partner("anna").click()).location, "https://shop.example/s?ref=anna");
}

#[test]
fn l19_policy_of_a_link_replaces_the_shops_whole() {
    let world = World::to("/s?a=1").listed(&["b"]).on_conflict(QueryConflict::VisitorWins);
    assert_eq!(world.location("a=2&b=3"), "https://shop.example/s?a=1&b=3");
    let world = world.with(|world| {
        world.routing.query_policy = Some(smartlinks::domain::policy::QueryPolicy::default());
    });
    assert_eq!(world.location("a=2&b=3&c=4"), "https://shop.example/s?a=1&b=3&c=4");
}

#[test]
fn l21_names_have_case() {
    assert_eq!(visited("/s?A=1", "a=2"), "https://shop.example/s?A=1&a=2");
}

#[test]
fn l22_override_does_not_make_a_parameter_pass() {
    let none = World::to("/s?a=1").policy(|policy| policy.pass = QueryPass::None);
    let none = none.overridden("a", QueryConflict::VisitorWins).overridden("b", QueryConflict::Append);
    assert_eq!(none.location("a=2&b=3"), "https://shop.example/s?a=1");
}

#[test]
fn conflicts_are_settled_by_name() {
    let visit = |conflict| World::to("/s?a=1&x=0&a=2").on_conflict(conflict).location("b=3&a=4&c&a=5");
    assert_eq!(visit(QueryConflict::DestinationWins), "https://shop.example/s?a=1&x=0&a=2&b=3&c");
    assert_eq!(visit(QueryConflict::VisitorWins), "https://shop.example/s?x=0&b=3&a=4&c&a=5", "L39");
    assert_eq!(visit(QueryConflict::Append), "https://shop.example/s?a=1&x=0&a=2&b=3&a=4&c&a=5");
}

#[test]
fn overrides_settle_single_names() {
    let world = World::to("/s?a=1&b=1&c=1")
        .overridden("b", QueryConflict::VisitorWins)
        .overridden("a", QueryConflict::Append);
    assert_eq!(world.location("a=2&b=2&c=2"), "https://shop.example/s?a=1&c=1&a=2&b=2");
}

#[test]
fn first_of_two_overrides_of_a_name_counts() {
    let world = World::to("/s?z=1&a=1")
        .overridden("z", QueryConflict::VisitorWins)
        .overridden("a", QueryConflict::Append)
        .overridden("z", QueryConflict::Append);
    assert_eq!(world.location("z=2&a=2"), "https://shop.example/s?a=1&z=2&a=2");
}

#[test]
fn l37_semicolon_is_no_separator() {
    assert_eq!(visited("/s?a=1;b=2", "b=3"), "https://shop.example/s?a=1;b=2&b=3");
    assert_eq!(visited("/s", "a;ref=x"), "https://shop.example/s?a;ref=x");
}

#[test]
fn l47_query_that_is_left_empty_goes_with_its_question_mark() {
    assert_eq!(to("/s?ref=x#f"), "https://shop.example/s#f");
    assert_eq!(to("/s?ref=x&click_id"), "https://shop.example/s");
    assert_eq!(to("/s?ref=x&"), "https://shop.example/s", "an empty piece alone is nothing");
    assert_eq!(visited("/s", "ref=x&"), "https://shop.example/s");
    assert_eq!(visited("/s?ref=x", "a=1"), "https://shop.example/s?a=1");
    let world = World::to("/s?ref=x");
    assert_eq!(world.answer(&Ask::partner("anna")).location, "https://shop.example/s?ref=anna");
}

#[test]
fn parameter_without_a_name_is_one_of_its_own() {
    assert_eq!(visited("/s?=1", "=2&a"), "https://shop.example/s?=1&a");
}

#[test]
fn very_long_queries_are_merged() {
    let query = vec!["a"; 4_096].join("&");
    let destination = format!("/s?{}", vec!["b"; 1_000].join("&"));
    assert_eq!(visited(&destination, &query), format!("https://shop.example{destination}&{query}"));
}

#[test]
fn l41_fallback_is_verbatim_and_expired_destination_is_not() {
    let expired = World::to("/s")
        .utm(&[("source", "x")])
        .window(None, Some(super::world::NOW))
        .fallback("https://help.example?a=ü#f");
    let ask = Ask { query: "b=2&ref=no".into(), ..Ask::partner("anna") };
    assert_eq!(expired.answer(&ask).location, "https://help.example?a=%C3%BC#f");
    let expired = expired.with(|world| world.routing.expired_destination = Some(destination("over?ref=1#g")));
    assert_eq!(expired.answer(&ask).location, "https://shop.example/over?b=2&utm_source=x&ref=anna#g");
}

#[test]
fn l42_lookup_is_the_same_without_click_id() {
    let world = World::to("/s").utm(&[("id", "{click_id}"), ("source", "x")]);
    assert_eq!(world.answer(&Ask::default()).location, "https://shop.example/s?utm_source=x");
    let id = click_id();
    assert_eq!(
        world.answer(&Ask::default().click()).location,
        format!("https://shop.example/s?utm_source=x&utm_id={id}&click_id={id}")
    );
}
