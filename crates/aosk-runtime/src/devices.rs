//! Devices at work: every model and tool call in flight is a task here, and ends in one completion.
//!
//! A task that is cut off drops its call, which closes the connection or kills the command; only
//! when that has happened is the kernel told that the call no longer runs.

mod answer;
mod first;
mod heard;
mod models;
mod relay;
mod tool;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aosk_abi::{
    Body, CallId, Error, ErrorCode, Failure, FailureClass, Input, Message, ModelOutcome, Notice,
    Pid, ThinkOptions, Tokens, ToolOutcome, ToolSpec, ToolStart,
};
use aosk_kernel::Route;
use aosk_model::{CacheHints, Delta, OnDelta, OnRates, Replay, Request, Tokenizer};
use aosk_tools::{Registry, Workspace};
use tokio::sync::{Notify, broadcast};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::config::ModelDevice;
use crate::foreign::{Live, Said};
use crate::memory::{Searched, Shown};
use crate::meter::{Meter, ToolEnd};

use self::answer::{Growing, left_of, outcome};
use self::first::FirstToken;
use self::heard::Heard;
use self::tool::end_of;

pub(crate) use self::models::Models;

/// A piece of an answer that is being written.
#[derive(Debug, Clone)]
pub struct Growth {
    /// Whose answer.
    pub pid: Pid,
    /// The piece.
    pub delta: Delta,
}

/// Sets of tools that are remembered. Models choose the tools of the agents they start.
const OFFERED_MAX: usize = 1_024;

/// A call in flight.
type Key = (CallId, u32);

/// What is needed to name a call's process to a device.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) name: String,
    pub(crate) label: String,
    /// The program's parameter; a JSON object may name a `workspace`.
    pub(crate) param: Arc<str>,
    /// How many answers of a model it has had.
    pub(crate) answers: u64,
}

/// What a model is asked, and by whom.
pub(crate) struct Asked {
    pub(crate) asker: Asker,
    pub(crate) options: Arc<ThinkOptions>,
    pub(crate) shown: Shown,
    /// The answer that was begun and is gone on with.
    pub(crate) begun: Option<Body>,
    /// What the model is told beside the conversation.
    pub(crate) notice: Option<Notice>,
    /// The request of a client that is answered with it.
    pub(crate) live: Option<Arc<Live>>,
}

/// All devices of a node.
pub(crate) struct Devices {
    models: Models,
    tools: Arc<Registry>,
    recorded: Option<Arc<Replay>>,
    workspace: PathBuf,
    workspaces: HashMap<PathBuf, Arc<Workspace>>,
    /// Tools offered together, and their tokens by the tokenizer that was asked last.
    offered: HashMap<Vec<String>, Offered>,
    growth: broadcast::Sender<Growth>,
    heard: Arc<Heard>,
    tasks: JoinSet<Ended>,
    running: HashMap<Key, AbortHandle>,
    /// What ends model calls before they are done.
    stops: HashMap<Key, Arc<Stops>>,
    by_task: HashMap<Id, Task>,
    meter: Meter,
}

/// How a call ended.
pub(crate) enum Ended {
    /// With this completion.
    Done(Input),
    /// With what a search of a log found. What the model is told of it depends on its window.
    Searched(ToolStart, Searched),
}

/// What ends a model call before it is done.
#[derive(Debug, Default)]
struct Stops {
    /// It is cut off.
    cancel: Notify,
    /// It gives up its slot at the next token.
    give_up: Notify,
}

/// The tools a model is offered, and their size.
struct Offered {
    specs: Arc<[ToolSpec]>,
    counted: Option<(Tokenizer, Tokens)>,
}

/// A call at work.
struct Task {
    key: Key,
    kind: Kind,
    /// When it began, by the meter.
    began: Duration,
}

/// What is called.
enum Kind {
    /// The device of this name.
    Model(String),
    /// The tool of this name.
    Tool(String),
}

impl Devices {
    pub(crate) fn new(
        models: Models,
        tools: Arc<Registry>,
        recorded: Option<Arc<Replay>>,
        workspace: PathBuf,
        growth: broadcast::Sender<Growth>,
        meter: Meter,
    ) -> Self {
        Self {
            models,
            tools,
            recorded,
            workspace,
            workspaces: HashMap::new(),
            offered: HashMap::new(),
            growth,
            heard: Arc::default(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            stops: HashMap::new(),
            by_task: HashMap::new(),
            meter,
        }
    }

    /// The models.
    pub(crate) fn models(&self) -> &Models {
        &self.models
    }

    /// Knows these models from now on, in the place of those that it knew. Calls in flight go on.
    pub(crate) fn know(&mut self, models: Vec<ModelDevice>, routes: BTreeMap<String, Route>) {
        self.models = Models::new(models, routes);
    }

    /// The tokens that tools of these names take in a request.
    pub(crate) fn tokens_of_tools(&mut self, names: &[String], count: Tokenizer) -> Tokens {
        let offered = self.offered(names);
        match offered.counted {
            Some((by, tokens)) if by == count => tokens,
            Some(_) | None => {
                let tokens = count.of_tools(&offered.specs);
                offered.counted = Some((count, tokens));
                tokens
            }
        }
    }

    /// The tools of these names as a model is offered them. Unknown names are left out: a process
    /// restored under another configuration may name tools that are gone.
    fn offered(&mut self, names: &[String]) -> &mut Offered {
        if self.offered.len() >= OFFERED_MAX && !self.offered.contains_key(names) {
            self.offered.clear();
        }
        let tools = &self.tools;
        self.offered.entry(names.to_vec()).or_insert_with(|| {
            let known = names.iter().filter_map(|name| tools.specs(&[name]).ok());
            Offered { specs: known.flatten().cloned().collect(), counted: None }
        })
    }

    /// Starts a model call.
    pub(crate) fn think(&mut self, (call, attempt): (CallId, u32), device: &str, asked: Asked) {
        let Asked { asker, options, shown, begun, notice, live } = asked;
        // A client brings its own tools.
        let tools = match &live {
            Some(live) => live.ask.tools.clone(),
            None => self.offered(&options.tools).specs.clone(),
        };
        let Some(model) = self.models.get(device).cloned() else {
            // The kernel knows the same devices, so this does not happen; the call must end all the
            // same.
            let failure = internal(format!("asking {device}: no such device"));
            let kind = Kind::Model(device.to_owned());
            self.spawn((call, attempt), kind, async move { failed(call, attempt, failure) });
            return;
        };
        let cache = CacheHints {
            breakpoints: shown.breakpoints,
            unchanged: shown.unchanged,
            long_lived: shown.long_lived,
            // What one process sends begins like what it sent before.
            key: format!("{}-{}", asker.name, call.pid),
        };
        // It may have been begun by another device.
        let begun = begun.filter(|_| model.continues);
        let (heard, name) = (self.heard.clone(), device.to_owned());
        let request = Request {
            call,
            attempt,
            process: asker.name,
            label: asker.label,
            options: left_of(options, begun.as_ref(), model.tokenizer),
            messages: told(shown.messages, notice),
            begun: begun.clone(),
            tools,
            cache,
            wishes: live.as_ref().map(|live| live.ask.wishes.clone()).unwrap_or_default(),
            answers: asker.answers,
            on_rates: OnRates::new(move |report| heard.take(&name, report)),
        };
        let growth = self.growth.clone();
        let summarises = shown.summarises;
        let stops = Arc::<Stops>::default();
        self.stops.insert((call, attempt), stops.clone());
        let first = FirstToken::new(self.meter.clone(), call, device);
        self.spawn((call, attempt), Kind::Model(device.to_owned()), async move {
            let growing = Growing::default();
            let on_delta = |delta| {
                first.came();
                growing.take(&delta);
                // What is not said to anybody is nothing to watch.
                if summarises || matches!(delta, Delta::Arguments(_)) {
                    return;
                }
                // Nobody need be watching.
                let _unseen = growth.send(Growth { pid: call.pid, delta });
            };
            let streams = model.stream || model.continues;
            let on_delta: OnDelta<'_> = if streams { Some(&on_delta) } else { None };
            let outcome = tokio::select! {
                biased;
                () = stops.cancel.notified() => growing.cut_off(model.tokenizer),
                answer = model.driver.complete(request, on_delta) => {
                    let outcome = outcome(begun.as_ref(), answer);
                    // It is told in one piece: it may have been broken off and begun anew before.
                    if let (Some(live), ModelOutcome::Answered(reply)) = (&live, &outcome) {
                        live.outlet.tell(Said::Answered(reply.clone()));
                    }
                    outcome
                }
                () = stops.give_up.notified() => {
                    growing.broken_off(begun.as_ref(), model.tokenizer, model.continues)
                }
            };
            Input::ModelDone { call, attempt, outcome }
        });
    }

    /// Has a call stop at the next token. Its completion says what was written.
    pub(crate) fn give_up_slot(&self, call: CallId, attempt: u32) {
        if let Some(stops) = self.stops.get(&(call, attempt)) {
            stops.give_up.notify_one();
        }
    }

    /// Ends a model call that cannot even be made.
    pub(crate) fn fail_model(
        &mut self,
        (call, attempt): (CallId, u32),
        device: &str,
        error: &Error,
    ) {
        let failure = Failure {
            class: FailureClass::Final,
            code: error.code,
            message: error.message.clone(),
            hint: error.hint.clone(),
            retry_after: None,
            usage: None,
        };
        let kind = Kind::Model(device.to_owned());
        self.spawn((call, attempt), kind, async move { failed(call, attempt, failure) });
    }

    fn spawn(&mut self, key: Key, kind: Kind, call: impl Future<Output = Input> + Send + 'static) {
        self.enter(key, kind, async move { Ended::Done(call.await) });
    }

    fn enter(&mut self, key: Key, kind: Kind, call: impl Future<Output = Ended> + Send + 'static) {
        if let Kind::Model(device) = &kind {
            self.meter.model_began(device);
        }
        let began = self.meter.now();
        let handle = self.tasks.spawn(call);
        self.by_task.insert(handle.id(), Task { key, kind, began });
        self.running.insert(key, handle);
    }

    /// Cuts a call off. Its completion comes like any other.
    pub(crate) fn cancel(&self, call: CallId, attempt: u32) {
        let key = (call, attempt);
        if let Some(stops) = self.stops.get(&key) {
            stops.cancel.notify_one();
        } else if let Some(handle) = self.running.get(&key) {
            handle.abort();
        }
    }

    /// How many calls are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.tasks.len()
    }

    /// The next completion, or what a provider said of its rates; none while nothing is in flight.
    pub(crate) async fn next(&mut self) -> Option<Ended> {
        let ended = tokio::select! { biased;
            said = self.heard.next() => return Some(Ended::Done(said)),
            ended = self.tasks.join_next_with_id() => ended?,
        };
        Some(self.completion(ended))
    }

    /// The same, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Ended> {
        if let Some(said) = self.heard.try_next() {
            return Some(Ended::Done(said));
        }
        let ended = self.tasks.try_join_next_with_id()?;
        Some(self.completion(ended))
    }

    fn completion(&mut self, ended: Result<(Id, Ended), JoinError>) -> Ended {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Ok(ended)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(task) = self.by_task.remove(&id) else {
            // Every task is entered when it is spawned.
            return Ended::Done(Input::Tick);
        };
        self.running.remove(&task.key);
        self.stops.remove(&task.key);
        let (call, attempt) = task.key;
        let ended = ended.unwrap_or_else(|error| {
            Ended::Done(match &task.kind {
                Kind::Model(_) if error.is_cancelled() => Input::ModelDone {
                    call,
                    attempt,
                    outcome: ModelOutcome::Cancelled { output: Tokens::ZERO },
                },
                Kind::Model(_) => {
                    failed(call, attempt, internal(format!("the driver failed: {error}")))
                }
                Kind::Tool(_) => Input::ToolDone { call, attempt, outcome: ToolOutcome::Cancelled },
            })
        });
        self.measure(&task, &ended);
        ended
    }

    /// Counts how a call ended and how long it took.
    fn measure(&self, task: &Task, ended: &Ended) {
        let took = self.meter.now().saturating_sub(task.began);
        match &task.kind {
            Kind::Model(device) => {
                if let Ended::Done(Input::ModelDone { outcome, .. }) = ended {
                    self.meter.model_ended(device, outcome, took);
                }
            }
            Kind::Tool(tool) => {
                let end = match ended {
                    Ended::Done(Input::ToolDone {
                        outcome: ToolOutcome::Returned(body), ..
                    }) => end_of(body),
                    Ended::Done(_) => ToolEnd::Cancelled,
                    Ended::Searched(_, searched) if searched.found.is_ok() => ToolEnd::Returned,
                    Ended::Searched(..) => ToolEnd::Failed,
                };
                self.meter.tool_ended(tool, end, took);
            }
        }
    }

    /// Cuts off everything and waits until it has ended.
    pub(crate) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
        self.running.clear();
        self.stops.clear();
        self.by_task.clear();
        self.meter.none_running();
    }
}

/// The conversation with what the model is told at its end, in this call only.
fn told(mut messages: Vec<Body>, notice: Option<Notice>) -> Vec<Body> {
    let text = match notice {
        None => return messages,
        Some(Notice::LastStep { resource }) => format!(
            "[kernel] This is your last step: the budget of this process has no room for another \
             model call ({}). Save what must be kept and give your result now.",
            resource.word(),
        ),
        Some(Notice::Runaway { what, times }) => format!(
            "[kernel] You are going round in circles: {} ({times} times in a row). Do something \
             else, or finish with what you have; you are ended if you go on.",
            what.word(),
        ),
    };
    messages.push(Body::new(Message::user(text)));
    messages
}

fn failed(call: CallId, attempt: u32, failure: Failure) -> Input {
    Input::ModelDone { call, attempt, outcome: ModelOutcome::Failed(failure) }
}

fn internal(message: String) -> Failure {
    Failure {
        class: FailureClass::Final,
        code: ErrorCode::ModelServer,
        message,
        hint: String::new(),
        retry_after: None,
        usage: None,
    }
}

#[cfg(test)]
mod tests;
