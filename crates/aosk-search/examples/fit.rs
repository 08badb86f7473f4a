//! Fits the ranker's weights and says how good they are on conversations that were left out.
//!
//! ```text
//! cargo run --release -p aosk-search --example fit -- CONVERSATIONS.jsonl [RUNS.jsonl ...]
//! ```
//!
//! Conversations are lines as `aosk_search::evaluate::read` wants them; runs are lines of a
//! `messages` list in the chat form. With `VECTORS=FOLDER` the embeddings of turns and questions
//! are read from `FOLDER/ID-turns.f32` and `FOLDER/ID-questions.f32`: 384 little-endian floats for
//! each, in order. The weights go to standard output, all else to standard error.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for people")]

use std::time::Instant;

use anyhow::{Context, Result};
use aosk_search::evaluate::{self, Conversation, Report};
use aosk_search::fit::{self, Example, Message, Settings};
use aosk_search::{Ranker, Weights};

/// Numbers in one embedding.
const DIMENSIONS: usize = 384;

/// A run teaches less than a conversation: its evidence is only inferred.
const RUN_WEIGHT: f32 = 0.3;

/// Runs that are searched together, and runs of a file that are learnt from.
const RUNS_TOGETHER: usize = 15;
const RUNS_MAX: usize = 46;

fn main() -> Result<()> {
    let mut paths = std::env::args().skip(1);
    let path = paths.next().context("usage: fit CONVERSATIONS.jsonl [RUNS.jsonl ...]")?;
    let mut conversations = evaluate::read(&std::fs::read_to_string(&path)?)?;
    let mut runs = Vec::new();
    for path in paths {
        runs.extend(examples_of_runs(&std::fs::read_to_string(&path)?)?);
    }
    let words = fit_and_report("words", &conversations, &runs)?;
    let mut ranker = Ranker::of(words);
    if let Some(folder) = std::env::var_os("VECTORS") {
        for conversation in &mut conversations {
            let file = |what| {
                std::path::Path::new(&folder).join(format!("{}-{what}.f32", conversation.id))
            };
            conversation.turn_vectors = vectors(&std::fs::read(file("turns"))?);
            conversation.question_vectors = vectors(&std::fs::read(file("questions"))?);
        }
        ranker.vectors = fit_and_report("vectors", &conversations, &runs)?;
    }
    print!("{}", ranker.print());
    Ok(())
}

/// Fits on all, after it has said how well fitting on all but one does on that one.
fn fit_and_report(name: &str, all: &[Conversation], runs: &[Example]) -> Result<Weights> {
    let examples: Vec<Vec<Example>> =
        all.iter().map(|conversation| fit::of_conversation(conversation, 1.0)).collect();
    let mut total = Report::default();
    for (left_out, conversation) in all.iter().enumerate() {
        let others = examples.iter().enumerate().filter(|(at, _)| *at != left_out);
        let others: Vec<&Example> = others.flat_map(|(_, examples)| examples).chain(runs).collect();
        let ranker = Ranker::of(fit::fit(&others, Settings::default()));
        let report = report(conversation, &ranker);
        print_report(&format!("{name}, without {}", conversation.id), &report);
        total = total.and(&report);
    }
    print_report(&format!("{name}, left out in turn"), &total);
    let together: Vec<&Example> = examples.iter().flatten().chain(runs).collect();
    let weights = fit::fit(&together, Settings::default());
    for plain in ["bm25", "window"] {
        let ranker = Ranker::of(Weights::only(plain));
        let reports = all.iter().map(|conversation| report(conversation, &ranker));
        let total = reports.fold(Report::default(), |total, report| total.and(&report));
        print_report(&format!("{plain} alone"), &total);
    }
    Ok(weights)
}

#[expect(clippy::disallowed_methods, reason = "the clock of a measurement")]
fn report(conversation: &Conversation, ranker: &Ranker) -> Report {
    let start = Instant::now();
    let mut clock = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    evaluate::evaluate(conversation, ranker, &tokens, &mut clock)
}

fn print_report(name: &str, report: &Report) {
    for (which, recall) in [("all", report.all), ("1-4", report.answerable)] {
        eprintln!(
            "{name:24} {which:4} n {:5} recall_at_1 {:.4} recall_at_10 {:.4} recall_at_4000_tokens \
             {:.4} skipped {} query_us_p50 {}",
            recall.questions,
            recall.at_1,
            recall.at_10,
            recall.at_4000_tokens,
            report.skipped,
            report.median_time(),
        );
    }
}

/// A token for every four bytes: an eighth more than o200k counts on English conversations.
fn tokens(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(4)).unwrap_or(u32::MAX)
}

fn vectors(bytes: &[u8]) -> Vec<Vec<f32>> {
    let number = |bytes: &[u8]| bytes.try_into().map_or(0.0, f32::from_le_bytes);
    let vector = |bytes: &[u8]| bytes.chunks(4).map(number).collect();
    bytes.chunks(4 * DIMENSIONS).map(vector).collect()
}

fn examples_of_runs(text: &str) -> Result<Vec<Example>> {
    let runs: Vec<serde_json::Value> =
        text.lines().take(RUNS_MAX).map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut examples = Vec::new();
    for together in runs.chunks(RUNS_TOGETHER) {
        let mut texts = Vec::new();
        for (run, value) in (0..).zip(together) {
            for message in
                value.get("messages").and_then(|list| list.as_array()).into_iter().flatten()
            {
                texts.push((run, said(message)));
            }
        }
        let messages: Vec<Message<'_>> = texts
            .iter()
            .map(|(run, (agent, text))| Message { run: *run, agent: *agent, text })
            .collect();
        examples.extend(fit::of_run(&messages, RUN_WEIGHT));
    }
    Ok(examples)
}

/// Whether an agent wrote a message in so many words, and the message with the arguments of its
/// calls.
fn said(message: &serde_json::Value) -> (bool, String) {
    let string = |value: Option<&serde_json::Value>| {
        value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let mut text = string(message.get("content"));
    let agent = string(message.get("role")) == "assistant" && text.len() > 20;
    for call in message.get("tool_calls").and_then(|calls| calls.as_array()).into_iter().flatten() {
        text.push(' ');
        text.push_str(&string(call.pointer("/function/arguments")));
    }
    (agent, text)
}
