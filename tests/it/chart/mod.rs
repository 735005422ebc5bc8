//! The Helm chart and the image, as far as they can be judged without a cluster and a container engine: what the chart
//! renders is asked the questions that a cluster would ask late, or not at all.

mod image;
mod pages;
mod safety;
mod settings;
mod values;
mod wiring;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What must be set, and nothing else: the chart's defaults.
const DEFAULTS: &str = "
image: { repository: registry.example/smartlinks }
token: { secret: { name: the-token } }
database: { secret: { name: the-database } }
";

/// Everything that is off by default, with values for every setting.
const EVERYTHING: &str = "
image: { repository: registry.example/smartlinks, tag: v1, pullSecrets: [registry] }
token: { secret: { name: the-token, key: word } }
database: { secret: { name: the-database, key: address }, migrationSecret: { name: the-owner } }
visitorKey: { secret: { name: the-visitors } }
splitKey: { secret: { name: the-splits } }
cookieKey: { secret: { name: the-cookies, key: crumbs } }
geo: { path: /geo/country.mmdb, volume: { persistentVolumeClaim: { claimName: countries } } }
user: 10001
listenAddress: '[::]'
server:
  replicas: 5
  stopDelaySeconds: 7
  drainSeconds: 20
  terminationGracePeriodSeconds: 90
  settings:
    SMARTLINKS_DATABASE_CONNECTIONS: '30'
    SMARTLINKS_DATABASE_WAIT: 1s
    SMARTLINKS_STATEMENT_TIMEOUT: 5s
    SMARTLINKS_COPY_INTERVAL: 1m
    SMARTLINKS_POLL_INTERVAL: 1s
    SMARTLINKS_COMPARE_INTERVAL: 5m
    SMARTLINKS_LOG: info,smartlinks::feed=debug
    SMARTLINKS_LOG_FORMAT: text
  state: { storageClass: fast }
  spread: { zones: DoNotSchedule, hosts: '' }
  podAnnotations: { a.example/b: c, prometheus.io/scrape: 'false' }
  podLabels: { team: links }
  nodeSelector: { disk: ssd }
  tolerations: [{ key: links, operator: Exists }]
  affinity: { podAntiAffinity: {} }
  priorityClassName: high
gateway:
  autoscaling: { enabled: true }
  settings:
    SMARTLINKS_RESOLVER_REFRESH: 2s
    SMARTLINKS_GATEWAY_REQUEST_TIMEOUT: 1s
    SMARTLINKS_GATEWAY_IDLE_TIMEOUT: 10s
    SMARTLINKS_GATEWAY_CONNECTIONS: '12000'
    SMARTLINKS_GATEWAY_TRUSTED_PROXIES: 10.0.0.0/8
    SMARTLINKS_GATEWAY_FORWARDED_HEADER: forwarded
    SMARTLINKS_GATEWAY_COUNTRY_HEADER: x-country
    SMARTLINKS_LOG: warn
  priorityClassName: high
  service: { type: LoadBalancer, loadBalancerClass: x.example/y, loadBalancerSourceRanges: [192.0.2.0/24] }
  ingress: { enabled: true, className: c, annotations: { a: b }, hosts: [go.shop.example], tls: [{ secretName: t, hosts: [go.shop.example] }] }
  httpRoute: { enabled: true, parentRefs: [{ name: public }], hostnames: [go.shop.example], annotations: { a: b } }
migration:
  settings: { SMARTLINKS_STATEMENT_TIMEOUT: 1m, SMARTLINKS_DATABASE_WAIT: 5s, SMARTLINKS_LOG: debug }
  podAnnotations: { a.example/b: c }
  podLabels: { team: links }
serviceAccount: { name: links, annotations: { a: b } }
metrics: { serviceMonitor: { enabled: true, labels: { release: prometheus } } }
networkPolicy:
  callersFrom: [{ namespaceSelector: {} }]
  browsersFrom: [{ ipBlock: { cidr: 192.0.2.0/24 } }]
  postgresTo: [{ ipBlock: { cidr: 10.0.0.0/8 } }]
  postgresPort: 6432
  dnsTo: [{ namespaceSelector: {} }]
  dnsPort: 5353
";

/// As long as helm lets the name of a release be.
const LONG_NAME: &str = "a-name-as-long-as-helm-lets-the-name-of-a-release-be1";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Reads documents of YAML, the empty ones left out.
fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple::<Value>(yaml).unwrap().into_iter().filter(|value| !value.is_null()).collect()
}

/// What the chart makes of values.
struct Rendered {
    what: String,
    objects: Vec<Value>,
}

/// Renders a chart; what helm complains of is the error.
fn helm(chart: &Path, release: &str, values: &str, more: &[&str]) -> Result<Vec<Value>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    fs::write(&file, values).unwrap();
    let helm = root().join(".smartlinks/tools/helm");
    let mut command = Command::new(&helm);
    command.args(["template", release]).arg(chart).arg("--values").arg(&file);
    command.args(["--namespace", "shop", "--kube-version", "1.27"]).args(more);
    let said =
        command.output().unwrap_or_else(|error| panic!("{error}: {} (`scripts/setup helm`)", helm.display()));
    if !said.status.success() {
        return Err(String::from_utf8(said.stderr).unwrap());
    }
    Ok(documents(&String::from_utf8(said.stdout).unwrap()))
}

fn chart() -> PathBuf {
    root().join("helm/smartlinks")
}

fn render(release: &str, values: &str) -> Rendered {
    let objects = helm(&chart(), release, values, &[]).unwrap_or_else(|error| panic!("{error}\n{values}"));
    assert!(objects.len() > 10, "too little is rendered");
    Rendered { what: values.lines().take(3).collect(), objects }
}

/// Renders every set of values that the tests know.
fn all() -> Vec<Rendered> {
    let mut all = vec![render("links", DEFAULTS), render("links", EVERYTHING), render(LONG_NAME, EVERYTHING)];
    let examples = fs::read_dir(root().join("helm/examples")).unwrap();
    let mut examples: Vec<_> = examples.map(|entry| entry.unwrap().path()).collect();
    examples.sort();
    assert_eq!(examples.len(), 2, "{examples:?}");
    all.extend(examples.iter().map(|file| render("links", &fs::read_to_string(file).unwrap())));
    all
}

fn production() -> Rendered {
    render("links", &read("helm/examples/production.yaml"))
}

/// Returns the list at a pointer, empty if there is none.
fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the text at a pointer.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no text at {pointer} of {value:#}"))
}

fn kind(object: &Value) -> &str {
    text(object, "/kind")
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

impl Rendered {
    /// Returns the objects of a kind.
    fn of(&self, wanted: &str) -> Vec<&Value> {
        self.objects.iter().filter(|object| kind(object) == wanted).collect()
    }

    /// Returns the only object of a kind.
    fn only(&self, wanted: &str) -> &Value {
        let found = self.of(wanted);
        assert_eq!(found.len(), 1, "{}: {wanted}", self.what);
        found[0]
    }

    /// Returns the object of a kind whose name ends so.
    fn named(&self, wanted: &str, ending: &str) -> &Value {
        let found = self.of(wanted).into_iter().find(|object| name(object).ends_with(ending));
        found.unwrap_or_else(|| panic!("{}: no {wanted} …{ending}", self.what))
    }

    /// Returns everything that makes pods.
    fn workloads(&self) -> Vec<&Value> {
        let made: Vec<_> =
            ["StatefulSet", "Deployment", "Job"].iter().flat_map(|kind| self.of(kind)).collect();
        assert_eq!(made.len(), 3, "{}", self.what);
        made
    }
}

/// Returns the only container of a workload.
fn container(workload: &Value) -> &Value {
    assert!(list(workload, "/spec/template/spec/initContainers").is_empty());
    match list(workload, "/spec/template/spec/containers") {
        [container] => container,
        several => panic!("{} has {} containers", name(workload), several.len()),
    }
}

/// Returns the variables of a container; every one has its value right there.
fn variables(container: &Value) -> Vec<(&str, &str)> {
    list(container, "/env")
        .iter()
        .map(|variable| (text(variable, "/name"), text(variable, "/value")))
        .collect()
}

fn variable<'a>(container: &'a Value, wanted: &str) -> &'a str {
    let found = variables(container).into_iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("no {wanted}")).1
}
