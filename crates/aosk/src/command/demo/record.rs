//! What the journal of the demo says, taken in entry by entry.

use std::collections::BTreeMap;

use aosk::abi::{CallId, Error, ErrorCode, ExitStatus, Hash, Pid, ToolUse};
use aosk::inspect;
use aosk::store::{JournalQuery, Reader, StoredEntry};
use serde::Deserialize;
use serde::de::DeserializeOwned;

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
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
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

#[derive(Deserialize)]
struct Spawned {
    name: String,
    parent: Option<Pid>,
    priority: u8,
}

#[derive(Deserialize)]
struct ModelCalled {
    call: CallId,
    model: String,
}

/// The address of a message, and what it answers, if anything.
#[derive(Deserialize)]
struct Pointer {
    call: Option<CallId>,
    from: Option<Pid>,
    body: Hash,
}

#[derive(Deserialize)]
struct Failed {
    call: Option<CallId>,
    message: String,
}

#[derive(Deserialize)]
struct ToolCalled {
    call: CallId,
    tool: String,
    arguments: Hash,
}

#[derive(Deserialize)]
struct Exited {
    status: ExitStatus,
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
        let Some(pid) = entry.pid else {
            if entry.kind != "node.booted" {
                return Ok(None);
            }
            let booted: Booted = fact(entry)?;
            self.boots.push(booted.clone());
            return Ok(Some(News::Booted(booted)));
        };
        Ok(match entry.kind.as_str() {
            "process.spawned" => {
                let Spawned { name, parent, priority } = fact(entry)?;
                self.agents.insert(pid, name);
                Some(News::Spawned { by: parent, pid, priority })
            }
            "model.called" => {
                let ModelCalled { call, model } = fact(entry)?;
                let call = self.model_calls.entry(call).or_default();
                call.device = model;
                call.begun = call.begun.saturating_add(1);
                None
            }
            "model.answered" => self.answered(reader, pid, &fact(entry)?)?,
            "model.failed" | "syscall.refused" => {
                let Failed { call, message } = fact(entry)?;
                if let Some(call) = call.and_then(|call| self.model_calls.get_mut(&call)) {
                    call.ended = call.ended.saturating_add(1);
                }
                Some(News::Failed { pid, message })
            }
            "tool.called" => {
                self.called(pid, fact(entry)?);
                None
            }
            "tool.returned" => self.returned(reader, pid, &fact(entry)?)?,
            "message.sent" => {
                let Pointer { from, body, .. } = fact(entry)?;
                let text = inspect::body(reader, body)?.message().text();
                Some(News::Sent { from, to: pid, text })
            }
            "process.exited" => {
                let Exited { status } = fact(entry)?;
                Some(News::Exited { pid, status })
            }
            // The rest is in the journal for those who ask.
            _ => None,
        })
    }

    fn answered(
        &mut self,
        reader: &dyn Reader,
        pid: Pid,
        answer: &Pointer,
    ) -> Result<Option<News>, Error> {
        if let Some(call) = answer.call.and_then(|call| self.model_calls.get_mut(&call)) {
            call.ended = call.ended.saturating_add(1);
        }
        let body = inspect::body(reader, answer.body)?;
        for wish in body.message().tool_calls() {
            self.wishes.insert((pid, Hash::of(wish.arguments.as_bytes())), wish.clone());
        }
        let text = body.message().text();
        Ok((!text.is_empty()).then_some(News::Said { pid, text }))
    }

    fn called(&mut self, pid: Pid, called: ToolCalled) {
        let object = self.wishes.get(&(pid, called.arguments)).map(object).unwrap_or_default();
        let call = self.tool_calls.entry(called.call).or_default();
        call.device = called.tool;
        call.object = object;
        call.begun = call.begun.saturating_add(1);
    }

    fn returned(
        &mut self,
        reader: &dyn Reader,
        pid: Pid,
        returned: &Pointer,
    ) -> Result<Option<News>, Error> {
        let Some(call) = returned.call else { return Ok(None) };
        let call = self.tool_calls.entry(call).or_default();
        call.ended = call.ended.saturating_add(1);
        call.result = inspect::body(reader, returned.body)?.message().text();
        Ok(Some(News::Returned { pid, call: call.clone() }))
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

fn fact<T: DeserializeOwned>(entry: &StoredEntry) -> Result<T, Error> {
    serde_json::from_str(&entry.data).map_err(|error| {
        let text = format!("reading entry {} ({}): {error}", entry.seq, entry.kind);
        Error::new(ErrorCode::StoreCorrupt, text)
    })
}

#[cfg(test)]
mod tests;
