//! The folder of the local log: who may have it, and what is done with one that nobody has any more.

use std::{
    path::Path,
    process::{Command, Output},
};

use smartlinks::server::Server;

use super::world::{Program, World, click, free_address};
use crate::support::{proxy::Proxy, server::recording};

#[tokio::test(flavor = "multi_thread")]
async fn folder_belongs_to_one_server() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    let second = Server::start(recording(world.database.url(), folder.path())).await;
    let text = second.err().expect("a second server started").to_string();
    assert!(
        text.starts_with("SMARTLINKS_STATE_DIR: the folder ") && text.contains("belongs to process"),
        "{text}"
    );
    let id = click(&mut server.resolver()).await;
    server.stop().await;
    // Given up by the first, it is the next one's.
    let next = world.serve(recording(world.database.url(), folder.path())).await;
    next.stop().await;
    world.has_exactly(vec![id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_that_cannot_be_used_is_named() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = Server::start(recording(world.database.url(), &file)).await;
    let text = refused.err().expect("a server started in a file").to_string();
    assert!(text.starts_with("SMARTLINKS_STATE_DIR: cannot make the folder"), "{text}");
}

/// Runs `smartlinks ship`.
fn ship(world: &World, spool: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smartlinks"))
        .args(["ship", "--database-url", world.database.url(), "--log", "error", "--spool"])
        .arg(spool)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn orphan_is_shipped() {
    let world = World::new().await;
    let proxy = Proxy::open(&world.database).await;
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("clicks");
    let program = Program::serve(proxy.url(), folder.path(), free_address(), world.revision).await;
    proxy.cut();
    let mut ids = Vec::new();
    let mut resolver = program.resolver().await.unwrap();
    for _ in 0..70 {
        ids.push(click(&mut resolver).await);
    }

    let owned = ship(&world, &spool);
    assert!(!owned.status.success());
    let text = String::from_utf8(owned.stderr).unwrap();
    assert!(text.starts_with("--spool: the folder ") && text.contains("belongs to process"), "{text}");

    program.kill();
    for shipped in ["70 clicks were added", "0 clicks were added"] {
        let output = ship(&world, &spool);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.starts_with(shipped), "{text}");
        assert!(text.trim_end().ends_with("0 are left"), "{text}");
    }
    world.has_exactly(ids).await;

    let none = ship(&world, folder.path());
    assert!(!none.status.success());
    let text = String::from_utf8(none.stderr).unwrap();
    assert!(text.contains("holds no log of clicks"), "{text}");
}
