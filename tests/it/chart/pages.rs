//! What people read about the chart is so.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::{DEFAULTS, EVERYTHING, chart, helm, name, read, render, text};

/// Collects the values that have no values below them, with their paths.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        // Lists of quantities and peers are one value each.
        Some(map) if !path.ends_with(".requests") && !path.ends_with(".limits") => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, found);
            }
        }
        Some(_) | None => {
            found.insert(path.to_owned(), value.clone());
        }
    }
}

#[test]
fn table_of_values_is_complete_and_tells_the_defaults() {
    let mut defaults = BTreeMap::new();
    leaves("", &serde_saphyr::from_str(&read("helm/smartlinks/values.yaml")).unwrap(), &mut defaults);
    let page = read("helm/smartlinks/README.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    let written: BTreeMap<String, Value> = rows
        .map(|(path, rest)| {
            let default = rest.split_once("` | ").unwrap().0;
            (
                path.to_owned(),
                serde_saphyr::from_str(default).unwrap_or_else(|error| panic!("{path}: {error}")),
            )
        })
        .collect();
    assert_eq!(written, defaults);
}

#[test]
fn chart_is_of_the_programs_version() {
    let chart: Value = serde_saphyr::from_str(&read("helm/smartlinks/Chart.yaml")).unwrap();
    assert_eq!(text(&chart, "/appVersion"), env!("CARGO_PKG_VERSION"));
    let image = format!("registry.example/smartlinks:{}", env!("CARGO_PKG_VERSION"));
    for workload in render("links", DEFAULTS).workloads() {
        assert_eq!(text(super::container(workload), "/image"), image);
    }
    let digest = super::production();
    assert!(text(super::container(digest.only("Job")), "/image").contains("/smartlinks@sha256:"));
}

/// Renders the notes, which helm shows only when it installs: a copy of the chart has them as an object.
fn notes(values: &str) -> String {
    let copy = tempfile::tempdir().unwrap();
    let copied = |from: &str| fs::copy(chart().join(from), copy.path().join(from)).unwrap();
    fs::create_dir(copy.path().join("templates")).unwrap();
    for file in
        ["Chart.yaml", "values.yaml", "values.schema.json", "templates/_helpers.tpl", "templates/checks.yaml"]
    {
        copied(file);
    }
    let notes = read("helm/smartlinks/templates/NOTES.txt");
    let object = format!(
        "{{{{ define \"notes\" }}}}{notes}{{{{ end }}}}kind: Notes\nmetadata: {{ name: notes }}\ntext: {{{{ include \"notes\" . | toJson }}}}\n"
    );
    fs::write(copy.path().join("templates/notes.yaml"), object).unwrap();
    let objects = helm(copy.path(), "links", values, &[]).unwrap_or_else(|error| panic!("{error}"));
    text(&objects[0], "/text").to_owned()
}

#[test]
fn first_commands_name_what_is_there() {
    for (values, is_routed) in [(DEFAULTS, false), (EVERYTHING, true)] {
        let (notes, rendered) = (notes(values), render("links", values));
        let commands: Vec<_> = notes.lines().filter(|line| line.starts_with("  kubectl ")).collect();
        assert!(commands.len() >= 5, "{notes}");
        for command in commands {
            assert!(command.starts_with("  kubectl --namespace shop "), "{command}");
            for word in command.split_whitespace() {
                let Some((kind, object)) = word.split_once('/').filter(|_| !word.contains('"')) else {
                    continue;
                };
                let there = rendered
                    .objects
                    .iter()
                    .any(|one| super::kind(one).eq_ignore_ascii_case(kind) && name(one) == object);
                assert!(there, "there is no {word}: {command}");
            }
            if let Some((_, request)) = command.split_once(" '") {
                let request = request.strip_suffix('\'').unwrap();
                serde_json::from_str::<Value>(request).unwrap_or_else(|error| panic!("{request}: {error}"));
            }
        }
        let pod = format!("exec {}-0 --", name(rendered.only("StatefulSet")));
        assert!(notes.contains(&pod), "{notes}");
        for service in rendered.of("Service").into_iter().filter(|service| name(service).ends_with("-api")) {
            assert!(notes.contains(&format!("{}.shop.svc:50051", name(service))), "{notes}");
        }
        assert_eq!(notes.contains("curl -i https://go.shop.example/sale"), is_routed, "{notes}");
        assert!(notes.contains("smartlinks-caller: links"), "{notes}");
        assert!(!notes.contains("WARNING"), "{notes}");
    }
    let behind_proxy =
        format!("{DEFAULTS}\ngateway: {{ ingress: {{ enabled: true, hosts: [go.shop.example] }} }}");
    assert!(notes(&behind_proxy).contains("WARNING: an Ingress"));
    assert!(notes(&format!("{DEFAULTS}\ngeo: {{ path: '' }}")).contains("WARNING: geo.path is empty"));
}

#[test]
fn examples_that_the_page_names_are_there() {
    let page = read("helm/smartlinks/README.md");
    for file in ["small", "production"] {
        assert!(page.contains(&format!("(../examples/{file}.yaml)")), "{file}");
    }
    assert!(Path::new(&chart()).join("../examples/small.yaml").is_file());
}
