//! Settings of `smartlinks migrate`.

use super::{
    LogArgs, LogFormat, Reader, SettingFaults,
    serve::{DatabaseArgs, DatabaseSettings},
};

/// Flags of `smartlinks migrate`.
#[derive(Clone, Debug, clap::Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub database: DatabaseArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub log: LogArgs,
}

/// Checked settings of `smartlinks migrate`.
#[derive(Clone, Debug)]
pub struct MigrateSettings {
    /// The connection to PostgreSQL.
    pub database: DatabaseSettings,
    /// How the log is written.
    pub log_format: LogFormat,
}

impl MigrateArgs {
    /// Checks every flag and returns the settings, or all that is wrong with them.
    pub fn read(&self) -> Result<MigrateSettings, SettingFaults> {
        let mut reader = Reader::default();
        let database = self.database.read(&mut reader);
        let log_format = self.log.format(&mut reader);
        let settings = database.zip(log_format);
        reader.finish(settings.map(|(database, log_format)| MigrateSettings { database, log_format }))
    }
}
