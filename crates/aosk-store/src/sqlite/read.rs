//! Reading: the image at boot, and everything that other threads and processes ask.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use aosk_abi::{BudgetId, Hash, Image, MessageIndex, Pid, RowKey, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::{NodeKind, damage, failed, schema};
use crate::error::StoreError;
use crate::limits::{IDLE_CONNECTIONS_MAX, ROWS_PER_READ_MAX};
use crate::store::{
    Damage, Head, JournalQuery, ProcessQuery, ProcessRow, Reader, StoredEntry, Which,
};

const READ: &str = "read the store";

/// Reads the database over connections of its own, one for each thread that reads at a time.
#[derive(Debug)]
pub(super) struct SqliteReader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteReader {
    /// A reader of the database at `path`, which is opened at the first read.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    /// The database's format; 0 if it has none yet.
    pub(super) fn format(&self) -> Result<u32, StoreError> {
        let connection = self.connect()?;
        schema::format(&connection, &self.path)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            schema::set_up_reader(&connection)?;
            Ok(connection)
        };
        open().map_err(|error| failed(READ, &self.path, &error))
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let value = read(&connection).map_err(|error| failed(READ, &self.path, &error));
        let mut idle = idle();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
        value
    }
}

impl Reader for SqliteReader {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn body(&self, hash: Hash) -> Result<Option<String>, StoreError> {
        let sql = "SELECT bytes FROM blob WHERE hash = ?1";
        let bytes: Option<String> = self.with(|connection| {
            connection.prepare_cached(sql)?.query_row([hash.0], |row| row.get(0)).optional()
        })?;
        match bytes {
            Some(bytes) if Hash::of(bytes.as_bytes()) != hash => Err(StoreError::Corrupt {
                attempted: "read a body",
                reason: format!("its bytes do not have its address: {hash}"),
            }),
            bytes => Ok(bytes),
        }
    }

    fn journal(&self, query: &JournalQuery) -> Result<Vec<StoredEntry>, StoreError> {
        let from = if query.from == 0 { i64::MIN } else { number(query.from) };
        let limit = query.limit.min(ROWS_PER_READ_MAX);
        self.with(|connection| match query.pid {
            Some(pid) => connection
                .prepare_cached(JOURNAL_OF_PROCESS)?
                .query_map(params![pid.0.cast_signed(), from, limit], entry)?
                .collect(),
            None => connection
                .prepare_cached(
                    "SELECT seq, at, pid, kind, data, hash FROM journal
                     WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
                )?
                .query_map(params![from, limit], entry)?
                .collect(),
        })
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.with(head)
    }

    fn row(&self, key: RowKey) -> Result<Option<String>, StoreError> {
        self.with(|connection| {
            let read = |sql, params: &[&dyn rusqlite::ToSql]| {
                connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()
            };
            match key {
                RowKey::Kernel => read(NODE, params![NodeKind::Counters, 0]),
                RowKey::Budget(BudgetId(id)) => {
                    read(NODE, params![NodeKind::Budget, id.cast_signed()])
                }
                RowKey::Spec(pid) => {
                    read("SELECT body FROM spec WHERE pid = ?1", params![pid.0.cast_signed()])
                }
                RowKey::Process(pid) => {
                    read("SELECT body FROM process WHERE pid = ?1", params![pid.0.cast_signed()])
                }
                RowKey::Message(pid, index) => read(
                    "SELECT g.body FROM page_block b
                     JOIN page g ON g.place BETWEEN b.block * 256 + 1 AND b.block * 256 + 256
                     WHERE b.pid = ?1 AND g.pid = ?1 AND g.idx = ?2
                     ORDER BY b.block DESC, g.place DESC LIMIT 1",
                    params![pid.0.cast_signed(), index.0],
                ),
                RowKey::Mail(pid, number) => read(
                    "SELECT body FROM mail WHERE pid = ?1 AND number = ?2",
                    params![pid.0.cast_signed(), number.cast_signed()],
                ),
            }
        })
    }

    fn processes(&self, query: &ProcessQuery) -> Result<Vec<ProcessRow>, StoreError> {
        let sql = match query.which {
            Which::Live => {
                "SELECT p.pid, p.live, coalesce(s.body, ''), p.body
                 FROM process p LEFT JOIN spec s ON s.pid = p.pid
                 WHERE p.live = 1 AND p.pid > ?1 ORDER BY p.pid LIMIT ?2"
            }
            Which::All => {
                "SELECT p.pid, p.live, coalesce(s.body, ''), p.body
                 FROM process p LEFT JOIN spec s ON s.pid = p.pid
                 WHERE p.pid > ?1 ORDER BY p.pid LIMIT ?2"
            }
        };
        let process = |row: &Row<'_>| {
            Ok(ProcessRow {
                pid: Pid(unsigned(row, 0)?),
                live: row.get(1)?,
                spec: row.get(2)?,
                process: row.get(3)?,
            })
        };
        let (after, limit) = (number(query.after.0), query.limit.min(ROWS_PER_READ_MAX));
        self.with(|connection| {
            connection.prepare_cached(sql)?.query_map(params![after, limit], process)?.collect()
        })
    }

    fn budgets(&self) -> Result<Vec<(BudgetId, String)>, StoreError> {
        let mut nodes: Vec<(BudgetId, String)> = self.with(|connection| {
            connection
                .prepare_cached("SELECT id, body FROM node WHERE kind = ?1")?
                .query_map([NodeKind::Budget], |row| {
                    Ok((BudgetId(unsigned(row, 0)?), row.get(1)?))
                })?
                .collect()
        })?;
        // Ids are stored bit by bit, so the database would order large ones before small ones.
        nodes.sort_unstable_by_key(|(id, _)| *id);
        Ok(nodes)
    }

    fn pages(&self, pid: Pid) -> Result<Vec<(MessageIndex, String)>, StoreError> {
        let pages: BTreeMap<_, _> = self.with(|connection| {
            connection
                .prepare_cached(PAGES_OF_PROCESS)?
                .query_map([pid.0.cast_signed()], |row| {
                    Ok((MessageIndex(row.get(0)?), row.get(1)?))
                })?
                .collect()
        })?;
        Ok(pages.into_iter().collect())
    }

    fn damage(&self) -> Result<Vec<Damage>, StoreError> {
        self.with(damage::find)
    }
}

/// A row of the table of small rows.
const NODE: &str = "SELECT body FROM node WHERE kind = ?1 AND id = ?2";

/// What one process did. The last condition is the sparse index's: a block has others' rows too.
pub(super) const JOURNAL_OF_PROCESS: &str = "
    SELECT j.seq, j.at, j.pid, j.kind, j.data, j.hash FROM journal_block b
    JOIN journal j ON j.seq BETWEEN b.block * 256 + 1 AND b.block * 256 + 256
    WHERE b.pid = ?1 AND b.block >= (?2 - 1) / 256 AND j.seq >= ?2 AND j.pid = ?1
    ORDER BY b.block, j.seq LIMIT ?3";

/// The pages of one process in the order in which they were written.
pub(super) const PAGES_OF_PROCESS: &str = "
    SELECT g.idx, g.body FROM page_block b
    JOIN page g ON g.place BETWEEN b.block * 256 + 1 AND b.block * 256 + 256
    WHERE b.pid = ?1 AND g.pid = ?1
    ORDER BY b.block, g.place";

/// The pages of all processes that are not archived, in the order in which they were written. Every
/// block is read once, however many processes have pages in it. `CROSS` keeps that order; left free,
/// the planner reads the whole table to make an index of it.
pub(super) const PAGES_LIVE: &str = "
    SELECT g.body, g.pid, g.idx
    FROM (SELECT DISTINCT b.block AS block
          FROM process p JOIN page_block b ON b.pid = p.pid WHERE p.live = 1) l
    CROSS JOIN page g ON g.place BETWEEN l.block * 256 + 1 AND l.block * 256 + 256
    CROSS JOIN process o ON o.pid = g.pid AND o.live = 1
    ORDER BY g.place";

/// Where the journal ends.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let head = connection
        .prepare_cached(NODE)?
        .query_row(params![NodeKind::Head, 0], |row| {
            let text: String = row.get(0)?;
            let parsed = text.split_once(' ').and_then(|(length, hash)| {
                Some(Head { length: length.parse().ok()?, hash: hash.parse().ok()? })
            });
            parsed.ok_or_else(|| {
                let wrong = format!("the head of the journal is no length and hash: {text}");
                rusqlite::Error::FromSqlConversionFailure(0, Type::Text, wrong.into())
            })
        })
        .optional()?;
    Ok(head.unwrap_or_default())
}

/// Everything that is not archived, in the order of the keys.
pub(super) fn image(connection: &Connection) -> rusqlite::Result<Image> {
    let mut rows = Vec::new();
    let mut read = |sql, key: fn(&Row<'_>) -> rusqlite::Result<RowKey>| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            rows.push((key(row)?, row.get(0)?));
        }
        Ok(())
    };
    read("SELECT body FROM node WHERE kind = 1", |_| Ok(RowKey::Kernel))?;
    read(
        "SELECT s.body, s.pid FROM process p JOIN spec s ON s.pid = p.pid
         WHERE p.live = 1 ORDER BY p.pid",
        |row| Ok(RowKey::Spec(Pid(unsigned(row, 1)?))),
    )?;
    read("SELECT body, pid FROM process WHERE live = 1 ORDER BY pid", |row| {
        Ok(RowKey::Process(Pid(unsigned(row, 1)?)))
    })?;
    read(PAGES_LIVE, |row| Ok(RowKey::Message(Pid(unsigned(row, 1)?), MessageIndex(row.get(2)?))))?;
    read("SELECT body, pid, number FROM mail ORDER BY pid, number", |row| {
        Ok(RowKey::Mail(Pid(unsigned(row, 1)?), unsigned(row, 2)?))
    })?;
    read("SELECT body, id FROM node WHERE kind = 2", |row| {
        Ok(RowKey::Budget(BudgetId(unsigned(row, 1)?)))
    })?;
    // Stable, so that of two pages with the same key the later one is last.
    rows.sort_by_key(|(key, _)| *key);
    rows.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    let head = head(connection)?;
    let journal_head = (head.length > 0).then_some(head.hash);
    Ok(Image { rows, journal_length: head.length, journal_head })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<StoredEntry> {
    let pid: Option<i64> = row.get(2)?;
    Ok(StoredEntry {
        seq: unsigned(row, 0)?,
        at: Timestamp(unsigned(row, 1)?),
        pid: pid.map(|pid| Pid(pid.cast_unsigned())),
        kind: row.get(3)?,
        data: row.get(4)?,
        hash: Hash(row.get(5)?),
    })
}

/// A number of 64 bits, which is stored bit by bit.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

/// A number to compare with. One past all that are counted is as good as any larger one.
fn number(bound: u64) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}
