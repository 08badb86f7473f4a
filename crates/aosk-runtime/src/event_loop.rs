//! The event loop: decide, commit, act.
//!
//! Inputs are applied as they come, and what is pure of their consequences is done at once. One
//! commit is in flight at a time; what comes meanwhile shares the next one. Nothing leaves before
//! its commit is confirmed, and what nothing leaves for waits a moment for company.

mod reconfigure;
mod relay;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use aosk_abi::{
    Command, Effects, Error, ErrorCode, Input, Millis, Pid, Release, Reply, RequestId, Signal,
    Timestamp, limits,
};
use aosk_kernel::{Config, Kernel, Policy};
use aosk_store::{Batch, Committer, Head};
use aosk_tools::kernel_calls;
use tokio::sync::{mpsc, oneshot, watch};

use crate::bodies::Bodies;
use crate::clock::Clock;
use crate::commits::Commits;
use crate::config::ModelDevice;
use crate::devices::{Asked, Asker, Devices, Ended};
use crate::flight::{Flight, Seen};
use crate::foreign::Relay;
use crate::memory::{Done, Log, render};
use crate::meter::{Calls, Meter};
use crate::published::{Published, Snapshot};
use crate::shadow::Shadow;
use crate::surroundings::Surroundings;
use crate::turns::{self, Turns};

/// Requests that may wait for the loop; more get `busy`.
pub(crate) const REQUESTS_MAX: usize = 1_024;

/// What somebody outside wants of the kernel.
pub(crate) enum Request {
    /// What an operator asks, and where the reply goes.
    Command { command: Command, reply: oneshot::Sender<Reply> },
    /// What the kernel is told anew of its surroundings, and where the reply goes.
    Reconfigure { told: Box<Surroundings>, reply: oneshot::Sender<Reply> },
    /// What a client asks a model.
    Relay(Box<Relay>),
    /// The client of a process asks no more.
    Leave(Pid),
}

/// The loop and all it owns.
pub(crate) struct EventLoop {
    pub(crate) kernel: Kernel,
    pub(crate) clock: Clock,
    pub(crate) turns: Turns,
    pub(crate) bodies: Bodies,
    pub(crate) devices: Devices,
    pub(crate) committer: Committer,
    pub(crate) commits: Arc<Commits>,
    pub(crate) published: Arc<Published>,
    pub(crate) meter: Meter,
    pub(crate) calls: Calls,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) drain: Millis,
    pub(crate) linger: Millis,
    pub(crate) flight: Flight,
    pub(crate) shadow: Shadow,
    /// What came of inputs since the last commit was handed over.
    pub(crate) fx: Effects,
    /// Bytes of the bodies in `fx`.
    pub(crate) bytes_waiting: usize,
    pub(crate) committing: Option<Committing>,
    /// Until when what nothing leaves for may still wait, by the time since the clock was made.
    pub(crate) lingering: Option<Duration>,
    /// The policy in force at the last commit that was handed over.
    pub(crate) policy: &'static dyn Policy,
    /// What the kernel was told anew since the last commit was handed over.
    pub(crate) told: Option<Settled>,
    /// What it was told anew before that, if anything.
    pub(crate) settled: Option<Settled>,
    pub(crate) replies: HashMap<RequestId, oneshot::Sender<Reply>>,
    pub(crate) next_request: u64,
}

/// What a kernel was told anew of its surroundings, for the next one on the same store.
pub(crate) struct Settled {
    pub(crate) config: Config,
    pub(crate) models: Vec<ModelDevice>,
}

/// A commit in flight, and what it holds back.
pub(crate) struct Committing {
    releases: Vec<Release>,
    changed: Vec<Snapshot>,
    /// The policy in force after it.
    policy: &'static str,
    /// When it was handed over.
    since: Duration,
}

/// What the loop woke up for.
enum Happened {
    Completion(Ended),
    /// Something with a log was done beside the loop.
    Aside(Done),
    Commit(Result<Head, Error>),
    Deadline,
    /// What could wait for a commit has waited long enough.
    Lingered,
    Request(Request),
    /// Nothing did, and something is left to be done.
    More,
    Stop,
}

/// How the loop ended.
pub(crate) enum End {
    /// It was asked to.
    Stopped,
    /// The store failed.
    Failed(Error),
    /// The kernel panicked at this input. What is committed is whole.
    Panicked(Seen, String),
}

impl EventLoop {
    /// Runs until it is stopped or cannot go on.
    pub(crate) async fn run(&mut self, requests: &mut mpsc::Receiver<Request>) -> End {
        let mut end = self.apply(&Input::Boot).and_then(|()| self.commit()).err();
        while end.is_none() {
            // While a long commit is under way only so much is taken in.
            let room = self.fx.journal.len() < limits::BATCH_MAX * 4
                && self.bytes_waiting < limits::BATCH_BYTES_MAX;
            let due = self.kernel.next_deadline();
            let (clock, more) = (self.clock, self.has_more());
            let lingers = self.lingering.map(|until| until.saturating_sub(clock.elapsed()));
            let happened = tokio::select! { biased;
                _ = self.stop.wait_for(|stop| *stop) => Happened::Stop,
                outcome = self.commits.wait() => Happened::Commit(outcome),
                Some(done) = self.devices.next(), if room => Happened::Completion(done),
                Some(done) = self.turns.background.next(), if room => Happened::Aside(done),
                () = sleep_until(clock, due), if room && due.is_some() => Happened::Deadline,
                Some(request) = requests.recv(), if room => Happened::Request(request),
                () = tokio::time::sleep(lingers.unwrap_or_default()), if lingers.is_some() => {
                    Happened::Lingered
                }
                () = tokio::task::yield_now(), if room && more => Happened::More,
            };
            end = self.handle(happened).and_then(|()| self.commit()).err();
        }
        let end = end.unwrap_or(End::Stopped);
        match end {
            End::Stopped => self.wind_down().await,
            End::Failed(_) => {
                self.shutdown().await;
                end
            }
            End::Panicked(..) => {
                self.shutdown().await;
                self.disappoint();
                end
            }
        }
    }

    /// Cuts off all that is under way.
    async fn shutdown(&mut self) {
        self.devices.shutdown().await;
        self.turns.background.shutdown().await;
    }

    /// Tells whoever waits for a reply that it will not come, although the kernel goes on.
    fn disappoint(&mut self) {
        for (_, waiting) in self.replies.drain() {
            let text =
                "asking the kernel: it panicked and began anew; whether this was done is unknown";
            let refused = Reply::Refused(Error::new(ErrorCode::KernelPanic, text));
            // Whoever asked may have gone away.
            let _gone = waiting.send(refused);
        }
    }

    fn handle(&mut self, happened: Happened) -> Result<(), End> {
        match happened {
            Happened::Completion(done) => self.completions(done),
            Happened::Aside(done) => self.aside(done),
            Happened::Commit(outcome) => self.committed(outcome),
            Happened::Deadline => self.apply(&Input::Tick),
            // The commit that follows whatever happened is all that is to be done.
            Happened::Lingered => Ok(()),
            Happened::Request(request) => self.request(request),
            Happened::More => self.go_on(),
            Happened::Stop => Err(End::Stopped),
        }
    }

    /// Applies one input and what is pure of what follows from it.
    fn apply(&mut self, input: &Input) -> Result<(), End> {
        if !self.has_more() {
            self.turns.begin_batch();
        }
        self.apply_one(input)?;
        self.go_on()
    }

    /// Whether something pure is left to be done.
    fn has_more(&self) -> bool {
        !self.fx.inline.is_empty() || !self.fx.resumes.is_empty()
    }

    /// Does what is pure, until nothing is left or it is time for a commit: processes that wake one
    /// another must not keep the loop from its other work. What is left then stays in `fx` for the
    /// next turn of the loop.
    fn go_on(&mut self) -> Result<(), End> {
        let mut left = limits::BATCH_MAX;
        while self.has_more() && left > 0 {
            let inline = take_first(&mut self.fx.inline, left);
            left = left.saturating_sub(inline.len());
            let resumes = take_first(&mut self.fx.resumes, left);
            left = left.saturating_sub(resumes.len());
            for start in inline {
                if let Some(asker) = self.asker(start.call.pid) {
                    let done = self.devices.call_inline(&start, asker);
                    self.apply_one(&done)?;
                }
            }
            for resume in resumes {
                let step =
                    self.turns.take(&self.kernel, &mut self.bodies, &mut self.devices, resume);
                if let Some(step) = step {
                    self.apply_one(&step)?;
                }
            }
        }
        Ok(())
    }

    fn apply_one(&mut self, input: &Input) -> Result<(), End> {
        let now = self.clock.now();
        self.flight.record(now, input);
        let bodies_before = self.fx.bodies.len();
        self.guarded(|this| this.kernel.apply(now, input, &mut this.fx))?;
        for body in self.fx.bodies.iter().skip(bodies_before) {
            self.bytes_waiting = self.bytes_waiting.saturating_add(body.bytes().len());
            self.bodies.insert(body);
        }
        Ok(())
    }

    /// Does something with the kernel that may panic: only the kernel ends then, not the node.
    fn guarded(&mut self, does: impl FnOnce(&mut Self)) -> Result<(), End> {
        catch_unwind(AssertUnwindSafe(|| does(self))).map_err(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .map(|said| (*said).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            match self.flight.last() {
                Some(seen) => End::Panicked(seen, said),
                None => End::Failed(Error::new(ErrorCode::KernelPanic, said)),
            }
        })
    }

    /// Applies a completion and all others that are there already.
    fn completions(&mut self, first: Ended) -> Result<(), End> {
        self.completion(first)?;
        for _ in 0..limits::BATCH_MAX {
            if self.has_more() {
                break;
            }
            match self.devices.try_next() {
                Some(done) => self.completion(done)?,
                None => break,
            }
        }
        Ok(())
    }

    fn completion(&mut self, ended: Ended) -> Result<(), End> {
        match ended {
            Ended::Done(done) => {
                self.calls.hear(&done);
                self.apply(&done)
            }
            Ended::Searched(start, found) => {
                self.apply(&turns::searched(&self.kernel, &start, found))
            }
        }
    }

    /// Takes what was done beside the loop; the step of a process may have waited for it.
    fn aside(&mut self, done: Done) -> Result<(), End> {
        let step = self.turns.done(&self.kernel, &mut self.bodies, &mut self.devices, done);
        step.map_or(Ok(()), |step| self.apply(&step))
    }

    fn request(&mut self, request: Request) -> Result<(), End> {
        match request {
            Request::Command { command, reply } => {
                let id = self.request_id();
                self.replies.insert(id, reply);
                let signalled = if let Command::Signal { pid, signal: Signal::Term } = &command {
                    Some(*pid)
                } else {
                    None
                };
                self.apply(&Input::Operator { request: id, command })?;
                signalled.map_or(Ok(()), |pid| self.terminated(pid))
            }
            Request::Reconfigure { told, reply } => self.reconfigure(*told, reply),
            Request::Relay(relay) => self.relay(*relay),
            Request::Leave(pid) => self.leave(pid),
        }
    }

    fn request_id(&mut self) -> RequestId {
        self.next_request = self.next_request.saturating_add(1);
        RequestId(self.next_request)
    }

    /// Whether what came of inputs may wait for a commit that it can share: nothing leaves for it, it
    /// is small, and it has not waited long. Notes until when.
    fn may_linger(&mut self) -> bool {
        let small = self.fx.journal.len() < limits::BATCH_MAX
            && self.bytes_waiting < limits::BATCH_BYTES_MAX / 4;
        if !self.fx.releases.is_empty() || !small || *self.stop.borrow() {
            return false;
        }
        let (now, linger) = (self.clock.elapsed(), self.linger.duration());
        now < *self.lingering.get_or_insert_with(|| now.saturating_add(linger))
    }

    /// Hands everything that came of inputs to the store, unless a commit is under way or it may wait.
    fn commit(&mut self) -> Result<(), End> {
        let nothing = self.fx.journal.is_empty() && self.fx.releases.is_empty();
        let nothing = nothing && self.kernel.is_flushed();
        if self.committing.is_some() || nothing || self.may_linger() {
            return Ok(());
        }
        self.lingering = None;
        let mut changed: Vec<_> = self
            .kernel
            .changed()
            .filter_map(|pid| Some(Snapshot::of(pid, self.kernel.process(pid)?)))
            .collect();
        for (pid, process) in self.kernel.take_ended() {
            self.turns.forget(pid);
            self.calls.forget(pid);
            changed.push(Snapshot::of(pid, &process));
        }
        if let Some(told) = self.told.take() {
            self.shadow.reconfigured(&told.config);
            self.settled = Some(told);
        }
        self.guarded(|this| {
            this.kernel.flush(&mut this.fx);
            this.shadow.check(&this.kernel, &this.fx.rows);
        })?;
        self.policy = self.kernel.policy();
        let mut fx = std::mem::take(&mut self.fx);
        // What is still to be done is no part of the commit.
        std::mem::swap(&mut fx.inline, &mut self.fx.inline);
        std::mem::swap(&mut fx.resumes, &mut self.fx.resumes);
        self.bytes_waiting = 0;
        self.calls.commit(&self.kernel, &fx.journal);
        let batch = Batch { rows: fx.rows, journal: fx.journal, bodies: fx.bodies };
        // A committer that has failed says so through `commits`; nothing is released then.
        let since = self.meter.now();
        let _failed = self.committer.submit(batch);
        let policy = self.policy.name();
        self.committing = Some(Committing { releases: fx.releases, changed, policy, since });
        Ok(())
    }

    /// The store has confirmed a commit: what waited for it leaves.
    fn committed(&mut self, outcome: Result<Head, Error>) -> Result<(), End> {
        let head = outcome.map_err(End::Failed)?;
        let Some(committing) = self.committing.take() else {
            return Ok(());
        };
        self.bodies.committed();
        let Committing { changed, policy, releases, since } = committing;
        self.meter.committed(since);
        self.published.publish(changed, policy, head.length);
        for release in releases {
            self.release(release);
        }
        Ok(())
    }

    fn release(&mut self, release: Release) {
        match release {
            Release::Think { call, attempt, device, window, options, begun, notice } => {
                let Some(mut asker) = self.asker(call.pid) else {
                    return;
                };
                let live = self.turns.foreign.live(call.pid);
                let parent = live.as_ref().and_then(|live| live.ask.parent);
                let around = (&self.kernel, self.clock.now());
                self.calls.began(around, (call, attempt), &device, parent);
                if window.relayed {
                    self.devices.relay((call, attempt), &device, (asker, options), live);
                    return;
                }
                if window.summarise.is_some() {
                    let process = self.kernel.process(call.pid);
                    asker.answers = process.map_or(0, |process| process.stats.summaries);
                }
                let (kernel, bodies) = (&self.kernel, &mut self.bodies);
                let begun = begun.map(|hash| bodies.get(hash)).transpose();
                let mut log = Log { bodies, process: kernel.process(call.pid) };
                match begun.and_then(|begun| Ok((begun, render(&window, &mut log)?))) {
                    Ok((begun, shown)) => {
                        let asked = Asked { asker, options, shown, begun, notice, live };
                        self.devices.think((call, attempt), &device, asked);
                    }
                    Err(error) => self.devices.fail_model((call, attempt), &device, &error),
                }
            }
            Release::Tool(start) if start.tool == kernel_calls::SEARCH_MEMORY => {
                let search = self.turns.search(&self.kernel, &start);
                self.devices.search(start, search);
            }
            Release::Tool(start) => {
                if let Some(asker) = self.asker(start.call.pid) {
                    self.devices.call_tool(&start, asker);
                }
            }
            Release::Cancel { call, attempt } => self.devices.cancel(call, attempt),
            Release::Yield { call, attempt } => self.devices.give_up_slot(call, attempt),
            Release::Reply { request, reply } => {
                if let Some(waiting) = self.replies.remove(&request) {
                    // Whoever asked may have gone away.
                    let _gone = waiting.send(reply);
                }
            }
        }
    }

    fn asker(&self, pid: Pid) -> Option<Asker> {
        let process = self.kernel.process(pid)?;
        let spec = &process.spec;
        Some(Asker {
            answers: process.stats.model_calls,
            name: spec.name.clone(),
            label: spec.label.clone(),
            param: spec.program.param.clone(),
        })
    }

    /// Ends in order: no call is made any more, calls in flight may end, what came of them is
    /// committed. What takes too long is cut off; in the store it is in flight, and the next boot
    /// takes it up again, as it does whatever programs have still to do.
    async fn wind_down(&mut self) -> End {
        let until = self.clock.now().after(self.drain);
        let mut end = self.apply(&Input::Drain).and_then(|()| self.commit()).err();
        while end.is_none() {
            if self.committing.is_none() && self.devices.in_flight() == 0 {
                break;
            }
            let happened = tokio::select! { biased;
                Some(done) = self.devices.next() => Happened::Completion(done),
                outcome = self.commits.wait(), if self.committing.is_some() => {
                    Happened::Commit(outcome)
                }
                () = sleep_until(self.clock, Some(until)) => break,
            };
            end = self.handle(happened).and_then(|()| self.commit()).err();
        }
        self.shutdown().await;
        if let Some(end) = end.or_else(|| self.commit().err()) {
            return end;
        }
        while let Some(committing) = &mut self.committing {
            // Time is up: what was decided before the end began and has not left yet stays here.
            committing.releases.retain(|release| match release {
                Release::Think { .. }
                | Release::Tool(_)
                | Release::Cancel { .. }
                | Release::Yield { .. } => false,
                Release::Reply { .. } => true,
            });
            let outcome = self.commits.wait().await;
            if let Err(end) = self.committed(outcome).and_then(|()| self.commit()) {
                return end;
            }
        }
        End::Stopped
    }
}

/// Takes the first of a list out of it, at most `count`.
fn take_first<T>(list: &mut Vec<T>, count: usize) -> Vec<T> {
    let rest = list.split_off(count.min(list.len()));
    std::mem::replace(list, rest)
}

async fn sleep_until(clock: Clock, at: Option<Timestamp>) {
    if let Some(at) = at {
        tokio::time::sleep(clock.until(at)).await;
    }
}
