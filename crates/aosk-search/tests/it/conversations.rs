//! Weights fitted on all conversations but one, asked of that one.

use aosk_search::evaluate::{self, Report};
use aosk_search::fit::{self, Example, Settings};
use aosk_search::{Ranker, Weights};

use crate::shared;

/// A token for every four bytes: an eighth more than o200k counts on English conversations.
fn tokens(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(4)).expect("short")
}

#[test]
fn evidence_is_found_in_conversations_that_were_left_out() {
    let Some(text) = shared::data("retrieval/locomo-5.jsonl") else { return };
    let conversations = evaluate::read(&text).expect("conversations");
    let examples: Vec<Vec<Example>> =
        conversations.iter().map(|all| fit::of_conversation(all, 1.0)).collect();
    let settings = Settings { steps: 80, ..Settings::default() };
    let (mut total, mut plain) = (Report::default(), Report::default());
    for (left_out, conversation) in conversations.iter().enumerate() {
        let others = examples.iter().enumerate().filter(|(at, _)| *at != left_out);
        let others: Vec<&Example> = others.flat_map(|(_, examples)| examples).collect();
        let evaluate = |weights: Weights| {
            evaluate::evaluate(conversation, &Ranker::of(weights), &tokens, &mut || 0)
        };
        total = total.and(&evaluate(fit::fit(&others, settings)));
        plain = plain.and(&evaluate(Weights::only("bm25")));
    }
    println!("{:?} {:?}", total.all, total.answerable);
    assert_eq!((total.all.questions, total.answerable.questions, total.skipped), (1_018, 786, 0));
    assert!(total.all.at_10 >= 0.83 && total.all.at_4000_tokens >= 0.945, "{:?}", total.all);
    assert!(total.answerable.at_10 >= 0.80, "{:?}", total.answerable);
    assert!(total.answerable.at_4000_tokens >= 0.935, "{:?}", total.answerable);
    assert!(total.all.at_10 > plain.all.at_10 + 0.15, "{:?}", plain.all);
}
