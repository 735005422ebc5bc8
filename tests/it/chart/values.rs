//! Wrong values are refused before anything is installed, and the message names the value.

use super::{DEFAULTS, EVERYTHING, chart, helm};

/// Renders with further values, as one `--set` each; returns what helm complains of.
fn refused(sets: &[&str]) -> String {
    let more: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
    helm(&chart(), "links", DEFAULTS, &more).err().unwrap_or_else(|| panic!("{sets:?} is accepted"))
}

#[test]
fn bad_values_are_refused_by_name() {
    for (set, expected) in [
        ("sever.replicas=1", "(root): Additional property sever is not allowed"),
        ("server.replica=1", "server: Additional property replica is not allowed"),
        ("server.replicas=0", "server.replicas: Must be greater than or equal to 1"),
        ("server.replicas=two", "server.replicas: Invalid type. Expected: integer, given: string"),
        (
            "server.settings.SMARTLINKS_POLL=1s",
            "server.settings: Additional property SMARTLINKS_POLL is not allowed",
        ),
        (
            "server.settings.SMARTLINKS_GATEWAY_WORKERS=2",
            "server.settings: Additional property SMARTLINKS_GATEWAY_WORKERS is not allowed",
        ),
        (
            "server.settings.SMARTLINKS_ALLOW_ANYONE_ON_THE_NETWORK=true",
            "Additional property SMARTLINKS_ALLOW_ANYONE_ON_THE_NETWORK is not allowed",
        ),
        (
            "gateway.settings.SMARTLINKS_GATEWAY_WORKERS=2",
            "SMARTLINKS_GATEWAY_WORKERS: Invalid type. Expected: string, given: integer",
        ),
        ("server.drainSeconds=10s", "server.drainSeconds: Invalid type. Expected: integer, given: string"),
        ("server.state.kind=disk", "server.state.kind must be one of the following: \"claim\", \"emptyDir\""),
        ("server.state.size=1GB", "server.state.size: Does not match pattern"),
        ("server.spread.hosts=always", "server.spread.hosts must be one of the following"),
        ("server.resources.limits=null", "server.resources: limits is required"),
        // By `null` helm forgets a default: what templates rely on is missed by its name.
        ("server.resources=null", "server: resources is required"),
        ("gateway.ingress=null", "gateway: ingress is required"),
        ("gateway.podAnnotations=null", "gateway: podAnnotations is required"),
        ("database.migrationSecret.key=null", "database.migrationSecret: key is required"),
        ("metrics=null", "(root): metrics is required"),
        ("server.maxUnavailable=0", "server.maxUnavailable: Must be greater than or equal to 1"),
        ("gateway.service.type=ExternalName", "gateway.service.type must be one of the following"),
        ("gateway.service.port=0", "gateway.service.port: Must be greater than or equal to 1"),
        ("image.digest=latest", "image.digest: Does not match pattern"),
        ("image.pullPolicy=Sometimes", "image.pullPolicy must be one of the following"),
        ("user=0", "user: Must be greater than or equal to 1"),
        ("listenAddress=127.0.0.1", "listenAddress must be one of the following: \"0.0.0.0\", \"[::]\""),
        ("token.secret.value=x", "token.secret: Additional property value is not allowed"),
        ("token.secret.name=The_Token", "token.secret.name: Does not match pattern"),
        ("database.url=postgres://x", "database: Additional property url is not allowed"),
        ("geo.path=country.mmdb", "geo.path: Does not match pattern"),
        (
            "networkPolicy.metricsFrom[0].pods=x",
            "networkPolicy.metricsFrom.0: Additional property pods is not allowed",
        ),
        (
            "migration.activeDeadlineSeconds=0",
            "migration.activeDeadlineSeconds: Must be greater than or equal to 1",
        ),
        ("fullnameOverride=Links", "fullnameOverride: Does not match pattern"),
    ] {
        let told = refused(&[set]);
        assert!(told.contains(expected), "{set}: {told}");
    }
}

#[test]
fn values_that_do_not_go_together_are_refused_by_name() {
    for (sets, expected) in [
        (
            &["server.terminationGracePeriodSeconds=34"][..],
            "server.terminationGracePeriodSeconds: 34 s is too short, a stop with these values can take 35 s",
        ),
        (
            &["gateway.terminationGracePeriodSeconds=20", "gateway.drainSeconds=60"],
            "gateway.terminationGracePeriodSeconds: 20 s is too short, a stop with these values can take 70 s",
        ),
        (
            &["gateway.autoscaling.enabled=true", "gateway.autoscaling.minReplicas=11"],
            "gateway.autoscaling.minReplicas: 11 is above maxReplicas, 10",
        ),
        (&["gateway.ingress.enabled=true"], "gateway.ingress.hosts: is empty"),
        (&["gateway.httpRoute.enabled=true"], "gateway.httpRoute.parentRefs: is empty"),
        (
            &["geo.volume.emptyDir.medium=x"],
            "geo.path: \"/usr/share/smartlinks/country.mmdb\" is not on the volume",
        ),
    ] {
        let told = refused(sets);
        assert!(told.contains(expected), "{sets:?}: {told}");
    }
    // The shortest that is long enough.
    helm(&chart(), "links", DEFAULTS, &["--set", "server.terminationGracePeriodSeconds=35"]).unwrap();
}

#[test]
fn what_has_no_safe_default_must_be_set() {
    let told = helm(&chart(), "links", "", &[]).unwrap_err();
    for value in
        ["image.repository: is not set", "token.secret.name: is not set", "database.secret.name: is not set"]
    {
        assert!(told.contains(value), "{told}");
    }
}

#[test]
fn releases_whose_name_no_service_can_bear_need_another() {
    for release in ["1st", "go.links"] {
        let told = helm(&chart(), release, DEFAULTS, &[]).unwrap_err();
        assert!(told.contains("fullnameOverride: Services cannot be named after the release"), "{told}");
        helm(&chart(), release, DEFAULTS, &["--set", "fullnameOverride=links"]).unwrap();
    }
}

#[test]
fn old_clusters_are_refused() {
    let told = helm(&chart(), "links", EVERYTHING, &["--kube-version", "1.26"]).unwrap_err();
    assert!(told.contains("requires kubeVersion: >=1.27.0-0"), "{told}");
}
