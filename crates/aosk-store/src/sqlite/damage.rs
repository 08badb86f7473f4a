//! What is wrong with what this store keeps for itself, found by reading all of it.
//!
//! A row whose block is not marked in the sparse index is there and is not found. The other way
//! round, a mark too many costs a look at 256 rows and hides nothing, so it is not looked for.

use aosk_abi::Pid;
use rusqlite::{Connection, Row};

use crate::limits::DAMAGE_MAX;
use crate::store::Damage;

/// Facts that a reader of one process does not see, by process.
const JOURNAL_UNMARKED: &str = "
    SELECT j.pid, count(*) FROM journal j
    WHERE j.pid IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM journal_block b WHERE b.pid = j.pid AND b.block = (j.seq - 1) / 256)
    GROUP BY j.pid LIMIT ?1";

/// Pages that a reader of one process does not see, by process.
const PAGES_UNMARKED: &str = "
    SELECT g.pid, count(*) FROM page g
    WHERE NOT EXISTS (
        SELECT 1 FROM page_block b WHERE b.pid = g.pid AND b.block = (g.place - 1) / 256)
    GROUP BY g.pid LIMIT ?1";

/// What belongs to a process that is not there, by process.
const ORPHANS: &str = "
    SELECT o.pid, count(*) FROM (
        SELECT pid FROM spec UNION ALL SELECT pid FROM page UNION ALL SELECT pid FROM mail) o
    WHERE NOT EXISTS (SELECT 1 FROM process p WHERE p.pid = o.pid)
    GROUP BY o.pid LIMIT ?1";

/// Everything of that kind, at most [`DAMAGE_MAX`] of each.
pub(super) fn find(connection: &Connection) -> rusqlite::Result<Vec<Damage>> {
    let mut found = Vec::new();
    let mut look = |sql, what: fn(u64) -> String| -> rusqlite::Result<()> {
        let one = |row: &Row<'_>| {
            let pid = Pid(row.get::<_, i64>(0)?.cast_unsigned());
            Ok(Damage { pid: Some(pid), what: what(row.get::<_, i64>(1)?.cast_unsigned()) })
        };
        let mut statement = connection.prepare_cached(sql)?;
        for damage in statement.query_map([DAMAGE_MAX], one)? {
            found.push(damage?);
        }
        Ok(())
    };
    look(JOURNAL_UNMARKED, |rows| {
        format!("the index of the journal does not lead to all it did; entries missed: {rows}")
    })?;
    look(PAGES_UNMARKED, |rows| {
        format!("the index of pages does not lead to all of its log; pages missed: {rows}")
    })?;
    look(ORPHANS, |rows| {
        format!("its row is missing, and others that belong to it are there: {rows}")
    })?;
    Ok(found)
}
