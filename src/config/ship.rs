//! Settings of `smartlinks ship`.

use std::path::PathBuf;

use super::{
    LogArgs, LogFormat, Reader, SettingFaults,
    clicks::RetentionArgs,
    serve::{DatabaseArgs, DatabaseSettings},
};

/// Flags of `smartlinks ship`.
#[derive(Clone, Debug, clap::Args)]
pub struct ShipArgs {
    /// The folder of the log of clicks: `clicks` in the state folder of the server that is gone.
    #[arg(long, value_name = "FOLDER")]
    pub spool: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub database: DatabaseArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub retention: RetentionArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub log: LogArgs,
}

/// Checked settings of `smartlinks ship`.
#[derive(Clone, Debug)]
pub struct ShipSettings {
    /// The folder of the log of clicks.
    pub spool: PathBuf,
    /// The connection to PostgreSQL.
    pub database: DatabaseSettings,
    /// For how many days PostgreSQL keeps clicks.
    pub retention_days: u16,
    /// How the log is written.
    pub log_format: LogFormat,
}

impl ShipArgs {
    /// Checks every flag and returns the settings, or all that is wrong with them.
    pub fn read(&self) -> Result<ShipSettings, SettingFaults> {
        let mut reader = Reader::default();
        let settings = self.checked(&mut reader);
        reader.finish(settings)
    }

    fn checked(&self, reader: &mut Reader) -> Option<ShipSettings> {
        let database = self.database.read(reader);
        let retention = self.retention.read(reader);
        let log_format = self.log.format(reader);
        Some(ShipSettings {
            spool: self.spool.clone(),
            database: database?,
            retention_days: retention?,
            log_format: log_format?,
        })
    }
}
