//! Finds the programs of the PostgreSQL server.

use std::{
    cmp::Reverse,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::error::FindError;

/// The oldest major version we start.
const OLDEST_MAJOR: u32 = 14;

/// Folders in which distributions keep the programs outside of `PATH`; a `*` stands for any text in one name.
/// `scripts/setup` looks into the same ones before it fetches a server.
const DISTRIBUTION_FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/lib64/postgresql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// A folder that holds `initdb` and `postgres` of one version.
#[derive(Clone, Debug)]
pub struct Programs {
    bin: PathBuf,
    major: u32,
}

impl Programs {
    /// Finds the programs: in `setting` if there is one (`SMARTLINKS_PG_BIN`) and nowhere else; otherwise in `PATH`,
    /// where `pg_config` says, in the folders of distributions, and in `.smartlinks/postgres/bin` of `workdir`,
    /// where `scripts/setup` puts the ones it fetched.
    pub fn find(setting: Option<&Path>, workdir: &Path) -> Result<Self, FindError> {
        if let Some(bin) = setting {
            let programs =
                Self::in_folder(bin).ok_or_else(|| FindError::NotInSetting { folder: bin.to_owned() })?;
            return match programs.major {
                OLDEST_MAJOR.. => Ok(programs),
                major => Err(FindError::TooOld { folder: bin.to_owned(), major, oldest: OLDEST_MAJOR }),
            };
        }
        let mut candidates: Vec<PathBuf> =
            env::var_os("PATH").iter().flat_map(env::split_paths).filter(|dir| dir.is_absolute()).collect();
        candidates.extend(folder_of_pg_config());
        candidates.extend(DISTRIBUTION_FOLDERS.iter().flat_map(|pattern| newest_first(pattern)));
        candidates.push(workdir.join(".smartlinks/postgres/bin"));
        candidates
            .iter()
            .filter_map(|bin| Self::in_folder(bin))
            .find(|programs| programs.major >= OLDEST_MAJOR)
            .ok_or_else(|| FindError::Nowhere { command: command_that_helps(workdir) })
    }

    /// Where the programs are.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The major version, which a data folder is bound to.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The path of one program.
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.bin.join(program)
    }

    fn in_folder(bin: &Path) -> Option<Self> {
        // Follows links such as /usr/local/bin/postgres to the folder that holds all the programs.
        let postgres = fs::canonicalize(bin.join("postgres")).ok()?;
        let bin = postgres.parent()?.to_owned();
        if !bin.join("initdb").is_file() {
            return None;
        }
        let said = Command::new(&postgres).arg("--version").output().ok()?;
        let major = major_version(&String::from_utf8_lossy(&said.stdout))?;
        Some(Self { bin, major })
    }
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)` or `… 18beta1`.
fn major_version(said: &str) -> Option<u32> {
    let version = said.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

fn folder_of_pg_config() -> Option<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(said.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// The folders a pattern with at most one `*` stands for, the highest number first.
fn newest_first(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let mut names: Vec<String> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| {
        Reverse(name.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap_or(0))
    });
    names.iter().map(|name| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}

/// The one command that brings the programs here.
fn command_that_helps(workdir: &Path) -> String {
    if workdir.join("scripts/setup").is_file() {
        return "scripts/setup postgres".to_owned();
    }
    let installers = [
        ("apt-get", "sudo apt-get install postgresql"),
        ("dnf", "sudo dnf install postgresql-server"),
        ("apk", "sudo apk add postgresql"),
        ("pacman", "sudo pacman -S postgresql"),
        ("zypper", "sudo zypper install postgresql-server"),
        ("brew", "brew install postgresql@18"),
    ];
    let on_path = |program: &str| {
        env::var_os("PATH").iter().flat_map(env::split_paths).any(|dir| dir.join(program).is_file())
    };
    installers
        .iter()
        .find(|(program, _)| on_path(program))
        .map_or("sudo apt-get install postgresql", |(_, command)| *command)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_as_distributions_write_it() {
        for (said, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres (PostgreSQL) 18", Some(18)),
            ("something else", None),
        ] {
            assert_eq!(major_version(said), major, "{said}");
        }
    }

    #[test]
    fn setting_without_programs_is_refused_by_name() {
        let empty = tempfile::tempdir().unwrap();
        let refused = Programs::find(Some(empty.path()), empty.path()).unwrap_err().to_string();
        assert!(refused.contains("SMARTLINKS_PG_BIN"), "{refused}");
    }

    #[test]
    fn newest_distribution_folder_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "16", "15"] {
            fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let pattern = format!("{}/*/bin", root.path().display());
        let found: Vec<String> = newest_first(&pattern)
            .iter()
            .map(|folder| folder.strip_prefix(root.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(found, ["16/bin", "15/bin", "9/bin"]);
    }
}
