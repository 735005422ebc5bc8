//! The programs in `examples/`, run as their pages say, against a real server with the sample shop.

use std::{
    env,
    ffi::OsString,
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use jiff::SignedDuration;
use smartlinks::{
    config::{
        Secret,
        serve::{Authentication, ServeSettings},
    },
    dev::sample,
    domain::{click::Click, client::TrafficClass},
};
use tempfile::TempDir;

use crate::support::{
    clicks::{Writer, at, click},
    database::Database,
    requests::lookup,
    server::{TestServer, settings},
};

/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of the examples as it is in a fresh clone, beside the contracts.
struct Example {
    clone: TempDir,
    name: &'static str,
    /// Where the programs are that its page calls by name.
    programs: PathBuf,
}

impl Example {
    fn python() -> Self {
        Self::copy("python", root().join(".smartlinks/python/bin"))
    }

    fn typescript() -> Self {
        let packages = root().join(".smartlinks/npm/typescript/node_modules");
        let example = Self::copy("typescript", packages.join(".bin"));
        symlink(packages, example.folder().join("node_modules")).unwrap();
        example
    }

    fn copy(name: &'static str, programs: PathBuf) -> Self {
        assert!(programs.is_dir(), "{} is not there: run `make test`, which fetches it", programs.display());
        let example = Self { clone: tempfile::tempdir().unwrap(), name, programs };
        symlink(root().join("proto"), example.clone.path().join("proto")).unwrap();
        copy_folder(&root().join("examples").join(name), &example.folder());
        example
    }

    fn folder(&self) -> PathBuf {
        self.clone.path().join("examples").join(self.name)
    }

    fn page(&self) -> String {
        fs::read_to_string(self.folder().join("README.md")).unwrap()
    }

    /// Runs what someone would type.
    fn type_in(&self, line: &str, settings: &[(&str, &str)]) -> Output {
        let mut path = OsString::from(&self.programs);
        path.push(":");
        path.push(env::var_os("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder()).env("PATH", path);
        shell.env_remove("SMARTLINKS_SERVER").env_remove("SMARTLINKS_TOKEN_FILE");
        shell.envs(settings.iter().copied()).output().unwrap()
    }

    /// Makes code from the contracts by the line of the page that begins so.
    fn make_code(&self, begins: &str) {
        let page = self.page();
        let line = page.lines().find(|line| line.starts_with(begins)).expect("the page tells how");
        let made = self.type_in(line, &[]);
        assert!(made.status.success(), "{line}: {}{}", text(&made.stdout), text(&made.stderr));
    }

    /// Types every line that the page shows with `$`, and compares what comes with what the page shows.
    fn walk_through_the_page(&self, server: &str) {
        let page = self.page();
        let shown: String = page
            .split("```")
            .filter_map(|block| block.strip_prefix("console\n"))
            .map(|block| block.replace("\n$ ", "\n\n$ "))
            .collect();
        let steps: Vec<_> = shown.split("$ ").skip(1).filter_map(|step| step.split_once('\n')).collect();
        assert!(steps.len() > 1, "{steps:?}");
        for (line, told) in steps {
            let done = self.type_in(line, &[("SMARTLINKS_SERVER", server)]);
            assert!(done.status.success(), "{line}: {}", text(&done.stderr));
            assert_eq!(
                without_click_ids(text(&done.stdout).trim()),
                without_click_ids(told.trim()),
                "{line}"
            );
        }
    }

    /// A program without a server, or with a silent one, says so in one line.
    fn gives_up_with(&self, line: &str, unreachable: &str, too_late: &str) {
        // Connections are made, and nothing is ever read or said.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = format!("http://{}", silent.local_addr().unwrap());
        for (server, code) in [(NOBODY, unreachable), (&silent, too_late)] {
            let done = self.type_in(line, &[("SMARTLINKS_SERVER", server)]);
            assert_eq!(done.status.code(), Some(1), "{done:?}");
            let told = text(&done.stderr);
            assert!(told.starts_with(&format!("{code} at {server}: ")), "{told}");
            assert_eq!((told.lines().count(), text(&done.stdout)), (1, ""), "{told}");
        }
    }

    /// A server that asks for a token gets the one of the file, and refuses who has none.
    fn shows_its_token(&self, line: &str, guarded: &str, unauthenticated: &str) {
        let file = self.clone.path().join("token");
        fs::write(&file, "s3cret\n").unwrap();
        let server = ("SMARTLINKS_SERVER", guarded);
        let done = self.type_in(line, &[server, ("SMARTLINKS_TOKEN_FILE", file.to_str().unwrap())]);
        assert!(done.status.success(), "{line}: {}", text(&done.stderr));
        let refused = self.type_in(line, &[server]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let told = text(&refused.stderr);
        assert!(told.starts_with(&format!("{unauthenticated} NO_CREDENTIALS: ")), "{told}");
    }
}

/// Copies what is committed; what a newcomer has made beside it stays where it is.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
        if [".venv", "smartlinks", "dist", "node_modules", "gen", "__pycache__"]
            .iter()
            .any(|made| name == *made)
        {
            continue;
        }
        if kind.is_dir() {
            copy_folder(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

fn text(output: &[u8]) -> &str {
    std::str::from_utf8(output).unwrap()
}

/// Click ids are the only thing that differs from one run to the next.
fn without_click_ids(text: &str) -> String {
    let mut parts = text.split("click_id=");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |so_far, part| {
        let id: uuid::Uuid = part[..36].parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        so_far + "click_id=ID" + &part[36..]
    })
}

/// Starts a server with the sample shop, on the ports that the documentation shows.
async fn server_with_sample(database: &Database) -> TestServer {
    let server = TestServer::ready(database.url()).await;
    sample::make(server.channel(), 8081, 8080).await.unwrap();
    server
}

/// Adds what the page counts, and a bot's click, which it does not.
async fn add_clicks(database: &Database) {
    let clicks = [
        ("summer-sale", "anna", TrafficClass::Human),
        ("summer-sale", "anna", TrafficClass::Human),
        ("home", "ben", TrafficClass::Human),
        ("summer-sale", "anna", TrafficClass::Bot),
        ("summer-sale", "anna", TrafficClass::Human),
    ];
    let clicks = (0..).zip(clicks).map(|(number, (slug, partner, traffic))| Click {
        shop: "sample".to_owned().try_into().unwrap(),
        slug: Some(slug.to_owned().try_into().unwrap()),
        partner: Some(partner.to_owned().try_into().unwrap()),
        traffic,
        ..click(at(number, SignedDuration::ZERO))
    });
    Writer::new(database, 1).await.add(clicks.collect()).await;
}

async fn guarded_server(database: &Database) -> TestServer {
    let authentication = Authentication::Token(Secret::new("s3cret"));
    let guarded = TestServer::start(ServeSettings { authentication, ..settings(database.url()) }).await;
    guarded.wait_for(1).await;
    guarded
}

#[tokio::test(flavor = "multi_thread")]
async fn python_programs_do_what_their_page_shows() {
    let example = Example::python();
    example.make_code("python -m grpc_tools.protoc ");
    let database = Database::create().await;
    let server = server_with_sample(&database).await;
    add_clicks(&database).await;
    example.walk_through_the_page(&server.url());

    // The edit that the page shows is what a click meets.
    let answer = server.resolver().resolve(lookup("sample", "summer-sale")).await.unwrap().into_inner();
    assert!(answer.location.starts_with("http://localhost:8081/sale/winter?"), "{}", answer.location);

    let guarded = guarded_server(&database).await;
    for program in ["internal_service", "admin_back_end", "look_around"] {
        example.shows_its_token(&format!("python {program}.py"), &guarded.url(), "UNAUTHENTICATED");
    }
    example.shows_its_token("python analytics_job.py counts.json", &guarded.url(), "UNAUTHENTICATED");
    example.gives_up_with("python internal_service.py", "UNAVAILABLE", "DEADLINE_EXCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_programs_do_what_their_page_shows() {
    let example = Example::typescript();
    // Generates, checks types strictly, compiles.
    example.make_code("npm run build");
    let database = Database::create().await;
    let server = server_with_sample(&database).await;
    add_clicks(&database).await;
    example.walk_through_the_page(&server.url());

    let guarded = guarded_server(&database).await;
    for program in ["internal-service", "admin-back-end"] {
        example.shows_its_token(&format!("node dist/{program}.js"), &guarded.url(), "Unauthenticated");
    }
    example.shows_its_token("node dist/analytics-job.js counts.json", &guarded.url(), "Unauthenticated");
    example.gives_up_with("node dist/internal-service.js", "Unavailable", "DeadlineExceeded");
}

#[test]
fn python_runs_from_the_environment_that_setup_makes() {
    // No code is made here: it is in the environment.
    let done = Example::python().type_in("python edit_link.py", &[]);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("python edit_link.py summer-sale sale/winter"), "{done:?}");
}
