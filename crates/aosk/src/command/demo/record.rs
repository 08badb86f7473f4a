//! What the journal of the demo says, taken in entry by entry.

use std::collections::BTreeMap;

use aosk::abi::{Body, CallId, Error, ErrorCode, ExitStatus, Fact, Hash, Pid, ToolUse};
use aosk::inspect;
use aosk::store::{JournalQuery, Reader, StoredEntry};
use serde::Deserialize;

/// How the result of a tool call begins that a crash cut off.
pub(super) const INTERRUPTED: &str = "tool.interrupted";

/// Everything the demo wants to know of its journal.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// How many entries were taken in.
    pub(super) entries: u64,
    /// The agents' names.
    pub(super) agents: BTreeMap<Pid, String>,
    /// Calls of the model.
    pub(super) model_calls: BTreeMap<CallId, Call>,
    /// Calls of tools.
    pub(super) tool_calls: BTreeMap<CallId, Call>,
    /// Boots of the kernel, in order.
    pub(super) boots: Vec<Booted>,
    /// Tool calls that the model asked for, by the address of their arguments.
    wishes: BTreeMap<(Pid, Hash), ToolUse>,
}

/// A call of a device.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The model or the tool.
    pub(super) device: String,
    /// What a person would call the work: the command or the path.
    pub(super) object: String,
    /// How often the journal has it begun.
    pub(super) begun: u32,
    /// How often the journal has it ended.
    pub(super) ended: u32,
    /// What a tool returned.
    pub(super) result: String,
}

/// A boot of the kernel.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Booted {
    /// How often it had booted before.
    pub(super) boots: u64,
    /// Live processes.
    pub(super) processes: u64,
    /// Model calls that were in flight and are asked again.
    pub(super) asked_again: Vec<CallId>,
    /// Idempotent tool calls that were in flight and are made again.
    pub(super) called_again: Vec<CallId>,
    /// Tool calls that were in flight and whose outcome is unknown.
    pub(super) interrupted: Vec<CallId>,
}

/// An entry that is worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// The kernel began to run.
    Booted(Booted),
    /// An agent was started.
    Spawned { by: Option<Pid>, pid: Pid, priority: u8 },
    /// The model said something for an agent.
    Said { pid: Pid, text: String },
    /// A tool call ended.
    Returned { pid: Pid, call: Call },
    /// A message was sent.
    Sent { from: Option<Pid>, to: Pid, text: String },
    /// A call failed for good or was refused.
    Failed { pid: Pid, message: String },
    /// An agent ended.
    Exited { pid: Pid, status: ExitStatus },
}

impl Record {
    /// The whole journal of a store.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(reader: &dyn Reader) -> Result<Self, Error> {
        let mut record = Self::default();
        record.catch_up(reader, |_, _, _| {})?;
        Ok(record)
    }

    /// Takes in what was added to the journal, and hands on what is worth a line.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn catch_up(
        &mut self,
        reader: &dyn Reader,
        mut each: impl FnMut(&Self, &StoredEntry, News),
    ) -> Result<(), Error> {
        let from = self.entries.saturating_add(1);
        let mut failed = None;
        inspect::journal(reader, &JournalQuery { from, ..JournalQuery::default() }, |entry| {
            self.entries = entry.seq;
            match self.take(reader, &entry) {
                Ok(Some(news)) => each(self, &entry, news),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Calls that have begun and not ended: of tools, then of models.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = (&CallId, &Call)> {
        self.tool_calls.iter().chain(&self.model_calls).filter(|(_, call)| call.ended < call.begun)
    }

    /// The name of an agent.
    pub(super) fn name(&self, pid: Option<Pid>) -> &str {
        pid.map_or("operator", |pid| self.agents.get(&pid).map_or("?", String::as_str))
    }

    fn take(&mut self, reader: &dyn Reader, entry: &StoredEntry) -> Result<Option<News>, Error> {
        let fact = Fact::read(&entry.kind, &entry.data).ok_or_else(|| {
            let text = format!("reading entry {}: it is no fact: {}", entry.seq, entry.kind);
            Error::new(ErrorCode::StoreCorrupt, text)
        })?;
        let Some(pid) = entry.pid else {
            return Ok(self.booted(fact));
        };
        Ok(match fact {
            Fact::Spawned { name, parent, priority, .. } => {
                self.agents.insert(pid, name);
                Some(News::Spawned { by: parent, pid, priority })
            }
            Fact::ModelCalled { call, model, .. } => {
                let call = self.model_calls.entry(call).or_default();
                call.device = model;
                call.begun = call.begun.saturating_add(1);
                None
            }
            Fact::ModelAnswered { call, body, .. } => {
                self.model_ended(call);
                self.answered(pid, &inspect::body(reader, body)?)
            }
            Fact::ModelFailed { call, message, .. } => {
                self.model_ended(call);
                Some(News::Failed { pid, message })
            }
            Fact::Refused { message, .. } => Some(News::Failed { pid, message }),
            Fact::ToolCalled { call, tool, arguments, .. } => {
                let object = self.wishes.get(&(pid, arguments)).map(object).unwrap_or_default();
                let call = self.tool_calls.entry(call).or_default();
                call.device = tool;
                call.object = object;
                call.begun = call.begun.saturating_add(1);
                None
            }
            Fact::ToolReturned { call, body, .. } => {
                let call = self.tool_calls.entry(call).or_default();
                call.ended = call.ended.saturating_add(1);
                call.result = inspect::body(reader, body)?.message().text();
                Some(News::Returned { pid, call: call.clone() })
            }
            Fact::MessageSent { from, body } => {
                let text = inspect::body(reader, body)?.message().text();
                Some(News::Sent { from, to: pid, text })
            }
            Fact::Exited { status, .. } => Some(News::Exited { pid, status }),
            // The rest is in the journal for those who ask.
            Fact::ModelRetried { .. }
            | Fact::ModelCharged { .. }
            | Fact::ModelRouted { .. }
            | Fact::WindowExceeded { .. }
            | Fact::MemoryCut { .. }
            | Fact::SummaryCalled { .. }
            | Fact::Summarised { .. }
            | Fact::SummaryFailed { .. }
            | Fact::PageFaulted { .. }
            | Fact::PageRecalled { .. }
            | Fact::PagePinned { .. }
            | Fact::PageForgotten { .. }
            | Fact::TaskBegun { .. }
            | Fact::TaskEnded { .. }
            | Fact::CacheMissed { .. }
            | Fact::MessageReceived { .. }
            | Fact::Signalled { .. }
            | Fact::Reniced { .. }
            | Fact::BudgetExpired { .. }
            | Fact::BudgetAsked { .. }
            | Fact::BudgetAnswered { .. }
            | Fact::RunawayFound { .. }
            | Fact::BudgetSet { .. }
            | Fact::ModelPreempted { .. }
            | Fact::PolicySet { .. }
            | Fact::Reconfigured { .. }
            | Fact::Booted { .. } => None,
        })
    }

    fn booted(&mut self, fact: Fact) -> Option<News> {
        let Fact::Booted { boots, processes, asked_again, called_again, interrupted } = fact else {
            return None;
        };
        let booted = Booted { boots, processes, asked_again, called_again, interrupted };
        self.boots.push(booted.clone());
        Some(News::Booted(booted))
    }

    fn model_ended(&mut self, call: CallId) {
        if let Some(call) = self.model_calls.get_mut(&call) {
            call.ended = call.ended.saturating_add(1);
        }
    }

    fn answered(&mut self, pid: Pid, answer: &Body) -> Option<News> {
        for wish in answer.message().tool_calls() {
            self.wishes.insert((pid, Hash::of(wish.arguments.as_bytes())), wish.clone());
        }
        let text = answer.message().text();
        (!text.is_empty()).then_some(News::Said { pid, text })
    }
}

/// The command or the path in the arguments of a tool.
fn object(wish: &ToolUse) -> String {
    #[derive(Default, Deserialize)]
    struct Arguments {
        command: Option<String>,
        path: Option<String>,
    }
    let arguments: Arguments = serde_json::from_str(&wish.arguments).unwrap_or_default();
    arguments.command.or(arguments.path).unwrap_or_default()
}

#[cfg(test)]
mod tests;
