//! Writing batches inside a transaction. The hot path of the whole kernel.

use std::path::Path;

use aosk_abi::{BudgetId, MessageIndex, Pid, RowChange, RowKey, RowOp};
use rusqlite::{CachedStatement, Connection, params};

use super::block::{Marks, block_of};
use super::{COMMIT, NodeKind, failed};
use crate::error::StoreError;
use crate::journal::Chain;
use crate::store::Batch;

/// Writes `batches` and the head of `chain` after them.
pub(super) fn batches(
    connection: &Connection,
    chain: &mut Chain,
    marks: &mut Marks,
    batches: &[Batch],
    path: &Path,
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| failed(COMMIT, path, &error);
    let mut statements = Statements::prepare(connection).map_err(failed)?;
    for batch in batches {
        for body in &batch.bodies {
            let bytes: &str = body.bytes();
            statements.put_blob.execute(params![body.hash().0, bytes]).map_err(failed)?;
        }
        for change in &batch.rows {
            write_row(connection, &mut statements, marks, change, path)?;
        }
        for entry in &batch.journal {
            let (at, pid) = (entry.at.0.cast_signed(), entry.pid.map(|pid| pid.0.cast_signed()));
            let (head, data) = chain.append(entry)?;
            let (seq, hash) = (head.length.cast_signed(), head.hash.0);
            statements
                .put_entry
                .execute(params![seq, at, pid, entry.fact.kind(), data, hash])
                .map_err(failed)?;
            if let Some(pid) = pid
                && marks.journal.is_new(pid, block_of(seq))
            {
                statements
                    .put_journal_block
                    .execute(params![pid, block_of(seq)])
                    .map_err(failed)?;
            }
        }
    }
    let head = format!("{} {}", chain.head.length, chain.head.hash);
    statements.put_node.execute(params![NodeKind::Head, 0, head]).map_err(failed)?;
    Ok(())
}

fn write_row(
    connection: &Connection,
    statements: &mut Statements<'_>,
    marks: &mut Marks,
    change: &RowChange,
    path: &Path,
) -> Result<(), StoreError> {
    let written = match (&change.op, change.key) {
        (RowOp::Put(value), key) => put(connection, statements, marks, key, value),
        (RowOp::Delete, key) => delete(connection, key),
        (RowOp::Archive, RowKey::Process(pid)) => {
            let pid = pid.0.cast_signed();
            let archive = "UPDATE process SET live = 0 WHERE pid = ?1";
            execute(connection, archive, params![pid])
                .and_then(|()| execute(connection, "DELETE FROM mail WHERE pid = ?1", params![pid]))
        }
        (RowOp::Archive, key) => return Err(StoreError::NotArchivable { key }),
    };
    written.map_err(|error| failed(COMMIT, path, &error))
}

fn put(
    connection: &Connection,
    statements: &mut Statements<'_>,
    marks: &mut Marks,
    key: RowKey,
    value: &str,
) -> rusqlite::Result<()> {
    let Statements { put_node, put_process, put_mail, put_spec, .. } = statements;
    match key {
        RowKey::Kernel => put_node.execute(params![NodeKind::Counters, 0, value]),
        RowKey::Budget(BudgetId(id)) => {
            put_node.execute(params![NodeKind::Budget, id.cast_signed(), value])
        }
        RowKey::Spec(pid) => put_spec.execute(params![pid.0.cast_signed(), value]),
        RowKey::Process(pid) => put_process.execute(params![pid.0.cast_signed(), value]),
        RowKey::Mail(pid, number) => {
            put_mail.execute(params![pid.0.cast_signed(), number.cast_signed(), value])
        }
        RowKey::Message(pid, index) => {
            return put_page(connection, statements, marks, pid, index, value);
        }
    }?;
    Ok(())
}

/// Adds a page at the end. Of two with the same key the later one counts.
fn put_page(
    connection: &Connection,
    statements: &mut Statements<'_>,
    marks: &mut Marks,
    pid: Pid,
    index: MessageIndex,
    value: &str,
) -> rusqlite::Result<()> {
    let pid = pid.0.cast_signed();
    statements.put_page.execute(params![pid, index.0, value])?;
    let block = block_of(connection.last_insert_rowid());
    if marks.page.is_new(pid, block) {
        statements.put_page_block.execute(params![pid, block])?;
    }
    Ok(())
}

fn delete(connection: &Connection, key: RowKey) -> rusqlite::Result<()> {
    let execute = |sql, params: &[&dyn rusqlite::ToSql]| execute(connection, sql, params);
    let delete_node = "DELETE FROM node WHERE kind = ?1 AND id = ?2";
    match key {
        RowKey::Kernel => execute(delete_node, params![NodeKind::Counters, 0]),
        RowKey::Budget(BudgetId(id)) => {
            execute(delete_node, params![NodeKind::Budget, id.cast_signed()])
        }
        RowKey::Spec(pid) => {
            execute("DELETE FROM spec WHERE pid = ?1", params![pid.0.cast_signed()])
        }
        RowKey::Process(pid) => {
            execute("DELETE FROM process WHERE pid = ?1", params![pid.0.cast_signed()])
        }
        RowKey::Message(pid, index) => execute(
            "DELETE FROM page WHERE place IN (
                 SELECT g.place FROM page_block b
                 JOIN page g ON g.place BETWEEN b.block * 256 + 1 AND b.block * 256 + 256
                 WHERE b.pid = ?1 AND g.pid = ?1 AND g.idx = ?2)",
            params![pid.0.cast_signed(), index.0],
        ),
        RowKey::Mail(pid, number) => execute(
            "DELETE FROM mail WHERE pid = ?1 AND number = ?2",
            params![pid.0.cast_signed(), number.cast_signed()],
        ),
    }
}

fn execute(
    connection: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// The statements that nearly every commit needs, looked up once for all its batches.
struct Statements<'c> {
    put_node: CachedStatement<'c>,
    put_spec: CachedStatement<'c>,
    put_process: CachedStatement<'c>,
    put_page: CachedStatement<'c>,
    put_page_block: CachedStatement<'c>,
    put_mail: CachedStatement<'c>,
    put_blob: CachedStatement<'c>,
    put_entry: CachedStatement<'c>,
    put_journal_block: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare_cached(sql);
        Ok(Self {
            put_node: prepare("INSERT OR REPLACE INTO node VALUES (?1, ?2, ?3)")?,
            put_spec: prepare("INSERT OR REPLACE INTO spec VALUES (?1, ?2)")?,
            // Not a replacement: an archived process stays archived.
            put_process: prepare(
                "INSERT INTO process VALUES (?1, 1, ?2)
                 ON CONFLICT (pid) DO UPDATE SET body = excluded.body",
            )?,
            put_page: prepare("INSERT INTO page (pid, idx, body) VALUES (?1, ?2, ?3)")?,
            put_page_block: prepare("INSERT OR IGNORE INTO page_block VALUES (?1, ?2)")?,
            put_mail: prepare("INSERT OR REPLACE INTO mail VALUES (?1, ?2, ?3)")?,
            put_blob: prepare("INSERT OR IGNORE INTO blob VALUES (?1, ?2)")?,
            // A place that is taken is damage and fails the commit.
            put_entry: prepare("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            put_journal_block: prepare("INSERT OR IGNORE INTO journal_block VALUES (?1, ?2)")?,
        })
    }
}
