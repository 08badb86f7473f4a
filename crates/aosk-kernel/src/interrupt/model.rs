//! Completions of model calls.

use aosk_abi::{
    CallId, ErrorCode, Fact, Failure, FailureClass, MicroUsd, Millis, ModelOutcome, ModelReply,
    Pid, Spend, Timestamp, Tokens, Usage, Wake, limits,
};

use crate::device::backoff;
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;
use crate::process::memory::Missed;
use crate::process::{Asked, CancelKind, ModelCall, State, Termination, Wait};
use crate::scheduler::service;

impl Kernel {
    /// A model call ended.
    pub(crate) fn model_done(
        &mut self,
        cx: &mut Ctx<'_>,
        id: CallId,
        attempt: u32,
        outcome: &ModelOutcome,
    ) {
        let Some(process) = self.processes.get(id.pid) else {
            self.ignore();
            return;
        };
        let asked_to_end = matches!(process.termination, Termination::Asked { .. });
        let any_attempt = broken!(self, LateAnswerTaken);
        match process.state.inner() {
            State::Running { call, held, asked, .. }
                if call.number == id.number && (call.attempt == attempt || any_attempt) =>
            {
                let late = *asked == Asked::Late;
                let (call, held, took) = (call.clone(), *held, cx.now.since(call.started));
                match outcome {
                    ModelOutcome::Answered(reply) => {
                        self.device_succeeded(cx.now, call.device(), (took, reply.usage.output));
                        self.answered(cx, id.pid, &call, &held, reply);
                    }
                    ModelOutcome::Yielded { usage, .. } if asked_to_end => {
                        self.interrupted(cx, id.pid, &call, &held, &call.used_so_far(usage));
                    }
                    ModelOutcome::Yielded { .. } => {
                        self.yielded(cx, id.pid, (call, held), outcome);
                    }
                    ModelOutcome::Failed(failure) => {
                        let usage = failure.usage.unwrap_or_default();
                        self.failed(cx, id.pid, call, &held, &usage, failure);
                    }
                    ModelOutcome::Cancelled { output } if asked_to_end => {
                        self.interrupted(cx, id.pid, &call, &held, &cut_off(&call, *output));
                    }
                    ModelOutcome::Cancelled { output } if late => {
                        self.too_late(cx, id.pid, call, &held, *output);
                    }
                    ModelOutcome::Cancelled { .. } => {
                        // Nobody asked for that; take it as a failure on the way.
                        let failure = Failure {
                            class: FailureClass::Transient,
                            code: ErrorCode::ModelCancelled,
                            message: format!(
                                "asking {}: the call was cancelled",
                                call.options.model
                            ),
                            hint: String::new(),
                            retry_after: None,
                            usage: None,
                        };
                        self.failed(cx, id.pid, call, &held, &Usage::default(), &failure);
                    }
                }
            }
            State::Exiting { calls, .. }
                if calls.iter().any(|c| c.number == id.number && c.attempt == attempt) =>
            {
                self.cancel_confirmed(cx, id, outcome);
            }
            State::Running { .. }
            | State::Exiting { .. }
            | State::Program { .. }
            | State::Ready { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Zombie { .. } => {
                if broken!(self, DuplicateCharged)
                    && let ModelOutcome::Answered(reply) = outcome
                {
                    let budget = process.spec.budget;
                    let spend = Spend { tokens: reply.usage.input(), ..Spend::default() };
                    self.budgets.settle(budget, &Spend::default(), &spend);
                }
                self.ignore();
            }
        }
    }

    fn answered(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        held: &Spend,
        reply: &ModelReply,
    ) {
        if let Some(summary) = &call.summary {
            self.summary_answered(cx, pid, call, summary, held, reply);
            return;
        }
        let spend = self.settle_usage(cx.now, (pid, call), held, &reply.usage, /*calls*/ 1);
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.model_calls = process.stats.model_calls.saturating_add(1);
        }
        let rules = self.config.cache(call.device(), call.long_lived);
        let missed = self.processes.get_mut(pid).and_then(|process| {
            process.memory.counted(call.estimate, &reply.usage);
            // What somebody outside sends is theirs to keep as it was.
            let missed = process.memory.missed(&reply.usage, rules).filter(|_| !call.relayed);
            let misses = &mut process.stats.cache_misses;
            *misses = misses.saturating_add(u64::from(missed.is_some()));
            missed
        });
        let page = self.append_page(cx, pid, &reply.body);
        cx.fact(
            pid,
            Fact::ModelAnswered {
                call: Self::call_id(pid, call.number),
                page,
                body: reply.body.hash(),
                usage: reply.usage,
                cost: spend.micro_usd,
                finish: reply.finish,
            },
        );
        if let Some(Missed { reason, changed, unchanged }) = missed {
            cx.fact(
                pid,
                Fact::CacheMissed {
                    call: Self::call_id(pid, call.number),
                    reason,
                    unchanged,
                    read: reply.usage.cache_read,
                    changed,
                },
            );
        }
        self.wake(cx, pid, Wake::Answered { page, finish: reply.finish });
    }

    /// Charges what an attempt used in place of what was held for it. `calls` is 1 where the call
    /// ends with it, as calls and steps count what the process asked, not how often it was tried.
    pub(crate) fn settle_usage(
        &mut self,
        now: Timestamp,
        (pid, call): (Pid, &ModelCall),
        held: &Spend,
        usage: &Usage,
        calls: u64,
    ) -> Spend {
        let spend = Spend {
            tokens: usage.input() + usage.output,
            calls,
            micro_usd: self.config.price(call.device(), call.long_lived).of(usage, call.started),
            steps: calls,
            children: 0,
        };
        let model = self.config.models.get(call.device());
        let free =
            model.filter(|model| model.reads_free).map_or(Tokens::ZERO, |_| usage.cache_read);
        self.settle_call(now, (pid, call), held, (&spend, free));
        let price = self.config.price(call.device(), call.long_lived);
        self.served(pid, call, service(&price, usage));
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.input += usage.input();
            process.stats.cached += usage.cache_read;
            process.stats.written += usage.cache_write;
            process.stats.output += usage.output;
        }
        spend
    }

    /// The same for an attempt that brought no answer, which is written down.
    pub(crate) fn settle_unanswered(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        held: &Spend,
        usage: &Usage,
        calls: u64,
    ) {
        let spend = self.settle_usage(cx.now, (pid, call), held, usage, calls);
        charged(cx, pid, call.number, spend);
    }

    /// Charges `spend` in place of what was held; `free` of its tokens do not count to the rate of the
    /// device.
    fn settle_call(
        &mut self,
        now: Timestamp,
        (pid, call): (Pid, &ModelCall),
        held: &Spend,
        (spend, free): (&Spend, Tokens),
    ) {
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        process.stats.spend = process.stats.spend.plus(spend);
        let rated = Spend { tokens: spend.tokens.saturating_sub(free), ..*spend };
        let device = self.budgets.device(call.device()).map(|node| (node, &rated));
        for (node, spend) in device.into_iter().chain([(process.spec.budget, spend)]) {
            self.budgets.settle(node, held, spend);
            self.budgets.correct(node, (call.started, now), held, spend);
        }
        if let Some(id) = self.devices.find(call.device()) {
            // There may be room in its rates now.
            if let Some(device) = self.devices.get_mut(id) {
                device.full.clear();
            }
            self.look_again(now, id);
        }
    }

    /// Gives back what was held for a call of which nobody knows what it used. In the minute, the hour
    /// and the day it counts in full.
    pub(crate) fn give_back(&mut self, pid: Pid, call: &ModelCall, held: &Spend) {
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        let nodes = [Some(process.spec.budget), self.budgets.device(call.device())];
        for node in nodes.into_iter().flatten() {
            self.budgets.settle(node, held, &Spend::default());
        }
        self.served(pid, call, 0);
    }

    /// An attempt failed after it had used so much.
    fn failed(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        mut call: ModelCall,
        held: &Spend,
        usage: &Usage,
        failure: &Failure,
    ) {
        self.device_failed(cx.now, call.device(), failure);
        if let Some(process) = self.processes.get_mut(pid) {
            process.memory.forget_prefix(call.device());
        }
        let held = if broken!(self, ReservationLeak) { Spend::default() } else { *held };
        call.failures = call.failures.saturating_add(1);
        let asked_too_long =
            failure.retry_after.is_some_and(|asked| asked > limits::RETRY_AFTER_MAX)
                && !self.leads_elsewhere(cx.now, &call);
        let (untried, free) = self.pass_on(cx.now, &mut call, failure);
        let may = match failure.class {
            FailureClass::Final => untried,
            FailureClass::Transient | FailureClass::RateLimited => !asked_too_long,
        };
        // Who asked from outside has been told what came of the answer.
        let is_told = call.relayed && usage.output > Tokens::ZERO;
        let is_told = is_told && !broken!(self, RelayBegunAnew);
        let again = may && !is_told && call.failures < failure.class.attempts_max();
        if again {
            self.settle_unanswered(cx, pid, &call, &held, usage, /*calls*/ 0);
            self.back_off(cx, pid, call, failure, free);
        } else if let Some(summary) = &call.summary {
            self.settle_unanswered(cx, pid, &call, &held, usage, /*calls*/ 1);
            self.summary_failed(cx, pid, &call, summary, failure.code, &failure.message);
        } else if failure.code == ErrorCode::ModelContextLength
            && !call.relayed
            && self.shrink(cx, pid, &mut call)
        {
            self.settle_unanswered(cx, pid, &call, &held, usage, /*calls*/ 0);
            self.enqueue(pid, call);
            self.interrupt(cx, pid);
        } else {
            // A call that fails for good is a step all the same, so that a program that asks again
            // and again runs out of steps.
            self.settle_unanswered(cx, pid, &call, &held, usage, /*calls*/ 1);
            cx.fact(
                pid,
                Fact::ModelFailed {
                    call: Self::call_id(pid, call.number),
                    code: failure.code,
                    message: failure.message.clone(),
                },
            );
            self.wake(cx, pid, Wake::ModelFailed { failure: failure.clone() });
        }
    }

    /// Notes on which device the call failed, if that may be due to the device. Returns whether a device
    /// of its route is left on which it did not, and whether one of those would take it now.
    fn pass_on(&self, now: Timestamp, call: &mut ModelCall, failure: &Failure) -> (bool, bool) {
        let of_device = failure.class != FailureClass::Final
            || concerns_device(failure.code)
            || (failure.code == ErrorCode::ModelContextLength && self.is_larger_elsewhere(call));
        let queue = self.devices.queue_for(call).filter(|_| of_device);
        let backends = queue.map(|queue| self.devices.backends(queue)).unwrap_or_default();
        if backends.len() < 2 || broken!(self, RouteSticks) {
            return (false, false);
        }
        call.failed_on.push(call.device().into());
        let untried = backends.iter().filter_map(|id| Some((*id, self.devices.get(*id)?)));
        let untried =
            untried.filter(|(_, device)| call.failed_on.iter().all(|name| **name != *device.name));
        let free: Vec<_> =
            untried.map(|(id, device)| device.admits(now, self.index.slots_in_use(id))).collect();
        if free.is_empty() {
            call.failed_on.clear();
        }
        (!free.is_empty(), free.contains(&true))
    }

    /// Whether another device of its route, on which the call did not fail, has a larger window than the
    /// one that was asked last. What a provider counts may be more than the kernel does.
    fn is_larger_elsewhere(&self, call: &ModelCall) -> bool {
        let context = |id| self.devices.get(id).and_then(|device| device.context);
        let last = self.devices.find(call.device()).and_then(context);
        let queue = self.devices.queue_for(call);
        let backends = queue.map(|queue| self.devices.backends(queue)).unwrap_or_default();
        backends.into_iter().any(|id| {
            let name = self.devices.get(id).map(|device| device.name.as_str());
            let failed = call.failed_on.iter().any(|failed| Some(failed.as_ref()) == name);
            !failed && last.is_some() && context(id) > last
        })
    }

    /// Has the call made again later, or at once if another device is free for it.
    fn back_off(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: ModelCall,
        failure: &Failure,
        at_once: bool,
    ) {
        let salt = pid.0.wrapping_mul(1 << 20).wrapping_add(u64::from(call.number) << 4)
            ^ u64::from(call.failures);
        let mut asked = failure.clone();
        // What one device asks for holds for that one; it is left alone until then.
        if broken!(self, RetryAfterIgnored) || self.leads_elsewhere(cx.now, &call) {
            asked.retry_after = None;
        }
        let wait = if at_once { Millis(0) } else { backoff(&asked, call.failures, salt) };
        cx.fact(
            pid,
            Fact::ModelRetried {
                call: Self::call_id(pid, call.number),
                failure: call.failures,
                class: failure.class,
                code: failure.code,
                message: failure.message.clone(),
                wait,
            },
        );
        if let Some(process) = self.processes.get_mut(pid) {
            process.stats.model_retries = process.stats.model_retries.saturating_add(1);
        }
        if at_once {
            self.enqueue(pid, call);
            self.interrupt(cx, pid);
            return;
        }
        let until = cx.now.after(wait);
        self.set_state(pid, State::Waiting { on: Wait::Backoff { call, until } });
        self.terminate_pending(cx, pid);
    }

    /// Whether another device than the one that was asked last answers to the name that the call asks,
    /// and is not left alone.
    fn leads_elsewhere(&self, now: Timestamp, call: &ModelCall) -> bool {
        let last = self.devices.find(call.device());
        let queue = self.devices.queue_for(call);
        let backends = queue.map(|queue| self.devices.backends(queue)).unwrap_or_default();
        backends.into_iter().any(|id| {
            let device = self.devices.get(id).filter(|_| Some(id) != last);
            device.is_some_and(|device| device.admits(now, /*in_use*/ 0))
        })
    }

    /// A process that was asked to end while its call ran does not wait for another attempt.
    fn terminate_pending(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let Some(process) = self.processes.get(pid) else {
            return;
        };
        if let State::Waiting { on: Wait::Backoff { call, .. } } = &process.state {
            let number = call.number;
            if self.tell_termination(cx, pid) {
                self.model_call_abandoned(cx, pid, number);
            }
        }
    }

    /// A call was cancelled because its process was asked to end.
    fn interrupted(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: &ModelCall,
        held: &Spend,
        usage: &Usage,
    ) {
        self.settle_unanswered(cx, pid, call, held, usage, /*calls*/ 1);
        self.model_call_abandoned(cx, pid, call.number);
        self.tell_termination(cx, pid);
    }

    /// A call ran out of time. It is cut off, and what had come of its answer is told when that is
    /// confirmed; it is given up if it is not.
    pub(crate) fn model_timed_out(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let asked_to_end = matches!(process.termination, Termination::Asked { .. });
        let State::Running { call, held, deadline, slice_ends, asked } = process.state.inner_mut()
        else {
            return;
        };
        // One that was asked to end is cut off already.
        if asked_to_end || *asked == Asked::Late {
            let (call, held) = (call.clone(), *held);
            self.too_late(cx, pid, call, &held, Tokens::ZERO);
            return;
        }
        (*asked, *slice_ends) = (Asked::Late, None);
        *deadline = cx.now.after(limits::CANCEL_GRACE);
        cx.fx.releases.push(aosk_abi::Release::Cancel {
            call: Self::call_id(pid, call.number),
            attempt: call.attempt,
        });
    }

    /// A call that ran out of time counts as failed on the way.
    fn too_late(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        call: ModelCall,
        held: &Spend,
        output: Tokens,
    ) {
        let usage = cut_off(&call, output);
        let failure = Failure {
            class: FailureClass::Transient,
            code: ErrorCode::ModelTimeout,
            message: format!("asking {}: no answer in time", call.options.model),
            hint: String::new(),
            retry_after: None,
            usage: None,
        };
        self.failed(cx, pid, call, held, &usage, &failure);
    }

    /// A call of an ended process no longer runs.
    fn cancel_confirmed(&mut self, cx: &mut Ctx<'_>, id: CallId, outcome: &ModelOutcome) {
        let leak = broken!(self, SlotLeak);
        let Some(process) = self.processes.get_mut(id.pid) else {
            return;
        };
        let State::Exiting { calls, .. } = &mut process.state else {
            return;
        };
        let Some(at) = calls.iter().position(|c| c.number == id.number) else {
            return;
        };
        if leak {
            return;
        }
        let confirmed = calls.remove(at);
        if let CancelKind::Model { call, held } = confirmed.kind {
            let usage = match outcome {
                ModelOutcome::Answered(reply) => Some(reply.usage),
                ModelOutcome::Failed(failure) => failure.usage,
                ModelOutcome::Cancelled { output } => Some(cut_off(&call, *output)),
                ModelOutcome::Yielded { usage, .. } => Some(call.used_so_far(usage)),
            };
            match usage {
                Some(usage) => {
                    self.settle_unanswered(cx, id.pid, &call, &held, &usage, /*calls*/ 1);
                }
                None => {
                    self.settle_call(
                        cx.now,
                        (id.pid, &call),
                        &held,
                        (&Spend::default(), Tokens::ZERO),
                    );
                    self.served(id.pid, &call, 0);
                }
            }
        }
        self.finish_if_over(cx, id.pid);
    }

    /// Cancelled calls that were not confirmed in time are given up; models are charged in full.
    pub(crate) fn cancel_timed_out(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        let leak = broken!(self, SlotLeak);
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let State::Exiting { calls, .. } = &mut process.state else {
            return;
        };
        if leak {
            return;
        }
        let now = cx.now;
        let (late, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(calls).into_iter().partition(|call| call.deadline <= now);
        *calls = waiting;
        for call in late {
            if let CancelKind::Model { held, call } = call.kind {
                self.settle_call(cx.now, (pid, &call), &held, (&held, Tokens::ZERO));
                charged(cx, pid, call.number, held);
            }
        }
        self.finish_if_over(cx, pid);
    }
}

/// Whether a failure for good is of the device that was asked, and not of what it was asked.
fn concerns_device(code: ErrorCode) -> bool {
    [
        ErrorCode::ModelUnknown,
        ErrorCode::ModelKeyMissing,
        ErrorCode::ModelUnauthorized,
        ErrorCode::ModelQuota,
    ]
    .contains(&code)
}

/// Writes down what was charged without an answer, if it was anything.
fn charged(cx: &mut Ctx<'_>, pid: Pid, number: u32, spend: Spend) {
    if spend.tokens > Tokens::ZERO || spend.micro_usd > MicroUsd(0) {
        cx.fact(pid, Fact::ModelCharged { call: CallId { pid, number }, spend });
    }
}

/// What is charged for a call that was cut off: its input, which the provider has read, and what of
/// its answer had come.
fn cut_off(call: &ModelCall, output: Tokens) -> Usage {
    Usage { input_uncached: call.input, output, estimated: true, ..Usage::default() }
}
