//! `smartlinks dev`: everything on one machine, with a shop to try it on.

use std::{
    future::Future,
    io::Write,
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    time::Duration,
};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tonic::transport::{Channel, Endpoint};

use super::{
    lock::FolderLock,
    past,
    postgres::{Cluster, ClusterOptions, Programs},
    sample::{self, Sample},
    secrets, site,
};
use crate::{
    config::{
        Secret,
        clicks::{Clicks, RecordSettings},
        dev::DevSettings,
        gateway::GatewaySettings,
        serve::{Authentication, DatabaseSettings, ServeSettings},
    },
    gateway::Gateway,
    server::{self, Server},
};

/// How long the first index may take.
const INDEX_WAIT: Duration = Duration::from_secs(30);
/// How long calls under way may take at the end.
const DRAIN: Duration = Duration::from_secs(3);
/// What notes in the folder that the sample shop has its clicks of the past.
const PAST: &str = "past";

/// Runs everything until `stop` resolves, and takes it all down again.
pub async fn run(
    settings: DevSettings,
    stop: impl Future<Output = ()>,
    out: &mut impl Write,
) -> Result<(), String> {
    let _lock = FolderLock::take(&settings.folder).map_err(|error| error.to_string())?;
    check_ports(&settings)?;
    let programs =
        Programs::find(settings.pg_bin.as_deref(), &settings.folder).map_err(|error| error.to_string())?;
    let options = ClusterOptions::kept(settings.folder.join("data"));
    let cluster = Cluster::start(&programs, options).await.map_err(|error| error.to_string())?;
    let ran = with_database(&settings, &cluster, stop, out).await;
    let stopped = cluster.stop().await.map_err(|error| error.to_string());
    ran.and(stopped)
}

async fn with_database(
    settings: &DevSettings,
    cluster: &Cluster,
    stop: impl Future<Output = ()>,
    out: &mut impl Write,
) -> Result<(), String> {
    let mut serve = serve_settings(settings, cluster.url());
    serve.visitor_keys = Some(secrets::kept(&settings.folder, "visitors")?);
    serve.split_secret = secrets::kept(&settings.folder, "splits")?.iter().next().map(Secret::new);
    server::migrate(&serve.database).await.map_err(|error| error.to_string())?;
    let server = Server::start(serve).await.map_err(|error| error.to_string())?;
    let (stopper, stopping) = watch::channel(false);
    let around = around(settings, &server, stopping);
    let ran = match timeout(INDEX_WAIT, around).await {
        Ok(Ok(())) => {
            let told = tell(settings, out).map_err(|error| error.to_string());
            stop.await;
            told
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!("the server was not ready after {INDEX_WAIT:?}, its log says why")),
    };
    stopper.send_replace(true);
    server.stop(std::future::pending()).await;
    ran
}

/// Starts what stands around the server: the sample shop's pages and data, and the gateway.
async fn around(
    settings: &DevSettings,
    server: &Server,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    let site = TcpListener::bind(settings.site_listen).await;
    let site = site.map_err(|error| in_use("SMARTLINKS_SITE_LISTEN", settings.site_listen, &error))?;
    let mut until = stopping.clone();
    tokio::spawn(site::run(site, async move {
        // The sender goes when everything goes.
        let _ = until.wait_for(|stop| *stop).await;
    }));
    let channel = connect(server.address()).await?;
    let (site_port, gateway_port) = (settings.site_listen.port(), settings.gateway_listen.port());
    let sample = sample::make(channel.clone(), site_port, gateway_port).await?;
    // Noted when all of it is there: a start that was ended in the middle is made up for, and adds to what it left.
    let noted = settings.folder.join(PAST);
    if sample == Sample::New || !noted.exists() {
        past::make(server, &channel, Timestamp::now()).await?;
        let note = std::fs::write(&noted, "the sample shop has its clicks of the past\n");
        note.map_err(|error| format!("cannot write {}: {error}", noted.display()))?;
    }
    let mut beside = GatewaySettings::beside(server.address(), settings.gateway_listen, settings.log_format)?;
    beside.cookie_keys = Some(secrets::kept(&settings.folder, "cookies")?);
    let gateway = Gateway::bind(beside).map_err(|error| error.to_string())?;
    spawn_blocking(move || {
        if let Err(error) = gateway.run(&stopping) {
            tracing::error!(error = %error, "the gateway has ended");
        }
    });
    while !is_ready(settings.gateway_listen).await {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Asks the gateway whether it reaches the server.
async fn is_ready(gateway: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(gateway).await?;
        stream.write_all(b"GET /-/readyz HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n").await?;
        let mut status = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut status).await?;
        Ok::<_, std::io::Error>(status == *b"HTTP/1.1 200")
    };
    ask.await.unwrap_or(false)
}

async fn connect(server: SocketAddr) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{server}")).map_err(|error| error.to_string())?;
    endpoint.connect().await.map_err(|error| format!("cannot reach the server just started: {error}"))
}

/// Names every port that is in use, before anything is started.
fn check_ports(settings: &DevSettings) -> Result<(), String> {
    let taken: Vec<String> = [
        ("SMARTLINKS_LISTEN", settings.listen),
        ("SMARTLINKS_GATEWAY_LISTEN", settings.gateway_listen),
        ("SMARTLINKS_METRICS_LISTEN", settings.metrics_listen),
        ("SMARTLINKS_SITE_LISTEN", settings.site_listen),
    ]
    .into_iter()
    .filter_map(|(setting, address)| Some(in_use(setting, address, &StdListener::bind(address).err()?)))
    .collect();
    if taken.is_empty() { Ok(()) } else { Err(taken.join("\n")) }
}

fn in_use(setting: &str, address: SocketAddr, error: &std::io::Error) -> String {
    format!("{setting}: cannot listen on {address}: {error}; stop what uses it, or set another port")
}

fn serve_settings(settings: &DevSettings, url: String) -> ServeSettings {
    let state_dir = settings.folder.join("state");
    ServeSettings {
        listen: settings.listen,
        metrics_listen: Some(settings.metrics_listen),
        database: DatabaseSettings {
            url: Secret::new(url),
            connections: 10,
            wait: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(10),
        },
        authentication: Authentication::Anyone,
        geo_db: settings.geo_db.clone(),
        visitor_keys: None,
        split_secret: None,
        clicks: Clicks::Record(RecordSettings::within(&state_dir)),
        state_dir: Some(state_dir),
        copy_interval: Duration::from_secs(180),
        poll_interval: Duration::from_secs(2),
        compare_interval: Duration::from_secs(600),
        stop_delay: Duration::ZERO,
        drain: DRAIN,
        log_format: settings.log_format,
    }
}

/// Tells what there is to click and to type.
fn tell(settings: &DevSettings, out: &mut impl Write) -> std::io::Result<()> {
    let program = std::env::args().next().unwrap_or_else(|| "smartlinks".into());
    let door = format!("http://{}", settings.gateway_listen);
    let server = match settings.listen.port() {
        50051 => String::new(),
        _ => format!(" --server http://{}", settings.listen),
    };
    let countries = match &settings.geo_db {
        Some(path) => format!("from {}", path.display()),
        None => "unknown: there is no country database (SMARTLINKS_GEO_DB)".into(),
    };
    let data = settings.folder.join("data");
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let (begin, tomorrow) = (today.saturating_sub(7.days()), today.saturating_add(1.day()));
    writeln!(
        out,
        r#"
Smart Links is running. Click, also in your browser's phone emulation:

  {door}/summer-sale/anna            phones go to another page than desktops
  {door}/summer-sale/anna?early=1    early access, for the gold partners' visitors
  {door}/winter-coats/ben            by language: German, French, or the rest
  {door}/app/carla                   by operating system, version and browser
  {door}/welcome-back/carla          three times: the first, second and third visit go to different pages
  {door}/insiders/anna               shared with gold partners and Ben only
  {door}/anniversary/ben             has expired, and says so
  {door}/?ref=anna                   the default partner link: the home page

Type, in another terminal:

  curl -si {door}/summer-sale/anna
  curl -si {door}/summer-sale/anna -A 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'
  curl -si {door}/europe/ben -H 'X-Forwarded-For: 193.99.144.80'      as a proxy would pass on a German visitor
  {program} call{server} ListPartnerLinks '{{"shop":"sample","partner":"anna"}}'
  {program} call{server} Resolve '{{"purpose":"PURPOSE_LOOKUP","shop":"sample","slug":"europe","partner":"ben","client_address":"193.0.6.139"}}'
  {program} call{server} UpdateLink '{{"link":{{"shop":"sample","slug":"summer-sale","default_destination":"sale/autumn"}},"update_mask":"defaultDestination"}}'
  {program} call{server} StreamClicks '{{"now":{{}},"follow":true}}'      every click as it comes; then click
  {program} call{server} StreamClicks '{{}}'      every click since the beginning
  {program} call{server} QueryStats '{{"shop":"sample","granularity":"STATS_GRANULARITY_DAY","dimension":"STATS_DIMENSION_PARTNER","measures":["STATS_MEASURE_CONVERSIONS","STATS_MEASURE_REVENUE"],"start_time":"{begin}T00:00:00Z","end_time":"{tomorrow}T00:00:00Z"}}'

The sample shop has clicks and orders of two weeks; what you click is added to them.

Sample shop http://localhost:{site}   gRPC {grpc}   metrics http://{metrics}/metrics
Countries {countries}
Ctrl-C stops everything. The data stays in {data}; delete that folder to begin anew.
"#,
        site = settings.site_listen.port(),
        grpc = settings.listen,
        metrics = settings.metrics_listen,
        data = Path::new(&data).display(),
    )?;
    out.flush()
}
