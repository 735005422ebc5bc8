//! `smartlinks doctor`: a line for each thing that is looked at, and what is wrong is found.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::world::{World, click};
use crate::support::{
    clicks::Writer,
    database::Database,
    server::{eventually, execute, recording},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Runs it; returns whether it found all well, its lines, and what it said at the end.
fn doctor(database_url: &str, flags: &[&str]) -> (bool, Vec<String>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_smartlinks"))
        .args(["doctor", "--database-url", database_url, "--database-wait", "500ms", "--log", "error"])
        .args(flags)
        .output()
        .unwrap();
    let (lines, said) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    (status.success(), lines.lines().map(str::to_owned).collect(), said)
}

/// Returns what it says about one thing.
fn about<'a>(lines: &'a [String], what: &str) -> &'a str {
    let found = lines.iter().find(|line| line[7..].starts_with(what));
    found.unwrap_or_else(|| panic!("nothing about {what} in {lines:?}"))
}

async fn epoch(world: &World) -> String {
    world.client.query_one("SELECT epoch::text FROM clicks.head", &[]).await.unwrap().get(0)
}

fn key_file(folder: &Path, secret: &str) -> String {
    let path = folder.join("visitor-keys");
    fs::write(&path, secret).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    for _ in 0..5 {
        click(&mut server.resolver()).await;
    }
    world.has_clicks(5).await;
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'clicks.click'::regclass";
    eventually("days ahead", || async { (world.number(days).await >= 4).then_some(()) }).await;
    let state = folder.path().to_str().unwrap();
    let key = key_file(folder.path(), SECRET);
    // While the server runs.
    let (well, lines, said) =
        doctor(world.database.url(), &["--state-dir", state, "--visitor-key-file", &key]);
    assert!(well, "{lines:?} {said}");
    assert!(lines.iter().all(|line| line.starts_with("ok ")), "{lines:?}");
    for (what, text) in [
        ("tables", "up to date"),
        ("database", "PostgreSQL "),
        ("days", "take clicks, tomorrow too"),
        ("ledger", "agrees with the log: 5 clicks"),
        ("counting", "counted"),
        ("put aside", "nothing"),
        ("local log", "0 of 5 clicks wait for PostgreSQL"),
        ("visitor keys", "the secret opens all 0"),
    ] {
        assert!(about(&lines, what).contains(text), "{lines:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn epoch_is_renewed_after_a_restore_and_only_then() {
    let world = World::new().await;
    let before = epoch(&world).await;
    doctor(world.database.url(), &[]);
    assert_eq!(epoch(&world).await, before);
    let (_, lines, _) = doctor(world.database.url(), &["--after-restore"]);
    let after = epoch(&world).await;
    assert_ne!(after, before);
    let line = about(&lines, "epoch");
    assert!(line.starts_with("ok") && line.contains(&format!("from {before} to {after}")), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_what_to_do() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    click(&mut server.resolver()).await;
    server.stop().await;
    execute(
        &world.database,
        "UPDATE clicks.ledger SET applied = applied + 1, delivered = delivered + 1;
         INSERT INTO visitor_key (day, sealed) VALUES ('2026-01-02', '\\x01');
         INSERT INTO clicks.rejected (batch, source, sequence, reason, content) 
             VALUES (7, gen_random_uuid(), 1, 'x', 'x'), (8, gen_random_uuid(), 1, 'expired', ''), (9, NULL, 1, 'x', 'x');
         UPDATE clicks.progress SET sequence = 9",
    )
    .await;
    let key = key_file(folder.path(), SECRET);
    let state = folder.path().to_str().unwrap();
    let (well, lines, said) =
        doctor(world.database.url(), &["--state-dir", state, "--visitor-key-file", &key]);
    assert!(!well);
    assert!(said.contains("checks found something wrong"), "{said}");
    for (what, text) in [
        ("ledger", "2 expected, 1 found; ask `smartlinks call CheckLedger`"),
        ("put aside", "1 clicks; SELECT reason"),
        ("local log", "PostgreSQL has 9 clicks of it, here are 1"),
        ("visitor keys", "those of 2026-01-02 were sealed with another secret"),
    ] {
        let line = about(&lines, what);
        assert!(line.starts_with("wrong ") && line.contains(text), "{lines:?}");
    }
    fs::write(folder.path().join("clicks/00000000000000000001.damaged"), "x").unwrap();
    let (_, lines, _) = doctor(world.database.url(), &["--state-dir", state]);
    assert!(about(&lines, "local log").contains("1 files that cannot be read are set aside"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_is_away_or_empty_is_said_and_the_rest_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let nowhere = format!("postgres://nobody@/none?host={state}");
    let (well, lines, _) = doctor(&nowhere, &["--state-dir", state, "--after-restore"]);
    assert!(!well);
    assert!(
        about(&lines, "database").starts_with("wrong  database      SMARTLINKS_DATABASE_URL: "),
        "{lines:?}"
    );
    assert!(about(&lines, "epoch").contains("not renewed"), "{lines:?}");
    assert!(about(&lines, "local log").contains("SMARTLINKS_STATE_DIR: cannot list "), "{lines:?}");
    let database = Database::create_empty().await;
    let (well, lines, _) = doctor(database.url(), &[]);
    assert!(!well);
    assert!(about(&lines, "tables").contains("run `smartlinks migrate`"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn less_of_the_ledger_is_compared_if_more_takes_too_long() {
    let world = World::new().await;
    let mut writer = Writer::new(&world.database, 1).await;
    writer.add_new(0..3).await;
    execute(&world.database, "UPDATE clicks.ledger SET at = at - interval '20 hours'").await;
    writer.add_new(3..5).await;
    world.database.store().keep_click_days(jiff::Timestamp::now(), 30).await.unwrap();
    // What is older than 13 hours is slow to read.
    execute(
        &world.database,
        "CREATE FUNCTION clicks.slowly() RETURNS boolean LANGUAGE plpgsql COST 1000000 AS $$ BEGIN
             PERFORM pg_sleep(10);
             RETURN true;
         END $$;
         ALTER TABLE clicks.ledger RENAME TO entry;
         CREATE VIEW clicks.ledger AS
             SELECT * FROM clicks.entry WHERE at > now() - interval '13 hours' OR clicks.slowly()",
    )
    .await;
    let (_, lines, said) = doctor(world.database.url(), &["--statement-timeout", "500ms"]);
    let text = "ok     ledger        agrees with the log: 2 clicks of the last 12 hours, more takes too long";
    assert!(about(&lines, "ledger").starts_with(text), "{lines:?} {said}");
}
