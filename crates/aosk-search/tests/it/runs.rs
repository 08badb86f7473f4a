//! Text of another kind: what tools print and agents do, without speakers and dates.

use aosk_search::fit::{self, Message};
use aosk_search::{Ranker, Weights};

use crate::shared;

/// Runs that no weight was fitted on: the fitting tool takes the first 46 of the file.
const LEARNT: usize = 46;

/// The share of evidence among the first ten.
fn recall(examples: &[fit::Example], weights: &Weights) -> f64 {
    let share = |example: &fit::Example| {
        let mut order: Vec<usize> = (0..example.features.len()).collect();
        let score = |at: &usize| weights.score(&example.features[*at]);
        order.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
        let found = order.iter().take(10).filter(|at| example.evidence.contains(at)).count();
        found as f64 / example.evidence.len() as f64
    };
    examples.iter().map(share).sum::<f64>() / examples.len() as f64
}

#[test]
fn recorded_runs_are_searched_no_worse_than_by_plain_scores() {
    let Some(text) = shared::data("traces/coding-terminal.jsonl") else { return };
    let mut examples = Vec::new();
    let lines: Vec<&str> = text.lines().skip(LEARNT).take(30).collect();
    for together in lines.chunks(15) {
        let mut said = Vec::new();
        for (run, line) in (0..).zip(together) {
            let value: serde_json::Value = serde_json::from_str(line).expect("a run");
            for message in value["messages"].as_array().expect("messages") {
                let mut text = message["content"].as_str().unwrap_or_default().to_owned();
                let agent = message["role"] == "assistant" && text.len() > 20;
                for call in message["tool_calls"].as_array().into_iter().flatten() {
                    text.push(' ');
                    text.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
                }
                said.push((run, agent, text));
            }
        }
        let messages: Vec<Message<'_>> = said
            .iter()
            .map(|(run, agent, text)| Message { run: *run, agent: *agent, text })
            .collect();
        examples.extend(fit::of_run(&messages, 1.0));
    }
    let fitted = recall(&examples, &Ranker::fitted().words);
    let plain = recall(&examples, &Weights::only("bm25"));
    println!("{} queries, fitted {fitted:.3}, plain {plain:.3}", examples.len());
    assert!(examples.len() > 100);
    assert!(fitted >= plain && fitted >= 0.75, "{fitted} {plain}");
}
