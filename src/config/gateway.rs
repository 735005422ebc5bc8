//! Settings of the gateway.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, thread, time::Duration};

use http::Uri;

use super::{
    Generations, LogArgs, LogFormat, Reader, Secret, SettingFaults,
    proxies::{Proxies, ProxyArgs},
};

/// Flags of the gateway.
#[derive(Clone, Debug, clap::Args)]
pub struct GatewayArgs {
    /// Where browsers connect.
    #[arg(long, env = "SMARTLINKS_GATEWAY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: String,
    /// Where metrics are served over HTTP, at `/metrics`; without it nowhere.
    #[arg(long, env = "SMARTLINKS_GATEWAY_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// The servers that resolve: `http://host:port`, several separated by commas; every address behind each is used.
    #[arg(long, env = "SMARTLINKS_RESOLVER", default_value = "http://127.0.0.1:50051", value_name = "URLS")]
    pub resolver: String,
    /// How often names of servers are looked up again.
    #[arg(long, env = "SMARTLINKS_RESOLVER_REFRESH", default_value = "5s", value_name = "TIME")]
    pub resolver_refresh: String,
    /// A file with the token that the servers ask for.
    #[arg(long, env = "SMARTLINKS_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A file with the secret that signs visitors' cookies, and on a second line the one before; without it no visitor gets
    /// a cookie.
    #[arg(long, env = "SMARTLINKS_COOKIE_KEY_FILE", value_name = "FILE")]
    pub cookie_key_file: Option<PathBuf>,
    /// How long a click waits for its answer before it gets a 503.
    #[arg(long, env = "SMARTLINKS_GATEWAY_REQUEST_TIMEOUT", default_value = "2s", value_name = "TIME")]
    pub request_timeout: String,
    /// How long a connection may be silent, or take to send its headers.
    #[arg(long, env = "SMARTLINKS_GATEWAY_IDLE_TIMEOUT", default_value = "30s", value_name = "TIME")]
    pub idle_timeout: String,
    /// How long clicks are still taken after the signal to stop, while `/-/readyz` already answers 503.
    #[arg(long, env = "SMARTLINKS_GATEWAY_STOP_DELAY", default_value = "0s", value_name = "TIME")]
    pub stop_delay: String,
    /// How long a stop waits for requests under way.
    #[arg(long, env = "SMARTLINKS_GATEWAY_DRAIN", default_value = "10s", value_name = "TIME")]
    pub drain: String,
    /// How many connections of browsers there are at most; further ones wait.
    #[arg(long, env = "SMARTLINKS_GATEWAY_CONNECTIONS", default_value = "10000", value_name = "COUNT")]
    pub connections: String,
    /// Threads, each with one connection to every server; default: one per processor.
    #[arg(long, env = "SMARTLINKS_GATEWAY_WORKERS", value_name = "COUNT")]
    pub workers: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub proxies: ProxyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub log: LogArgs,
}

/// Checked settings of the gateway.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Where browsers connect.
    pub listen: SocketAddr,
    /// Where metrics are served.
    pub metrics_listen: Option<SocketAddr>,
    /// The servers that resolve; at least one.
    pub resolver: Vec<Uri>,
    /// How often their names are looked up again.
    pub resolver_refresh: Duration,
    /// The token that they ask for.
    pub token: Option<Secret>,
    /// What signs visitors' cookies.
    pub cookie_keys: Option<Generations>,
    /// How long a click waits for its answer.
    pub request_timeout: Duration,
    /// How long a connection may be silent, or take to send its headers.
    pub idle_timeout: Duration,
    /// How long clicks are still taken after the signal to stop.
    pub stop_delay: Duration,
    /// How long a stop waits.
    pub drain: Duration,
    /// How many connections of browsers there are at most.
    pub connections: usize,
    /// Threads, each with one connection to every server.
    pub workers: usize,
    /// Whom it believes what they say about the visitor.
    pub proxies: Option<Proxies>,
    /// How the log is written.
    pub log_format: LogFormat,
}

const MILLISECOND: Duration = Duration::from_millis(1);
/// Look-ups are not for free.
const TENTH: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3_600);
/// The longest that the server lets an item of a stream take.
const ITEM: Duration = Duration::from_secs(30);

impl GatewaySettings {
    /// Returns the defaults for a gateway beside its server, without a token. What runs on the same machine may say for
    /// whom it asks.
    pub fn beside(server: SocketAddr, listen: SocketAddr, log_format: LogFormat) -> Result<Self, String> {
        let resolver = format!("http://{server}").parse::<Uri>().map_err(|error| error.to_string())?;
        Ok(Self {
            listen,
            metrics_listen: None,
            resolver: vec![resolver],
            resolver_refresh: Duration::from_secs(5),
            token: None,
            cookie_keys: None,
            request_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(30),
            stop_delay: Duration::ZERO,
            drain: Duration::from_secs(3),
            connections: 10_000,
            workers: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            proxies: Some(Proxies::loopback()),
            log_format,
        })
    }
}

impl GatewayArgs {
    /// Checks every flag and returns the settings, or all that is wrong with them.
    pub fn read(&self) -> Result<GatewaySettings, SettingFaults> {
        let mut reader = Reader::default();
        let settings = self.checked(&mut reader);
        reader.finish(settings)
    }

    fn checked(&self, reader: &mut Reader) -> Option<GatewaySettings> {
        let listen = reader.address("SMARTLINKS_GATEWAY_LISTEN", &self.listen);
        let metrics_listen = match self.metrics_listen.as_deref() {
            None | Some("") => Some(None),
            Some(address) => reader.address("SMARTLINKS_GATEWAY_METRICS_LISTEN", address).map(Some),
        };
        let resolver = resolver(&self.resolver, reader);
        let refresh = reader.duration("SMARTLINKS_RESOLVER_REFRESH", &self.resolver_refresh, TENTH, HOUR);
        let token = self.token(reader);
        let cookie_keys = match &self.cookie_key_file {
            Some(file) => reader.generations_file("SMARTLINKS_COOKIE_KEY_FILE", file).map(Some),
            None => Some(None),
        };
        let timeout = &self.request_timeout;
        let timeout = reader.duration("SMARTLINKS_GATEWAY_REQUEST_TIMEOUT", timeout, MILLISECOND, ITEM);
        let idle = reader.duration("SMARTLINKS_GATEWAY_IDLE_TIMEOUT", &self.idle_timeout, MILLISECOND, HOUR);
        let delay = reader.duration("SMARTLINKS_GATEWAY_STOP_DELAY", &self.stop_delay, Duration::ZERO, HOUR);
        let drain = reader.duration("SMARTLINKS_GATEWAY_DRAIN", &self.drain, Duration::ZERO, HOUR);
        let connections = reader.number("SMARTLINKS_GATEWAY_CONNECTIONS", &self.connections, 1..=1_000_000);
        let workers = match &self.workers {
            Some(text) => reader.number("SMARTLINKS_GATEWAY_WORKERS", text, 1..=1_024),
            None => u64::try_from(thread::available_parallelism().map_or(1, NonZeroUsize::get)).ok(),
        };
        let proxies = self.proxies.read(reader);
        let log_format = self.log.format(reader);
        Some(GatewaySettings {
            listen: listen?,
            metrics_listen: metrics_listen?,
            resolver: resolver?,
            resolver_refresh: refresh?,
            token: token?,
            cookie_keys: cookie_keys?,
            request_timeout: timeout?,
            idle_timeout: idle?,
            stop_delay: delay?,
            drain: drain?,
            connections: usize::try_from(connections?).ok()?,
            workers: usize::try_from(workers?).ok()?,
            proxies: proxies?,
            log_format: log_format?,
        })
    }

    /// Reads the token, if there is a file for it.
    fn token(&self, reader: &mut Reader) -> Option<Option<Secret>> {
        match &self.token_file {
            Some(file) => reader.token_file("SMARTLINKS_TOKEN_FILE", file).map(Some),
            None => Some(None),
        }
    }
}

/// Reads where the servers of the resolver are. What is wrong is told of each.
fn resolver(text: &str, reader: &mut Reader) -> Option<Vec<Uri>> {
    let urls: Vec<_> = text.split(',').map(|url| origin(url.trim(), reader)).collect();
    urls.into_iter().collect()
}

/// Reads the origin of a server.
fn origin(text: &str, reader: &mut Reader) -> Option<Uri> {
    let is_origin = |uri: &Uri| {
        uri.scheme_str() == Some("http")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.path_and_query().is_none_or(|rest| rest == "/")
            && !text.contains(['@', '#'])
    };
    let uri = text.parse::<Uri>().ok().filter(is_origin);
    if uri.is_none() {
        let text =
            format!("`{text}` is not an address such as `http://127.0.0.1:50051`; https is not supported");
        reader.fault("SMARTLINKS_RESOLVER", text);
    }
    uri
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: GatewayArgs,
    }

    fn read(flags: &[&str]) -> Result<GatewaySettings, String> {
        let flags = ["smartlinks-gateway"].iter().chain(flags);
        Command::parse_from(flags).args.read().map_err(|faults| faults.to_string())
    }

    #[test]
    fn every_fault_is_told_and_names_its_setting() {
        let faults = read(&[
            "--listen=here",
            "--metrics-listen=there",
            "--resolver=https://r:1",
            "--resolver-refresh=1ms",
            "--token-file=/nowhere/token",
            "--cookie-key-file=/nowhere/key",
            "--request-timeout=31s",
            "--idle-timeout=0s",
            "--stop-delay=2h",
            "--drain=x",
            "--connections=0",
            "--workers=x",
            "--trusted-proxies=x",
            "--forwarded-header=x",
            "--country-header=host",
            "--log-format=xml",
        ]);
        let faults = faults.unwrap_err();
        let named: Vec<_> = faults.lines().filter_map(|line| line.split(':').next()).collect();
        let expected = [
            "SMARTLINKS_GATEWAY_LISTEN",
            "SMARTLINKS_GATEWAY_METRICS_LISTEN",
            "SMARTLINKS_RESOLVER",
            "SMARTLINKS_RESOLVER_REFRESH",
            "SMARTLINKS_TOKEN_FILE",
            "SMARTLINKS_COOKIE_KEY_FILE",
            "SMARTLINKS_GATEWAY_REQUEST_TIMEOUT",
            "SMARTLINKS_GATEWAY_IDLE_TIMEOUT",
            "SMARTLINKS_GATEWAY_STOP_DELAY",
            "SMARTLINKS_GATEWAY_DRAIN",
            "SMARTLINKS_GATEWAY_CONNECTIONS",
            "SMARTLINKS_GATEWAY_WORKERS",
            "SMARTLINKS_GATEWAY_TRUSTED_PROXIES",
            "SMARTLINKS_GATEWAY_FORWARDED_HEADER",
            "SMARTLINKS_GATEWAY_COUNTRY_HEADER",
            "SMARTLINKS_LOG_FORMAT",
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn resolver_is_origins() {
        let resolver = |text| read(&["--resolver", text]);
        for (good, count) in [
            ("http://127.0.0.1:1", 1),
            ("http://resolver", 1),
            ("http://[::1]:50051/", 1),
            ("http://a:1, http://b:2,http://a:1", 3),
        ] {
            assert_eq!(resolver(good).map(|settings| settings.resolver.len()), Ok(count), "{good}");
        }
        let faults = resolver("http://a,,b").unwrap_err();
        assert_eq!(faults.lines().count(), 2, "{faults}");
        for bad in ["127.0.0.1:1", "http://", "http://a/b", "http://a?b", "http://u@a", "grpc://a"] {
            assert!(resolver(bad).unwrap_err().starts_with("SMARTLINKS_RESOLVER: "), "{bad}");
        }
    }

    #[test]
    fn token_fits_into_a_header_and_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let flag = format!("--token-file={}", file.display());
        std::fs::write(&file, " s3cret\n").unwrap();
        let settings = read(&[&flag]).unwrap();
        assert_eq!(settings.token.as_ref().map(Secret::expose), Some("s3cret"));
        assert!(!format!("{settings:?}").contains("s3cret"));
        std::fs::write(&file, "two words").unwrap();
        assert!(read(&[&flag]).unwrap_err().starts_with("SMARTLINKS_TOKEN_FILE: "));
    }
}
