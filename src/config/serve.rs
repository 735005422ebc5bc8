//! Settings of `smartlinks serve`.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use super::{
    Generations, LogArgs, LogFormat, Reader, Secret, SettingFaults,
    clicks::{ClickArgs, Clicks},
};

/// Flags of `smartlinks serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Where gRPC is served.
    #[arg(long, env = "SMARTLINKS_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub listen: String,
    /// Where metrics are served over HTTP, at `/metrics`; empty = nowhere.
    #[arg(long, env = "SMARTLINKS_METRICS_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub metrics_listen: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub database: DatabaseArgs,
    /// A file with the token that callers send as `authorization: Bearer …`.
    #[arg(long, env = "SMARTLINKS_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Serves beyond this machine without any authentication: whoever reaches the port may do everything.
    #[arg(long, env = "SMARTLINKS_ALLOW_ANYONE_ON_THE_NETWORK", value_parser = clap::builder::BoolishValueParser::new())]
    #[arg(num_args = 0..=1, default_missing_value = "true", default_value = "false", value_name = "BOOL")]
    pub allow_anyone_on_the_network: bool,
    /// The country database, an MMDB file; without it the country is unknown. Read again when it changes.
    #[arg(long, env = "SMARTLINKS_GEO_DB", value_name = "FILE")]
    pub geo_db: Option<PathBuf>,
    /// A folder for the clicks that wait for PostgreSQL, and for the copy of the index with which a start without it is
    /// possible.
    #[arg(long, env = "SMARTLINKS_STATE_DIR", value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// A file with the secret of visitors' keys, the same for all servers, and on a second line the one before; without it
    /// visitors of shops with the mode DAILY are unknown.
    #[arg(long, env = "SMARTLINKS_VISITOR_KEY_FILE", value_name = "FILE")]
    pub visitor_key_file: Option<PathBuf>,
    /// A file with the secret by which visitors are drawn to variants, the same for all servers; without it they are drawn
    /// by the id of the installation. Another secret draws every visitor anew.
    #[arg(long, env = "SMARTLINKS_SPLIT_KEY_FILE", value_name = "FILE")]
    pub split_key_file: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub clicks: ClickArgs,
    /// How often the copy is written, if anything changed.
    #[arg(long, env = "SMARTLINKS_COPY_INTERVAL", default_value = "3m", value_name = "TIME")]
    pub copy_interval: String,
    /// How often PostgreSQL is asked for changes, besides its notifications.
    #[arg(long, env = "SMARTLINKS_POLL_INTERVAL", default_value = "2s", value_name = "TIME")]
    pub poll_interval: String,
    /// How often the index is compared with PostgreSQL whole.
    #[arg(long, env = "SMARTLINKS_COMPARE_INTERVAL", default_value = "10m", value_name = "TIME")]
    pub compare_interval: String,
    /// How long calls are still taken after the signal to stop, while health already says that nothing is served.
    #[arg(long, env = "SMARTLINKS_STOP_DELAY", default_value = "0s", value_name = "TIME")]
    pub stop_delay: String,
    /// How long a stop waits for calls under way.
    #[arg(long, env = "SMARTLINKS_DRAIN", default_value = "10s", value_name = "TIME")]
    pub drain: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub log: LogArgs,
}

/// Flags of the connection to PostgreSQL.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseArgs {
    /// Where PostgreSQL is: `postgres://user@host/database`, or `?host=/folder` for a socket.
    #[arg(long, env = "SMARTLINKS_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// A file with that URL, for one that holds a password.
    #[arg(long, env = "SMARTLINKS_DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// How many connections there are at most.
    #[arg(long, env = "SMARTLINKS_DATABASE_CONNECTIONS", default_value = "10", value_name = "COUNT")]
    pub database_connections: String,
    /// How long a call waits for a connection.
    #[arg(long, env = "SMARTLINKS_DATABASE_WAIT", default_value = "2s", value_name = "TIME")]
    pub database_wait: String,
    /// How long one statement may run.
    #[arg(long, env = "SMARTLINKS_STATEMENT_TIMEOUT", default_value = "10s", value_name = "TIME")]
    pub statement_timeout: String,
}

/// The connection to PostgreSQL.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Where it is; may hold a password.
    pub url: Secret,
    /// How many connections there are at most.
    pub connections: usize,
    /// How long a call waits for one.
    pub wait: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
}

/// Who may call.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Everyone who reaches the port.
    Anyone,
    /// Who sends this token.
    Token(Secret),
}

/// Checked settings of `smartlinks serve`.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where metrics are served.
    pub metrics_listen: Option<SocketAddr>,
    /// The connection to PostgreSQL.
    pub database: DatabaseSettings,
    /// Who may call.
    pub authentication: Authentication,
    /// The country database.
    pub geo_db: Option<PathBuf>,
    /// The folder of the index's copy.
    pub state_dir: Option<PathBuf>,
    /// The secret of visitors' keys.
    pub visitor_keys: Option<Generations>,
    /// The secret by which visitors are drawn to variants.
    pub split_secret: Option<Secret>,
    /// What is done with clicks.
    pub clicks: Clicks,
    /// How often the copy is written.
    pub copy_interval: Duration,
    /// How often PostgreSQL is asked for changes.
    pub poll_interval: Duration,
    /// How often the index is compared whole.
    pub compare_interval: Duration,
    /// How long calls are still taken after the signal to stop.
    pub stop_delay: Duration,
    /// How long a stop waits.
    pub drain: Duration,
    /// How the log is written.
    pub log_format: LogFormat,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

impl DatabaseArgs {
    /// Checks the flags.
    pub fn read(&self, reader: &mut Reader) -> Option<DatabaseSettings> {
        let url = match (&self.database_url, &self.database_url_file) {
            (Some(url), None) => Some(Secret::new(url.trim())),
            (None, Some(file)) => reader.secret_file("SMARTLINKS_DATABASE_URL_FILE", file),
            (Some(_), Some(_)) => {
                reader.fault(
                    "SMARTLINKS_DATABASE_URL",
                    "is set beside SMARTLINKS_DATABASE_URL_FILE, set one of them",
                );
                None
            }
            (None, None) => {
                let text = "is not set; write where PostgreSQL is, `postgres://user@host/database`, \
                            or run `smartlinks dev`, which brings its own";
                reader.fault("SMARTLINKS_DATABASE_URL", text);
                None
            }
        };
        let connections =
            reader.number("SMARTLINKS_DATABASE_CONNECTIONS", &self.database_connections, 2..=1_000);
        let wait = reader.duration("SMARTLINKS_DATABASE_WAIT", &self.database_wait, MILLISECOND, HOUR);
        let timeout =
            reader.duration("SMARTLINKS_STATEMENT_TIMEOUT", &self.statement_timeout, MILLISECOND, HOUR);
        Some(DatabaseSettings {
            url: url?,
            connections: usize::try_from(connections?).ok()?,
            wait: wait?,
            statement_timeout: timeout?,
        })
    }
}

impl ServeArgs {
    /// Checks every flag and returns the settings, or all that is wrong with them.
    pub fn read(&self) -> Result<ServeSettings, SettingFaults> {
        let mut reader = Reader::default();
        let settings = self.checked(&mut reader);
        reader.finish(settings)
    }

    fn checked(&self, reader: &mut Reader) -> Option<ServeSettings> {
        let listen = reader.address("SMARTLINKS_LISTEN", &self.listen);
        let metrics_listen = match self.metrics_listen.as_str() {
            "" => Some(None),
            address => reader.address("SMARTLINKS_METRICS_LISTEN", address).map(Some),
        };
        let database = self.database.read(reader);
        let authentication = self.authentication(listen, reader);
        if let Some(file) = self.geo_db.as_ref().filter(|file| !file.is_file()) {
            reader.fault("SMARTLINKS_GEO_DB", format!("there is no file {}", file.display()));
        }
        let visitor_keys = match &self.visitor_key_file {
            Some(file) => reader.generations_file("SMARTLINKS_VISITOR_KEY_FILE", file).map(Some),
            None => Some(None),
        };
        let split_secret = match &self.split_key_file {
            Some(file) => reader.lone_secret_file("SMARTLINKS_SPLIT_KEY_FILE", file).map(Some),
            None => Some(None),
        };
        let clicks = self.clicks.read(self.state_dir.as_deref(), reader);
        let copy = reader.duration("SMARTLINKS_COPY_INTERVAL", &self.copy_interval, MILLISECOND, 24 * HOUR);
        let poll = reader.duration("SMARTLINKS_POLL_INTERVAL", &self.poll_interval, MILLISECOND, HOUR);
        let compare =
            reader.duration("SMARTLINKS_COMPARE_INTERVAL", &self.compare_interval, MILLISECOND, 24 * HOUR);
        let delay = reader.duration("SMARTLINKS_STOP_DELAY", &self.stop_delay, Duration::ZERO, HOUR);
        let drain = reader.duration("SMARTLINKS_DRAIN", &self.drain, Duration::ZERO, HOUR);
        let log_format = self.log.format(reader);
        Some(ServeSettings {
            listen: listen?,
            metrics_listen: metrics_listen?,
            database: database?,
            authentication: authentication?,
            geo_db: self.geo_db.clone(),
            state_dir: self.state_dir.clone(),
            visitor_keys: visitor_keys?,
            split_secret: split_secret?,
            clicks: clicks?,
            copy_interval: copy?,
            poll_interval: poll?,
            compare_interval: compare?,
            stop_delay: delay?,
            drain: drain?,
            log_format: log_format?,
        })
    }

    fn authentication(&self, listen: Option<SocketAddr>, reader: &mut Reader) -> Option<Authentication> {
        if let Some(file) = &self.token_file {
            return reader.token_file("SMARTLINKS_TOKEN_FILE", file).map(Authentication::Token);
        }
        if listen.is_some_and(|listen| !listen.ip().is_loopback()) && !self.allow_anyone_on_the_network {
            let text = "is not set, but SMARTLINKS_LISTEN is reached from other machines; write a token into a file, \
                        or say --allow-anyone-on-the-network";
            reader.fault("SMARTLINKS_TOKEN_FILE", text);
            return None;
        }
        Some(Authentication::Anyone)
    }
}

impl ServeSettings {
    /// Writes the settings and their effective values, without secrets.
    pub fn print_effective(&self, out: &mut impl Write) -> io::Result<()> {
        self.effective().iter().try_for_each(|(setting, value)| writeln!(out, "{setting}={value}"))
    }

    /// Returns every setting and its effective value, without secrets.
    pub fn effective(&self) -> Vec<(&'static str, String)> {
        let path =
            |path: &Option<PathBuf>| path.as_ref().map_or("(none)".into(), |path| path.display().to_string());
        let authentication = match self.authentication {
            Authentication::Anyone => "(none: anyone may call)",
            Authentication::Token(_) => "(a token)",
        };
        let mut all = vec![
            ("SMARTLINKS_LISTEN", self.listen.to_string()),
            ("SMARTLINKS_METRICS_LISTEN", self.metrics_listen.map_or("(none)".into(), |at| at.to_string())),
            ("SMARTLINKS_DATABASE_URL", without_password(self.database.url.expose())),
            ("SMARTLINKS_DATABASE_CONNECTIONS", self.database.connections.to_string()),
            ("SMARTLINKS_DATABASE_WAIT", format!("{:?}", self.database.wait)),
            ("SMARTLINKS_STATEMENT_TIMEOUT", format!("{:?}", self.database.statement_timeout)),
            ("SMARTLINKS_TOKEN_FILE", authentication.into()),
            ("SMARTLINKS_GEO_DB", path(&self.geo_db)),
            ("SMARTLINKS_STATE_DIR", path(&self.state_dir)),
            (
                "SMARTLINKS_VISITOR_KEY_FILE",
                self.visitor_keys.as_ref().map_or("(none)", |_| "(a secret)").into(),
            ),
            (
                "SMARTLINKS_SPLIT_KEY_FILE",
                self.split_secret
                    .as_ref()
                    .map_or("(none: the id of the installation)", |_| "(a secret)")
                    .into(),
            ),
            ("SMARTLINKS_COPY_INTERVAL", format!("{:?}", self.copy_interval)),
            ("SMARTLINKS_POLL_INTERVAL", format!("{:?}", self.poll_interval)),
            ("SMARTLINKS_COMPARE_INTERVAL", format!("{:?}", self.compare_interval)),
            ("SMARTLINKS_STOP_DELAY", format!("{:?}", self.stop_delay)),
            ("SMARTLINKS_DRAIN", format!("{:?}", self.drain)),
            ("SMARTLINKS_LOG_FORMAT", format!("{:?}", self.log_format).to_lowercase()),
        ];
        all.extend(self.clicks.effective());
        all
    }
}

/// Returns a database URL without what may be secret: the password, and every parameter but host and port. A text that
/// is no URL is hidden whole.
fn without_password(url: &str) -> String {
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let Some((scheme, rest)) = address.split_once("://") else { return "(set)".into() };
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => rest.to_owned(),
    };
    let plain = |parameter: &&str| parameter.starts_with("host=") || parameter.starts_with("port=");
    let shown: Vec<&str> = parameters.split('&').filter(plain).collect();
    let mark = if shown.is_empty() { "" } else { "?" };
    format!("{scheme}://{rest}{mark}{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::config::clicks::RecordSettings;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn read(flags: &[&str]) -> Result<ServeSettings, String> {
        let always = ["smartlinks", "--database-url", "postgres://me:pass@db/links", "--state-dir", "/state"];
        let flags = always.iter().chain(flags);
        Command::parse_from(flags).args.read().map_err(|faults| faults.to_string())
    }

    #[test]
    fn beyond_loopback_a_token_or_a_plain_word_is_needed() {
        assert!(read(&[]).is_ok());
        assert!(read(&["--listen", "[::1]:1"]).is_ok());
        assert!(read(&["--listen", "0.0.0.0:1"]).unwrap_err().starts_with("SMARTLINKS_TOKEN_FILE: "));
        assert!(read(&["--listen", "0.0.0.0:1", "--allow-anyone-on-the-network"]).is_ok());
    }

    #[test]
    fn every_fault_is_named() {
        let faults = read(&[
            "--listen",
            "x",
            "--stop-delay",
            "1",
            "--drain",
            "1d",
            "--poll-interval",
            "0s",
            "--log-format",
            "xml",
        ]);
        let faults = faults.unwrap_err();
        let named: Vec<_> = faults.lines().filter_map(|line| line.split(':').next()).collect();
        let expected = [
            "SMARTLINKS_LISTEN",
            "SMARTLINKS_POLL_INTERVAL",
            "SMARTLINKS_STOP_DELAY",
            "SMARTLINKS_DRAIN",
            "SMARTLINKS_LOG_FORMAT",
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn clicks_need_a_place() {
        let parse = |flags: &[&str]| {
            let flags = ["smartlinks", "--database-url", "postgres://db"].iter().chain(flags);
            Command::parse_from(flags).args.read().map_err(|faults| faults.to_string())
        };
        let fault = parse(&[]).unwrap_err();
        assert!(
            fault.starts_with("SMARTLINKS_STATE_DIR: is not set") && fault.contains("=ignore"),
            "{fault}"
        );
        assert_eq!(parse(&["--clicks", "ignore"]).unwrap().clicks, Clicks::Ignore);
        let defaults = RecordSettings::within(Path::new("/state"));
        assert_eq!(read(&[]).unwrap().clicks, Clicks::Record(defaults.clone()));
        let always = RecordSettings { sync_every: None, refuse_when_full: true, ..defaults };
        let settings = read(&["--spool-sync", "always", "--spool-full", "refuse"]).unwrap();
        assert_eq!(settings.clicks, Clicks::Record(always));
        for (flag, value, setting) in [
            ("--clicks", "maybe", "SMARTLINKS_CLICKS"),
            ("--spool-limit", "127MiB", "SMARTLINKS_SPOOL_LIMIT"),
            ("--spool-full", "drop", "SMARTLINKS_SPOOL_FULL"),
            ("--spool-sync", "never", "SMARTLINKS_SPOOL_SYNC"),
            ("--spool-retain", "1", "SMARTLINKS_SPOOL_RETAIN"),
            ("--spool-retain-for", "1", "SMARTLINKS_SPOOL_RETAIN_FOR"),
            ("--click-retention-days", "2", "SMARTLINKS_CLICK_RETENTION_DAYS"),
        ] {
            let fault = read(&[flag, value]).unwrap_err();
            assert!(fault.starts_with(&format!("{setting}: `{value}` is not")), "{fault}");
        }
    }

    #[test]
    fn effective_settings_hide_the_password() {
        let settings = read(&[]).unwrap();
        let text = format!("{:?} {settings:?}", settings.effective());
        assert!(text.contains("postgres://me@db/links"), "{text}");
        assert!(!text.contains("pass@") && !text.contains(":pass"), "{text}");
        for (url, shown) in [
            ("postgres://me@db/links?password=s3cret", "postgres://me@db/links"),
            ("postgres://db/links?user=me&password=p@ss", "postgres://db/links"),
            ("postgres://me:p@ss@/links?host=/run/pg&sslpassword=x", "postgres://me@/links?host=/run/pg"),
            ("host=db password=s3cret", "(set)"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
