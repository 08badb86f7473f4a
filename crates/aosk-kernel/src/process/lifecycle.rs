//! Birth, turns, end and reaping.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aosk_abi::{
    Body, BudgetId, Error, ErrorCode, ExitStatus, Fact, Hash, MessageIndex, Pid, Release, Resume,
    RowChange, RowKey, RowOp, Signal, SpawnSpec, Spend, Timestamp, Wake, limits,
};

use super::{
    Asked, CancelKind, Cancelling, Cause, Guard, LogDigest, LogPage, Memory, Process, Spec, State,
    Stats, Termination, ToolPhase, ToolWait, Wait,
};
use crate::budget::ROOT;
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::syscall::failed_result;

impl Kernel {
    /// Starts a process under `parent`, or under the operator.
    pub(crate) fn spawn(
        &mut self,
        cx: &mut Ctx<'_>,
        parent: Option<Pid>,
        wanted: &SpawnSpec,
    ) -> Result<Pid, Error> {
        check_spec(wanted)?;
        let child = Spend { children: 1, ..Spend::default() };
        let (mut spec, priority) = self.inherit(cx, parent, wanted)?;
        if !wanted.group.is_empty() {
            if parent.is_some() {
                let what = format!("starting {}: only the operator chooses a group", wanted.name);
                return Err(Error::new(ErrorCode::BadSyscall, what));
            }
            spec.budget = self.group_for(cx, &wanted.group, &child)?;
            spec.group.clone_from(&wanted.group);
        }
        self.budgets.charge(spec.budget, &child).map_err(|lack| {
            Error::new(
                ErrorCode::BudgetExceeded,
                format!("starting {}: out of budget: {lack}", wanted.name),
            )
        })?;
        if !wanted.limits.is_unbounded() {
            let node = BudgetId(self.counters.next_budget);
            self.counters.next_budget = self.counters.next_budget.saturating_add(1);
            self.budgets.add(node, spec.budget, wanted.limits, cx.now);
            spec.budget = node;
        }
        self.budgets.join(spec.budget);
        let pid = Pid(self.counters.next_pid);
        self.counters.next_pid = self.counters.next_pid.saturating_add(1);
        self.dirty.extend([RowKey::Kernel, RowKey::Spec(pid)]);
        let forked = parent.filter(|_| wanted.fork).and_then(|parent| self.processes.get(parent));
        let (log, pages, memory) = match forked {
            Some(parent) => (parent.log, parent.pages.clone(), parent.memory.fork()),
            None => (LogDigest::default(), Vec::new(), Memory::new()),
        };
        let forked = forked.map(Process::page_count);
        let inherited = forked.map_or(0, |count| count.0);
        self.dirty.extend((0..inherited).map(|index| RowKey::Message(pid, MessageIndex(index))));
        cx.fact(
            pid,
            Fact::Spawned {
                name: spec.name.clone(),
                parent,
                program: spec.program.name.clone(),
                priority,
                pages: wanted.pages.iter().map(Body::hash).collect(),
                limits: wanted.limits,
                forked,
            },
        );
        self.processes.insert(
            pid,
            Process {
                spec: Arc::new(spec),
                state: State::Program { wake: Wake::Started },
                priority,
                termination: Termination::None,
                program_state: "null".into(),
                turn: 0,
                calls: 0,
                mail_count: 0,
                stats: Stats::default(),
                served: BTreeMap::new(),
                guard: Guard::default(),
                descendants: 0,
                lack: None,
                log,
                pages,
                memory,
                mailbox: BTreeMap::new(),
                children: BTreeSet::new(),
            },
        );
        for body in &wanted.pages {
            self.append_page(cx, pid, body);
        }
        if let Some(parent) = parent.and_then(|pid| self.processes.get_mut(pid)) {
            parent.children.insert(pid);
            let root = self.root_of(pid);
            if let Some(root) = self.processes.get_mut(root) {
                root.descendants = root.descendants.saturating_add(1);
            }
        }
        self.wake(cx, pid, Wake::Started);
        Ok(pid)
    }

    /// What the new process is, within what its parent is and may.
    fn inherit(
        &self,
        cx: &Ctx<'_>,
        parent: Option<Pid>,
        wanted: &SpawnSpec,
    ) -> Result<(Spec, u8), Error> {
        let busy =
            |what: String| Error::new(ErrorCode::Busy, format!("starting {}: {what}", wanted.name));
        if self.processes.len() >= limits::PROCESSES_MAX {
            return Err(busy(format!("{} processes live already", limits::PROCESSES_MAX)));
        }
        let mut spec = Spec {
            name: wanted.name.clone(),
            label: wanted.label.clone(),
            program: wanted.program.clone(),
            parent,
            depth: 0,
            capabilities: wanted.capabilities.clone(),
            budget: ROOT,
            group: String::new(),
            spawned: cx.now,
        };
        let mut priority = wanted.priority;
        if let Some(parent) = parent.and_then(|pid| self.processes.get(pid)) {
            if parent.spec.depth >= limits::PROCESS_DEPTH_MAX {
                return Err(busy(format!("the tree is {} deep", parent.spec.depth)));
            }
            if self.descendants_of_root(spec.parent.unwrap_or(Pid(0))) >= limits::DESCENDANTS_MAX {
                return Err(busy(format!(
                    "{} processes of its tree live",
                    limits::DESCENDANTS_MAX
                )));
            }
            if parent.children.len() >= limits::CHILDREN_MAX {
                return Err(busy(format!("{} children live", parent.children.len())));
            }
            spec.depth = parent.spec.depth.saturating_add(1);
            spec.budget = parent.spec.budget;
            spec.group.clone_from(&parent.spec.group);
            // A child is at most as urgent and as mighty as its parent.
            if !broken!(self, UrgencyAmplified) {
                priority = priority.max(parent.priority);
            }
            if !broken!(self, CapabilityAmplified) {
                spec.capabilities = parent.spec.capabilities.attenuate(&wanted.capabilities);
            }
        }
        let group = if spec.parent.is_some() { &spec.group } else { &wanted.group };
        if !self.has_place_in(group) {
            return Err(busy(format!(
                "few places are left, and {} or more processes of its tenant live",
                limits::PROCESSES_FEW
            )));
        }
        Ok((spec, priority))
    }

    /// Appends a page to the log and returns its place.
    pub(crate) fn append_page(&mut self, cx: &mut Ctx<'_>, pid: Pid, body: &Body) -> MessageIndex {
        if !broken!(self, BodyNotStored) {
            cx.fx.bodies.push(body.clone());
        }
        self.append_hash(pid, body.hash())
    }

    /// Appends a page whose body is stored already.
    pub(crate) fn append_hash(&mut self, pid: Pid, hash: Hash) -> MessageIndex {
        let Some(process) = self.processes.get_mut(pid) else {
            return MessageIndex(0);
        };
        let index = process.page_count();
        process.pages.push(LogPage { hash });
        process.log.push(hash);
        self.dirty.insert(RowKey::Message(pid, index));
        index
    }

    /// Gives the program its next turn, now or after CONT.
    pub(crate) fn wake(&mut self, cx: &mut Ctx<'_>, pid: Pid, wake: Wake) {
        let stopped_runs = broken!(self, StoppedRuns);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        if process.state.is_over() {
            return;
        }
        process.turn = process.turn.saturating_add(1);
        let turn = process.turn;
        let stopped = matches!(process.state, State::Stopped { .. });
        *process.state.inner_mut() = State::Program { wake: wake.clone() };
        if !stopped || stopped_runs {
            cx.fx.resumes.push(Resume { pid, turn, wake });
        }
    }

    /// Puts the process into `state`, behind a stop if it is stopped.
    pub(crate) fn set_state(&mut self, pid: Pid, state: State) {
        if let Some(process) = self.processes.get_mut(pid) {
            *process.state.inner_mut() = state;
        }
    }

    /// Ends a process: calls in flight are cancelled, children are asked to end.
    pub(crate) fn end(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        status: ExitStatus,
        result: Option<Hash>,
    ) {
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        if process.state.is_over() {
            return;
        }
        let held = self.holds.of_process(&self.devices, process, cx.now);
        process.stats.times.enter(cx.now, None, held);
        let was = std::mem::replace(
            &mut process.state,
            State::Exiting { status, result, calls: Vec::new() },
        );
        let children: Vec<_> = process.children.iter().copied().collect();
        let calls = self.cancel_calls(cx, pid, was);
        self.set_state(pid, State::Exiting { status, result, calls });
        if !broken!(self, OrphanLeft) {
            for child in children {
                self.end_child(cx, child, status);
            }
        }
        for waiter in self.index.awaiting(pid) {
            self.sender_gone(cx, waiter, pid);
        }
        self.finish_if_over(cx, pid);
    }

    /// A child outlives nobody: it is reaped if it has ended, killed if its parent was killed, and
    /// asked to end otherwise.
    fn end_child(&mut self, cx: &mut Ctx<'_>, child: Pid, parent_status: ExitStatus) {
        let zombie =
            self.processes.get(child).is_some_and(|c| matches!(c.state, State::Zombie { .. }));
        if zombie {
            self.reap(cx, child);
        } else if parent_status == ExitStatus::Signalled(Signal::Kill) {
            self.end(cx, child, ExitStatus::Signalled(Signal::Kill), None);
        } else {
            self.terminate(cx, child, Cause::Term);
        }
    }

    /// Cancels what is in flight in `was` and returns what must be confirmed.
    fn cancel_calls(&self, cx: &mut Ctx<'_>, pid: Pid, was: State) -> Vec<Cancelling> {
        let was = if let State::Stopped { was } = was { *was } else { was };
        let deadline = cx.now.after(limits::CANCEL_GRACE);
        match was {
            State::Running { call, held, asked, .. } => {
                let (number, attempt) = (call.number, call.attempt);
                if asked != Asked::Late {
                    let call = Self::call_id(pid, number);
                    cx.fx.releases.push(Release::Cancel { call, attempt });
                }
                self.model_call_abandoned(cx, pid, number);
                vec![Cancelling {
                    number,
                    attempt,
                    deadline,
                    kind: CancelKind::Model { call: Box::new(call), held },
                }]
            }
            State::Ready { call }
            | State::Waiting { on: Wait::Backoff { call, .. } | Wait::Quota { call, .. } } => {
                self.model_call_abandoned(cx, pid, call.number);
                Vec::new()
            }
            State::Waiting { on: Wait::Tools { calls } } => {
                self.cancel_tools(cx, pid, &calls, deadline)
            }
            State::Program { .. }
            | State::Waiting {
                on: Wait::Child { .. } | Wait::Message { .. } | Wait::Timer { .. },
            }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => Vec::new(),
        }
    }

    /// Ends the tool calls of an ended process that have not returned. Returns those in flight.
    fn cancel_tools(
        &self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        calls: &[ToolWait],
        deadline: Timestamp,
    ) -> Vec<Cancelling> {
        let mut in_flight = Vec::new();
        for wait in calls {
            let (number, attempt) = (wait.number, wait.attempt);
            let call = Self::call_id(pid, number);
            let what = match wait.phase {
                ToolPhase::Queued { .. } => "its process ended before the call was made",
                ToolPhase::InFlight { .. } => "its process ended while the call ran",
                ToolPhase::Returned { .. } => continue,
            };
            let body = failed_result(wait, ErrorCode::ToolInterrupted, what);
            self.tool_result(cx, call, &body);
            // An inline call holds no slot, and there is nothing to be cancelled.
            let running = matches!(wait.phase, ToolPhase::InFlight { .. });
            if running && !self.config.is_inline(&wait.tool) {
                cx.fx.releases.push(Release::Cancel { call, attempt });
                in_flight.push(Cancelling { number, attempt, deadline, kind: CancelKind::Tool });
            }
        }
        in_flight
    }

    /// Writes down that a model call ends without an answer because its process no longer wants it.
    pub(crate) fn model_call_abandoned(&self, cx: &mut Ctx<'_>, pid: Pid, number: u32) {
        cx.fact(
            pid,
            Fact::ModelFailed {
                call: Self::call_id(pid, number),
                code: ErrorCode::ModelCancelled,
                message: "the process no longer wants the answer".to_owned(),
            },
        );
    }

    /// If an ended process has nothing left to wait for, makes it a zombie or reaps it.
    pub(crate) fn finish_if_over(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let orphans_allowed = broken!(self, OrphanLeft);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let State::Exiting { status, result, calls } = &process.state else {
            return;
        };
        if !calls.is_empty() || (!process.children.is_empty() && !orphans_allowed) {
            return;
        }
        let (status, result) = (*status, *result);
        process.state = State::Zombie { status, result };
        let parent = process.spec.parent;
        let pages = process.page_count().0;
        // Nobody will read what is left.
        let left: Vec<_> = std::mem::take(&mut process.mailbox).into_keys().collect();
        self.dirty.extend(left.into_iter().map(|number| RowKey::Mail(pid, number)));
        cx.fact(pid, Fact::Exited { status, result, pages });
        let living_parent = parent.filter(|parent| {
            self.processes.get(*parent).is_some_and(|parent| !parent.state.is_over())
        });
        match living_parent {
            None => self.reap(cx, pid),
            Some(parent) => self.child_ended(cx, parent, pid),
        }
    }

    /// Takes a zombie out of the table. Its rows stay readable.
    pub(crate) fn reap(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        // The last state must be readable, so it is written before the row is archived.
        self.dirty.insert(RowKey::Process(pid));
        let last = self.rows_of(pid);
        self.reaped.extend(last);
        self.reaped.push(RowChange { key: RowKey::Process(pid), op: RowOp::Archive });
        let Some(process) = self.processes.remove(pid) else {
            return;
        };
        // If it was ready, it no longer competes with those who wait behind it for room.
        self.budgets.release(process.spec.budget);
        self.budgets.leave(process.spec.budget);
        if let Some(parent) = process.spec.parent {
            let root = self.root_of(parent);
            if let Some(root) = self.processes.get_mut(root) {
                root.descendants = root.descendants.saturating_sub(1);
            }
            if let Some(parent) = self.processes.get_mut(parent) {
                parent.children.remove(&pid);
            }
            self.finish_if_over(cx, parent);
        }
        self.ended.push((pid, process));
    }
}

fn check_spec(spec: &SpawnSpec) -> Result<(), Error> {
    let wrong = |what: String| {
        Err(Error::new(ErrorCode::BadSyscall, format!("starting {}: {what}", spec.name)))
    };
    if spec.priority > 100 {
        return wrong(format!("priority must be 0 to 100: {}", spec.priority));
    }
    if spec.name.is_empty() || spec.name.len() > limits::NAME_BYTES_MAX {
        return wrong(format!(
            "a name has 1 to {} bytes: {}",
            limits::NAME_BYTES_MAX,
            spec.name.len()
        ));
    }
    if spec.label.len() > limits::NAME_BYTES_MAX {
        return wrong(format!("a label has at most {} bytes", limits::NAME_BYTES_MAX));
    }
    if spec.program.param.len() > limits::PROGRAM_STATE_BYTES_MAX {
        return wrong(format!(
            "a program parameter has at most {} bytes: {}",
            limits::PROGRAM_STATE_BYTES_MAX,
            spec.program.param.len()
        ));
    }
    if spec.pages.iter().any(|body| body.bytes().len() > limits::BODY_BYTES_MAX) {
        return wrong(format!("a page has at most {} bytes", limits::BODY_BYTES_MAX));
    }
    Ok(())
}
