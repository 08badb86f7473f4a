//! `aosk audit`: the check of the journal and of what it tells of, and the journal itself.

use aosk::abi::{Error, ErrorCode, Hash};
use aosk::inspect::{self, Checked, Damage};
use aosk::store::{Head, JournalQuery, Sqlite, verify};
use serde_json::{Value, json};

use super::logs;
use crate::cli::{AuditArgs, AuditCommand, AuditShowArgs, Place};
use crate::fail::{self, Done};
use crate::term::{self, cut, json as print_json, line, note, plural};

/// Characters of a finding on its line.
const FINDING_MAX: usize = 300;

pub(crate) fn run(place: &Place, args: &AuditArgs) -> Result<Done, Error> {
    match &args.command {
        AuditCommand::Verify { head, json } => check(place, head.as_deref(), *json),
        AuditCommand::Show(args) => show(place, args),
    }
}

fn check(place: &Place, noted: Option<&str>, json: bool) -> Result<Done, Error> {
    let noted = noted.map(parse_head).transpose()?;
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    // A journal that is not there is no proof of anything, so it is an error here.
    let reader = Sqlite::open_reader(&dir)?;
    let verified = verify(reader.as_ref(), noted)?;
    let checked = inspect::check(reader.as_ref())?;
    let error = damage(&checked.damage);
    if json {
        print_json(&object(verified.head, noted, &checked, error.as_ref()));
    } else {
        print(verified.head, noted, &checked);
    }
    if let Some(error) = error {
        note(&fail::line(&error));
        return Ok(Done::Failed(error.code));
    }
    if !json && noted.is_none() {
        note(
            "whoever can write the files can write a new chain; keep this head elsewhere and check \
            against it with `aosk audit verify --head LENGTH:HASH`",
        );
    }
    Ok(Done::Well)
}

/// What was found, as an error; none if all is well.
fn damage(found: &[Damage]) -> Option<Error> {
    let first = found.first()?;
    let findings = plural(found.len() as u64, "finding");
    let message = format!("verifying the store: {findings}, the first: {}", told(first));
    let hint = "restore the data directory from a backup, or end the processes that are named";
    Some(Error::new(ErrorCode::StoreCorrupt, message).hint(hint))
}

/// A finding in one line.
fn told(damage: &Damage) -> String {
    let what = cut(&damage.what, FINDING_MAX);
    match damage.pid {
        Some(pid) => format!("{pid}: {what}"),
        None => what,
    }
}

fn print(head: Head, noted: Option<Head>, checked: &Checked) {
    line(&format!("{}, no break", plural(head.length, "entry")));
    if checked.damage.is_empty() {
        let logs = plural(checked.processes as u64, "log");
        line(&format!("{logs}, no page missing or changed"));
        let messages = plural(checked.bodies as u64, "message");
        line(&format!("{messages} that they name, all there and unchanged"));
    }
    for damage in &checked.damage {
        line(&format!("damaged: {}", told(damage)));
    }
    if let Some(noted) = noted {
        line(&format!("contains the noted head of {}", plural(noted.length, "entry")));
    }
    line(&format!("head {}", print_head(head)));
}

fn object(head: Head, noted: Option<Head>, checked: &Checked, error: Option<&Error>) -> Value {
    let finding = |damage: &Damage| json!({ "pid": damage.pid, "what": damage.what });
    let damage: Vec<Value> = checked.damage.iter().map(finding).collect();
    let mut object = json!({
        "ok": damage.is_empty(), "entries": head.length, "logs": checked.processes,
        "bodies": checked.bodies, "head": print_head(head),
        "held_against": noted.map(print_head), "damage": damage,
    });
    if let (Some(error), Some(object)) = (error, object.as_object_mut()) {
        object.insert("error".to_owned(), json!(error));
    }
    object
}

fn print_head(head: Head) -> String {
    format!("{}:{}", head.length, head.hash)
}

fn parse_head(text: &str) -> Result<Head, Error> {
    let parse = || {
        let (length, hash) = text.trim().split_once(':')?;
        Some(Head { length: length.parse().ok()?, hash: hash.parse::<Hash>().ok()? })
    };
    parse().ok_or_else(|| {
        let text = cut(text, 100);
        Error::new(ErrorCode::Usage, format!("reading --head: it is not LENGTH:HASH: {text}"))
            .hint("give what `aosk audit verify` printed after the word head")
    })
}

fn show(place: &Place, args: &AuditShowArgs) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let reader = Sqlite::open_reader(&dir)?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(Done::Well);
    }
    // Without a filter on kinds no more is read than is shown.
    let limit =
        if args.kind.is_some() { u32::MAX } else { u32::try_from(left).unwrap_or(u32::MAX) };
    let query = JournalQuery { from: args.from, limit, pid: args.pid };
    let mut shown = false;
    inspect::journal(reader.as_ref(), &query, |entry| {
        if args.kind.as_ref().is_some_and(|kind| *kind != entry.kind) {
            return true;
        }
        shown = true;
        if args.json {
            print_json(&logs::object(&entry, None));
        } else {
            let whose = entry.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            line(&format!("{whose:>6}  {}", logs::text(&entry, None)));
        }
        left -= 1;
        left > 0 && term::is_open()
    })?;
    if !shown {
        note("no such entries");
    }
    Ok(Done::Well)
}

#[cfg(test)]
mod tests;
