//! Keeps the rooms apart: which room may use which, and which crate may be named where.
//!
//! Rust modules may import each other in circles; only this test stops them. A room is a folder or file below `src`;
//! the longest entry of the table that a file's path begins with is its room.

use std::{collections::BTreeSet, fs, path::Path};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Room → rooms that it may use, in an order in which each line uses only rooms above it.
const ROOMS: &[(&str, &str)] = &[
    ("domain", ""),
    // Accept-Language is read in one way, by rules and for the gateway's own pages.
    ("classify/language", "domain"),
    ("classify", "domain classify/language"),
    ("index", "domain classify classify/language"),
    ("proto", ""),
    ("config", ""),
    ("telemetry", "config"),
    ("visitors", "domain"),
    ("live", "domain classify index telemetry"),
    // In memory alone, so that the resolver may look: who reads PostgreSQL and the local log for it is `counter_feed`.
    ("counters", "domain index"),
    ("store", "domain telemetry"),
    ("spool", "domain telemetry"),
    ("feed", "domain index live store telemetry"),
    ("recorder", "domain counters spool telemetry"),
    ("shipper", "domain spool store telemetry"),
    ("keeper", "domain store telemetry visitors"),
    ("roller", "domain store telemetry"),
    ("counter_feed", "domain index live counters spool store telemetry"),
    // Answers from memory: whether PostgreSQL is there must not matter.
    ("rpc/link_resolver", "domain classify classify/language index live counters recorder proto telemetry visitors rpc"),
    ("rpc", "domain classify index live store proto telemetry rpc/link_resolver"),
    ("gateway", "domain classify/language proto config telemetry"),
    (
        "server",
        "domain classify index live store spool proto config telemetry feed recorder shipper keeper roller counters counter_feed
         visitors rpc         rpc/link_resolver",
    ),
    ("dev", "config proto store server gateway telemetry"),
    ("cli", "proto config telemetry"),
    ("bin", "server gateway dev cli config telemetry"),
];

/// Crates → rooms, or single files, that may name them. Any other crate of Cargo.toml: every room that is not pure.
const CRATES: &[(&str, &str)] = &[
    ("diesel diesel_async diesel_migrations jiff_diesel deadpool", "store"),
    ("tokio_postgres", "store dev/postgres/tests"),
    ("tonic", "proto rpc rpc/link_resolver gateway server cli dev"),
    ("tonic_types", "rpc gateway cli"),
    ("tonic_health tonic_reflection", "server"),
    ("prost", "proto rpc spool"),
    ("prost_reflect", "proto cli dev"),
    ("prost_types", "proto rpc rpc/link_resolver gateway cli dev"),
    ("hyper hyper_util", "gateway telemetry dev"),
    ("maxminddb sfv", "classify"),
    ("imbl", "index"),
    ("arc_swap", "live classify visitors"),
    ("chacha20poly1305", "visitors"),
    ("hmac", "visitors gateway"),
    ("clap", "config cli bin"),
    ("prometheus_client", "telemetry rpc rpc/link_resolver feed server"),
];

/// Rooms without I/O, clock, async or anything of the wire and the database → the only crates that they may name.
const PURE: &[(&str, &str)] = &[
    ("domain", "ipnet jiff md5 serde sha2 strsim uuid"),
    ("classify", "arc_swap ipnet jiff maxminddb quick_cache sfv"),
    ("classify/language", ""),
    ("index", "foldhash imbl ipnet jiff serde siphasher"),
];

/// Crates that the tests inside of a pure room may name besides.
const PURE_TESTS: &str = "proptest serde_json";

/// Rooms → what their tests use besides: what stands behind the rooms that they use.
const ROOMS_OF_TESTS: &[(&str, &str)] = &[("rpc/link_resolver", "spool")];

/// What a pure room may not say, its tests neither: words, and paths or parts of them.
const IMPURE: &str = "
    std::* std::env std::fs std::io std::os std::process std::thread
    Instant SystemTime Timestamp::now Zoned::now TimeZone::system Uuid::new_v4 Uuid::now_v7
    TcpListener TcpStream ToSocketAddrs UdpSocket
    async println eprint eprintln";

/// The one file that turns errors of ours into those of gRPC.
const STATUS: &str = "rpc/status";

/// Packages whose crate has another name.
const RENAMED: &[(&str, &str)] = &[("md-5", "md5")];

/// Words before which a path ends and behind which another may begin with `::`.
const KEYWORDS: &str =
    "as break const dyn else for if impl in let match mut pub ref return static type use where while";

/// Tells whether a word is in a list.
fn lists(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

/// Returns every file below `src`: its path there without ending, and its text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                found.push((name.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 10, "found no sources");
    found
}

/// Returns the crates that Cargo.toml lists, by the names that paths begin with.
fn crates() -> BTreeSet<String> {
    let manifest = include_str!("../Cargo.toml").split("\n[");
    let sections = manifest.filter(|section| section.split(']').next().unwrap().ends_with("dependencies"));
    let packages = sections.flat_map(str::lines).filter_map(|line| Some(line.split_once(" = ")?.0));
    let renamed = |package| RENAMED.iter().find(|(other, _)| *other == package).map(|(_, name)| *name);
    packages.map(|package| renamed(package).unwrap_or(package).replace('-', "_")).collect()
}

/// Returns the room of a path, `rpc/link_admin/links` → `rpc`.
fn room_of(path: &str) -> Option<&'static str> {
    let inside = |room: &str| path == room || path.starts_with(&format!("{room}/"));
    ROOMS.iter().map(|(room, _)| *room).filter(|room| inside(room)).max_by_key(|room| room.len())
}

/// Returns the words and signs of a source text, each with its line, and an empty one at the end.
fn tokens(source: &str) -> Vec<(usize, String)> {
    fn flatten(stream: TokenStream, found: &mut Vec<(usize, String)>) {
        for tree in stream {
            let line = tree.span().start().line;
            let TokenTree::Group(group) = &tree else {
                let text =
                    if matches!(tree, TokenTree::Literal(_)) { "\"".to_owned() } else { tree.to_string() };
                match found.last_mut() {
                    Some((_, last)) if *last == text && [":", "."].contains(&text.as_str()) => *last += &text,
                    _ => found.push((line, text)),
                }
                continue;
            };
            let (open, close) = match group.delimiter() {
                Delimiter::Parenthesis => ("(", ")"),
                Delimiter::Brace => ("{", "}"),
                Delimiter::Bracket | Delimiter::None => ("[", "]"),
            };
            found.push((line, open.to_owned()));
            flatten(group.stream(), found);
            found.push((line, close.to_owned()));
        }
    }
    let mut found = Vec::new();
    flatten(source.parse().expect("a source text"), &mut found);
    found.push((0, String::new()));
    found
}

/// A path that a source text names; a word that stands alone is one too.
struct Named<'a> {
    line: usize,
    path: Vec<&'a str>,
    /// The module that it stands in.
    module: Vec<&'a str>,
    in_use: bool,
    in_test: bool,
    /// What it stands behind, `for` in `impl From<E> for Status`.
    behind: &'a str,
}

impl Named<'_> {
    /// Returns the path below the crate's root, or nothing if it does not say from where it begins.
    fn below_root(&self) -> Option<String> {
        let mut below = match self.path[0] {
            _ if self.path.len() == 1 && !self.in_use => return None,
            "crate" | "smartlinks" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        for word in &self.path {
            match *word {
                "crate" | "smartlinks" | "self" => {}
                "super" => _ = below.pop(),
                word => below.push(word),
            }
        }
        Some(below.join("/"))
    }

    /// Tells whether the path contains the words of another, `a::b::c` those of `b::c`.
    fn says(&self, words: &str) -> bool {
        let words: Vec<&str> = words.split("::").collect();
        self.path.windows(words.len()).any(|part| part == words)
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Reads the paths that begin at `at`, braces opened: `a::{b, c::d}` is `a::b` and `a::c::d`. Returns where they end.
fn open<'a>(tokens: &[&'a str], mut at: usize, before: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> usize {
    let mut path = before.to_vec();
    let mut goes_on = true;
    while goes_on && (is_word(tokens[at]) || ["::", "*"].contains(&tokens[at])) {
        path.extend(Some(tokens[at]).filter(|token| *token != "::"));
        goes_on = tokens[at] == "::" || tokens[at + 1] == "::" && !lists(KEYWORDS, tokens[at]);
        at += 1;
    }
    if !goes_on || tokens[at] != "{" {
        if path.len() > 1 && path.last() == Some(&"self") {
            path.pop();
        }
        found.push(path);
        return at;
    }
    at += 1;
    while tokens[at] != "}" {
        at = open(tokens, at, &path, found);
        let rest = tokens[at..].iter().position(|token| [",", "}"].contains(token)).unwrap();
        at += rest + usize::from(tokens[at + rest] == ",");
    }
    at + 1
}

/// Returns every path that a file names.
fn named<'a>(file: &'a str, lines: &'a [(usize, String)]) -> Vec<Named<'a>> {
    let tokens: Vec<&str> = lines.iter().map(|(_, token)| token.as_str()).collect();
    let mut module: Vec<&str> = file.split('/').filter(|part| *part != "mod").collect();
    // The blocks around a token: how deep the module outside of each is, and whether it is compiled for tests only.
    let mut blocks = vec![(0, file.ends_with("/tests") || file.contains("/tests/"))];
    let (mut found, mut at, mut marked) = (Vec::new(), 0, false);
    while at < tokens.len() {
        let in_test = marked || blocks.last().unwrap().1;
        match tokens[at] {
            "#" if tokens[at..].starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) => {
                marked = true;
                at += 7;
            }
            "{" => {
                blocks.push((module.len(), in_test));
                module.extend((at > 1 && tokens[at - 2] == "mod").then(|| tokens[at - 1]));
                marked = false;
                at += 1;
            }
            "}" => {
                module.truncate(blocks.pop().unwrap().0);
                at += 1;
            }
            // What follows a point is a field or a method.
            "." => at += 2,
            token if is_word(token) => {
                let in_use = token == "use";
                let (begin, mut paths) = (at, Vec::new());
                at = open(&tokens, at + usize::from(in_use), &[], &mut paths);
                let behind = tokens[..begin].iter().rev().find(|token| **token != "::").unwrap_or(&"");
                for path in paths.into_iter().filter(|path| !path.is_empty()) {
                    let (line, module) = (lines[begin].0, module.clone());
                    found.push(Named { line, path, module, in_use, in_test, behind });
                }
            }
            token => {
                marked &= token != ";";
                at += 1;
            }
        }
    }
    found
}

/// Returns what is wrong with a file.
fn faults(file: &str, source: &str) -> Vec<String> {
    let Some(room) = room_of(file) else { return vec![format!("src/{file}.rs is in no room")] };
    let uses = ROOMS.iter().find(|(name, _)| *name == room).unwrap().1;
    let of_tests = ROOMS_OF_TESTS.iter().find(|(name, _)| *name == room).map_or("", |(_, rooms)| *rooms);
    let pure = PURE.iter().find(|(name, _)| *name == room).map(|(_, crates)| *crates);
    let crates = crates();
    let lines = tokens(source);
    let mut wrong = Vec::new();
    for name in named(file, &lines) {
        let mut report = |problem: String| wrong.push(format!("src/{file}.rs:{}: {problem}", name.line));
        if let Some(path) = name.below_root() {
            match room_of(&path) {
                Some(other) if other == room || lists(uses, other) => {}
                Some(other) if name.in_test && lists(of_tests, other) => {}
                Some(other) => report(format!("{room} may not use {other}")),
                None => report(format!("`{path}` is in no room")),
            }
        }
        let first = name.path[0];
        let begins_with_crate = name.in_use || name.path.len() > 1;
        if begins_with_crate && crates.contains(first) {
            let rooms = CRATES.iter().find(|(crates, _)| lists(crates, first)).map(|(_, rooms)| *rooms);
            let is_let_in = rooms.is_none_or(|rooms| lists(rooms, room) || lists(rooms, file));
            let is_of_test = name.in_test && lists(PURE_TESTS, first);
            if !is_let_in || !pure.is_none_or(|crates| lists(crates, first) || is_of_test) {
                report(format!("{room} may not name {first}"));
            }
        }
        if pure.is_some() {
            let said = IMPURE.split_whitespace().filter(|words| name.says(words));
            said.for_each(|words| report(format!("{room} is pure, it may not say {words}")));
        }
        if first == "extern" || name.path == ["std"] && name.in_use {
            report(format!("`{first}` hides where paths lead"));
        }
        if name.behind == "for" && name.path.last() == Some(&"Status") && file != STATUS {
            report(format!("only {STATUS} converts into a Status"));
        }
    }
    wrong
}

#[test]
fn every_file_keeps_to_its_room() {
    // The root only lists the rooms.
    let files = files().into_iter().filter(|(file, _)| file != "lib");
    let wrong: Vec<String> = files.flat_map(|(file, source)| faults(&file, &source)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn tables_go_one_way() {
    for (at, (room, uses)) in ROOMS.iter().enumerate() {
        for other in uses.split_whitespace() {
            let above = ROOMS[..at].iter().any(|(above, _)| *above == other);
            // The resolver's folder is part of `rpc`: they share its errors and callers.
            let is_resolver = (*room, other) == ("rpc/link_resolver", "rpc");
            assert!(above || is_resolver, "{room} uses {other}, which is below it");
        }
    }
}

#[test]
fn tables_name_what_there_is() {
    let (crates, files) = (crates(), files());
    let listed = CRATES.iter().map(|(crates, _)| *crates).chain(PURE.iter().map(|(_, crates)| *crates));
    for name in listed.chain([PURE_TESTS]).flat_map(str::split_whitespace) {
        assert!(crates.contains(name), "Cargo.toml has no {name}");
    }
    let rooms = ROOMS.iter().map(|(room, _)| *room).chain(CRATES.iter().map(|(_, rooms)| *rooms));
    for room in rooms.flat_map(str::split_whitespace) {
        let is_inside = |path: &str| path == room || path.starts_with(&format!("{room}/"));
        assert!(files.iter().any(|(path, _)| is_inside(path)), "src has no {room}");
    }
}

/// Returns what faults are found, without where.
fn problems(file: &str, source: &str) -> String {
    let faults = faults(file, source);
    let problems: Vec<&str> = faults.iter().map(|fault| fault.split_once(": ").unwrap().1).collect();
    problems.join("; ")
}

#[test]
fn planted_faults_are_found() {
    for (file, source, expected) in [
        ("domain/link", "use super::super::store::Store;", "domain may not use store"),
        ("domain/mod", "mod tests { use super::super::store::Store; }", "domain may not use store"),
        ("domain/mod", "use super::*;", "`*` is in no room"),
        ("feed/rows", "use super::super::rpc::{self, token};", "feed may not use rpc; feed may not use rpc"),
        ("feed/mod", "use self::{rows, super::{rpc as r, live}};", "feed may not use rpc"),
        ("feed/copy", "fn f() { smartlinks::gateway::serve() }", "feed may not use gateway"),
        ("feed/copy", "use {\n    crate::{live::Live, cli::{call}},\n};", "feed may not use cli"),
        ("feed/copy", "use ::tonic::Status;", "feed may not name tonic"),
        ("feed/copy", "use ::tokio_postgres::Client;", "feed may not name tokio_postgres"),
        ("feed/copy", "fn f(of: &::diesel::PgConnection) {}", "feed may not name diesel"),
        ("feed/copy", "fn f() { return ::diesel::x() }", "feed may not name diesel"),
        ("feed/copy", "use {diesel as d, jiff::Timestamp};", "feed may not name diesel"),
        ("feed/copy", "extern crate diesel as d;", "`extern` hides where paths lead"),
        ("domain/host", "use deadpool::managed::Pool;", "domain may not name deadpool"),
        ("domain/host", "use tower::Service;", "domain may not name tower"),
        ("domain/host", "#[tracing::instrument] fn f() {}", "domain may not name tracing"),
        ("index/own", "#[cfg(test)] mod tests {} use serde_json::json;", "index may not name serde_json"),
        ("index/own", "use std as s;", "`std` hides where paths lead"),
        ("classify/traffic", "fn f() { println!() }", "classify is pure, it may not say println"),
        ("rpc/link_resolver/stream", "use crate::store::Store;", "rpc/link_resolver may not use store"),
        ("rpc/link_resolver/stream", "use crate::spool::Spool;", "rpc/link_resolver may not use spool"),
        ("rpc/link_resolver/stream/tests", "use crate::store::Store;", "rpc/link_resolver may not use store"),
        ("rpc/token", "impl From<E> for ::tonic::Status {}", "only rpc/status converts into a Status"),
    ] {
        assert_eq!(problems(file, source), expected, "{file}: {source}");
    }
    let io = "use std::{fs, env, process, time::{Instant}};\nuse std::net::{TcpStream, IpAddr};";
    let said = ["std::fs", "std::env", "std::process", "Instant", "TcpStream"];
    let said = said.map(|words| format!("domain is pure, it may not say {words}")).join("; ");
    assert_eq!(problems("domain/host", io), said);
    assert_eq!(faults("domain/host", io)[4].split(' ').next(), Some("src/domain/host.rs:2:"));
    assert_eq!(faults("storefront", ""), ["src/storefront.rs is in no room"]);
}

#[test]
fn what_is_allowed_passes() {
    for (file, source) in [
        ("domain/link", "use super::host::{self, Host};\nuse std::net::IpAddr;"),
        ("domain/link", "// use crate::store;\n/// `diesel::sql_query`\nconst A: &str = \"tokio::spawn\";"),
        ("domain/link", "#[cfg(test)]\nmod tests { use super::*; use proptest::prelude::*; }"),
        ("classify/geo/tests", "use proptest::prelude::*;"),
        ("index/own", "fn f(http: Http) { let url = http.tokio::<u8>(); my_diesel::x(self) }"),
        ("dev/postgres/tests", "use tokio_postgres::Client;"),
        ("feed/copy", "use tower::Service;"),
        ("rpc/link_admin/links", "use super::super::{link_resolver, token};"),
        ("rpc/link_resolver/stream/tests", "use crate::spool::Spool;"),
        ("rpc/status", "impl From<E> for Status {}"),
    ] {
        assert_eq!(problems(file, source), "", "{file}: {source}");
    }
}
