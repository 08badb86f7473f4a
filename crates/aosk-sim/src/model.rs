//! Simulated models: slow, failing, asking for patience, answering too late, twice or never.

use aosk_abi::{
    Body, CallId, ErrorCode, Failure, FailureClass, FinishReason, Message, Millis, ModelOutcome,
    ModelReply, ThinkOptions, Timestamp, Tokens, Usage,
};

use crate::case::{BEGIN, Case};
use crate::faults::Feature;
use crate::rng::{About, Rng};

/// One attempt that was started.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The call.
    pub call: CallId,
    /// The attempt.
    pub attempt: u32,
    /// What is reserved for what the model is shown.
    pub input: Tokens,
    /// What is asked.
    pub options: &'a ThinkOptions,
    /// When.
    pub now: Timestamp,
    /// Nothing goes wrong any more.
    pub healthy: bool,
}

/// What a model reports of an attempt, and how long after its start. None at all: it hangs.
#[must_use]
pub fn reports(case: &Case, attempt: &Attempt<'_>) -> Vec<(Millis, ModelOutcome)> {
    let Attempt { call, attempt: number, .. } = *attempt;
    let parts = [call.pid.0, u64::from(call.number), u64::from(number)];
    let mut rng = Rng::of(case.seed, About::Model, &parts);
    let delay = Millis(rng.between(20, 4_000));
    let may = |feature| !attempt.healthy && case.has(feature);
    if may(Feature::Outages) && is_down(case, attempt) {
        return vec![(
            Millis(50),
            failed(FailureClass::Transient, ErrorCode::ModelUnreachable, None, None),
        )];
    }
    if may(Feature::Hangs) && rng.chance(40) {
        return Vec::new();
    }
    if may(Feature::ModelFinal) && rng.chance(40) {
        let usage = begun(case, attempt);
        return vec![(delay, failed(FailureClass::Final, ErrorCode::ModelBadRequest, None, usage))];
    }
    if may(Feature::TooLong) && is_too_long(case, attempt) {
        let usage = begun(case, attempt);
        let code = ErrorCode::ModelContextLength;
        return vec![(delay, failed(FailureClass::Final, code, None, usage))];
    }
    if may(Feature::ModelTransient) && rng.chance(150) {
        let usage = begun(case, attempt);
        return vec![(delay, failed(FailureClass::Transient, ErrorCode::ModelServer, None, usage))];
    }
    if may(Feature::RateLimits) && rng.chance(150) {
        // Sometimes longer than the kernel is willing to wait.
        let asked = if rng.chance(50) { 700_000 } else { rng.below(30_000) };
        let asked = rng.chance(800).then_some(Millis(asked));
        return vec![(
            delay,
            failed(FailureClass::RateLimited, ErrorCode::ModelRateLimited, asked, None),
        )];
    }
    let answer = answer(case, attempt, &mut rng);
    let mut reports = vec![(delay, answer.clone())];
    if may(Feature::LateAnswers) && rng.chance(60) {
        reports = vec![(Millis(rng.between(8_000, 60_000)), answer.clone())];
    }
    if may(Feature::Duplicates) && rng.chance(150) {
        reports.push((delay + Millis(rng.below(10_000)), answer));
    }
    reports
}

/// What a model reports when it is told to stop, and whether what it would have reported still
/// comes.
#[must_use]
pub fn cancelled(case: &Case, call: CallId, attempt: u32, healthy: bool) -> (Option<Millis>, bool) {
    let parts = [call.pid.0, u64::from(call.number), u64::from(attempt)];
    let mut rng = Rng::of(case.seed, About::Cancel, &parts);
    let confirmed = Some(Millis(rng.between(1, 900)));
    if healthy || !case.has(Feature::CancelIgnored) {
        return (confirmed, false);
    }
    match rng.below(4) {
        0 => (None, false),
        1 => (None, true),
        2 => (confirmed, true),
        _ => (confirmed, false),
    }
}

/// What of the output of an answer had come when the call was cut off.
#[must_use]
pub fn seen(case: &Case, call: CallId, attempt: u32, all: Tokens) -> Tokens {
    let parts = [call.pid.0, u64::from(call.number), u64::from(attempt), 2];
    Tokens(Rng::of(case.seed, About::Cancel, &parts).below(all.0.saturating_add(1)))
}

/// What a model reports when it is asked to give up its slot: often what it has written so far.
#[must_use]
pub fn yielded(case: &Case, call: CallId, attempt: u32, all: &Usage) -> (Millis, ModelOutcome) {
    let parts = [call.pid.0, u64::from(call.number), u64::from(attempt), 1];
    let mut rng = Rng::of(case.seed, About::Cancel, &parts);
    let usage = Usage { output: Tokens(rng.below(all.output.0.saturating_add(1))), ..*all };
    let begun = format!("what was begun of {call} in attempt {attempt}");
    let begun = rng.chance(700).then(|| Body::new(Message::assistant(begun)));
    (Millis(rng.between(1, 300)), ModelOutcome::Yielded { begun, usage })
}

/// Whether the first model is down: once in the run, long enough to open its circuit.
fn is_down(case: &Case, attempt: &Attempt<'_>) -> bool {
    let since = attempt.now.since(BEGIN).0;
    let start = case.seed % 100_000;
    attempt.options.model == "sim:fast" && (start..start + 60_000).contains(&since)
}

/// Whether the model says that what it is sent is too long. Chance of its own.
fn is_too_long(case: &Case, attempt: &Attempt<'_>) -> bool {
    let drawn = |number: u32, per_mille| {
        let parts = [attempt.call.pid.0, u64::from(attempt.call.number), u64::from(number), 2];
        Rng::of(case.seed, About::Model, &parts).chance(per_mille)
    };
    // Who was refused is likely to be refused again.
    let before = attempt.attempt.checked_sub(1).is_some_and(|before| drawn(before, 80));
    drawn(attempt.attempt, if before { 600 } else { 80 })
}

/// What a failed attempt had used, if the answer had begun. Chance of its own, so that whether there
/// is such usage changes nothing else of a run.
fn begun(case: &Case, attempt: &Attempt<'_>) -> Option<Usage> {
    let parts = [attempt.call.pid.0, u64::from(attempt.call.number), u64::from(attempt.attempt), 1];
    let mut rng = Rng::of(case.seed, About::Model, &parts);
    rng.chance(500).then(|| usage(case, attempt, &mut rng))
}

fn answer(case: &Case, attempt: &Attempt<'_>, rng: &mut Rng) -> ModelOutcome {
    let Attempt { call, attempt: number, .. } = *attempt;
    let usage = usage(case, attempt, rng);
    let parts = [call.pid.0, u64::from(call.number), u64::from(number), 3];
    // Now and then one of no use. Chance of its own, so that it changes nothing else of a run.
    let flaw = Rng::of(case.seed, About::Model, &parts).below(20);
    let finish = if flaw == 0 { FinishReason::Length } else { FinishReason::Stop };
    let text = match flaw {
        1 => " ".to_owned(),
        _ => format!("answer to {call}, attempt {number}"),
    };
    let body = Body::new(Message::assistant(text));
    ModelOutcome::Answered(Box::new(ModelReply { body, usage, finish }))
}

fn usage(case: &Case, attempt: &Attempt<'_>, rng: &mut Rng) -> Usage {
    let shown = attempt.input.0;
    let mut input = rng.below(shown.saturating_add(1));
    if case.has(Feature::SmallWindows) {
        // Near the estimate, or windows would not be small for long.
        input = shown.saturating_sub(input / 5);
    }
    let most = attempt.options.output_max.0;
    let most = if case.has(Feature::Greedy) { most / 50 } else { most };
    let mut output = rng.below(most.saturating_add(1));
    if case.has(Feature::Overuse) && !attempt.healthy && rng.chance(150) {
        input = input.saturating_mul(3);
        output = output.saturating_mul(2);
    }
    let cached = rng.below(input.saturating_add(1));
    let written = rng.below(input.saturating_sub(cached).saturating_add(1));
    Usage {
        input_uncached: Tokens(input.saturating_sub(cached).saturating_sub(written)),
        cache_read: Tokens(cached),
        cache_write: Tokens(written),
        output: Tokens(output),
        ..Usage::default()
    }
}

fn failed(
    class: FailureClass,
    code: ErrorCode,
    retry_after: Option<Millis>,
    usage: Option<Usage>,
) -> ModelOutcome {
    let message = "asking the simulated model: it was told to fail".to_owned();
    ModelOutcome::Failed(Failure { class, code, message, hint: String::new(), retry_after, usage })
}
