//! `aosk audit`: the check of the journal, and the journal itself.

use aosk::abi::{Error, ErrorCode, Hash};
use aosk::inspect;
use aosk::store::{Head, JournalQuery, Sqlite, verify};
use serde_json::json;

use super::logs;
use crate::cli::{AuditArgs, AuditCommand, AuditShowArgs, Place};
use crate::fail::Done;
use crate::term::{self, json as print_json, line, note, plural};

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
    let bodies = inspect::check_bodies(reader.as_ref())?;
    let Head { length, hash } = verified.head;
    if json {
        let held_against = noted.map(print_head);
        let head = print_head(verified.head);
        print_json(&json!({
            "ok": true, "entries": length, "bodies": bodies, "head": head,
            "held_against": held_against,
        }));
        return Ok(Done::Well);
    }
    line(&format!("{}, no break", plural(length, "entry")));
    let messages = plural(bodies as u64, "message");
    line(&format!("{messages} that they name, all there and unchanged"));
    if let Some(noted) = noted {
        line(&format!("contains the noted head of {}", plural(noted.length, "entry")));
    }
    line(&format!("head {length}:{hash}"));
    if noted.is_none() {
        note(
            "whoever can write the files can write a new chain; keep this head elsewhere and check \
            against it with `aosk audit verify --head LENGTH:HASH`",
        );
    }
    Ok(Done::Well)
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
        let cut = term::cut(text, 100);
        Error::new(ErrorCode::Usage, format!("reading --head: it is not LENGTH:HASH: {cut}"))
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
