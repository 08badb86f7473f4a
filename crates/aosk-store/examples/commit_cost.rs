//! Measures what a commit of the embedded store costs: processor time per batch, wall time per
//! commit, and what maintenance between commits adds.
//!
//! `cargo run --release -p aosk-store --example commit_cost [DIR] [PROCESSES] [BATCHES]`
//!
//! A batch is one step of an agent: the process's state, two pages, four facts, two bodies of 300
//! bytes. Processor time is that of this thread and comes from Linux' `/proc`.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use aosk_abi::{
    Body, CallId, Entry, Fact, FinishReason, Message, MessageIndex, MicroUsd, Pid, RowChange,
    RowKey, RowOp, Timestamp, Tokens, Usage,
};
use aosk_store::{Batch, Sqlite, Store};

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "target/commit-cost".into());
    let processes = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let batches = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    println!("{processes} processes, {batches} batches of each size");
    println!("{:>6} {:>14} {:>14} {:>14}", "size", "cpu/batch", "wall/commit", "upkeep/batch");
    for size in [1_u64, 8, 64, 100] {
        let path = Path::new(&dir).join(size.to_string());
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        // One flush each: fewer of them will do.
        let batches = if size == 1 { batches / 10 } else { batches };
        let cost = measure(&path, processes, batches, size)?;
        println!(
            "{size:>6} {:>11.1} us {:>11.2} ms {:>11.1} us",
            micros(cost.commit_cpu) / as_f64(batches),
            micros(cost.commit_wall) / 1000.0 / as_f64(batches / size),
            micros(cost.upkeep_cpu) / as_f64(batches),
        );
    }
    Ok(())
}

#[derive(Default)]
struct Cost {
    commit_cpu: Duration,
    commit_wall: Duration,
    upkeep_cpu: Duration,
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs the clock")]
fn measure(path: &Path, processes: u64, batches: u64, size: u64) -> Result<Cost, Box<dyn Error>> {
    let mut store = Sqlite::open(path)?;
    let mut cost = Cost::default();
    for commit in 0..batches / size {
        let group: Vec<Batch> = (0..size).map(|i| step(commit * size + i, processes)).collect();
        let (cpu, wall) = (cpu_time()?, Instant::now());
        store.commit(&group)?;
        cost.commit_wall += wall.elapsed();
        let committed = cpu_time()?;
        cost.commit_cpu += committed - cpu;
        store.maintain(/*idle*/ false)?;
        cost.upkeep_cpu += cpu_time()? - committed;
    }
    Ok(cost)
}

/// One step of one process.
fn step(number: u64, processes: u64) -> Batch {
    let pid = Pid(number % processes + 1);
    let turn = u32::try_from(number / processes).unwrap_or(u32::MAX);
    let call = CallId { pid, number: turn };
    let pages = [MessageIndex(turn * 2), MessageIndex(turn * 2 + 1)];
    let mut text = format!("{number} ");
    while text.len() < 260 {
        text.push_str(&format!("{:x} ", text.len()));
    }
    let bodies =
        vec![Body::new(Message::assistant(text.as_str())), Body::new(Message::tool("c1", text))];
    let put = |key, value: String| RowChange { key, op: RowOp::Put(value) };
    let page_row = |body: &Body| format!(r#"{{"hash":"{}","tokens":75}}"#, body.hash());
    let state = format!(r#"{{"state":"ready","turn":{turn},"program":"{}"}}"#, "x".repeat(300));
    let mut rows = vec![put(RowKey::Process(pid), state)];
    rows.extend(
        pages
            .iter()
            .zip(&bodies)
            .map(|(page, body)| put(RowKey::Message(pid, *page), page_row(body))),
    );
    let facts = bodies.iter().flat_map(|body| {
        [
            Fact::ModelCalled {
                call,
                model: "scripted".into(),
                pages: MessageIndex(turn),
                input: Tokens(1000),
                output_max: Tokens(4096),
                window: None,
                room: None,
                policy: None,
                prefer: None,
            },
            Fact::ModelAnswered {
                call,
                page: MessageIndex(turn),
                body: body.hash(),
                usage: Usage::default(),
                cost: MicroUsd(12),
                finish: FinishReason::Stop,
            },
        ]
    });
    let journal = facts.map(|fact| Entry { at: Timestamp(number), pid: Some(pid), fact }).collect();
    Batch { rows, journal, bodies }
}

/// Processor time of this thread so far.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts of a measurement are small")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
