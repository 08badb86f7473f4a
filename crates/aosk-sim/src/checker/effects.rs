//! What may leave the kernel: who is resumed, what is started and when.

use std::collections::BTreeMap;

use aosk_abi::{CallId, Pid, Release, Reply, Resume, Risk, ToolStart};
use aosk_kernel::{Kernel, State};

use super::calls::models;
use super::{Before, Checker, Rule, ensure};
use crate::reference::{Breaker, Contender, goes_first};

impl Checker {
    /// A resume is for the process's present turn, unless it has ended meanwhile, and never for one
    /// that is stopped.
    pub(super) fn check_resumes(
        &mut self,
        kernel: &Kernel,
        resumes: &[Resume],
    ) -> Result<(), Rule> {
        for resume in resumes {
            let wake = serde_json::to_value(&resume.wake).unwrap_or_default();
            let name =
                wake.as_str().or_else(|| wake.as_object()?.keys().next().map(String::as_str));
            self.seen.insert(format!("wake {}", name.unwrap_or_default()));
            let Some(process) = kernel.process(resume.pid) else {
                continue;
            };
            let what = || format!("{resume:?}, {:?}", process.state);
            let stopped = matches!(process.state, State::Stopped { .. });
            ensure(!stopped, "a stopped process is never resumed", what)?;
            let present = process.state == State::Program { wake: resume.wake.clone() }
                && process.turn == resume.turn;
            ensure(present || process.state.is_over(), "no wake is lost", what)?;
        }
        Ok(())
    }

    pub(super) fn check_releases(
        &mut self,
        kernel: &Kernel,
        now: aosk_abi::Timestamp,
        before: &Before,
        releases: &[Release],
    ) -> Result<(), Rule> {
        for release in releases {
            self.check_drains(release)?;
            match release {
                Release::Think { call, options, .. } => {
                    self.check_allowed(kernel, call.pid, |may| may.models.allows(&options.model))?;
                    let earliest = self.books.not_before.get(call).copied();
                    ensure(earliest.is_none_or(|at| at <= now), "retry-after is obeyed", || {
                        format!("{call} is tried at {now:?}, not before {earliest:?}")
                    })?;
                    if !self.books.promised.remove(&call.pid) {
                        self.check_order(kernel, before, *call, &options.model)?;
                    }
                    let in_flight = kernel
                        .processes()
                        .flat_map(|(_, process)| models(process))
                        .filter(|model| **model == *options.model)
                        .count();
                    let breaker = self.books.breakers.entry(options.model.clone());
                    breaker
                        .or_insert(Breaker::Closed(0))
                        .started(now, u32::try_from(in_flight).unwrap_or(u32::MAX))
                        .map_err(|what| Rule("a failing device is left alone", what))?;
                }
                Release::Tool(start) => self.check_tool_start(kernel, start)?,
                Release::Cancel { .. } => {
                    self.seen.insert("cancel".to_owned());
                }
                Release::Yield { .. } => {
                    self.seen.insert("yield".to_owned());
                }
                Release::Reply { .. } => {}
            }
        }
        Ok(())
    }

    pub(super) fn check_tool_start(&self, kernel: &Kernel, start: &ToolStart) -> Result<(), Rule> {
        let risk = self.config.tools.get(&start.tool).map_or(Risk::Safe, |tool| tool.risk);
        self.check_allowed(kernel, start.call.pid, |may| {
            may.tools.allows(&start.tool) && risk <= may.risk_max
        })
    }

    fn check_allowed(
        &self,
        kernel: &Kernel,
        pid: Pid,
        allowed: impl FnOnce(&aosk_abi::Capabilities) -> bool,
    ) -> Result<(), Rule> {
        let holds = kernel.process(pid).is_none_or(|process| allowed(&process.spec.capabilities));
        ensure(holds, "a process does only what it may", || pid.to_string())
    }

    /// Nobody who was ready before the input, and still is, should have gone first. Where budgets
    /// are bounded it may have had no room at its turn, which cannot be seen from here.
    fn check_order(
        &self,
        kernel: &Kernel,
        before: &Before,
        started: CallId,
        model: &str,
    ) -> Result<(), Rule> {
        let contender = |pid: Pid| {
            let process = kernel.process(pid)?;
            let (State::Ready { call } | State::Running { call, .. }) = &process.state else {
                return None;
            };
            let contender = Contender { pid: pid.0, priority: process.priority, since: call.since };
            (call.options.model == model).then_some((contender, call.number, &process.state))
        };
        let Some((first, ..)) = contender(started.pid) else {
            return Ok(());
        };
        let ready = if self.bounded { &BTreeMap::new() } else { &before.ready };
        for (pid, number) in ready {
            let Some((other, now_ready, State::Ready { .. })) = contender(*pid) else {
                continue;
            };
            let passed_over =
                now_ready == *number && goes_first(&self.books.policy, &other, &first);
            ensure(!passed_over, "the first in the queue goes first", || {
                format!("{first:?} before {other:?} under {}", self.books.policy)
            })?;
        }
        Ok(())
    }

    /// Judges what leaves: the store has confirmed the batch in which it was decided, everything
    /// before it has left, and what it speaks of is kept.
    pub(crate) fn released(&mut self, release: &Release) -> Result<(), Rule> {
        let due = self.due.pop_front();
        ensure(
            due.as_ref() == Some(release),
            "effects leave after their commit, in order",
            || format!("{release:?} leaves, due is {due:?}"),
        )?;
        let kept = match release {
            Release::Think { call, .. } | Release::Tool(ToolStart { call, .. }) => {
                self.kept.has_call(*call)
            }
            Release::Reply { reply: Reply::Spawned(pid), .. } => pid.0 <= self.kept.last_pid,
            Release::Cancel { .. }
            | Release::Yield { .. }
            | Release::Reply { reply: Reply::Done | Reply::Refused(_), .. } => true,
        };
        ensure(kept, "what leaves is in the store", || format!("{release:?}"))
    }

    /// Devices were given these.
    pub(crate) fn given(&mut self, call: CallId, attempt: u32) -> Result<(), Rule> {
        self.started.insert((call, attempt));
        ensure(self.ever_started.insert((call, attempt)), "an attempt is made once", || {
            format!("{call}, attempt {attempt}")
        })
    }
}
