//! Settings of `smartlinks dev`.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
};

use super::{LogArgs, LogFormat, Reader, SettingFaults};

/// Flags of `smartlinks dev`.
#[derive(Clone, Debug, clap::Args)]
pub struct DevArgs {
    /// The folder for the data, PostgreSQL's included.
    #[arg(long, env = "SMARTLINKS_DEV_DIR", default_value = ".smartlinks", value_name = "FOLDER")]
    pub folder: PathBuf,
    /// A folder with PostgreSQL's server programs; without it the usual places are searched.
    #[arg(long, env = "SMARTLINKS_PG_BIN", value_name = "FOLDER")]
    pub pg_bin: Option<PathBuf>,
    /// Where gRPC is served.
    #[arg(long, env = "SMARTLINKS_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub listen: String,
    /// Where browsers connect.
    #[arg(long, env = "SMARTLINKS_GATEWAY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub gateway_listen: String,
    /// Where metrics are served.
    #[arg(long, env = "SMARTLINKS_METRICS_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub metrics_listen: String,
    /// Where the sample shop has its pages.
    #[arg(long, env = "SMARTLINKS_SITE_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub site_listen: String,
    /// The country database; default: `geo/country.mmdb` in the folder, if it is there.
    #[arg(long, env = "SMARTLINKS_GEO_DB", value_name = "FILE")]
    pub geo_db: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub log: LogArgs,
}

/// Checked settings of `smartlinks dev`.
#[derive(Clone, Debug)]
pub struct DevSettings {
    /// The folder for the data.
    pub folder: PathBuf,
    /// A folder with PostgreSQL's server programs.
    pub pg_bin: Option<PathBuf>,
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where browsers connect.
    pub gateway_listen: SocketAddr,
    /// Where metrics are served.
    pub metrics_listen: SocketAddr,
    /// Where the sample shop has its pages.
    pub site_listen: SocketAddr,
    /// The country database.
    pub geo_db: Option<PathBuf>,
    /// How the log is written.
    pub log_format: LogFormat,
}

impl DevArgs {
    /// Checks every flag and returns the settings, or all that is wrong with them.
    pub fn read(&self) -> Result<DevSettings, SettingFaults> {
        let mut reader = Reader::default();
        let mut address = |setting, text| {
            let address = reader.address(setting, text)?;
            if address.ip().is_loopback() {
                return Some(address);
            }
            let loopback = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, address.port()));
            reader.fault(setting, format!("`smartlinks dev` serves this machine only, write `{loopback}`"));
            None
        };
        let listen = address("SMARTLINKS_LISTEN", &self.listen);
        let gateway = address("SMARTLINKS_GATEWAY_LISTEN", &self.gateway_listen);
        let metrics = address("SMARTLINKS_METRICS_LISTEN", &self.metrics_listen);
        let site = address("SMARTLINKS_SITE_LISTEN", &self.site_listen);
        let log_format = self.log.format(&mut reader);
        let fetched = self.folder.join("geo").join("country.mmdb");
        let settings = listen.zip(gateway).zip(metrics.zip(site)).zip(log_format);
        reader.finish(settings.map(
            |(((listen, gateway_listen), (metrics_listen, site_listen)), log_format)| DevSettings {
                folder: self.folder.clone(),
                pg_bin: self.pg_bin.clone(),
                listen,
                gateway_listen,
                metrics_listen,
                site_listen,
                geo_db: self.geo_db.clone().or_else(|| fetched.is_file().then_some(fetched)),
                log_format,
            },
        ))
    }
}
