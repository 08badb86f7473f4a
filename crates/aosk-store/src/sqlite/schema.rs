//! The database's format: how it is recognised, made and brought up to date.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{OPEN, failed};
use crate::error::StoreError;
use crate::limits::BUSY_TIMEOUT;

/// Marks a database file as ours: the letters `aosk`.
const APPLICATION_ID: u32 = 0x616f_736b;

/// How to come from each format to the next. Never edited, only added to. The number of steps done
/// is the format, kept in `user_version`.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql")];

/// The newest format this version knows.
pub(super) const FORMAT: u32 = 1;
/// The tables that every format has.
const TABLES: [&str; 9] =
    ["node", "spec", "process", "page", "page_block", "mail", "blob", "journal", "journal_block"];
const _: () = assert!(MIGRATIONS.len() == FORMAT as usize);

/// Statements that stay prepared: all there are.
const STATEMENTS_MAX: usize = 64;

/// Sets a fresh connection of the writer up, and brings the database to the newest format.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    // Identity comes first, so that a file of another program is left as it is.
    let found = format(connection, path)?;
    set_up(connection, found).map_err(|e| failed(OPEN, path, &e))?;
    migrate(connection, found).map_err(|e| failed(OPEN, path, &e))
}

/// The format of the database; 0 for an empty file.
pub(super) fn format(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let read = || {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    let (application, found, tables) = read().map_err(|e| failed(OPEN, path, &e))?;
    match (application, found, tables) {
        (APPLICATION_ID, found, _) if found > FORMAT => {
            Err(StoreError::Newer { found, known: FORMAT })
        }
        (APPLICATION_ID, found, _) if found > 0 => whole(connection, path).map(|()| found),
        (APPLICATION_ID | 0, 0, 0) => Ok(0),
        (APPLICATION_ID, _, _) => {
            let reason = "the database has tables and no format number".to_owned();
            Err(StoreError::Corrupt { attempted: OPEN, reason })
        }
        (_, _, _) => Err(StoreError::Foreign { path: path.to_path_buf() }),
    }
}

/// Refuses a database that lacks a table, and names it, before a statement stumbles over that.
fn whole(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    for table in TABLES {
        let found: i64 = connection
            .query_row(exists, [table], |row| row.get(0))
            .map_err(|e| failed(OPEN, path, &e))?;
        if found == 0 {
            let reason = format!("the database lacks a table: {table}");
            return Err(StoreError::Corrupt { attempted: OPEN, reason });
        }
    }
    Ok(())
}

/// What a reader's connection needs.
pub(super) fn set_up_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.busy_timeout(BUSY_TIMEOUT)
}

fn set_up(connection: &Connection, found: u32) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    if found == 0 {
        connection.pragma_update(None, "page_size", 4096)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // A commit that has returned survives a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    // The log is moved between commits, not in one of them.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    // After a rush the log file is cut back to 64 MiB.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    // In KiB. A larger cache is no faster: the system's own cache is behind it, and a commit that
    // splits a tree's page walks all of it.
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "temp_store", "memory")
}

fn migrate(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    if found == FORMAT {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}
