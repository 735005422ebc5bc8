//! Who is credited, line by line of the small print.

use smartlinks::domain::{
    link::Sharing,
    visit::Attribution::{self, Credited, InactivePartner, NoPartner, NotShared, UnknownPartner},
};

use super::world::{Ask, World, code, program};

fn credited(world: &World, path: &str, query: &str) -> (Attribution, String) {
    let answer = world.answer(&Ask { query: query.into(), ..Ask::partner(path) });
    (answer.attribution, answer.partner.map_or_else(String::new, String::from))
}

fn nobody(why: Attribution) -> (Attribution, String) {
    (why, String::new())
}

fn somebody(code: &str) -> (Attribution, String) {
    (Credited, code.to_owned())
}

#[test]
fn p1_each_attribution_has_its_cause() {
    let world = World::to("/s")
        .with(|world| world.sharing = Sharing::selected(vec![code("anna"), code("zoe")], vec![]));
    assert_eq!(credited(&world, "anna", ""), somebody("anna"));
    assert_eq!(credited(&world, "", ""), nobody(NoPartner));
    assert_eq!(credited(&world, "nobody", ""), nobody(UnknownPartner));
    assert_eq!(credited(&world, "not a code!", ""), nobody(UnknownPartner));
    assert_eq!(credited(&world, "zoe", ""), nobody(InactivePartner));
    assert_eq!(credited(&world, "ben", ""), nobody(NotShared));
}

#[test]
fn sharing_reaches_partners_through_their_program() {
    let world =
        World::to("/s").with(|world| world.sharing = Sharing::selected(vec![], vec![program("gold")]));
    assert_eq!(credited(&world, "anna", ""), somebody("anna"));
    assert_eq!(credited(&world, "ben", ""), nobody(NotShared));
}

#[test]
fn l40_path_comes_first_then_parameters_in_the_shops_order() {
    let world = World::to("/s").accepting(&["via", "aff"]);
    assert_eq!(credited(&world, "anna", "ref=ben"), somebody("anna"));
    assert_eq!(
        credited(&world, "", "via=ben&ref=anna"),
        somebody("anna"),
        "the partner parameter before others"
    );
    assert_eq!(
        credited(&world, "", "aff=ben&via=anna"),
        somebody("anna"),
        "the shop's order, not the query's"
    );
    assert_eq!(credited(&world, "", "aff=ben"), somebody("ben"));
    assert_eq!(credited(&world, "", "ref=ben&ref=anna"), somebody("ben"), "the first value of a name");
}

#[test]
fn l40_named_but_wrong_partner_is_not_replaced() {
    let world = World::to("/s").accepting(&["via"]);
    assert_eq!(credited(&world, "nobody", "ref=anna"), nobody(UnknownPartner));
    assert_eq!(credited(&world, "", "ref=nobody&via=anna"), nobody(UnknownPartner));
    assert_eq!(credited(&world, "zoe", "ref=anna"), nobody(InactivePartner));
}

#[test]
fn l48_disguises_credit_as_they_are_removed() {
    let world = World::to("/s");
    for query in ["REF=anna", "ref[]=anna", "re%66=%61nna", "ref%5Bx=anna", "+ref=anna"] {
        let answer = world.answer(&Ask::query(query));
        assert_eq!(answer.attribution, Credited, "{query}");
        assert_eq!(answer.location, "https://shop.example/s?ref=anna", "{query}");
    }
}

#[test]
fn l50_alias_credits_the_code() {
    let world = World::to("/s");
    assert_eq!(credited(&world, "annie", ""), somebody("anna"));
    assert_eq!(credited(&world, "", "ref=Annie"), somebody("anna"));
}

#[test]
fn h2_codes_are_found_without_case() {
    assert_eq!(credited(&World::to("/s"), "ANNA", ""), somebody("anna"));
}

#[test]
fn p3_parameter_without_value_names_an_unknown_partner() {
    let world = World::to("/s").accepting(&["via"]);
    assert_eq!(credited(&world, "", "ref=&via=anna"), nobody(UnknownPartner));
    assert_eq!(credited(&world, "", "ref&via=anna"), nobody(UnknownPartner));
}

#[test]
fn click_id_parameter_names_nobody() {
    assert_eq!(credited(&World::to("/s"), "", "click_id=anna"), nobody(NoPartner));
}

#[test]
fn wrong_partner_still_gets_the_page() {
    let answer = World::to("/s?a=1").answer(&Ask { query: "ref=nobody".into(), ..Ask::partner("zoe") });
    assert_eq!(answer.location, "https://shop.example/s?a=1");
}
