//! `docs/walkthrough.md` is what happens: its commands are run in their order against `smartlinks dev`, and what they
//! print has to be what stands there. `SMARTLINKS_REWRITE_DOCS=1` writes what they print into the page instead.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use crate::support::dev::{Dev, free_ports};

/// What `make run` listens on: the server, the gateway, the metrics, the shop's pages.
const PORTS: [u16; 4] = [50_051, 8_080, 9_090, 8_081];
/// Stands behind the output of a block, before its status.
const MARK: &str = "=== the end of a block, with status";
/// Who draws which variant depends on it; an installation makes up its own.
const SPLIT_SECRET: &str = "what the walkthrough draws by";

/// A part of the page.
enum Part {
    /// Lines that stay as they are.
    Prose(String),
    /// Commands of an `sh` block; what they print follows in a `text` block, if they print anything.
    Commands(String),
}

/// Takes a page apart, without the outputs.
fn parts(page: &str) -> Vec<Part> {
    let mut parts = vec![Part::Prose(String::new())];
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let block = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n"));
        match (line, parts.last_mut()) {
            ("```sh", _) => {
                let commands = block.collect();
                parts.extend([Part::Commands(commands), Part::Prose(String::new())]);
            }
            ("```text", Some(Part::Prose(between))) => {
                assert_eq!(between.trim(), "", "an output stands right behind its commands");
                between.clear();
                block.for_each(drop);
            }
            (_, Some(Part::Prose(prose))) => prose.extend([line, "\n"]),
            (_, Some(Part::Commands(_)) | None) => unreachable!("prose follows commands"),
        }
    }
    parts
}

/// Puts the page together again, with these outputs.
fn page(parts: &[Part], mut outputs: impl Iterator<Item = String>) -> String {
    let mut page = String::new();
    for part in parts {
        match part {
            Part::Prose(prose) => page.push_str(prose),
            Part::Commands(commands) => {
                page.extend(["```sh\n", commands, "```\n"]);
                let output = outputs.next().expect("an output of each block");
                if !output.is_empty() {
                    page.extend(["\n```text\n", &output, "```\n"]);
                }
            }
        }
    }
    page
}

/// Runs all blocks in one shell, and returns what each printed.
fn run(parts: &[Part], folder: &Path, dev: &Dev) -> Vec<String> {
    let mut script = "exec 2>&1\n".to_owned();
    for part in parts {
        if let Part::Commands(commands) = part {
            script.extend([commands, "printf '%s %s\\n' '", MARK, "' $?\n"]);
        }
    }
    let program = Path::new(env!("CARGO_BIN_EXE_smartlinks")).parent().unwrap();
    let folders = env::split_paths(&env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    let path: OsString = env::join_paths([program.to_owned()].into_iter().chain(folders)).unwrap();
    let ran = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        .env("SMARTLINKS_SERVER", format!("http://127.0.0.1:{}", dev.ports[0]))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap();
    let mut pieces = printed.split(MARK);
    let (mut output, mut outputs) = (pieces.next().unwrap_or_default(), Vec::new());
    for piece in pieces {
        // The rest of the line is the status.
        let (status, next) = piece.split_once('\n').unwrap();
        assert!(status == " 0" || is_refusal(output), "status{status}:\n{output}");
        outputs.push(output.to_owned());
        output = next;
    }
    assert_eq!(output, "", "the shell ended before the page did");
    outputs
}

/// Tells whether a server refused a call: `InvalidArgument MALFORMED: …`.
fn is_refusal(output: &str) -> bool {
    let Some((code, rest)) = output.split_once(' ') else { return false };
    let Some((reason, _)) = rest.split_once(':') else { return false };
    let is_reason = |char: char| char.is_ascii_uppercase() || char == '_';
    code.chars().all(char::is_alphabetic) && !reason.is_empty() && reason.chars().all(is_reason)
}

/// Puts words for what differs from run to run: ids of clicks, times, and positions in the ledger, which depend on how many
/// clicks came into the database together. Ports become those of `make run`.
fn steady(output: &str, ports: [u16; 4]) -> String {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "-_.:".contains(char);
    let (mut steady, mut before) = (String::new(), "");
    for word in output.split_inclusive(|char| !is_part(char)) {
        let (word, end) = word.split_at(word.trim_end_matches(|char| !is_part(char)).len());
        let port = |word: &str| {
            let (host, port) = word.rsplit_once(':')?;
            let at = ports.iter().position(|other| other.to_string() == port)?;
            Some(format!("{host}:{}", PORTS[at]))
        };
        if Uuid::try_parse(word).is_ok() {
            steady.push_str("CLICK");
        } else if word.parse::<Timestamp>().is_ok() {
            steady.push_str("TIME");
        } else if before == "as_of_position" && word.trim_start_matches(':').parse::<u64>().is_ok() {
            steady.extend([&word[..word.len() - word.trim_start_matches(':').len()], "POSITION"]);
        } else {
            steady.push_str(&port(word).unwrap_or_else(|| word.to_owned()));
        }
        steady.push_str(end);
        if word.contains(|char: char| char.is_ascii_alphanumeric()) {
            before = word;
        }
    }
    steady
}

/// Starts a fresh installation on a day that has not ended when it is there: yesterday's clicks are asked for.
fn start(folder: &Path) -> Dev {
    let today = || Timestamp::now().to_zoned(TimeZone::UTC).date();
    loop {
        let (day, home) = (today(), folder.join(".smartlinks/dev"));
        fs::create_dir_all(home.join("secrets")).unwrap();
        fs::write(home.join("secrets/splits"), SPLIT_SECRET).unwrap();
        let dev = Dev::start(&home, free_ports());
        if day == today() {
            return dev;
        }
        drop(dev);
        fs::remove_dir_all(home).unwrap();
    }
}

#[test]
fn walkthrough_is_what_happens() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/walkthrough.md");
    let written = fs::read_to_string(&path).unwrap();
    let parts = parts(&written);
    let commands = parts.iter().filter(|part| matches!(part, Part::Commands(_))).count();
    assert!(commands > 8, "only {commands} blocks of commands were found");
    let folder = tempfile::Builder::new().prefix("walkthrough-").tempdir().unwrap();
    let dev = start(folder.path());
    let outputs = run(&parts, folder.path(), &dev);
    let happened = page(&parts, outputs.iter().map(|output| steady(output, dev.ports)));
    dev.interrupt();
    if env::var_os("SMARTLINKS_REWRITE_DOCS").is_some() {
        fs::write(path, happened).unwrap();
    } else if happened != written {
        let other = folder.path().join("happened.md");
        fs::write(&other, happened).unwrap();
        let told = Command::new("diff").arg("-u").args([path, other]).output().unwrap();
        panic!(
            "other things happen (SMARTLINKS_REWRITE_DOCS=1 writes them into the page):\n{}",
            String::from_utf8_lossy(&told.stdout)
        );
    }
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    let output = r#"{"location":"http://localhost:4444/a?click_id=01a20464-ebbe-70e5-a7ae-519e62ae40ac"}
  "click_time": "2026-11-22T17:54:12.542Z", "as_of_position": 4, "clicks": 4, "page": "sale.html"
{"clicks":14,"as_of_position":5,"revision":8}
"#;
    let expected = r#"{"location":"http://localhost:8081/a?click_id=CLICK"}
  "click_time": "TIME", "as_of_position": POSITION, "clicks": 4, "page": "sale.html"
{"clicks":14,"as_of_position":POSITION,"revision":8}
"#;
    assert_eq!(steady(output, [1, 2, 3, 4_444]), expected);
}
