//! Keeps the rooms apart: which room may use which, and which crate may be named where.
//!
//! Rust modules may import each other in circles; only this test stops them. A room is a folder or file below `src`;
//! the longest entry of the table that a file's path begins with is its room.

use std::{collections::BTreeMap, fs, path::Path};

/// Room → rooms that it may use, in an order in which each line uses only rooms above it.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("classify", &["domain"]),
    ("index", &["domain", "classify"]),
    ("proto", &[]),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("live", &["domain", "classify", "index", "telemetry"]),
    ("store", &["domain", "telemetry"]),
    ("feed", &["domain", "index", "live", "store", "telemetry"]),
    // Answers from memory: whether PostgreSQL is there must not matter.
    ("rpc/link_resolver", &["domain", "classify", "index", "live", "proto", "telemetry", "rpc"]),
    ("rpc", &["domain", "classify", "index", "live", "store", "proto", "telemetry", "rpc/link_resolver"]),
    ("gateway", &["proto", "config", "telemetry"]),
    (
        "server",
        &[
            "domain",
            "classify",
            "index",
            "live",
            "store",
            "proto",
            "config",
            "telemetry",
            "feed",
            "rpc",
            "rpc/link_resolver",
        ],
    ),
    ("dev", &["config", "proto", "store", "server", "gateway", "telemetry"]),
    ("cli", &["proto", "config", "telemetry"]),
    ("bin", &["server", "gateway", "dev", "cli", "config", "telemetry"]),
];

/// Crate → rooms, or single files, that may name it. A crate that is not listed may be named anywhere below the pure line.
const CRATES: &[(&str, &[&str])] = &[
    ("diesel", &["store"]),
    ("diesel_async", &["store"]),
    ("diesel_migrations", &["store"]),
    ("jiff_diesel", &["store"]),
    ("tokio_postgres", &["store", "dev/postgres/tests"]),
    ("tonic", &["proto", "rpc", "rpc/link_resolver", "gateway", "server", "cli", "dev"]),
    ("tonic_types", &["rpc", "gateway", "cli"]),
    ("tonic_health", &["server"]),
    ("tonic_reflection", &["server"]),
    ("prost", &["proto", "rpc"]),
    ("prost_reflect", &["proto", "cli", "dev"]),
    ("prost_types", &["proto", "rpc", "rpc/link_resolver", "gateway", "cli", "dev"]),
    ("hyper", &["gateway", "telemetry", "dev"]),
    ("hyper_util", &["gateway", "telemetry", "dev"]),
    ("maxminddb", &["classify"]),
    ("imbl", &["index"]),
    ("arc_swap", &["live", "classify"]),
    ("clap", &["config", "cli", "bin"]),
    ("prometheus_client", &["telemetry", "rpc", "rpc/link_resolver", "feed", "server"]),
];

/// Rooms without I/O, clock, async or anything of the wire and the database.
const PURE: &[&str] = &["domain", "classify", "index"];

/// What a pure room may not say.
const IMPURE: &[&str] = &[
    "tokio",
    "futures_util",
    "tracing",
    "rand",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "std::env",
    "std::process",
    "std::time::Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "println!",
    "eprintln!",
];

/// A file below `src`: its path there without ending, and its lines of code.
struct File {
    path: String,
    lines: Vec<(usize, String)>,
}

fn files() -> Vec<File> {
    fn walk(folder: &Path, found: &mut Vec<File>, root: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found, root);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root).unwrap().with_extension("");
                let text = fs::read_to_string(&path).unwrap();
                let code = |line: &str| !line.trim_start().starts_with("//");
                let lines = text.lines().enumerate().filter(|(_, line)| code(line));
                let lines = lines.map(|(at, line)| (at + 1, line.to_owned())).collect();
                found.push(File { path: name.to_str().unwrap().to_owned(), lines });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found, &root);
    assert!(found.len() > 10, "found no sources");
    found
}

/// Returns the room of a path, `rpc/link_admin/links` → `rpc`.
fn room_of(path: &str) -> Option<&'static str> {
    let inside = |room: &str| path == room || path.starts_with(&format!("{room}/"));
    ROOMS.iter().map(|(room, _)| *room).filter(|room| inside(room)).max_by_key(|room| room.len())
}

/// Returns the module paths that a line names below `start`, `crate::` for example, braces opened.
fn named<'a>(line: &'a str, start: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices(start) {
        let begins = at == 0 || !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let rest = &line[at + start.len()..];
        if !begins {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(list) => {
                found.extend(list.split(',').map(|item| item.trim().trim_end_matches(['}', ';', ' '])))
            }
            None => found.push(rest),
        }
    }
    found
}

/// Joins `use crate::{` lists that run over several lines into their first line.
fn joined(lines: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut open = 0_i32;
    for (number, line) in lines {
        let is_use = line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub use ");
        if open > 0 {
            joined.last_mut().unwrap().1.push_str(line.trim());
        } else {
            joined.push((*number, line.trim().to_owned()));
        }
        if open > 0 || is_use {
            open += i32::try_from(line.matches('{').count()).unwrap();
            open -= i32::try_from(line.matches('}').count()).unwrap();
        }
    }
    joined
}

#[test]
fn every_file_has_a_room_that_uses_only_its_neighbours() {
    let allowed: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| file.path != "lib") {
        let Some(room) = room_of(&file.path) else {
            wrong.push(format!("src/{}.rs is in no room", file.path));
            continue;
        };
        for (number, line) in joined(&file.lines) {
            for start in ["crate::", "smartlinks::"] {
                for path in named(&line, start) {
                    let path =
                        path.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap();
                    let Some(other) = room_of(&path.replace("::", "/")) else { continue };
                    if other != room && !allowed[room].contains(&other) {
                        wrong.push(format!("src/{}.rs:{number}: {room} may not use {other}", file.path));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for file in files() {
        let Some(room) = room_of(&file.path) else { continue };
        for (number, line) in &file.lines {
            for (name, rooms) in CRATES {
                let is_named = !named(line, &format!("{name}::")).is_empty();
                if is_named && !rooms.contains(&room) && !rooms.contains(&file.path.as_str()) {
                    wrong.push(format!("src/{}.rs:{number}: {room} may not name {name}", file.path));
                }
            }
            for word in IMPURE.iter().filter(|_| PURE.contains(&room)) {
                let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let path = if word.contains("::") || word.ends_with('!') {
                    (*word).to_owned()
                } else {
                    format!("{word}::")
                };
                if line.match_indices(&path).any(|(at, _)| begins(at)) {
                    wrong.push(format!(
                        "src/{}.rs:{number}: {room} is pure, it may not name {word}",
                        file.path
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn tables_go_one_way() {
    for (at, (room, uses)) in ROOMS.iter().enumerate() {
        for other in *uses {
            let above = ROOMS[..at].iter().any(|(above, _)| above == other);
            // The resolver's folder is part of `rpc`: they share its errors and callers.
            assert!(
                above || (*room == "rpc/link_resolver" && *other == "rpc"),
                "{room} uses {other}, which is below it"
            );
        }
    }
}

#[test]
fn tonic_errors_are_made_in_one_file() {
    for file in files() {
        let is_home = file.path == "rpc/status";
        for (number, line) in &file.lines {
            let made = line.contains("for Status") || line.contains("for tonic::Status");
            assert!(
                !made || is_home,
                "src/{}.rs:{number}: only rpc/status converts into a Status",
                file.path
            );
        }
    }
}

#[test]
fn planted_faults_are_found() {
    assert_eq!(room_of("rpc/link_resolver/stream"), Some("rpc/link_resolver"));
    assert_eq!(room_of("rpc/link_admin/links"), Some("rpc"));
    assert_eq!(room_of("storefront"), None);
    assert_eq!(
        named("use crate::{store::Store, domain::name};", "crate::"),
        ["store::Store", "domain::name"]
    );
    assert_eq!(named("let x = diesel::sql_query(q)", "diesel::"), ["sql_query(q)"]);
    assert!(named("use my_diesel::x", "diesel::").is_empty());
    let lines = [(1, "use crate::{".to_owned()), (2, "    store::Store,".to_owned()), (3, "};".to_owned())];
    assert_eq!(named(&joined(&lines)[0].1, "crate::")[0], "store::Store");
}
