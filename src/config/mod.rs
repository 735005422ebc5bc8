//! Settings: flags and `SMARTLINKS_*` variables, read and checked whole before anything starts.
//!
//! Every setting is a flag with an environment variable of the same name. All faults are reported at once, each with the
//! name of its setting and what to write. Tokens come from files only, and so may the URL of the database.

use std::{fmt, fs, net::SocketAddr, path::Path, str::FromStr, time::Duration};

pub mod clicks;
pub mod dev;
pub mod doctor;
pub mod gateway;
pub mod migrate;
pub mod proxies;
pub mod serve;
pub mod ship;

/// What is wrong with the settings: a line for each.
#[derive(Debug, Default)]
pub struct SettingFaults(Vec<String>);

impl fmt::Display for SettingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for SettingFaults {}

/// Reads settings one after the other and collects what is wrong with them.
#[derive(Debug, Default)]
pub struct Reader {
    faults: Vec<String>,
}

impl Reader {
    /// Remembers what is wrong with a setting.
    pub fn fault(&mut self, setting: &str, text: impl fmt::Display) {
        self.faults.push(format!("{setting}: {text}"));
    }

    /// Reads a value of the kind that `what` names, for example "a number from 1 to 100".
    pub fn parse<T: FromStr>(&mut self, setting: &str, text: &str, what: &str) -> Option<T> {
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.fault(setting, format!("`{text}` is not {what}"));
        }
        value
    }

    /// Reads an address to listen on, `127.0.0.1:8080`.
    pub fn address(&mut self, setting: &str, text: &str) -> Option<SocketAddr> {
        self.parse(setting, text, "an address with a port, such as `127.0.0.1:8080` or `[::]:8080`")
    }

    /// Reads a whole number in a range.
    pub fn number(&mut self, setting: &str, text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = text.trim().parse().ok().filter(|number| range.contains(number));
        if value.is_none() {
            self.fault(
                setting,
                format!("`{text}` is not a number from {} to {}", range.start(), range.end()),
            );
        }
        value
    }

    /// Reads a span of time, `500ms`, `2s`, `5m`, within bounds.
    pub fn duration(
        &mut self,
        setting: &str,
        text: &str,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let value =
            text.trim().parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        let value = value.filter(|span| (least..=most).contains(span));
        if value.is_none() {
            self.fault(
                setting,
                format!("`{text}` is not a time from {least:?} to {most:?}, such as `2s` or `5m`"),
            );
        }
        value
    }

    /// Reads a number of bytes, `512MiB`, `4GiB`, that is at least `least`.
    pub fn size(&mut self, setting: &str, text: &str, least: u64) -> Option<u64> {
        let units = [("KiB", KIB), ("MiB", MIB), ("GiB", 1_024 * MIB), ("TiB", 1_024 * 1_024 * MIB)];
        let text = text.trim();
        let value = units.iter().find_map(|(unit, bytes)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*bytes)
        });
        let value = value.filter(|bytes| *bytes >= least);
        if value.is_none() {
            self.fault(
                setting,
                format!("`{text}` is not a size from {} on, such as `4GiB`", shown_size(least)),
            );
        }
        value
    }

    /// Reads a secret from a file; white space around it is dropped.
    pub fn secret_file(&mut self, setting: &str, path: &Path) -> Option<Secret> {
        match fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => {
                self.fault(setting, format!("the file {} is empty", path.display()))
            }
            Ok(text) => return Some(Secret(text.trim().to_owned())),
            Err(error) => self.fault(setting, format!("cannot read the file {}: {error}", path.display())),
        }
        None
    }

    /// Reads the generations of a secret from a file: a line for the newest, and one for that before if it still counts.
    pub fn generations_file(&mut self, setting: &str, path: &Path) -> Option<Generations> {
        let text = self.secret_file(setting, path)?;
        let lines: Vec<&str> = text.expose().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let (most, least) = (GENERATIONS, SECRET_CHARACTERS);
        let path = path.display();
        if lines.len() > most {
            self.fault(
                setting,
                format!("the file {path} has {} lines, write at most {most} secrets", lines.len()),
            );
        } else if lines.iter().any(|line| line.chars().count() < least) {
            let text = format!("a secret in the file {path} is shorter than {least} characters");
            self.fault(setting, format!("{text}; make one with `openssl rand -base64 32`"));
        } else {
            return Some(Generations::new(lines));
        }
        None
    }

    /// Reads a secret from a file that has no generations: it cannot be changed bit by bit.
    pub fn lone_secret_file(&mut self, setting: &str, path: &Path) -> Option<Secret> {
        let generations = self.generations_file(setting, path)?;
        let mut secrets = generations.0.into_iter();
        let secret = secrets.next();
        if secrets.next().is_none() {
            return secret;
        }
        let path = path.display();
        self.fault(
            setting,
            format!("the file {path} has two lines, write one secret: with another one everything is new"),
        );
        None
    }

    /// Reads a token from a file: letters, digits and punctuation, which a header can carry.
    pub fn token_file(&mut self, setting: &str, path: &Path) -> Option<Secret> {
        let token = self.secret_file(setting, path)?;
        if token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(token);
        }
        self.fault(
            setting,
            format!("the file {} holds more than letters, digits and punctuation", path.display()),
        );
        None
    }

    /// Returns the settings if nothing is wrong with them.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, SettingFaults> {
        match settings {
            Some(settings) if self.faults.is_empty() => Ok(settings),
            _ => Err(SettingFaults(self.faults)),
        }
    }
}

/// Secrets in one file: the newest, and the one before.
const GENERATIONS: usize = 2;
/// Characters of a secret at least: it must not be guessed.
const SECRET_CHARACTERS: usize = 32;

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

/// Writes a number of bytes with the largest unit that leaves no rest.
pub fn shown_size(bytes: u64) -> String {
    let mut number = bytes;
    for (at, unit) in ["B", "KiB", "MiB", "GiB", "TiB"].iter().enumerate() {
        if number == 0 || !number.is_multiple_of(1_024) || at == 4 {
            return format!("{number}{unit}");
        }
        number /= 1_024;
    }
    format!("{bytes}B")
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A secret and the one before it, which still counts for what it was used on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generations(Vec<Secret>);

impl Generations {
    /// Wraps texts, the newest first.
    pub fn new<'a>(newest_first: impl IntoIterator<Item = &'a str>) -> Self {
        Self(newest_first.into_iter().map(Secret::new).collect())
    }

    /// Returns the texts, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Secret::expose)
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Flags of the log, the same for every command.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, also by module, `info,smartlinks::feed=debug`.
    #[arg(long, env = "SMARTLINKS_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// How it is written: `text` or `json`.
    #[arg(long, env = "SMARTLINKS_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: String,
}

impl LogArgs {
    /// Reads the format; the filter is checked where the log is set up.
    pub fn format(&self, reader: &mut Reader) -> Option<LogFormat> {
        match self.log_format.as_str() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            other => {
                reader.fault("SMARTLINKS_LOG_FORMAT", format!("`{other}` is not `text` or `json`"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_come_at_once_and_name_their_setting() {
        let mut reader = Reader::default();
        reader.address("A", "localhost");
        reader.number("B", "0", 1..=9);
        reader.duration("C", "never", Duration::ZERO, Duration::MAX);
        reader.secret_file("D", Path::new("/does/not/exist"));
        let text = reader.finish(Some(())).unwrap_err().to_string();
        let settings: Vec<_> = text.lines().map(|line| &line[..2]).collect();
        assert_eq!(settings, ["A:", "B:", "C:", "D:"]);
    }

    #[test]
    fn times_are_written_with_a_unit() {
        let mut reader = Reader::default();
        let mut read = |text| reader.duration("X", text, Duration::from_millis(1), Duration::from_secs(3600));
        assert_eq!(read("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read("5m"), Some(Duration::from_secs(300)));
        assert_eq!(read("5"), None);
        assert_eq!(read("2h"), None);
        assert_eq!(read("-2s"), None);
    }

    #[test]
    fn sizes_are_written_with_a_unit() {
        let mut reader = Reader::default();
        let mut read = |text| reader.size("X", text, MIB);
        assert_eq!(read("4GiB"), Some(4 << 30));
        assert_eq!(read("1024KiB"), Some(MIB));
        assert_eq!(read("512 MiB"), Some(512 << 20));
        for bad in ["1048576", "1023KiB", "4GB", "-1GiB", "99999999999999TiB", "GiB", ""] {
            assert_eq!(read(bad), None, "{bad}");
        }
        for (bytes, shown) in [(0, "0B"), (1_000, "1000B"), (4 << 30, "4GiB"), (MIB + KIB, "1025KiB")] {
            assert_eq!(shown_size(bytes), shown);
        }
    }

    #[test]
    fn secrets_come_in_two_generations() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let (new, old) = ("n".repeat(32), "o".repeat(40));
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            let mut reader = Reader::default();
            let read = reader.generations_file("X", &file);
            reader.finish(read).map_err(|faults| faults.to_string())
        };
        assert_eq!(read(&format!("{new}\n")), Ok(Generations::new([&*new])));
        assert_eq!(read(&format!(" {new} \n\n{old}")), Ok(Generations::new([&*new, &*old])));
        for (bad, says) in [("", "empty"), (&new[1..], "shorter"), (&format!("{new}\nold"), "shorter")] {
            assert!(read(bad).unwrap_err().contains(says), "{bad}");
        }
        assert!(read(&format!("{new}\n{new}\n{new}")).unwrap_err().contains("at most 2"));
        let lone = |text: &str| {
            fs::write(&file, text).unwrap();
            let mut reader = Reader::default();
            let read = reader.lone_secret_file("X", &file);
            reader.finish(read).map_err(|faults| faults.to_string())
        };
        assert_eq!(lone(&format!("{new}\n")), Ok(Secret::new(&new)));
        assert!(lone(&format!("{new}\n{old}")).unwrap_err().contains("one secret"));
        assert!(lone("short").unwrap_err().contains("shorter"));
        assert!(!format!("{:?}", Generations::new(["hidden"])).contains("hidden"));
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("x")), "(secret)");
    }
}
