//! The disk full, a folder that may not be used, ids of other centuries: a clear error or a recovery, nothing twice,
//! nothing blocked.

use std::{
    env,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use smartlinks::{
    config::{
        clicks::{Clicks, RecordSettings},
        serve::ServeSettings,
    },
    proto::{Purpose, ResolveRequest},
};
use tokio_postgres::Client;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{
    rolling::number,
    world::{World, adds_up, click, free_address, visit},
};
use crate::support::{
    database,
    http::get,
    proxy::Proxy,
    server::{TestServer, eventually, recording},
};

/// Set in the copies of this test binary that have a small disk of their own: where it is.
const DISK: &str = "SMARTLINKS_TEST_DISK";
const DATABASE: &str = "SMARTLINKS_TEST_DATABASE";
const REVISION: &str = "SMARTLINKS_TEST_REVISION";
/// Makes the disk, and becomes the program that is named.
const ON_A_DISK: &str = r#"mount -t tmpfs -o size=1m tmpfs "$SMARTLINKS_TEST_DISK" && exec "$@""#;

/// Runs a test of this binary where `DISK` is a disk of one mebibyte that nobody else sees.
fn run_on_a_small_disk(test: &str, world: &World) {
    let folder = tempfile::tempdir().unwrap();
    let unshare = |flags: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(flags).args(["sh", "-c", ON_A_DISK, "sh"]).env(DISK, folder.path());
        command
    };
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    let works = |flags: &&&[&str]| {
        let tried = unshare(flags).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let Some(flags) = ways.iter().find(works) else {
        eprintln!("NOT TESTED: nobody may mount a small disk here, neither in a user namespace nor as root");
        return;
    };
    let output = unshare(flags)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DATABASE, world.database.url())
        .env(REVISION, world.revision.to_string())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A server whose local log is on the small disk.
struct Cramped {
    disk: PathBuf,
    proxy: Proxy,
    server: TestServer,
    metrics: String,
    client: Client,
}

impl Cramped {
    /// Starts it, if this process has a small disk.
    async fn start(refuse_when_full: bool) -> Option<Self> {
        let disk = PathBuf::from(env::var_os(DISK)?);
        let database_url = env::var(DATABASE).unwrap();
        let proxy = Proxy::before(&database_url).await;
        let clicks = Clicks::Record(RecordSettings {
            segment_bytes: 8 * 1_024,
            refuse_when_full,
            ..RecordSettings::within(&disk)
        });
        let metrics = free_address();
        let settings =
            ServeSettings { clicks, metrics_listen: Some(metrics), ..recording(proxy.url(), &disk) };
        let server = TestServer::start(settings).await;
        server.wait_for(env::var(REVISION).unwrap().parse().unwrap()).await;
        let client = database::connect(&database_url).await;
        Some(Self { disk, proxy, server, metrics: format!("http://{metrics}/metrics"), client })
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let refused = loop {
            if let Err(error) = ballast.write_all(&[1; 512]) {
                break error;
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.disk.join("ballast")
    }

    async fn metric(&self, name: &str) -> i64 {
        let page = get(&self.metrics, &[]).await.body;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("smartlinks_{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
    }

    async fn recorded(&self) -> i64 {
        self.metric("clicks_recorded_total").await
    }

    async fn unrecorded(&self) -> i64 {
        self.metric("clicks_unrecorded_total").await
    }

    /// Waits until everything that was recorded is in PostgreSQL.
    async fn arrives(&self) {
        let recorded = self.recorded().await;
        eventually("clicks that arrive", || async {
            (number(&self.client, "SELECT count(*) FROM clicks.click").await == recorded).then_some(())
        })
        .await;
        adds_up(&self.client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_answers_counts_and_recovers() {
    run_on_a_small_disk("clicks::faults::full_disk_that_answers", &World::new().await);
}

/// Runs on the small disk of the test above; does nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn full_disk_that_answers() {
    let Some(cramped) = Cramped::start(false).await else { return };
    cramped.proxy.cut();
    cramped.fill();
    let mut sent = 0;
    while cramped.unrecorded().await < 20 {
        assert!(sent < 2_000, "the disk is never full");
        click(&mut cramped.server.resolver()).await;
        sent += 1;
    }
    assert_eq!(cramped.recorded().await, sent - 20);
    assert!(sent > 30, "what was reserved ahead is used");

    cramped.empty();
    for _ in 0..30 {
        click(&mut cramped.server.resolver()).await;
    }
    assert_eq!(cramped.unrecorded().await, 20, "clicks are recorded as soon as there is room");
    cramped.proxy.mend();
    cramped.arrives().await;

    // Full again, but PostgreSQL has what is here: that goes, and no click is lost.
    cramped.fill();
    for _ in 0..15 {
        for _ in 0..20 {
            click(&mut cramped.server.resolver()).await;
        }
        cramped.arrives().await;
    }
    assert_eq!(cramped.unrecorded().await, 20);
    assert_eq!(cramped.recorded().await, sent - 20 + 330);
    cramped.server.stop().await;
    assert_eq!(number(&cramped.client, "SELECT sum(lost) + sum(rejected) FROM clicks.ledger").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_if_it_is_told_to_and_recovers() {
    run_on_a_small_disk("clicks::faults::full_disk_that_refuses", &World::new().await);
}

/// Runs on the small disk of the test above; does nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn full_disk_that_refuses() {
    let Some(cramped) = Cramped::start(true).await else { return };
    cramped.proxy.cut();
    cramped.fill();
    let mut ids: Vec<Uuid> = Vec::new();
    let refused = loop {
        match cramped.server.resolver().resolve(visit("sale", Purpose::Click)).await {
            Ok(answer) => ids.push(answer.into_inner().click_id.parse().unwrap()),
            Err(status) => break status,
        }
        assert!(ids.len() < 2_000, "the disk is never full");
    };
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "CLICK_LOG_FULL");
    cramped.server.resolver().resolve(visit("sale", Purpose::Lookup)).await.unwrap();
    cramped.empty();
    for _ in 0..10 {
        ids.push(click(&mut cramped.server.resolver()).await);
    }
    cramped.proxy.mend();
    cramped.arrives().await;
    let known = "SELECT count(*) FROM clicks.click WHERE id = ANY($1)";
    let known: i64 = cramped.client.query_one(known, &[&ids]).await.unwrap().get(0);
    assert_eq!(known, cramped.recorded().await);
    assert_eq!(known, i64::try_from(ids.len()).unwrap());
    assert_eq!((cramped.unrecorded().await, cramped.metric("clicks_refused_total").await), (0, 1));
    cramped.server.stop().await;
}

/// Starts a server as somebody whom modes bind, and returns what it says. `None` = root cannot be anybody else here.
fn serve_as_mortal(world: &World, state_dir: &Path) -> Option<Output> {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mortal = ["--user", "--map-user=1000"];
    let mut command = if is_root {
        let tried = Command::new("unshare").args(mortal).arg("true").stderr(Stdio::null()).status();
        if !tried.is_ok_and(|status| status.success()) {
            eprintln!("NOT TESTED: root may everything, and cannot be anybody else here");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(mortal).arg(env!("CARGO_BIN_EXE_smartlinks"));
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_smartlinks"))
    };
    command.args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "", "--log", "error"]);
    command.args(["--database-url", world.database.url(), "--state-dir"]).arg(state_dir);
    Some(command.output().unwrap())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_that_may_not_be_used_is_named_with_what_to_do() {
    let world = World::new().await;
    let state = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), state.path())).await;
    let mut ids = vec![click(&mut server.resolver()).await];
    server.stop().await;
    let folder = state.path().join("clicks");
    let mut files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let segment = files.find(|path| path.extension().is_some_and(|end| end == "segment")).unwrap();
    let refused = |path: &Path| {
        let Some(output) = serve_as_mortal(&world, state.path()) else { return };
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(text.starts_with("SMARTLINKS_STATE_DIR: cannot "), "{text}");
        assert!(text.contains(&path.display().to_string()) && text.contains("Permission denied"), "{text}");
        assert!(
            text.contains("must belong to the user that runs this, with the modes 0700 and 0600"),
            "{text}"
        );
    };
    for (path, wrong, right) in [
        (state.path().to_owned(), 0o400, 0o700),
        (folder.clone(), 0o500, 0o700),
        (folder.join("lock"), 0o400, 0o600),
        (folder.join("source"), 0o200, 0o600),
        (segment, 0o000, 0o600),
    ] {
        set_mode(&path, wrong);
        refused(&path);
        set_mode(&path, right);
    }
    // Another owner, which only root can make.
    if chown(&folder, Some(12_345), None).is_ok() {
        refused(&folder);
        let owner = fs::metadata(state.path()).unwrap().uid();
        chown(&folder, Some(owner), None).unwrap();
    }
    let server = world.serve(recording(world.database.url(), state.path())).await;
    ids.push(click(&mut server.resolver()).await);
    server.stop().await;
    world.has_exactly(ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn click_ids_of_1970_and_2099_are_refused_by_name() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let server = world.serve(recording(world.database.url(), folder.path())).await;
    for id in ["00000000-03e8-7000-8000-000000000001", "03b6deb2-f000-7000-8000-000000000001"] {
        let request = ResolveRequest { click_id: id.to_owned(), ..visit("sale", Purpose::Click) };
        let refused: Status = server.resolver().resolve(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let details = refused.get_error_details();
        let [violation] = &details.bad_request().unwrap().field_violations[..] else { panic!("{details:?}") };
        assert_eq!(violation.field, "click_id");
        assert!(violation.description.contains("more than 24 hours ago or 5 minutes ahead"), "{violation:?}");
    }
    let id = click(&mut server.resolver()).await;
    server.stop().await;
    world.has_exactly(vec![id]).await;
}
