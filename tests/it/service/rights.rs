//! Two roles: one that makes the tables, and one for the servers that is a member of it.

use std::fs;

use smartlinks::store::{Store, StoreConfig};

use crate::support::{
    database::Database,
    requests::{create_link, create_shop, lookup, redirect_link},
    server::{TestServer, execute},
};

/// Returns a database's address for somebody who acts as a role.
fn acting_as(role: &str, url: &str) -> String {
    format!("{url}{}options=-c%20role%3D{role}", if url.contains('?') { '&' } else { '?' })
}

/// Returns the statement that the documentation tells.
fn documented_grant() -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let told = page.lines().find(|line| line.trim_start().starts_with("GRANT links_owner")).unwrap();
    told.replace("links_owner", "test_owner").replace("links_servers", "test_servers")
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_need_no_more_than_the_documented_rights() {
    let database = Database::create_empty().await;
    for role in ["test_owner", "test_servers"] {
        // Roles are the whole PostgreSQL's; another run may have made it.
        let make =
            format!("CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;");
        execute(&database, &format!("DO $$ BEGIN {make} END $$")).await;
    }
    let here = "GRANT CREATE ON SCHEMA public TO test_owner; DO $$ BEGIN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO test_owner', current_database()); END $$";
    execute(&database, here).await;
    execute(&database, &documented_grant()).await;
    let owner = StoreConfig { url: acting_as("test_owner", database.url()), ..database.config() };
    Store::connect(&owner).unwrap().migrate().await.unwrap();

    let server = TestServer::ready(&acting_as("test_servers", database.url())).await;
    let mut admin = server.admin();
    admin.create_shop(create_shop("acme")).await.unwrap();
    admin.create_link(create_link("acme", "sale", "sale")).await.unwrap();
    let moved = admin.update_link(redirect_link("acme", "sale", "winter")).await.unwrap();
    server.wait_for(moved.into_inner().revision).await;
    let answer = server.resolver().resolve(lookup("acme", "sale")).await.unwrap().into_inner();
    assert!(answer.location.ends_with("/winter"), "{}", answer.location);
}
