//! `aosk models test`: one tiny question to each model. What it shows is what came back, not what is
//! hoped for: without an answer there is no figure.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aosk::Clock;
use aosk::abi::{
    Body, CallId, Error, ErrorCode, Failure, Message, MicroUsd, Millis, Pid, ThinkOptions,
    Timestamp, Tokens, Usage,
};
use aosk::model::resolve::Surroundings;
use aosk::model::{CacheHints, OnRates, Request, Resolved, resolve_in};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::dollars;
use crate::cli::ModelsTestArgs;
use crate::config::Config;
use crate::fail::{self, Done};
use crate::setup;
use crate::term::{self, count, line, note};

/// What is asked.
const QUESTION: &str = "Answer with the one word: ready";

/// Tokens that the answer may have. A model that thinks may use them all for that, which is an answer
/// too.
const OUTPUT_MAX: Tokens = Tokens(32);

/// What came of asking one model.
struct Outcome {
    model: String,
    came: Result<Answer, Error>,
}

/// What came back.
struct Answer {
    /// How long it took until the first piece came; none if it came as a whole.
    first: Option<Millis>,
    all: Millis,
    usage: Usage,
    /// None if the price is not known.
    cost: Option<MicroUsd>,
}

pub(super) async fn run(config: &Config, args: &ModelsTestArgs) -> Result<Done, Error> {
    let catalogue = setup::catalogue(config)?;
    let limit = Duration::from_secs(args.timeout);
    let mut asking = JoinSet::new();
    for (at, spec) in asked(config, args).into_iter().enumerate() {
        let base_url = base_url(spec.as_deref(), config, args);
        let catalogue = catalogue.clone();
        let keys = config.keys.clone();
        let env = move |name: &str| keys.variable(name);
        asking.spawn(async move {
            let around = Surroundings { env: &env, catalogue: &catalogue };
            (at, ask(spec, base_url, around, limit).await)
        });
    }
    let mut outcomes: Vec<_> = asking.join_all().await;
    outcomes.sort_by_key(|(at, _)| *at);
    let outcomes: Vec<_> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    if args.json {
        term::json(&Value::Array(outcomes.iter().map(object).collect()));
    } else {
        let head = ["model", "state", "first token", "all", "in", "cached", "out", "cost"];
        let right = ["first token", "all", "in", "cached", "out", "cost"];
        line(&term::table(&head, &right, outcomes.iter().map(cells).collect()));
    }
    for outcome in &outcomes {
        if let Err(error) = &outcome.came {
            note(&format!("{}: {}", outcome.model, fail::line(error)));
        }
    }
    let failed = outcomes.iter().find_map(|outcome| outcome.came.as_ref().err());
    Ok(failed.map_or(Done::Well, |error| Done::Failed(error.code)))
}

/// The models to ask, each once: those that are named, or all of the configuration; none stands for the
/// one that is found.
fn asked(config: &Config, args: &ModelsTestArgs) -> Vec<Option<String>> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let mut add = |name: &String| match config.routes.get(name) {
        Some(route) => all.extend(route.backends.iter().map(|(name, _)| name.clone())),
        None => all.push(name.clone()),
    };
    if args.models.is_empty() {
        config.default_model.iter().for_each(&mut add);
        config.devices.keys().for_each(&mut add);
        config.routes.keys().for_each(&mut add);
        config.summary_model.iter().for_each(&mut add);
    } else {
        args.models.iter().for_each(&mut add);
    }
    all.retain(|name| seen.insert(name.clone()));
    if all.is_empty() { vec![None] } else { all.into_iter().map(Some).collect() }
}

/// The address of the model's provider, if it is not the usual one.
fn base_url(spec: Option<&str>, config: &Config, args: &ModelsTestArgs) -> Option<String> {
    // A script has no address.
    if spec.is_some_and(|spec| spec.split(':').next() == Some("scripted")) {
        return None;
    }
    let device = spec.and_then(|spec| config.devices.get(spec));
    let own = device.and_then(|device| device.base_url.as_ref());
    args.base_url.as_ref().or(own).or(config.base_url.as_ref()).cloned()
}

async fn ask(
    spec: Option<String>,
    base_url: Option<String>,
    around: Surroundings<'_>,
    limit: Duration,
) -> Outcome {
    match resolve_in(spec.as_deref(), base_url.as_deref(), around).await {
        Ok(resolved) => {
            let model = resolved.device.clone();
            let came = match timeout(limit, answer(&resolved)).await {
                Ok(came) => came.map_err(error),
                Err(_) => Err(late(&model, limit)),
            };
            Outcome { model, came }
        }
        Err(error) => Outcome {
            model: spec.unwrap_or_else(|| "(none is found)".to_owned()),
            came: Err(error),
        },
    }
}

async fn answer(resolved: &Resolved) -> Result<Answer, Failure> {
    let clock = Clock::start();
    let began = clock.now();
    let first: Mutex<Option<Timestamp>> = Mutex::new(None);
    let on_delta = |_| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| clock.now());
    };
    let reply = resolved.driver.complete(request(&resolved.device), Some(&on_delta)).await?;
    let ended = clock.now();
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Answer {
        first: first.map(|at| at.since(began)),
        all: ended.since(began),
        usage: reply.usage,
        cost: resolved.price.map(|price| price.of(&reply.usage, began)),
    })
}

fn request(device: &str) -> Request {
    Request {
        call: CallId { pid: Pid(1), number: 1 },
        // A strange answer is not asked for again here.
        attempt: 1,
        process: "models test".to_owned(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: device.to_owned(),
            output_max: OUTPUT_MAX,
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        }),
        messages: vec![Body::new(Message::user(QUESTION))],
        begun: None,
        tools: Arc::new([]),
        cache: CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: OnRates::default(),
    }
}

fn error(failure: Failure) -> Error {
    Error::new(failure.code, failure.message).hint(failure.hint)
}

fn late(model: &str, limit: Duration) -> Error {
    let text = format!("asking {model}: no answer within {} s", limit.as_secs());
    Error::new(ErrorCode::ModelTimeout, text).hint("give it more time with --timeout")
}

fn cells(outcome: &Outcome) -> Vec<String> {
    let state = if outcome.came.is_ok() { "answers" } else { "fails" };
    let mut cells = vec![outcome.model.clone(), state.to_owned()];
    if let Ok(answer) = &outcome.came {
        let Answer { first, all, usage, cost } = answer;
        let about = if usage.estimated { "about " } else { "" };
        let tokens = |tokens: Tokens| format!("{about}{}", count(tokens.0));
        cells.extend([
            first.map(|first| format!("{} ms", first.0)).unwrap_or_default(),
            format!("{} ms", all.0),
            tokens(usage.input()),
            count(usage.cache_read.0),
            tokens(usage.output),
            cost.map_or("not known".to_owned(), |cost| format!("${}", dollars(cost))),
        ]);
    }
    cells.resize(8, String::new());
    cells
}

fn object(outcome: &Outcome) -> Value {
    match &outcome.came {
        Ok(Answer { first, all, usage, cost }) => json!({
            "model": outcome.model,
            "ok": true,
            "first_token_ms": first,
            "all_ms": all,
            "usage": usage,
            "micro_usd": cost,
        }),
        Err(error) => json!({ "model": outcome.model, "ok": false, "error": error }),
    }
}
