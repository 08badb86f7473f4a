//! Writing batches inside a transaction. The hot path of the whole kernel.

use std::path::Path;

use aosk_abi::{BudgetId, RowChange, RowKey, RowOp};
use rusqlite::{CachedStatement, Connection, params};

use super::{COMMIT, failed};
use crate::error::StoreError;
use crate::journal::Chain;
use crate::store::Batch;

/// Writes `batches` and the head of `chain` after them.
pub(super) fn batches(
    connection: &Connection,
    chain: &mut Chain,
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
            write_row(connection, &mut statements, change, path)?;
        }
        for entry in &batch.journal {
            let (at, pid) = (entry.at.0.cast_signed(), entry.pid.map(|pid| pid.0.cast_signed()));
            let (head, data) = chain.append(entry)?;
            let (seq, hash) = (head.length.cast_signed(), head.hash.0);
            statements
                .put_entry
                .execute(params![seq, at, pid, entry.fact.kind(), data, hash])
                .map_err(failed)?;
        }
    }
    let head = params![chain.head.length.cast_signed(), chain.head.hash.0];
    statements.put_head.execute(head).map_err(failed)?;
    Ok(())
}

fn write_row(
    connection: &Connection,
    statements: &mut Statements<'_>,
    change: &RowChange,
    path: &Path,
) -> Result<(), StoreError> {
    let written = match (&change.op, change.key) {
        (RowOp::Put(value), key) => put(statements, key, value),
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

fn put(statements: &mut Statements<'_>, key: RowKey, value: &str) -> rusqlite::Result<()> {
    let Statements { put_process, put_page, put_mail, put_spec, put_budget, put_kernel, .. } =
        statements;
    match key {
        RowKey::Kernel => put_kernel.execute(params![value]),
        RowKey::Spec(pid) => put_spec.execute(params![pid.0.cast_signed(), value]),
        RowKey::Process(pid) => put_process.execute(params![pid.0.cast_signed(), value]),
        RowKey::Page(pid, index) => put_page.execute(params![pid.0.cast_signed(), index.0, value]),
        RowKey::Mail(pid, number) => {
            put_mail.execute(params![pid.0.cast_signed(), number.cast_signed(), value])
        }
        RowKey::Budget(BudgetId(id)) => put_budget.execute(params![id.cast_signed(), value]),
    }?;
    Ok(())
}

fn delete(connection: &Connection, key: RowKey) -> rusqlite::Result<()> {
    let execute = |sql, params: &[&dyn rusqlite::ToSql]| execute(connection, sql, params);
    match key {
        RowKey::Kernel => execute("DELETE FROM kernel", &[]),
        RowKey::Spec(pid) => {
            execute("DELETE FROM spec WHERE pid = ?1", params![pid.0.cast_signed()])
        }
        RowKey::Process(pid) => {
            execute("DELETE FROM process WHERE pid = ?1", params![pid.0.cast_signed()])
        }
        RowKey::Page(pid, index) => execute(
            "DELETE FROM page WHERE pid = ?1 AND idx = ?2",
            params![pid.0.cast_signed(), index.0],
        ),
        RowKey::Mail(pid, number) => execute(
            "DELETE FROM mail WHERE pid = ?1 AND number = ?2",
            params![pid.0.cast_signed(), number.cast_signed()],
        ),
        RowKey::Budget(BudgetId(id)) => {
            execute("DELETE FROM budget WHERE id = ?1", params![id.cast_signed()])
        }
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
    put_kernel: CachedStatement<'c>,
    put_spec: CachedStatement<'c>,
    put_process: CachedStatement<'c>,
    put_page: CachedStatement<'c>,
    put_mail: CachedStatement<'c>,
    put_budget: CachedStatement<'c>,
    put_blob: CachedStatement<'c>,
    put_entry: CachedStatement<'c>,
    put_head: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare_cached(sql);
        Ok(Self {
            put_kernel: prepare("INSERT OR REPLACE INTO kernel VALUES (1, ?1)")?,
            put_spec: prepare("INSERT OR REPLACE INTO spec VALUES (?1, ?2)")?,
            // Not a replacement: an archived process stays archived.
            put_process: prepare(
                "INSERT INTO process VALUES (?1, 1, ?2)
                 ON CONFLICT (pid) DO UPDATE SET body = excluded.body",
            )?,
            put_page: prepare("INSERT OR REPLACE INTO page VALUES (?1, ?2, ?3)")?,
            put_mail: prepare("INSERT OR REPLACE INTO mail VALUES (?1, ?2, ?3)")?,
            put_budget: prepare("INSERT OR REPLACE INTO budget VALUES (?1, ?2)")?,
            put_blob: prepare("INSERT OR IGNORE INTO blob VALUES (?1, ?2)")?,
            // A place that is taken is damage and fails the commit.
            put_entry: prepare("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            put_head: prepare("INSERT OR REPLACE INTO head VALUES (1, ?1, ?2)")?,
        })
    }
}
