//! Fitting on examples whose answer is known.

use super::*;
use crate::feature::{COUNT, FEATURES};

fn at(name: &str) -> usize {
    FEATURES.iter().position(|feature| *feature == name).expect("a feature")
}

/// Evidence has much of one feature and little of another.
fn example(much: usize, little: usize) -> Example {
    let mut features = vec![[0.5; COUNT]; 4];
    features[2][much] = 1.0;
    features[2][little] = 0.0;
    Example { weight: 1.0, features, evidence: vec![2] }
}

#[test]
fn what_tells_evidence_gets_weight() {
    let (much, little) = (at("cover"), at("asks"));
    let example = example(much, little);
    let weights = fit(&[&example], Settings::default());
    assert!(weights.0[much] > 0.5 && weights.0[little] < -0.5, "{weights:?}");
    let others = weights.0.iter().enumerate().filter(|(at, _)| ![much, little].contains(at));
    assert!(others.into_iter().all(|(_, weight)| weight.abs() < 1e-3));
    assert_eq!(weights, fit(&[&example], Settings::default()));
}

#[test]
fn what_can_only_speak_for_a_page_never_speaks_against_it() {
    let example = example(at("substance"), at("cover"));
    let weights = fit(&[&example], Settings::default());
    assert_eq!(weights.0[at("cover")], 0.0);
}

#[test]
fn runs_give_the_pages_that_hold_a_rare_name() {
    let filler: Vec<String> = (0..40).map(|at| format!("line {at} of the log")).collect();
    let mut messages: Vec<Message<'_>> =
        filler.iter().map(|text| Message { run: 1, agent: false, text }).collect();
    messages[7].text = "created src/deep/path.rs";
    messages.push(Message { run: 1, agent: true, text: "Now I open src/deep/path.rs again" });
    messages.push(Message { run: 1, agent: true, text: "Nothing of that kind" });
    let examples = of_run(&messages, 0.3);
    assert_eq!(examples.len(), 1);
    assert_eq!((examples[0].evidence.len(), examples[0].weight), (1, 0.3));
    let evidence = &examples[0].features[examples[0].evidence[0]];
    assert!(evidence[at("exact_names")] > 0.1);
}
