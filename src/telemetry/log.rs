//! The log: few lines, readable, ids as fields; never secrets, addresses or bodies of requests.

use std::{error::Error, fmt, io::IsTerminal};

use tracing_subscriber::{EnvFilter, fmt as lines, prelude::*};

use crate::config::LogFormat;

/// Starts the log on standard error. A second start in one process is an error.
pub fn start(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| format!("SMARTLINKS_LOG: `{filter}` is not a filter such as `info`: {error}"))?;
    let lines = lines::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| format!("the log was started before: {error}"))
}

/// An error with all its causes, as the log shows it.
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
