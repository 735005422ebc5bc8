//! What can be checked from outside of an installation: one line for each, and what to do.

use std::{io::Write, path::Path};

use jiff::{SignedDuration, ToSpan, civil::Date, tz::TimeZone};
use uuid::Uuid;

use super::{ServeError, store};
use crate::{
    config::{Generations, doctor::DoctorSettings, shown_size},
    spool,
    store::{Store, StoreError, clicks::Standing},
    telemetry::log::Causes,
    visitors::VisitorKeys,
};

/// How many days ahead have to take clicks.
const DAYS_AHEAD: i64 = 1;
/// How far back the ledger is compared with the log, and how far at least: half as far is tried when it takes too long.
const LEDGER: (SignedDuration, SignedDuration) =
    (SignedDuration::from_hours(24), SignedDuration::from_mins(1));

/// What a check found: that all is well, or what is wrong and what to do.
type Finding = Result<String, String>;

/// Writes the lines.
struct Report<'a, W> {
    out: &'a mut W,
    wrong: usize,
}

impl<W: Write> Report<'_, W> {
    fn line(&mut self, what: &str, finding: Finding) -> Result<(), ServeError> {
        let (mark, text) = match &finding {
            Ok(text) => ("ok", text),
            Err(text) => {
                self.wrong += 1;
                ("wrong", text)
            }
        };
        writeln!(self.out, "{mark:<6} {what:<13} {text}")
            .map_err(|error| ServeError(format!("cannot write: {error}")))
    }
}

/// Checks what there is to check, and says what it found; fails if anything is wrong.
pub async fn doctor(settings: DoctorSettings, out: &mut impl Write) -> Result<(), ServeError> {
    let store = store(&settings.database, "smartlinks doctor")?;
    let mut report = Report { out, wrong: 0 };
    let migrated = store.schema_is_current().await;
    let answers = migrated.is_ok();
    let tables = match migrated {
        Ok(true) => Ok("up to date".to_owned()),
        Ok(false) => Err("not up to date; run `smartlinks migrate`".to_owned()),
        Err(error) => Err(cannot("SMARTLINKS_DATABASE_URL: cannot be asked", &error)),
    };
    let usable = tables.is_ok();
    report.line(if answers { "tables" } else { "database" }, tables)?;
    if usable {
        if settings.after_restore {
            report.line("epoch", renew_epoch(&store).await)?;
        }
        match store.click_standing().await {
            Ok(standing) => {
                report.line("database", Ok(format!("PostgreSQL {} answers", standing.server)))?;
                report.line("days", days(&standing))?;
                report.line("ledger", ledger(&store, &standing).await)?;
                report.line("counting", Ok(counting(&standing)))?;
                report.line("put aside", put_aside(&standing))?;
            }
            Err(error) => report.line("database", Err(cannot("cannot be asked", &error)))?,
        }
    } else if settings.after_restore {
        report.line("epoch", Err("not renewed; repair what is above, then ask again".to_owned()))?;
    }
    if let Some(folder) = &settings.spool {
        report.line("local log", local_log(folder, usable.then_some(&store)).await)?;
    }
    if let Some(secrets) = &settings.visitor_keys {
        report.line("visitor keys", visitor_keys(secrets, usable.then_some(&store)).await)?;
    }
    match report.wrong {
        0 => Ok(()),
        1 => Err(ServeError("1 check found something wrong".to_owned())),
        wrong => Err(ServeError(format!("{wrong} checks found something wrong"))),
    }
}

fn cannot(what: &str, error: &StoreError) -> String {
    format!("{what}: {}", Causes(error))
}

/// Renews the epoch of the ledger.
async fn renew_epoch(store: &Store) -> Finding {
    let (before, after) =
        store.renew_click_epoch().await.map_err(|error| cannot("cannot be renewed", &error))?;
    Ok(format!(
        "renewed, from {before} to {after}: streams of clicks begin anew; servers that run ship again by themselves what \
         PostgreSQL lost and they still have"
    ))
}

/// Looks whether the next days take clicks.
fn days(standing: &Standing) -> Finding {
    let today = standing.now.to_zoned(TimeZone::UTC).date();
    let needed = (0..=DAYS_AHEAD).map(|ahead| today.saturating_add(ahead.days()));
    let missing: Vec<String> =
        needed.filter(|day| !standing.days.contains(day)).map(|day: Date| day.to_string()).collect();
    if missing.is_empty() {
        return Ok(format!("{} take clicks, tomorrow too", standing.days.len()));
    }
    let text = "take no clicks yet; a running server makes them every hour: look for `click_days_failures`";
    Err(format!("{} {text}", missing.join(", ")))
}

/// Compares the newest part of the ledger with the log.
async fn ledger(store: &Store, standing: &Standing) -> Finding {
    let mut span = LEDGER.0;
    let audit = loop {
        match store.check_ledger(Some(standing.now - span), None).await {
            Err(StoreError::TooSlow(_)) if span / 2 >= LEDGER.1 => span /= 2,
            audit => break audit.map_err(|error| cannot("cannot be compared with the log", &error))?,
        }
    };
    let Some(difference) = audit.differences.first() else {
        let less = if span < LEDGER.0 { ", more takes too long" } else { "" };
        return Ok(format!(
            "agrees with the log: {} clicks of the last {}{less}, position {}",
            audit.present,
            shown_span(span),
            standing.position
        ));
    };
    Err(format!(
        "{} differences, the first at position {}: {:?}, {} expected, {} found; ask `smartlinks call CheckLedger`",
        audit.differences.len(),
        difference.position,
        difference.check,
        difference.expected,
        difference.found
    ))
}

/// Writes hours, or minutes if they are few.
fn shown_span(span: SignedDuration) -> String {
    match span.as_hours() {
        0..3 => format!("{} minutes", span.as_mins()),
        hours => format!("{hours} hours"),
    }
}

fn counting(standing: &Standing) -> String {
    match standing.position - standing.counted {
        0 => "everything is counted".to_owned(),
        behind => {
            format!("{behind} entries are not counted yet; a running server counts them within seconds")
        }
    }
}

fn put_aside(standing: &Standing) -> Finding {
    match standing.rejected {
        0 => Ok("nothing".to_owned()),
        rejected => Err(format!(
            "{rejected} clicks; SELECT reason, count(*) FROM clicks.rejected WHERE content <> '' GROUP BY 1; \
                 those that are done with: UPDATE clicks.rejected SET reason = 'done', content = '', shop = NULL, \
                 click_at = NULL, partner = NULL, visitor = NULL WHERE …"
        )),
    }
}

/// Looks at a local log, and how much of it PostgreSQL has.
async fn local_log(folder: &Path, store: Option<&Store>) -> Finding {
    let place = folder.display();
    let look = spool::look(folder).map_err(|error| format!("SMARTLINKS_STATE_DIR: {error}"))?;
    let Some(source) = look.source else { return Err(format!("SMARTLINKS_STATE_DIR: {place} holds none")) };
    let size = format!(
        "{} files of {} in {place}, {} MiB left on its disk",
        look.segments,
        shown_size(look.bytes),
        look.free_bytes >> 20
    );
    if look.set_aside > 0 {
        return Err(format!(
            "{} files that cannot be read are set aside, ending in `.damaged`; {size}",
            look.set_aside
        ));
    }
    let Some(store) = store else { return Ok(format!("{} clicks ever; {size}", look.written)) };
    let progress = store.click_progress(Uuid::from_bytes(*source.bytes())).await;
    match progress.map_err(|error| cannot("cannot ask PostgreSQL how far it is", &error))? {
        Some(progress) if progress > look.written => Err(format!(
            "PostgreSQL has {progress} clicks of it, here are {}: the folder was restored or copied; its server ships it \
             under a new id; {size}",
            look.written
        )),
        progress => {
            let waiting = look.written - progress.unwrap_or_default();
            Ok(format!("{waiting} of {} clicks wait for PostgreSQL; {size}", look.written))
        }
    }
}

/// Tries the secret on the keys in PostgreSQL.
async fn visitor_keys(secrets: &Generations, store: Option<&Store>) -> Finding {
    let Some(store) = store else { return Ok("the secret can be read".to_owned()) };
    let sealed = store.visitor_keys().await.map_err(|error| cannot("cannot be read", &error))?;
    let keys = VisitorKeys::new(secrets.iter());
    let foreign: Vec<_> =
        sealed.iter().filter(|key| !keys.opens(key)).map(|key| key.day.to_string()).collect();
    if foreign.is_empty() {
        return Ok(format!("the secret opens all {} in PostgreSQL", sealed.len()));
    }
    let text = "were sealed with another secret; let SMARTLINKS_VISITOR_KEY_FILE hold that of all servers, and behind it \
                the one before";
    Err(format!("those of {} {text}", foreign.join(", ")))
}
