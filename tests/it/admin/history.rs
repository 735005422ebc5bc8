//! Every write is kept: who, when, why, and what it changed.

use smartlinks::proto::{
    self, FieldChangeKind, GetLinkRevisionRequest, LinkRevision, ListLinkRevisionsRequest,
    ListPartnerProgramsRequest, PartnerProgram,
};
use tonic::Code;

use super::fixture::{
    Client, TestServer, create_link, create_program, edit, everyone, get_link, link, mask, names, partner,
    reason, refusal, rule, selected, shop, update_link,
};

fn list(slug: &str, page_size: i32) -> ListLinkRevisionsRequest {
    ListLinkRevisionsRequest { shop: "acme".into(), slug: slug.into(), page_size, ..Default::default() }
}

async fn revisions(client: &mut Client, slug: &str) -> Vec<LinkRevision> {
    client.list_link_revisions(list(slug, 1_000)).await.unwrap().into_inner().revisions
}

fn at(slug: &str, revision: i64, compare_with: Option<i64>) -> GetLinkRevisionRequest {
    GetLinkRevisionRequest { shop: "acme".into(), slug: slug.into(), revision, compare_with, publish: 0 }
}

/// A link without what only its row knows.
fn bare(link: proto::Link) -> proto::Link {
    proto::Link {
        etag: String::new(),
        revision: 0,
        create_time: None,
        update_time: None,
        delete_time: None,
        ..link
    }
}

#[tokio::test]
async fn every_write_of_a_link_is_listed_with_what_it_changed() {
    let (_server, mut client) = TestServer::with_shop().await;
    let (shop, slug) = ("acme".to_owned(), "sale".to_owned());
    let new = proto::Link { rules: vec![rule("de", "DE"), rule("fr", "FR")], ..link("sale") };
    let request =
        proto::CreateLinkRequest { link: Some(new), comment: "made\nhere".into(), ..Default::default() };
    let created = client.create_link(request).await.unwrap().into_inner().link.unwrap();
    let mut rules = vec![rule("fr", "FR"), rule("de", "AT"), rule("it", "IT")];
    rules[0].enabled = Some(true);
    let next = proto::Link { rules, display_name: "Sale".into(), ..link("sale") };
    let updated = update_link(&mut client, edit(next, &["rules", "display_name"], "more")).await;
    let share = proto::ShareLinkRequest {
        shop: shop.clone(),
        slug: slug.clone(),
        sharing: Some(selected(&["anna"], &[])),
        replace: true,
        comment: "for anna".into(),
        ..Default::default()
    };
    client.share_link(share).await.unwrap();
    let pause = proto::PauseLinkRequest { shop: shop.clone(), slug: slug.clone(), ..Default::default() };
    client.pause_link(pause).await.unwrap();
    let delete = proto::DeleteLinkRequest { shop, slug, comment: "gone".into(), ..Default::default() };
    client.delete_link(delete).await.unwrap();

    let found = revisions(&mut client, "sale").await;
    let told: Vec<_> = found
        .iter()
        .map(|it| (it.comment.as_str(), it.changed_fields.join(" "), it.created, it.deleted))
        .collect();
    let moved = "display_name rules[fr] rules[de].when rules[de].destination rules[it]";
    assert_eq!(
        told,
        [
            ("gone", "state".to_owned(), false, true),
            ("", "state".to_owned(), false, false),
            ("for anna", "sharing.everyone sharing.selected".to_owned(), false, false),
            ("more", moved.to_owned(), false, false),
            ("made\nhere", String::new(), true, false),
        ]
    );
    assert!(found.iter().all(|it| it.actor == "local"));
    assert!(found.iter().all(|it| it.changed_count as usize == it.changed_fields.len()));
    assert!(found.is_sorted_by_key(|it| -it.revision));
    assert_eq!((found[3].revision, found[3].write_time), (updated.revision, updated.update_time));
    assert_eq!((found[4].revision, found[4].write_time), (created.revision, created.create_time));
}

#[tokio::test]
async fn pages_of_revisions_hold_each_once_and_belong_to_their_link() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_link(&mut client, link("sale")).await;
    create_link(&mut client, link("other")).await;
    // More than are read at once.
    for number in 0..40 {
        let next = proto::Link { display_name: format!("Name {number}"), ..link("sale") };
        update_link(&mut client, edit(next, &["display_name"], &number.to_string())).await;
    }
    let all = revisions(&mut client, "sale").await;
    let comments: Vec<_> =
        (0..40).rev().map(|number: i32| number.to_string()).chain([String::new()]).collect();
    assert_eq!(all.iter().map(|it| it.comment.clone()).collect::<Vec<_>>(), comments);
    assert!(all[..40].iter().all(|it| it.changed_fields == ["display_name"] && !it.created));
    assert!(all[40].created && all[40].changed_fields.is_empty());
    for size in [1, 16, 17, 40, 41] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let request = ListLinkRevisionsRequest { page_token: token, ..list("sale", size) };
            let page = client.list_link_revisions(request).await.unwrap().into_inner();
            assert!(page.revisions.len() <= usize::try_from(size).unwrap());
            found.extend(page.revisions);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found, all, "in pages of {size}");
    }
    let token = client.list_link_revisions(list("sale", 1)).await.unwrap().into_inner().next_page_token;
    let foreign = ListLinkRevisionsRequest { page_token: token, ..list("other", 1) };
    assert_eq!(reason(&client.list_link_revisions(foreign).await.unwrap_err()), "INVALID_PAGE_TOKEN");
    assert_eq!(reason(&client.list_link_revisions(list("none", 1)).await.unwrap_err()), "LINK_NOT_FOUND");
}

#[tokio::test]
async fn link_is_returned_as_it_was_and_compared_in_both_directions() {
    let (_server, mut client) = TestServer::with_shop().await;
    let first = proto::Link {
        rules: vec![rule("de", "DE"), rule("fr", "FR")],
        tags: vec!["old".into()],
        ..link("sale")
    };
    let first = create_link(&mut client, first).await;
    // A write of something else counts, too.
    create_link(&mut client, link("other")).await;
    let next = proto::Link {
        default_destination: "sale?x=1".into(),
        rules: vec![rule("fr", "FR"), rule("de", "DE")],
        tags: vec!["new".into()],
        ..link("sale")
    };
    let second =
        update_link(&mut client, edit(next, &["default_destination", "rules", "tags"], "second")).await;

    let answer = client.get_link_revision(at("sale", second.revision - 1, None)).await.unwrap().into_inner();
    let was = answer.link.unwrap();
    assert_eq!((was.revision, was.update_time, was.etag.as_str()), (first.revision, first.update_time, ""));
    assert_eq!(bare(was), bare(first.clone()));
    assert!(answer.revision.unwrap().created && answer.changes.is_empty());

    let compared = |answer: proto::GetLinkRevisionResponse| {
        assert_eq!(answer.change_count as usize, answer.changes.len());
        let changes = answer.changes.into_iter();
        let told = changes.map(|it| (it.path.clone(), it.kind(), it.old_value, it.new_value));
        told.collect::<Vec<_>>()
    };
    let change =
        |path: &str, kind, old: &str, new: &str| (path.to_owned(), kind, old.to_owned(), new.to_owned());
    let forward = at("sale", second.revision, Some(second.revision - 1));
    let answer = client.get_link_revision(forward).await.unwrap().into_inner();
    let written = answer.revision.clone().unwrap();
    assert_eq!((written.revision, written.comment.as_str()), (second.revision, "second"));
    assert_eq!(written.changed_fields, ["default_destination", "rules[fr]", "tags[old]", "tags[new]"]);
    assert_eq!(
        compared(answer),
        [
            change("default_destination", FieldChangeKind::Changed, "\"page/sale\"", "\"sale?x=1\""),
            change("rules[fr]", FieldChangeKind::Moved, "1", "0"),
            change("tags[old]", FieldChangeKind::Removed, "\"old\"", ""),
            change("tags[new]", FieldChangeKind::Added, "", "\"new\""),
        ]
    );
    let backward = at("sale", first.revision, Some(second.revision));
    let told = compared(client.get_link_revision(backward).await.unwrap().into_inner());
    assert_eq!(
        told[0],
        change("default_destination", FieldChangeKind::Changed, "\"sale?x=1\"", "\"page/sale\"")
    );
    assert_eq!(told.len(), 4);
    let same = at("sale", second.revision, Some(i64::MAX));
    assert_eq!(compared(client.get_link_revision(same).await.unwrap().into_inner()), []);
}

#[tokio::test]
async fn deleted_link_keeps_its_history() {
    let (_server, mut client) = TestServer::with_shop().await;
    let made = create_link(&mut client, link("sale")).await;
    let delete = proto::DeleteLinkRequest { shop: "acme".into(), slug: "sale".into(), ..Default::default() };
    let deleted = client.delete_link(delete).await.unwrap().into_inner().link.unwrap();
    let was = |answer: proto::GetLinkRevisionResponse| answer.link.unwrap();
    let before = was(client.get_link_revision(at("sale", made.revision, None)).await.unwrap().into_inner());
    assert_eq!((before.state(), before.delete_time), (proto::LinkState::Active, None));
    let after = was(client.get_link_revision(at("sale", deleted.revision, None)).await.unwrap().into_inner());
    assert_eq!(proto::Link { etag: deleted.etag.clone(), ..after }, deleted);
}

#[tokio::test]
async fn revision_before_the_link_or_none_at_all_is_refused() {
    let (_server, mut client) = TestServer::with_shop().await;
    let made = create_link(&mut client, link("sale")).await.revision;
    for (request, told) in [
        (at("sale", made - 1, None), (Code::NotFound, "REVISION_NOT_FOUND", "")),
        (at("sale", made, Some(made - 1)), (Code::NotFound, "REVISION_NOT_FOUND", "")),
        (at("none", made, None), (Code::NotFound, "LINK_NOT_FOUND", "")),
        (at("sale", 0, None), (Code::InvalidArgument, "OUT_OF_RANGE", "revision")),
        (at("sale", made, Some(-1)), (Code::InvalidArgument, "OUT_OF_RANGE", "compare_with")),
    ] {
        let (code, reason, field) = refusal(&client.get_link_revision(request).await.unwrap_err());
        assert_eq!((code, reason.as_str(), field.as_str()), told);
    }
}

fn programs(partner: &str, page_size: i32) -> ListPartnerProgramsRequest {
    ListPartnerProgramsRequest {
        shop: "acme".into(),
        partner: partner.into(),
        page_size,
        ..Default::default()
    }
}

#[tokio::test]
async fn programs_of_a_partner_are_told_from_when_to_when() {
    let (_server, mut client) = TestServer::with_shop().await;
    create_program(&mut client, "silver").await;
    let anna = proto::Partner { aliases: vec!["ann".into()], ..partner("anna", "") };
    let request = |fields: &[&str], comment: &str| proto::UpdatePartnerRequest {
        partner: Some(anna.clone()),
        update_mask: mask(fields),
        comment: comment.to_owned(),
        ..Default::default()
    };
    // Not every write of a partner is about its program.
    client.update_partner(request(&["aliases"], "alias")).await.unwrap();
    client.update_partner(request(&["program"], "left")).await.unwrap();
    let to_silver = proto::MovePartnersRequest {
        shop: "acme".into(),
        who: Some(proto::move_partners_request::Who::Partners(proto::PartnerCodes {
            codes: vec!["anna".into()],
        })),
        to_program: "silver".into(),
        comment: "promoted".into(),
        ..Default::default()
    };
    client.move_partners(to_silver).await.unwrap();
    let delete = proto::DeleteProgramRequest {
        shop: "acme".into(),
        id: "silver".into(),
        force: true,
        comment: "closed".into(),
        ..Default::default()
    };
    client.delete_program(delete).await.unwrap();
    let found = client.list_partner_programs(programs("ann", 0)).await.unwrap().into_inner().programs;
    let told = |found: &[PartnerProgram]| -> Vec<(String, String)> {
        found.iter().map(|it| (it.program.clone(), it.comment.clone())).collect()
    };
    let pair = |program: &str, comment: &str| (program.to_owned(), comment.to_owned());
    let all = [pair("", "closed"), pair("silver", "promoted"), pair("", "left"), pair("gold", "")];
    assert_eq!(told(&found), all);
    assert_eq!((found[0].end_revision, found[0].end_time), (0, None));
    for (newer, older) in found.iter().zip(&found[1..]) {
        assert_eq!((older.end_revision, older.end_time), (newer.start_revision, newer.start_time));
    }
    assert!(found.iter().all(|it| it.actor == "local"));

    let delete =
        proto::DeletePartnerRequest { shop: "acme".into(), code: "anna".into(), ..Default::default() };
    let gone = client.delete_partner(delete).await.unwrap().into_inner();
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListPartnerProgramsRequest { page_token: token, ..programs("anna", 1) };
        let page = client.list_partner_programs(request).await.unwrap().into_inner();
        assert_eq!(page.programs.len(), 1);
        pages.extend(page.programs);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(told(&pages), all);
    assert_eq!(pages[0].end_revision, gone.revision);
    let refused = client.list_partner_programs(programs("nobody", 0)).await.unwrap_err();
    assert_eq!(reason(&refused), "PARTNER_NOT_FOUND");
}

/// Calls with a comment that is the name of the call, after it was refused for one that is too long.
macro_rules! commented {
    ($client:ident.$call:ident($request:expr)) => {{
        let comment = stringify!($call).to_owned();
        let mut request = $request;
        request.comment = "x".repeat(501);
        let refused = refusal(&$client.$call(request.clone()).await.unwrap_err());
        assert_eq!(refused, (Code::InvalidArgument, "TOO_LONG".into(), "comment".into()), "{comment}");
        request.comment = comment;
        $client.$call(request).await.unwrap().into_inner()
    }};
}

#[tokio::test]
async fn every_write_takes_a_comment() {
    use proto::*;
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let (acme, slug, gold) = (|| "acme".to_owned(), || "sale".to_owned(), || "gold".to_owned());
    let made = shop("acme");
    commented!(client.create_shop(CreateShopRequest { shop: Some(made.clone()), ..Default::default() }));
    commented!(client.update_shop(UpdateShopRequest { shop: Some(made), ..Default::default() }));
    let program = Program { shop: acme(), id: gold(), display_name: "Gold".into(), ..Default::default() };
    let create = CreateProgramRequest { program: Some(program.clone()), ..Default::default() };
    commented!(client.create_program(create));
    let update = UpdateProgramRequest { program: Some(program), ..Default::default() };
    commented!(client.update_program(update));
    let anna = partner("anna", "gold");
    let create = CreatePartnerRequest { partner: Some(anna.clone()), ..Default::default() };
    commented!(client.create_partner(create));
    let update = UpdatePartnerRequest { partner: Some(anna), ..Default::default() };
    commented!(client.update_partner(update));
    let who = Some(move_partners_request::Who::FromProgram(gold()));
    commented!(client.move_partners(MovePartnersRequest { shop: acme(), who, ..Default::default() }));
    let made =
        commented!(client.create_link(CreateLinkRequest { link: Some(link("sale")), ..Default::default() }));
    commented!(client.update_link(UpdateLinkRequest { link: Some(link("sale")), ..Default::default() }));
    commented!(client.pause_link(PauseLinkRequest { shop: acme(), slug: slug(), ..Default::default() }));
    commented!(client.resume_link(ResumeLinkRequest { shop: acme(), slug: slug(), ..Default::default() }));
    let sharing = Some(everyone());
    commented!(client.share_link(ShareLinkRequest {
        shop: acme(),
        slug: slug(),
        sharing,
        ..Default::default()
    }));
    let few = proto::Link { sharing: Some(selected(&["anna"], &[])), ..link("few") };
    let create = BatchCreateLinksRequest { shop: acme(), links: vec![few], ..Default::default() };
    commented!(client.batch_create_links(create));
    let updates = vec![LinkUpdate { link: Some(link("few")), update_mask: mask(&["tags"]) }];
    commented!(client.batch_update_links(BatchUpdateLinksRequest {
        shop: acme(),
        updates,
        ..Default::default()
    }));
    let remove = Some(names(&["anna"], &[]));
    let unshare = UnshareLinkRequest { shop: acme(), slug: "few".into(), remove, ..Default::default() };
    commented!(client.unshare_link(unshare));
    let revision = made.revision;
    commented!(client.rollback_link(RollbackLinkRequest {
        shop: acme(),
        slug: slug(),
        revision,
        ..Default::default()
    }));
    let updates = vec![LinkUpdate { link: Some(link("sale")), update_mask: mask(&["tags"]) }];
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let effective_time = Some(prost_types::Timestamp { seconds: at.as_second(), nanos: 0 });
    let publish = CreatePublishRequest { shop: acme(), updates, effective_time, ..Default::default() };
    let publish = commented!(client.create_publish(publish));
    let (id, shop) = (publish.revision, acme());
    commented!(client.cancel_publish(CancelPublishRequest { shop, id, ..Default::default() }));
    commented!(client.delete_link(DeleteLinkRequest { shop: acme(), slug: slug(), ..Default::default() }));
    commented!(client.undelete_link(UndeleteLinkRequest {
        shop: acme(),
        slug: slug(),
        ..Default::default()
    }));
    commented!(client.delete_partner(DeletePartnerRequest {
        shop: acme(),
        code: "anna".into(),
        ..Default::default()
    }));
    commented!(client.delete_program(DeleteProgramRequest {
        shop: acme(),
        id: gold(),
        ..Default::default()
    }));
    assert_eq!(get_link(&mut client, "sale").await.state(), LinkState::Active);
    commented!(client.delete_shop(DeleteShopRequest { shop: acme(), force: true, ..Default::default() }));

    let statement = "SELECT comment FROM (
            SELECT comment, revision FROM history
            UNION ALL SELECT comment, id FROM publish UNION ALL SELECT end_comment, end_revision FROM publish
        ) AS kept GROUP BY comment ORDER BY min(revision)";
    let rows = server.database.client().await.query(statement, &[]).await.unwrap();
    let kept: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let all = "create_shop update_shop create_program update_program create_partner update_partner move_partners \
        create_link update_link pause_link resume_link share_link batch_create_links batch_update_links unshare_link \
        rollback_link create_publish cancel_publish delete_link undelete_link delete_partner delete_program delete_shop";
    assert_eq!(kept, all.split_whitespace().collect::<Vec<_>>());
    // The contract knows no other call that takes one.
    let writes = smartlinks::proto::json::methods();
    let commented = writes.iter().filter(|call| call.input().get_field_by_name("comment").is_some());
    assert_eq!(commented.count(), kept.len());
}
