//! What refers to something refers to something that is there: labels, ports, names.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Rendered, all, container, kind, list, name, text, variable};

/// Returns the labels of a workload's pods.
fn pod_labels(workload: &Value) -> &serde_json::Map<String, Value> {
    workload.pointer("/spec/template/metadata/labels").unwrap().as_object().unwrap()
}

/// Returns the workloads whose pods have these labels.
fn chosen<'a>(rendered: &'a Rendered, selector: &Value) -> Vec<&'a Value> {
    let selector = selector.as_object().unwrap_or_else(|| panic!("{}: no selector", rendered.what));
    assert!(!selector.is_empty(), "an empty selector chooses everything");
    let fits =
        |workload: &&Value| selector.iter().all(|(key, value)| pod_labels(workload).get(key) == Some(value));
    rendered.workloads().into_iter().filter(fits).collect()
}

/// Returns the only workload that a selector chooses.
fn only<'a>(rendered: &'a Rendered, of: &Value, selector: &str) -> &'a Value {
    let labels = of.pointer(selector).unwrap_or_else(|| panic!("{} has no {selector}", name(of)));
    match chosen(rendered, labels)[..] {
        [workload] => workload,
        ref several => panic!("{} {} chooses {} workloads", kind(of), name(of), several.len()),
    }
}

/// Returns the ports of a container by name.
fn ports(container: &Value) -> BTreeMap<&str, u64> {
    let ports = list(container, "/ports").iter();
    ports.map(|port| (text(port, "/name"), port["containerPort"].as_u64().unwrap())).collect()
}

#[test]
fn selectors_choose_what_they_are_for() {
    for rendered in all() {
        for workload in rendered.workloads().into_iter().filter(|workload| kind(workload) != "Job") {
            assert_eq!(name(only(&rendered, workload, "/spec/selector/matchLabels")), name(workload));
            for spread in list(workload, "/spec/template/spec/topologySpreadConstraints") {
                let among = chosen(&rendered, &spread["labelSelector"]["matchLabels"]);
                assert_eq!(among.iter().map(|object| name(object)).collect::<Vec<_>>(), [name(workload)]);
            }
        }
        for service in rendered.of("Service") {
            let chosen = only(&rendered, service, "/spec/selector");
            let is_of_server = ["-server", "-api"].iter().any(|ending| name(service).ends_with(ending));
            assert_eq!(
                kind(chosen),
                if is_of_server { "StatefulSet" } else { "Deployment" },
                "{}",
                name(service)
            );
        }
        for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
            let pointer = if kind == "NetworkPolicy" {
                "/spec/podSelector/matchLabels"
            } else {
                "/spec/selector/matchLabels"
            };
            for object in rendered.of(kind) {
                assert_eq!(name(only(&rendered, object, pointer)), name(object), "{kind}");
            }
        }
        assert_eq!(rendered.of("PodDisruptionBudget").len(), 2);
        assert_eq!(rendered.of("NetworkPolicy").len(), 3);
    }
}

#[test]
fn programs_listen_where_they_are_looked_for() {
    for rendered in all() {
        let expected = [
            ("StatefulSet", vec![("SMARTLINKS_LISTEN", "grpc"), ("SMARTLINKS_METRICS_LISTEN", "metrics")]),
            (
                "Deployment",
                vec![("SMARTLINKS_GATEWAY_LISTEN", "http"), ("SMARTLINKS_GATEWAY_METRICS_LISTEN", "metrics")],
            ),
        ];
        for (kind, listeners) in expected {
            let container = container(rendered.only(kind));
            let listens = listeners.into_iter().map(|(setting, port)| {
                (port, variable(container, setting).rsplit_once(':').unwrap().1.parse().unwrap())
            });
            assert_eq!(ports(container), listens.collect::<BTreeMap<&str, u64>>(), "{kind}");
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                match (
                    container.pointer(&format!("/{probe}/httpGet/port")),
                    &container[probe]["grpc"]["port"],
                ) {
                    (Some(port), _) => {
                        assert!(ports(container).contains_key(port.as_str().unwrap()), "{probe}")
                    }
                    (None, port) => assert_eq!(port.as_u64(), Some(ports(container)["grpc"]), "{probe}"),
                }
            }
            let annotations = &rendered.only(kind)["spec"]["template"]["metadata"]["annotations"];
            assert_eq!(text(annotations, "/prometheus.io~1port"), ports(container)["metrics"].to_string());
        }
        for service in rendered.of("Service") {
            let container = container(only(&rendered, service, "/spec/selector"));
            for port in list(service, "/spec/ports") {
                assert!(ports(container).contains_key(text(port, "/targetPort")), "{}", name(service));
                // A headless Service translates no ports.
                if service["spec"]["clusterIP"] == "None" {
                    assert_eq!(port["port"], ports(container)[text(port, "/targetPort")]);
                }
            }
        }
    }
}

/// Returns the numbers of the ports of a policy's rules.
fn policy_ports(policy: &Value, direction: &str) -> Vec<u64> {
    let rules = list(policy, &format!("/spec/{direction}")).iter();
    rules.flat_map(|rule| list(rule, "/ports")).map(|port| port["port"].as_u64().unwrap()).collect()
}

#[test]
fn policies_open_the_ports_that_are_used() {
    for rendered in all() {
        let server = ports(container(rendered.only("StatefulSet")));
        let gateway = ports(container(rendered.only("Deployment")));
        let of_server = rendered.named("NetworkPolicy", "-server");
        let of_gateway = rendered.named("NetworkPolicy", "-gateway");
        let of_migration = rendered.named("NetworkPolicy", "-migrate");
        assert_eq!(policy_ports(of_server, "ingress"), [server["grpc"], server["metrics"]]);
        assert_eq!(policy_ports(of_gateway, "ingress"), [gateway["http"], gateway["metrics"]]);
        assert!(policy_ports(of_migration, "ingress").is_empty());
        // Names, then where they lead: PostgreSQL, and from the gateway the servers.
        let (names, postgres) = if rendered.what.contains("v1") { (5353, 6432) } else { (53, 5432) };
        assert_eq!(policy_ports(of_server, "egress"), [names, names, postgres]);
        assert_eq!(policy_ports(of_migration, "egress"), [names, names, postgres]);
        assert_eq!(policy_ports(of_gateway, "egress"), [names, names, server["grpc"]]);
        for policy in [of_server, of_gateway, of_migration] {
            assert_eq!(
                policy["spec"]["policyTypes"],
                serde_json::json!(["Ingress", "Egress"]),
                "{}",
                name(policy)
            );
        }
        // The gateway may leave for the servers and is let in there.
        let leaves = &of_gateway["spec"]["egress"][1]["to"][0]["podSelector"]["matchLabels"];
        assert_eq!(chosen(&rendered, leaves), [rendered.only("StatefulSet")]);
        let callers = list(of_server, "/spec/ingress/0/from");
        assert_eq!(
            chosen(&rendered, &callers[0]["podSelector"]["matchLabels"]),
            [rendered.only("Deployment")]
        );
        let release = text(of_server, "/metadata/labels/app.kubernetes.io~1instance");
        assert_eq!(text(&callers[1], "/podSelector/matchLabels/smartlinks-caller"), release);
        // An empty list of peers would be everybody.
        for rule in ["ingress", "egress"].iter().flat_map(|at| list(of_server, &format!("/spec/{at}"))) {
            assert!(
                rule.get("from").or(rule.get("to")).is_none_or(|peers| !peers.as_array().unwrap().is_empty())
            );
        }
        assert!(list(of_server, "/spec/ingress").iter().all(|rule| !list(rule, "/from").is_empty()));
    }
}

#[test]
fn gateway_asks_all_servers_that_are_ready() {
    for rendered in all() {
        let servers = rendered.only("StatefulSet");
        let headless = rendered.named("Service", "-server");
        assert_eq!(headless["spec"]["clusterIP"], "None");
        assert_eq!(headless["spec"]["publishNotReadyAddresses"], false);
        assert_eq!(text(servers, "/spec/serviceName"), name(headless));
        let resolver = variable(container(rendered.only("Deployment")), "SMARTLINKS_RESOLVER");
        let port = &headless["spec"]["ports"][0]["port"];
        assert_eq!(
            resolver,
            format!("http://{}.{}.svc:{port}", name(headless), text(headless, "/metadata/namespace"))
        );
        assert_eq!(text(rendered.named("Service", "-api"), "/spec/type"), "ClusterIP");
    }
}

#[test]
fn routes_scalers_and_monitors_lead_somewhere() {
    let rendered = super::render("links", super::EVERYTHING);
    let browsers = rendered.named("Service", "-gateway");
    let port = &browsers["spec"]["ports"][0];
    let backend = &rendered.only("Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    assert_eq!((&backend["name"], &backend["port"]["name"]), (&browsers["metadata"]["name"], &port["name"]));
    let backend = &rendered.only("HTTPRoute")["spec"]["rules"][0]["backendRefs"][0];
    assert_eq!((&backend["name"], &backend["port"]), (&browsers["metadata"]["name"], &port["port"]));
    let scaled = rendered.only("Deployment");
    let target = &rendered.only("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    assert_eq!((text(target, "/kind"), text(target, "/name")), ("Deployment", name(scaled)));
    // The number is the autoscaler's alone.
    assert_eq!(scaled["spec"].get("replicas"), None);

    let monitor = rendered.only("ServiceMonitor");
    let wanted = &monitor["spec"]["selector"]["matchExpressions"][0]["values"];
    let component = |service: &Value| service["metadata"]["labels"]["app.kubernetes.io/component"].clone();
    let services = rendered.of("Service");
    let watched: Vec<_> =
        services.iter().filter(|service| wanted.as_array().unwrap().contains(&component(service))).collect();
    assert_eq!(watched.len(), 2);
    for service in watched {
        let port = &monitor["spec"]["endpoints"][0]["port"];
        assert!(
            list(service, "/spec/ports").iter().any(|offered| offered["name"] == *port),
            "{}",
            name(service)
        );
    }
    // The address of browsers shows no metrics.
    assert_eq!(list(browsers, "/spec/ports").len(), 1);
}
