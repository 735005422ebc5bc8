//! The Dockerfile uses what is there, and makes the image that the chart expects.

use std::{collections::BTreeSet, fs};

use super::{DEFAULTS, container, list, read, render, root, text, variable};

/// Returns the instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<String> {
    let joined = read("Dockerfile").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// Returns the words behind an instruction, each time it stands there.
fn words_of<'a>(instructions: &'a [String], keyword: &str) -> Vec<Vec<&'a str>> {
    let fitting = instructions.iter().filter_map(|line| line.strip_prefix(keyword)?.strip_prefix(' '));
    fitting.map(|rest| rest.split_whitespace().collect()).collect()
}

#[test]
fn dockerfile_copies_what_there_is() {
    let instructions = instructions();
    let ignored = read(".dockerignore");
    let admitted: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"));
    let stages: Vec<_> =
        words_of(&instructions, "FROM").iter().filter_map(|words| words.get(2).copied()).collect();
    let (mut copied, mut from_stages) = (BTreeSet::new(), 0);
    for words in words_of(&instructions, "COPY") {
        let paths: Vec<_> = words.iter().filter(|word| !word.starts_with("--")).collect();
        let (_, sources) = paths.split_last().unwrap();
        if let Some(stage) = words.iter().find_map(|word| word.strip_prefix("--from=")) {
            assert!(stages.contains(&stage), "{stage}");
            from_stages += 1;
            continue;
        }
        for source in sources {
            assert!(root().join(source).exists(), "COPY {source}");
            let top = source.split('/').next().unwrap();
            assert!(admitted.contains(top), ".dockerignore hides {source}");
            copied.insert(top);
        }
    }
    assert_eq!(from_stages, 3);
    assert_eq!(copied, admitted);
    // No address of a registry: whoever builds chooses where images come from.
    for words in words_of(&instructions, "FROM") {
        assert!(!words[0].contains('/') && !words[0].contains(".."), "{words:?}");
    }
}

#[test]
fn programs_are_built_from_what_is_copied() {
    let manifest = read("Cargo.toml");
    for path in manifest.lines().filter_map(|line| line.strip_prefix("path = ")) {
        let path = path.trim_matches('"');
        assert!(
            path.starts_with("src/") || path.starts_with("tests/") || path.starts_with("benches/"),
            "{path}"
        );
    }
    // What the sources take in from elsewhere.
    let (mut folders, mut found) = (vec![root().join("src")], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            // Tests are not part of the programs.
            let source = source.split("#[cfg(test)]").next().unwrap();
            if path.file_stem().unwrap() == "tests" {
                continue;
            }
            let taken = ["include_str!(\"", "include_bytes!(\""]
                .iter()
                .flat_map(|taking| source.split(taking).skip(1));
            for taken in taken.map(|rest| rest.split('"').next().unwrap()) {
                let taken = path.parent().unwrap().join(taken).canonicalize().unwrap();
                let mut copied = ["src", "proto", "migrations"].iter().map(|folder| root().join(folder));
                assert!(
                    copied.any(|folder| taken.starts_with(folder)),
                    "{} takes in {}",
                    path.display(),
                    taken.display()
                );
                found += 1;
            }
        }
    }
    assert!(found > 0);
}

#[test]
fn steps_are_those_of_the_scripts() {
    let instructions = instructions();
    let runs = words_of(&instructions, "RUN");
    assert_eq!(runs, [vec!["scripts/setup", "country"], vec!["scripts/image", "build", "/image"]]);
    assert!(read("scripts/setup").lines().any(|line| line == "country) need_country ;;"));
    let image = read("scripts/image");
    for verb in ["build", "check"] {
        assert!(image.contains(&format!("'{verb} DIR') {verb} \"$2\" ;;")));
        assert!(read("Makefile").contains(&format!("@scripts/image {verb} .smartlinks/image")));
    }
    let steps = read(".ci/run");
    assert_eq!(steps.lines().rfind(|line| line.starts_with("step ")), Some("step make image"));
}

#[test]
fn image_is_what_the_chart_expects() {
    let instructions = instructions();
    let script = read("scripts/image");
    let rendered = render("links", DEFAULTS);
    let mut exposed = BTreeSet::new();
    for workload in rendered.workloads() {
        let program = text(container(workload), "/command/0").strip_prefix("/usr/bin/").unwrap();
        assert!(script.contains("strip --strip-debug -o \"$root/usr/bin/$program\""));
        assert!(script.contains("for program in smartlinks smartlinks-gateway;"));
        assert!(["smartlinks", "smartlinks-gateway"].contains(&program));
        let user = &workload["spec"]["template"]["spec"]["securityContext"]["runAsUser"];
        assert_eq!(words_of(&instructions, "USER"), [[format!("{user}:{user}")]]);
        assert!(script.lines().any(|line| line == format!("user={user}")));
        exposed
            .extend(list(container(workload), "/ports").iter().map(|port| port["containerPort"].to_string()));
    }
    let ports = words_of(&instructions, "EXPOSE").concat();
    assert_eq!(ports.iter().map(|port| (*port).to_owned()).collect::<BTreeSet<_>>(), exposed);
    let countries = variable(container(rendered.only("StatefulSet")), "SMARTLINKS_GEO_DB");
    assert!(script.contains(&format!("\"$root{countries}\"")), "{countries}");
    let state = variable(container(rendered.only("StatefulSet")), "SMARTLINKS_STATE_DIR");
    assert!(script.contains(&format!("\"$root{state}\"")), "{state}");
    assert_eq!(words_of(&instructions, "FROM").last().unwrap(), &["scratch"]);
    assert_eq!(words_of(&instructions, "STOPSIGNAL"), [["SIGTERM"]]);
}
