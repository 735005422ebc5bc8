//! What the chart promises about pods: who they are, how they start, stop and move, and that no secret shows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Rendered, all, container, kind, list, name, production, text, variable};

#[test]
fn pods_are_nobody_and_may_nothing() {
    for rendered in all() {
        for workload in rendered.workloads() {
            let (pod, container) = (&workload["spec"]["template"]["spec"], container(workload));
            assert_eq!(pod["automountServiceAccountToken"], false);
            // Variables of Services begin with the release's name: `SMARTLINKS_…`.
            assert_eq!(pod["enableServiceLinks"], false);
            let user = &pod["securityContext"];
            assert_eq!(
                (&user["runAsNonRoot"], &user["seccompProfile"]["type"]),
                (&json!(true), &json!("RuntimeDefault"))
            );
            assert!(user["runAsUser"].as_u64().unwrap() > 0);
            assert_eq!((&user["runAsGroup"], &user["fsGroup"]), (&user["runAsUser"], &user["runAsUser"]));
            let may = &container["securityContext"];
            assert_eq!(may["allowPrivilegeEscalation"], false);
            assert_eq!(may["readOnlyRootFilesystem"], true);
            assert_eq!(may["capabilities"]["drop"], json!(["ALL"]));
            for resource in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
                assert!(container["resources"].pointer(resource).is_some(), "{}: {resource}", name(workload));
            }
            for key in ["hostNetwork", "hostPID", "hostIPC"] {
                assert_eq!(pod.get(key), None);
            }
            let writable = list(container, "/volumeMounts").iter().filter(|mount| mount["readOnly"] != true);
            let writable: Vec<_> = writable.map(|mount| text(mount, "/mountPath")).collect();
            assert_eq!(
                writable,
                if kind(workload) == "StatefulSet" { vec!["/var/lib/smartlinks"] } else { vec![] }
            );
        }
        for account in rendered.of("ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false);
        }
    }
    // A platform that chooses the user itself gets no user.
    let chosen = super::render("links", &format!("{}user: null", super::DEFAULTS));
    let user = &chosen.only("StatefulSet")["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(
        (user.get("runAsUser"), user.get("fsGroup"), &user["runAsNonRoot"]),
        (None, None, &json!(true))
    );
}

#[test]
fn every_mount_has_its_volume() {
    for rendered in all() {
        for workload in rendered.workloads() {
            let spec = &workload["spec"];
            let volumes = list(spec, "/template/spec/volumes").iter().map(|volume| text(volume, "/name"));
            let claims = list(spec, "/volumeClaimTemplates").iter().map(name);
            let volumes: BTreeSet<_> = volumes.chain(claims).collect();
            let mounts = list(container(workload), "/volumeMounts").iter().map(|mount| text(mount, "/name"));
            assert_eq!(mounts.collect::<BTreeSet<_>>(), volumes, "{}", name(workload));
            // Where a variable names a file or folder, something is mounted; the image itself brings the countries.
            for (variable, path) in super::variables(container(workload)) {
                let below = |mount: &Value| path.starts_with(text(mount, "/mountPath"));
                let is_there = list(container(workload), "/volumeMounts").iter().any(below);
                assert!(
                    !path.starts_with('/') || is_there || path.starts_with("/usr/share/"),
                    "{variable}={path}"
                );
            }
        }
    }
}

#[test]
fn secrets_are_named_and_never_shown() {
    for rendered in all() {
        assert_eq!(rendered.of("Secret").len() + rendered.of("ConfigMap").len(), 0);
        let whole = format!("{:?}", rendered.objects);
        assert!(!whole.contains("postgres://") && !whole.contains("valueFrom") && !whole.contains("envFrom"));
        let secrets = |kind: &str| -> Vec<(String, String, String)> {
            let volumes = list(rendered.only(kind), "/spec/template/spec/volumes").iter();
            let sources = volumes.flat_map(|volume| list(volume, "/projected/sources"));
            let items = sources.flat_map(|source| {
                let secret = text(source, "/secret/name").to_owned();
                list(source, "/secret/items").iter().map(move |item| (secret.clone(), item))
            });
            items
                .map(|(secret, item)| (secret, text(item, "/key").into(), text(item, "/path").into()))
                .collect()
        };
        let is_everything = rendered.what.contains("v1");
        let paths = |kind| secrets(kind).into_iter().map(|(_, _, path)| path).collect::<Vec<_>>();
        let optional = |path| is_everything.then_some(path);
        let of_server =
            ["token", "database-url"].into_iter().chain(optional("visitor-key")).chain(optional("split-key"));
        assert_eq!(paths("StatefulSet"), of_server.collect::<Vec<_>>());
        let of_gateway = ["token"].into_iter().chain(optional("cookie-key"));
        assert_eq!(paths("Deployment"), of_gateway.collect::<Vec<_>>());
        assert_eq!(paths("Job"), ["database-url"]);
        if is_everything {
            assert_eq!(secrets("Job")[0].0, "the-owner");
            assert_eq!(
                secrets("Deployment")[1],
                ("the-cookies".into(), "crumbs".into(), "cookie-key".into())
            );
            assert_eq!(secrets("StatefulSet")[0], ("the-token".into(), "word".into(), "token".into()));
        } else {
            assert_eq!(secrets("StatefulSet")[0].0, secrets("Deployment")[0].0);
        }
    }
    let defaults = super::render("links", super::DEFAULTS);
    let volumes = &defaults.only("Job")["spec"]["template"]["spec"]["volumes"];
    assert_eq!(text(volumes, "/0/projected/sources/0/secret/name"), "the-database");
}

#[test]
fn restarts_do_not_depend_on_others() {
    for rendered in all() {
        for (kind, ready) in [
            ("StatefulSet", json!({ "grpc": { "port": 50051, "service": "smartlinks.v1.LinkResolver" } })),
            ("Deployment", json!({ "httpGet": { "path": "/-/readyz", "port": "http" } })),
        ] {
            let container = container(rendered.only(kind));
            for (key, value) in ready.as_object().unwrap() {
                assert_eq!(container["readinessProbe"][key], *value);
            }
            // What health or readiness say depends on an index or on servers: neither comes back by a restart. And the
            // port of clicks may be full.
            for probe in ["startupProbe", "livenessProbe"] {
                assert_eq!(
                    container[probe]["httpGet"],
                    json!({ "path": "/metrics", "port": "metrics" }),
                    "{kind}"
                );
            }
        }
    }
}

/// Returns the seconds of a setting such as `10s`.
fn seconds(container: &Value, setting: &str) -> u64 {
    let text = variable(container, setting);
    text.strip_suffix('s')
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{setting}={text}"))
}

#[test]
fn nobody_is_killed_while_stopping_in_time() {
    for rendered in all() {
        for (kind, delay, drain, drains) in [
            ("StatefulSet", "SMARTLINKS_STOP_DELAY", "SMARTLINKS_DRAIN", 2),
            ("Deployment", "SMARTLINKS_GATEWAY_STOP_DELAY", "SMARTLINKS_GATEWAY_DRAIN", 1),
        ] {
            let container = container(rendered.only(kind));
            let needed = seconds(container, delay) + drains * seconds(container, drain);
            let grace = &rendered.only(kind)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
            assert!(grace.as_u64().unwrap() > needed, "{kind}: {grace} for {needed}");
        }
    }
}

#[test]
fn servers_go_once_gateways_know_their_successors() {
    let rendered = super::render("links", super::DEFAULTS);
    // Gateways look names up every 5 s, and a cluster's name service remembers for 5 s.
    assert!(seconds(container(rendered.only("StatefulSet")), "SMARTLINKS_STOP_DELAY") >= 10);
}

/// Returns the bytes of a quantity such as `256Mi`.
fn bytes(quantity: &str) -> u64 {
    let (number, unit) = quantity.split_at(quantity.len() - 2);
    let unit =
        ["Ki", "Mi", "Gi"].iter().position(|known| *known == unit).unwrap_or_else(|| panic!("{quantity}"));
    number.parse::<u64>().unwrap() << (10 * (unit + 1))
}

#[test]
fn slow_visitors_cannot_exhaust_a_gateways_memory() {
    for rendered in all() {
        let container = container(rendered.only("Deployment"));
        let set = super::variables(container)
            .into_iter()
            .find(|(name, _)| *name == "SMARTLINKS_GATEWAY_CONNECTIONS");
        let connections: u64 = set.map_or(10_000, |(_, value)| value.parse().unwrap());
        // Measured: 11 MB without a visitor, 75 KB for each whose head has come as far as 60 KB.
        let needed = (32 << 20) + connections * 80_000;
        let limit = text(container, "/resources/limits/memory");
        assert!(bytes(limit) > needed, "{}: {limit} for {connections} connections", rendered.what);
    }
}

#[test]
fn maintenance_is_possible_and_takes_few_at_a_time() {
    for rendered in all() {
        for budget in rendered.of("PodDisruptionBudget") {
            // With one replica, `minAvailable: 1` would hold its node for ever.
            assert_eq!(budget["spec"].get("minAvailable"), None);
            assert!(budget["spec"]["maxUnavailable"].as_u64().unwrap() >= 1);
        }
    }
    let rendered = production();
    let servers = rendered.only("StatefulSet");
    let replicas = servers["spec"]["replicas"].as_u64().unwrap();
    assert!(replicas >= 3);
    let budget = rendered.named("PodDisruptionBudget", "-server");
    assert!(budget["spec"]["maxUnavailable"].as_u64().unwrap() < replicas);
    assert!(rendered.only("HorizontalPodAutoscaler")["spec"]["minReplicas"].as_u64().unwrap() >= 3);
    for workload in [servers, rendered.only("Deployment")] {
        let spread = list(workload, "/spec/template/spec/topologySpreadConstraints").iter();
        // A node that takes none of the pods would count as an empty one, and hold back every second pod elsewhere.
        assert!(spread.clone().all(|one| one["nodeTaintsPolicy"] == "Honor"));
        let spread = spread.map(|one| (text(one, "/topologyKey"), text(one, "/whenUnsatisfiable")));
        let expected =
            [("kubernetes.io/hostname", "DoNotSchedule"), ("topology.kubernetes.io/zone", "ScheduleAnyway")];
        assert_eq!(spread.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn copies_of_the_index_are_kept() {
    let rendered = production();
    let spec = &rendered.only("StatefulSet")["spec"];
    assert_eq!(spec["podManagementPolicy"], "Parallel");
    let kept = json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
    assert_eq!(spec["persistentVolumeClaimRetentionPolicy"], kept);
    assert_eq!(text(spec, "/volumeClaimTemplates/0/metadata/name"), "state");
    let small = super::render("links", &super::read("helm/examples/small.yaml"));
    let spec = &small.only("StatefulSet")["spec"];
    assert_eq!(
        (spec.get("volumeClaimTemplates"), spec.get("persistentVolumeClaimRetentionPolicy")),
        (None, None)
    );
}

/// Returns the annotation of a hook.
fn hook<'a>(object: &'a Value, annotation: &str) -> Option<&'a str> {
    object.pointer(&format!("/metadata/annotations/helm.sh~1{annotation}"))?.as_str()
}

#[test]
fn migration_comes_before_everything_and_needs_nothing_of_it() {
    for rendered in all() {
        let (hooks, later): (Vec<_>, Vec<_>) =
            rendered.objects.iter().partition(|object| hook(object, "hook").is_some());
        let mut order: Vec<(i32, &str)> = hooks
            .iter()
            .map(|object| (hook(object, "hook-weight").unwrap().parse().unwrap(), kind(object)))
            .collect();
        order.sort_unstable();
        assert_eq!(order.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), ["NetworkPolicy", "Job"]);
        assert!(order[0].0 < order[1].0);
        for object in &hooks {
            assert_eq!(hook(object, "hook"), Some("pre-install,pre-upgrade"));
            // A Job that failed stays to be read.
            assert_eq!(hook(object, "hook-delete-policy"), Some("before-hook-creation,hook-succeeded"));
        }
        let job = rendered.only("Job");
        assert!(job["spec"]["activeDeadlineSeconds"].as_u64().unwrap() > 0);
        assert!(job["spec"]["backoffLimit"].is_u64());
        assert_eq!(text(job, "/spec/template/spec/restartPolicy"), "Never");
        let own: Vec<_> =
            later.iter().filter(|object| kind(object) == "ServiceAccount").map(|o| name(o)).collect();
        assert!(!own.contains(&text(job, "/spec/template/spec/serviceAccountName")));
    }
}

#[test]
fn names_fit_whatever_the_release_is_called() {
    assert_eq!(super::LONG_NAME.len(), 53);
    let name_length =
        |object: &Value| name(object).len() + if kind(object) == "StatefulSet" { 11 } else { 0 };
    for rendered in all() {
        let mut seen = BTreeSet::new();
        for object in &rendered.objects {
            // A StatefulSet's name and 11 more become a label of its pods.
            assert!(name_length(object) <= 63, "{} {}", kind(object), name(object));
            assert!(seen.insert((kind(object), name(object))), "{} {} twice", kind(object), name(object));
            assert_eq!(text(object, "/metadata/namespace"), "shop");
            labels_fit(&rendered, object);
        }
    }
}

fn labels_fit(rendered: &Rendered, object: &Value) {
    let pods = object.pointer("/spec/template/metadata/labels");
    for labels in object.pointer("/metadata/labels").into_iter().chain(pods) {
        for (key, value) in labels.as_object().unwrap() {
            assert!(value.as_str().unwrap().len() <= 63, "{}: {key}: {value}", rendered.what);
        }
    }
}
