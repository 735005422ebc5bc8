//! The chart sets what the programs take, and whatever they take can be set.

use std::{collections::BTreeSet, fs, path::Path};

use clap::{Args, Command, FromArgMatches};
use serde_json::Value;
use smartlinks::config::{gateway::GatewayArgs, migrate::MigrateArgs, serve::ServeArgs};

use super::{all, container, list, name, read, text, variables};

/// A program of a container: what it takes, and how it reads that.
struct Program {
    command: Command,
    read: fn(&Command, &[String]) -> Result<(), String>,
}

impl Program {
    /// Finds the program that a container starts.
    fn of(container: &Value) -> Self {
        let words: Vec<_> = ["/command", "/args"].iter().flat_map(|at| list(container, at)).collect();
        let words: Vec<_> = words.into_iter().map(|word| word.as_str().unwrap()).collect();
        Self::named(&words)
    }

    fn named(words: &[&str]) -> Self {
        match words {
            ["/usr/bin/smartlinks", "serve"] => Self {
                command: ServeArgs::augment_args(Command::new("serve")),
                read: |command, flags| parsed::<ServeArgs>(command, flags).read().map(drop).map_err(told),
            },
            ["/usr/bin/smartlinks", "migrate"] => Self {
                command: MigrateArgs::augment_args(Command::new("migrate")),
                read: |command, flags| parsed::<MigrateArgs>(command, flags).read().map(drop).map_err(told),
            },
            ["/usr/bin/smartlinks-gateway"] => Self {
                command: GatewayArgs::augment_args(Command::new("gateway")),
                read: |command, flags| parsed::<GatewayArgs>(command, flags).read().map(drop).map_err(told),
            },
            other => panic!("no program is started by {other:?}"),
        }
    }

    /// Returns the variables that it reads.
    fn takes(&self) -> BTreeSet<String> {
        self.command.get_arguments().filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned)).collect()
    }

    /// Returns the flag of a variable.
    fn flag(&self, variable: &str) -> String {
        let mut flags = self.command.get_arguments();
        let arg = flags.find(|arg| arg.get_env().is_some_and(|env| env == variable)).unwrap();
        format!("--{}", arg.get_long().unwrap())
    }
}

fn parsed<T: FromArgMatches>(command: &Command, flags: &[String]) -> T {
    let words = std::iter::once("program".to_owned()).chain(flags.iter().cloned());
    T::from_arg_matches(&command.clone().try_get_matches_from(words).unwrap()).unwrap()
}

fn told(faults: impl ToString) -> String {
    faults.to_string()
}

#[test]
fn every_variable_is_one_that_the_program_reads() {
    for rendered in all() {
        for workload in rendered.workloads() {
            let takes = Program::of(container(workload)).takes();
            let set: Vec<_> = variables(container(workload)).into_iter().map(|(name, _)| name).collect();
            for variable in &set {
                assert!(takes.contains(*variable), "{} sets {variable}: {takes:?}", name(workload));
            }
            let once: BTreeSet<_> = set.iter().collect();
            assert_eq!(once.len(), set.len(), "{} sets something twice: {set:?}", name(workload));
        }
    }
}

#[test]
fn every_value_is_one_that_the_program_accepts() {
    let folder = tempfile::tempdir().unwrap();
    for rendered in all() {
        for workload in rendered.workloads() {
            let program = Program::of(container(workload));
            let mut flags = Vec::new();
            for (name, value) in variables(container(workload)) {
                // Files of the container are not here; others stand in for them.
                let is_file = name.ends_with("_FILE") || name == "SMARTLINKS_GEO_DB";
                let stand_in = folder.path().join(Path::new(value).file_name().unwrap_or_default());
                if is_file {
                    fs::write(&stand_in, "text".repeat(8)).unwrap();
                }
                let value = if is_file { stand_in.to_str().unwrap() } else { value };
                flags.push(format!("{}={value}", program.flag(name)));
            }
            (program.read)(&program.command, &flags).unwrap_or_else(|faults| panic!("{flags:?}: {faults}"));
        }
    }
}

/// What the chart never sets: variable → why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("SMARTLINKS_DATABASE_URL", "secrets come from files"),
    ("SMARTLINKS_ALLOW_ANYONE_ON_THE_NETWORK", "the chart insists on a token"),
];

#[test]
fn whatever_a_program_reads_can_be_set() {
    let schema: Value = serde_json::from_str(&read("helm/smartlinks/values.schema.json")).unwrap();
    let components = [
        ("server", vec!["/usr/bin/smartlinks", "serve"], "server"),
        ("gateway", vec!["/usr/bin/smartlinks-gateway"], "gateway"),
        ("migration", vec!["/usr/bin/smartlinks", "migrate"], "migrate"),
    ];
    for (values, words, component) in components {
        let settings = format!("/properties/{values}/properties/settings/properties");
        let settings = schema.pointer(&settings).unwrap().as_object().unwrap();
        // With the defaults only what the chart sets by itself is there, besides those of the values; and some of it
        // only with a secret.
        let secrets = "visitorKey: { secret: { name: v } }\ncookieKey: { secret: { name: c } }\n\
            splitKey: { secret: { name: s } }\n";
        let defaults = super::render("links", &format!("{}{secrets}", super::DEFAULTS));
        let workloads = defaults.workloads();
        let of_component =
            |workload: &&&Value| text(workload, "/metadata/labels/app.kubernetes.io~1component") == component;
        let own = container(workloads.iter().find(of_component).unwrap());
        let own: BTreeSet<_> = variables(own).into_iter().map(|(name, _)| name.to_owned()).collect();
        let defaults: Value = serde_saphyr::from_str(&read("helm/smartlinks/values.yaml")).unwrap();
        let preset = defaults.pointer(&format!("/{values}/settings")).unwrap().as_object().unwrap();
        for name in settings.keys() {
            assert!(!own.contains(name) || preset.contains_key(name), "{values}: {name} could be set twice");
        }
        let left_out = LEFT_OUT.iter().map(|(name, _)| (*name).to_owned());
        let takes: BTreeSet<_> = Program::named(&words).takes();
        let left_out: BTreeSet<_> = left_out.filter(|name| takes.contains(name)).collect();
        let can: BTreeSet<_> = settings.keys().cloned().chain(own).chain(left_out).collect();
        assert_eq!(can, takes, "{values}: the schema's settings and the program's differ");
    }
}

#[test]
fn what_is_set_arrives() {
    let rendered = super::render("links", super::EVERYTHING);
    let given: Value = serde_saphyr::from_str(super::EVERYTHING).unwrap();
    for (values, kind) in [("server", "StatefulSet"), ("gateway", "Deployment"), ("migration", "Job")] {
        let container = container(rendered.only(kind));
        for (name, value) in given.pointer(&format!("/{values}/settings")).unwrap().as_object().unwrap() {
            assert_eq!(super::variable(container, name), value.as_str().unwrap());
        }
    }
}
