//! The reference: the same work with no kernel at all. One task per agent, the same HTTP client, one
//! row per step, and a group commit: a thread that writes all the steps that wait in one
//! transaction with full sync. Nothing else: no scheduling, budgets, journal, content store,
//! recovery or validation.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::slow_disk;

/// The tool as the model is shown it.
const TOOL: &str = r#"{"type":"function","function":{"name":"calculator","description":"Adds.","parameters":{"type":"object","properties":{"expression":{"type":"string"}},"required":["expression"]}}}"#;

/// A step to be kept, and whom to tell.
struct Step {
    agent: usize,
    number: usize,
    row: String,
    kept: oneshot::Sender<()>,
}

/// Runs `agents` agents to their end; returns how many steps they took.
pub(crate) async fn run(
    dir: &Path,
    base_url: &str,
    agents: usize,
    flush: Duration,
) -> anyhow::Result<u64> {
    let (sender, receiver) = sync_channel(4096);
    let path = dir.join("bare.db");
    let writer = std::thread::spawn(move || write(&path, &receiver, flush));
    // The kernel's driver may have installed one first; any will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().tcp_nodelay(true).no_proxy().build()?;
    let url = format!("{base_url}/chat/completions");
    let mut tasks = JoinSet::new();
    for agent in 0..agents {
        tasks.spawn(drive(agent, client.clone(), url.clone(), sender.clone()));
    }
    drop(sender);
    let mut steps = 0;
    while let Some(done) = tasks.join_next().await {
        steps += done??;
    }
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    Ok(steps)
}

async fn drive(
    agent: usize,
    client: reqwest::Client,
    url: String,
    sender: SyncSender<Step>,
) -> anyhow::Result<u64> {
    let mut messages = vec![
        r#"{"role":"system","content":"You add numbers."}"#.to_owned(),
        format!(r#"{{"role":"user","content":"Add one, again and again. Agent {agent}."}}"#),
    ];
    let mut number = 0;
    loop {
        let body = format!(
            r#"{{"model":"bench","messages":[{}],"tools":[{}],"max_tokens":256}}"#,
            messages.join(","),
            TOOL
        );
        let reply = client
            .post(&url)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await?
            .bytes()
            .await?;
        let reply: serde_json::Value = serde_json::from_slice(&reply)?;
        let message = reply.pointer("/choices/0/message").context("no message")?;
        let mut row = message.to_string();
        messages.push(row.clone());
        let call = message.pointer("/tool_calls/0").cloned();
        if let Some(call) = &call {
            let arguments = call
                .pointer("/function/arguments")
                .and_then(|a| a.as_str())
                .context("no arguments")?;
            let arguments: serde_json::Value = serde_json::from_str(arguments)?;
            let result =
                add(arguments.get("expression").and_then(|e| e.as_str()).unwrap_or_default());
            let id = call.get("id").and_then(|id| id.as_str()).unwrap_or_default();
            let result = format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"{result}"}}"#);
            row.push_str(&result);
            messages.push(result);
        }
        let (kept, is_kept) = oneshot::channel();
        sender.send(Step { agent, number, row, kept }).context("the writer is gone")?;
        is_kept.await?;
        number += 1;
        if call.is_none() {
            return Ok(u64::try_from(number)?);
        }
    }
}

/// The tool: adds the numbers of `a + b`.
fn add(expression: &str) -> i64 {
    expression.split('+').filter_map(|number| number.trim().parse::<i64>().ok()).sum()
}

fn write(path: &Path, steps: &Receiver<Step>, flush: Duration) -> anyhow::Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "CREATE TABLE step (agent INTEGER, number INTEGER, row TEXT, PRIMARY KEY (agent, number)) WITHOUT ROWID",
    )?;
    while let Ok(first) = steps.recv() {
        let mut waiting = vec![first];
        waiting.extend(steps.try_iter());
        connection.execute_batch("BEGIN IMMEDIATE")?;
        {
            let mut insert = connection.prepare_cached("INSERT INTO step VALUES (?1, ?2, ?3)")?;
            for step in &waiting {
                insert.execute((
                    i64::try_from(step.agent)?,
                    i64::try_from(step.number)?,
                    &step.row,
                ))?;
            }
        }
        connection.execute_batch("COMMIT")?;
        slow_disk::wait(flush);
        for step in waiting {
            // An agent that has failed does not wait any more.
            let _gone = step.kept.send(());
        }
    }
    Ok(())
}
