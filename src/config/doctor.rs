//! Settings of `smartlinks doctor`.

use std::path::{Path, PathBuf};

use super::{
    Generations, LogArgs, LogFormat, Reader, SettingFaults,
    clicks::RecordSettings,
    serve::{DatabaseArgs, DatabaseSettings},
};

/// Flags of `smartlinks doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// PostgreSQL was put back to an earlier state: makes everyone who remembers positions of the ledger ask anew.
    #[arg(long)]
    pub after_restore: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub database: DatabaseArgs,
    /// The state folder of a server, to look at its local log of clicks; the server may run.
    #[arg(long, env = "SMARTLINKS_STATE_DIR", value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// The file with the secret of visitors' keys, to try it.
    #[arg(long, env = "SMARTLINKS_VISITOR_KEY_FILE", value_name = "FILE")]
    pub visitor_key_file: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print them")]
    pub log: LogArgs,
}

/// Checked settings of `smartlinks doctor`.
#[derive(Clone, Debug)]
pub struct DoctorSettings {
    /// Whether PostgreSQL was put back to an earlier state.
    pub after_restore: bool,
    /// The connection to PostgreSQL.
    pub database: DatabaseSettings,
    /// The folder of a local log.
    pub spool: Option<PathBuf>,
    /// The secret of visitors' keys.
    pub visitor_keys: Option<Generations>,
    /// How the log is written.
    pub log_format: LogFormat,
}

impl DoctorArgs {
    /// Checks every flag and returns the settings, or all that is wrong with them.
    pub fn read(&self) -> Result<DoctorSettings, SettingFaults> {
        let mut reader = Reader::default();
        let settings = self.checked(&mut reader);
        reader.finish(settings)
    }

    fn checked(&self, reader: &mut Reader) -> Option<DoctorSettings> {
        let database = self.database.read(reader);
        let visitor_keys = match &self.visitor_key_file {
            Some(file) => reader.generations_file("SMARTLINKS_VISITOR_KEY_FILE", file).map(Some),
            None => Some(None),
        };
        let log_format = self.log.format(reader);
        let folder = |state: &Path| RecordSettings::within(state).folder;
        Some(DoctorSettings {
            after_restore: self.after_restore,
            database: database?,
            spool: self.state_dir.as_deref().map(folder),
            visitor_keys: visitor_keys?,
            log_format: log_format?,
        })
    }
}
