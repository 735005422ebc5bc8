//! Against real servers.

use std::{
    env, fs,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use tokio_postgres::NoTls;

use super::{
    Cluster, ClusterError, ClusterOptions, Programs, SharedCluster,
    account::Account,
    socket,
    stale::{Postmaster, wait_until},
};

/// Set in the copies of this test binary that play a process which is killed.
const VICTIM: &str = "SMARTLINKS_TEST_VICTIM";

fn programs() -> Programs {
    let setting = env::var_os("SMARTLINKS_PG_BIN");
    Programs::find(setting.as_deref().map(Path::new), Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Where a server puts the data asked for at `wanted`, whose parent is made: elsewhere for root without namespaces.
fn placed(wanted: impl Into<PathBuf>) -> PathBuf {
    let account = Account::choose().unwrap();
    let data = account.place(wanted.into());
    if let Account::Other { .. } = account {
        account.make_folder(data.parent().unwrap()).unwrap();
    }
    data
}

async fn ask(url: &str, query: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let background = tokio::spawn(connection);
    let answer = client.query_one(query, &[]).await.map(|row| row.get(0));
    drop(client);
    background.abort();
    answer
}

#[tokio::test]
async fn server_answers_and_is_gone_after_stop() {
    let folder = tempfile::tempdir().unwrap();
    let cluster =
        Cluster::start(&programs(), ClusterOptions::throw_away(folder.path().join("data"))).await.unwrap();
    assert_eq!(ask(&cluster.url(), "SELECT 'one'").await.unwrap(), "one");
    for (setting, value) in
        [("server_encoding", "UTF8"), ("listen_addresses", ""), ("fsync", "off"), ("TimeZone", "UTC")]
    {
        assert_eq!(ask(&cluster.url(), &format!("SHOW {setting}")).await.unwrap(), value, "{setting}");
    }
    let server = Postmaster::read(cluster.data()).unwrap();
    let (data, url) = (cluster.data().to_owned(), cluster.url());
    cluster.stop().await.unwrap();
    assert!(!server.is_server_of(&data), "the process is gone");
    assert!(!server.socket.exists() && !data.exists(), "nothing is left on the disk");
    assert!(ask(&url, "SELECT 'one'").await.is_err());
}

#[tokio::test]
async fn kept_data_survives_a_restart_and_is_safe() {
    let folder = tempfile::tempdir().unwrap();
    let options = ClusterOptions::kept(folder.path().join("data")).with_setting("work_mem", "5MB");
    let first = Cluster::start(&programs(), options.clone()).await.unwrap();
    assert_eq!(ask(&first.url(), "SHOW fsync").await.unwrap(), "on");
    assert_eq!(ask(&first.url(), "SHOW work_mem").await.unwrap(), "5MB");
    let (client, connection) = tokio_postgres::connect(&first.url(), NoTls).await.unwrap();
    let background = tokio::spawn(connection);
    client.batch_execute("CREATE TABLE kept AS SELECT 'still here' AS text").await.unwrap();
    let url = first.url();
    // A client that stays connected does not hold the stop up.
    first.stop().await.unwrap();
    background.abort();
    let second = Cluster::start(&programs(), options).await.unwrap();
    assert_eq!(second.url(), url, "a printed address stays true");
    assert_eq!(ask(&second.url(), "SELECT text FROM kept").await.unwrap(), "still here");
}

#[tokio::test]
async fn interrupted_initdb_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let half = placed(&data).with_file_name("data.incomplete");
    fs::create_dir_all(half.join("base")).unwrap();
    fs::create_dir(placed(&data)).unwrap();
    let cluster = Cluster::start(&programs(), ClusterOptions::throw_away(data)).await.unwrap();
    assert_eq!(ask(&cluster.url(), "SELECT 'one'").await.unwrap(), "one");
    assert!(!half.exists());
}

#[tokio::test]
async fn odd_folder_names_are_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("Günther's data, 100 % \"his\"");
    let cluster = Cluster::start(&programs(), ClusterOptions::throw_away(data)).await.unwrap();
    assert_eq!(ask(&cluster.url(), "SELECT 'one'").await.unwrap(), "one");
}

#[tokio::test]
async fn dropping_stops_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let cluster =
        Cluster::start(&programs(), ClusterOptions::throw_away(folder.path().join("data"))).await.unwrap();
    let (server, data) = (Postmaster::read(cluster.data()).unwrap(), cluster.data().to_owned());
    drop(cluster);
    assert!(!server.is_server_of(&data));
}

/// Plays the process that is killed in the next test; does nothing in an ordinary run.
#[tokio::test]
async fn victim() {
    let Some(data) = env::var_os(VICTIM) else { return };
    let _cluster = Cluster::start(&programs(), ClusterOptions::kept(data)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn server_stops_when_its_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "dev::postgres::tests::victim"])
        .env(VICTIM, &data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let data = placed(data);
    let started = || Postmaster::read(&data).filter(|server| server.ready);
    assert!(wait_until(Duration::from_secs(60), || started().is_some()));
    let server = started().unwrap();
    assert!(server.is_server_of(&fs::canonicalize(&data).unwrap()));
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(
        wait_until(Duration::from_secs(15), || !server.is_server_of(&fs::canonicalize(&data).unwrap())),
        "nobody was there to stop it, and it stopped"
    );
    let log = fs::read_to_string(data.with_file_name("data.log")).unwrap();
    assert!(log.contains("fast shutdown request"), "it wrote its data out: {log}");
    socket::remove(&server.socket);
}

#[tokio::test]
async fn leftover_server_is_stopped_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let options = ClusterOptions::kept(folder.path().join("data"));
    let mut first = Cluster::start(&programs(), options.clone()).await.unwrap();
    let server = Postmaster::read(first.data()).unwrap();
    // Without its guard nobody stops the server.
    first.kill_guard();
    assert!(server.is_server_of(first.data()));
    let second = Cluster::start(&programs(), options).await.unwrap();
    assert_ne!(Postmaster::read(second.data()).unwrap().pid, server.pid);
    assert_eq!(ask(&second.url(), "SELECT 'one'").await.unwrap(), "one");
    drop(second);
    drop(first);
}

#[tokio::test]
async fn files_of_a_crash_are_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let options = ClusterOptions::kept(folder.path().join("data"));
    let first = Cluster::start(&programs(), options.clone()).await.unwrap();
    let (data, socket) = (first.data().to_owned(), first.socket().to_owned());
    let mut pid_file = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    first.stop().await.unwrap();
    // As if the number of the crashed server now belonged to a process of ours.
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    let rest = pid_file.split_off(pid_file.find('\n').unwrap());
    fs::write(data.join("postmaster.pid"), format!("{}{rest}", stranger.id())).unwrap();
    Account::choose().unwrap().make_folder(&socket).unwrap();
    fs::write(socket.join(format!(".s.PGSQL.{}", socket::PORT)), "").unwrap();
    fs::write(socket.join(format!(".s.PGSQL.{}.lock", socket::PORT)), format!("{}\n", stranger.id()))
        .unwrap();
    let second = Cluster::start(&programs(), options).await;
    let stranger_lives = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(stranger_lives, "only a server of this folder is ever stopped");
    assert_eq!(ask(&second.unwrap().url(), "SELECT 'one'").await.unwrap(), "one");
}

#[tokio::test]
async fn data_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(placed(&data)).unwrap();
    fs::write(placed(&data).join("PG_VERSION"), "9.6\n").unwrap();
    let refused = Cluster::start(&programs(), ClusterOptions::kept(&data)).await.unwrap_err();
    assert!(matches!(&refused, ClusterError::OtherVersion { made_by, .. } if made_by == "9.6"), "{refused}");
}

#[tokio::test]
async fn folder_with_other_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(placed(&data)).unwrap();
    let letter = placed(&data).join("letter.txt");
    fs::write(&letter, "dear Anna").unwrap();
    let refused = Cluster::start(&programs(), ClusterOptions::kept(data)).await.unwrap_err();
    assert!(matches!(refused, ClusterError::NotOurs { .. }), "{refused}");
    assert!(letter.exists());
}

#[tokio::test]
async fn server_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        ClusterOptions::throw_away(folder.path().join("data")).with_setting("shared_buffers", "many");
    let refused = Cluster::start(&programs(), options).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Ended { .. }), "{refused}");
    assert!(refused.to_string().contains("shared_buffers"), "{refused}");
}

#[test]
fn socket_folder_of_a_stranger_is_not_used() {
    let place = tempfile::tempdir().unwrap();
    let account = Account::choose().unwrap();
    let planted = place.path().join("planted");
    symlink("/tmp", &planted).unwrap();
    account.make_folder(&planted).unwrap_err();
    let open = place.path().join("open");
    fs::DirBuilder::new().mode(0o755).create(&open).unwrap();
    account.make_folder(&open).unwrap_err();
    let closed = place.path().join("closed");
    account.make_folder(&closed).unwrap();
    account.make_folder(&closed).unwrap();
}

#[tokio::test]
async fn shared_server_is_one_for_all_and_stops_after_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let join = || SharedCluster::join_until_idle(&programs(), folder.path(), 3).unwrap();
    let (first, second) = thread::scope(|scope| {
        let (first, second) = (scope.spawn(join), scope.spawn(join));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!(first.url(), second.url());
    assert_eq!(ask(&first.url(), "SELECT 'one'").await.unwrap(), "one");
    let where_path = folder.path().join(programs().major().to_string()).join("where");
    let data = fs::read_to_string(where_path).map(|data| Path::new(&data).to_owned()).unwrap();
    let server = Postmaster::read(&data).unwrap();
    drop(first);
    drop(second);
    let third = join();
    assert!(server.is_server_of(&data), "the third found it running");
    drop(third);
    assert!(wait_until(Duration::from_secs(30), || !server.is_server_of(&data)), "it stopped by itself");
    let fourth = join();
    assert_eq!(ask(&fourth.url(), "SELECT 'one'").await.unwrap(), "one");
}
