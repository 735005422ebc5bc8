//! Links become again what they were.

use smartlinks::proto::{self, RollbackLinkRequest, RollbackLinkResponse};
use tonic::Code;

use super::fixture::{
    Client, TestServer, create_link, edit, get_link, link, mask, reason, refusal, rule, selected, shop,
    update_link, variants,
};

fn back(slug: &str, revision: i64) -> RollbackLinkRequest {
    RollbackLinkRequest { shop: "acme".into(), slug: slug.into(), revision, ..Default::default() }
}

async fn roll_back(client: &mut Client, revision: i64) -> RollbackLinkResponse {
    client.rollback_link(back("sale", revision)).await.unwrap().into_inner()
}

/// A link without what changes with every write.
fn bare(link: proto::Link) -> proto::Link {
    proto::Link { etag: String::new(), revision: 0, update_time: None, ..link }
}

/// A link that has everything.
fn full() -> proto::Link {
    proto::Link {
        description: "Long".into(),
        sharing: Some(selected(&["anna"], &["gold"])),
        rules: vec![rule("de", "DE"), rule("fr", "FR")],
        utm: Some(proto::Utm { source: Some("{partner}".into()), ..Default::default() }),
        query_policy: Some(proto::QueryPolicy { listed: vec!["q".into()], pass: 3, ..Default::default() }),
        redirect: proto::RedirectKind::TemporaryRedirect.into(),
        start_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        expire_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 5_000 }),
        expired_destination: Some(String::new()),
        tags: vec!["summer".into()],
        ..link("sale")
    }
}

#[tokio::test]
async fn rollback_brings_back_everything_that_an_edit_writes() {
    let (_server, mut client) = TestServer::with_shop().await;
    let first = create_link(&mut client, full()).await;
    let other = proto::Link { rules: vec![rule("it", "IT")], display_name: "Other".into(), ..link("sale") };
    let second = update_link(&mut client, edit(other, &["*"], "")).await;
    assert_ne!(bare(second.clone()), bare(first.clone()));

    let trial = RollbackLinkRequest { validate_only: true, ..back("sale", first.revision) };
    let trial = client.rollback_link(trial).await.unwrap().into_inner();
    assert_eq!((trial.revision, &trial.warnings), (0, &Vec::new()));
    assert_eq!(get_link(&mut client, "sale").await, second);

    let answer = roll_back(&mut client, first.revision).await;
    let third = answer.link.clone().unwrap();
    assert!(answer.revision > second.revision && answer.revision == third.revision);
    assert_eq!(bare(third.clone()), bare(first.clone()));
    assert_eq!(get_link(&mut client, "sale").await, third);
    assert_eq!(answer.changes, trial.changes);
    let paths: Vec<_> = answer.changes.iter().map(|change| change.path.as_str()).collect();
    for path in ["display_name", "sharing.selected", "rules[de]", "rules[it]", "utm", "tags[summer]"] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    // And forth again.
    let answer = roll_back(&mut client, second.revision).await;
    assert_eq!(bare(answer.link.unwrap()), bare(second));
}

#[tokio::test]
async fn rule_that_was_taken_away_comes_back_and_the_others_stay_used() {
    let (_server, mut client) = TestServer::with_shop().await;
    let off = |id: &&str| proto::Rule { enabled: Some(false), ..rule(id, "DE") };
    let rules = |ids: &[&str]| ids.iter().map(off).collect::<Vec<_>>();
    let with = |ids: &[&str]| proto::Link { rules: rules(ids), ..link("sale") };
    let first = create_link(&mut client, with(&["a", "b"])).await;
    update_link(&mut client, edit(with(&["c"]), &["rules"], "")).await;
    let refused = client.update_link(edit(with(&["a"]), &["rules"], "")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "DUPLICATE".into(), "link.rules[0].id".into()));
    roll_back(&mut client, first.revision).await;
    update_link(&mut client, edit(with(&["b", "a"]), &["rules"], "")).await;
    let refused = client.update_link(edit(with(&["a", "b", "c"]), &["rules"], "")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "DUPLICATE".into(), "link.rules[2].id".into()));
}

#[tokio::test]
async fn variant_that_was_taken_away_comes_back_and_the_others_stay_used() {
    let (_server, mut client) = TestServer::with_shop().await;
    let with = |weights: &[(&str, i32)]| proto::Link {
        rules: vec![proto::Rule {
            then: Some(proto::rule::Then::Variants(variants(weights))),
            ..rule("test", "DE")
        }],
        ..link("sale")
    };
    let first = create_link(&mut client, with(&[("a", 1), ("b", 1)])).await;
    update_link(&mut client, edit(with(&[("a", 1), ("c", 1)]), &["rules"], "")).await;
    let answer = roll_back(&mut client, first.revision).await;
    assert_eq!(answer.link.unwrap().rules, first.rules);
    // `b` is in use again; `c` was used in between.
    update_link(&mut client, edit(with(&[("b", 3), ("a", 1)]), &["rules"], "")).await;
    let refused = client.update_link(edit(with(&[("a", 1), ("c", 1)]), &["rules"], "")).await.unwrap_err();
    let field = "link.rules[0].variants.items[1].id".to_owned();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "DUPLICATE".into(), field));
}

#[tokio::test]
async fn variant_of_a_rule_that_was_away_stays_used() {
    let (_server, mut client) = TestServer::with_shop().await;
    let with = |weights: &[(&str, i32)]| proto::Link {
        rules: vec![proto::Rule {
            then: Some(proto::rule::Then::Variants(variants(weights))),
            ..rule("test", "DE")
        }],
        ..link("sale")
    };
    let first = create_link(&mut client, with(&[("a", 1), ("b", 1)])).await;
    update_link(&mut client, edit(with(&[("a", 1), ("c", 1)]), &["rules"], "")).await;
    update_link(&mut client, edit(link("sale"), &["rules"], "")).await;
    roll_back(&mut client, first.revision).await;
    let refused = client.update_link(edit(with(&[("a", 1), ("c", 1)]), &["rules"], "")).await.unwrap_err();
    let expected =
        (Code::InvalidArgument, "DUPLICATE".to_owned(), "link.rules[0].variants.items[1].id".to_owned());
    assert_eq!(refusal(&refused), expected);
    // Away once more, by a rollback, and back.
    let none = update_link(&mut client, edit(link("sale"), &["rules"], "")).await;
    roll_back(&mut client, first.revision).await;
    roll_back(&mut client, none.revision).await;
    roll_back(&mut client, first.revision).await;
    let refused = client.update_link(edit(with(&[("a", 1), ("c", 1)]), &["rules"], "")).await.unwrap_err();
    assert_eq!(refusal(&refused), expected);
    update_link(&mut client, edit(with(&[("a", 1), ("d", 1)]), &["rules"], "")).await;
}

#[tokio::test]
async fn state_stays_as_it_is() {
    let (_server, mut client) = TestServer::with_shop().await;
    let first = create_link(&mut client, link("sale")).await;
    let pause = proto::PauseLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    let paused = client.pause_link(pause).await.unwrap().into_inner().revision;
    let answer = roll_back(&mut client, first.revision).await;
    assert_eq!(answer.link.unwrap().state(), proto::LinkState::Paused);
    let warned: Vec<_> =
        answer.warnings.iter().map(|it| (it.field.as_str(), it.description.as_str())).collect();
    assert_eq!(warned, [("link.state", "the link was active at that revision and stays paused")]);
    assert!(answer.changes.is_empty());

    let call = proto::DeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    client.delete_link(call).await.unwrap();
    let refused = client.rollback_link(back("sale", first.revision)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "DELETED"));
    let call = proto::UndeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    client.undelete_link(call).await.unwrap();
    let answer = roll_back(&mut client, paused).await;
    assert_eq!(answer.link.unwrap().state(), proto::LinkState::Active);
}

#[tokio::test]
async fn what_the_shop_does_not_allow_any_more_is_refused_unless_it_stands_there_already() {
    let (_server, mut client) = TestServer::with_shop().await;
    let hosts = |hosts: &[&str]| {
        let destination_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let shop = proto::Shop { destination_hosts, ..shop("acme") };
        let update_mask = mask(&["destination_hosts"]);
        proto::UpdateShopRequest { shop: Some(shop), update_mask, ..Default::default() }
    };
    client.update_shop(hosts(&["cdn.example"])).await.unwrap();
    let mut there = rule("cdn", "DE");
    there.then = Some(proto::rule::Then::Destination("https://cdn.example/a".into()));
    let with = proto::Link { rules: vec![rule("fr", "FR"), there], ..link("sale") };
    let first = create_link(&mut client, with.clone()).await;
    let without = update_link(&mut client, edit(link("sale"), &["rules"], "")).await;
    client.update_shop(hosts(&[])).await.unwrap();
    let refused = client.rollback_link(back("sale", first.revision)).await.unwrap_err();
    let field = "link.rules[1].destination".to_owned();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "UNSAFE_DESTINATION".into(), field.clone()));
    assert_eq!(get_link(&mut client, "sale").await, without);

    client.update_shop(hosts(&["cdn.example"])).await.unwrap();
    let again = roll_back(&mut client, first.revision).await.revision;
    let named = proto::Link { display_name: "Named".into(), ..with };
    update_link(&mut client, edit(named, &["display_name"], "")).await;
    client.update_shop(hosts(&[])).await.unwrap();
    let answer = roll_back(&mut client, again).await;
    assert_eq!(answer.link.unwrap().display_name, "Link sale");
    assert_eq!(answer.warnings.iter().map(|it| it.field.clone()).collect::<Vec<_>>(), [field]);
}

#[tokio::test]
async fn partner_or_program_that_is_gone_only_warns() {
    let (_server, mut client) = TestServer::with_shop().await;
    let first = create_link(&mut client, full()).await;
    update_link(&mut client, edit(link("sale"), &["*"], "")).await;
    let call = proto::DeletePartnerRequest { shop: "acme".into(), code: "anna".into(), ..Default::default() };
    client.delete_partner(call).await.unwrap();
    let call = proto::DeleteProgramRequest { shop: "acme".into(), id: "gold".into(), ..Default::default() };
    client.delete_program(call).await.unwrap();
    let answer = roll_back(&mut client, first.revision).await;
    let warned: Vec<_> = answer.warnings.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(warned, ["link.sharing.selected.partners[0]", "link.sharing.selected.programs[0]"]);
    assert_eq!(answer.link.unwrap().sharing, first.sharing);
}

#[tokio::test]
async fn stale_etag_and_foreign_revisions_are_refused() {
    let (_server, mut client) = TestServer::with_shop().await;
    let first = create_link(&mut client, link("sale")).await;
    let second = update_link(&mut client, edit(full(), &["tags"], "")).await;
    for (request, told) in [
        (
            RollbackLinkRequest { etag: first.etag, ..back("sale", first.revision) },
            (Code::Aborted, "STALE_ETAG", ""),
        ),
        (back("sale", first.revision - 1), (Code::NotFound, "REVISION_NOT_FOUND", "")),
        (back("none", first.revision), (Code::NotFound, "LINK_NOT_FOUND", "")),
        (back("sale", 0), (Code::InvalidArgument, "OUT_OF_RANGE", "revision")),
    ] {
        let (code, reason, field) = refusal(&client.rollback_link(request).await.unwrap_err());
        assert_eq!((code, reason.as_str(), field.as_str()), told);
    }
    let request = RollbackLinkRequest { etag: second.etag, ..back("sale", first.revision) };
    assert!(client.rollback_link(request).await.unwrap().into_inner().link.unwrap().tags.is_empty());
}
