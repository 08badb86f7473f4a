//! The simulated world: a virtual clock, a queue of what will happen, and the loop around the
//! kernel: decide, commit, act. In some runs a commit is in flight for a while, as in the real loop,
//! and the kernel goes on deciding; in the others it takes no time.

mod batch;
mod commit;
mod devices;
mod fate;
mod shutdown;

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{CallId, Command, Effects, Hash, Input, Millis, Pid, RequestId, Signal, Timestamp};
use aosk_kernel::Kernel;
use aosk_store::{ProcessQuery, Which};

use self::commit::Committing;
use crate::case::{BEGIN, Case, HORIZON};
use crate::checker::{Checker, Rule, ensure};
use crate::faults::Feature;
use crate::report::{Failure, Report};
use crate::rng::{About, Rng};
use crate::store::Disk;
use crate::tools::Tools;
use crate::workload;

/// Batches of one run; more would be a loop.
const BATCHES_MAX: u64 = 100_000;

/// How long a healthy world may take to come to rest.
const REST_MAX: Millis = Millis::from_secs(6 * 3600);

/// How long the processes may take to end after TERM: for each generation of a tree the grace time,
/// and the time for calls to be confirmed cancelled.
const END_MAX: Millis = Millis::from_secs(10 * 20);

/// What happens at a moment.
#[derive(Debug)]
enum Event {
    /// A device reports.
    Report(Input),
    /// The operator acts.
    Action(u32),
    /// The commit in flight is done.
    Commit,
    /// The kernel is asked to stop in order.
    Stop(u64),
}

/// How the kernel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is gone and must be restored.
    Down,
    Up,
    /// It is stopped in order: calls in flight may end until then.
    Draining {
        until: Timestamp,
    },
    /// The time for that is over; what was decided is still committed.
    CutOff,
}

/// The world.
#[derive(Debug)]
struct World<'a> {
    case: &'a Case,
    now: Timestamp,
    /// Nothing goes wrong any more.
    healthy: bool,
    /// How often the kernel began.
    life: u64,
    phase: Phase,
    events: BTreeMap<(Timestamp, u64), Event>,
    /// Reports that are under way, to be taken back when their call is cancelled.
    under_way: BTreeMap<(CallId, u32), Vec<(Timestamp, u64)>>,
    /// Calls that devices have, of which the kernel has heard nothing yet.
    running: BTreeSet<(CallId, u32)>,
    /// Numbers events and requests.
    order: u64,
    kernel: Kernel,
    /// What came of inputs since the last batch was handed over.
    fx: Effects,
    committing: Option<Committing>,
    disk: Disk,
    tools: Tools,
    checker: Checker,
    report: Report,
}

/// Runs a case.
///
/// # Errors
/// The first rule that was broken.
pub fn run(case: &Case) -> Result<Report, Box<Failure>> {
    let mut world = World {
        case,
        now: BEGIN,
        healthy: false,
        life: 0,
        phase: Phase::Down,
        events: BTreeMap::new(),
        under_way: BTreeMap::new(),
        running: BTreeSet::new(),
        order: 0,
        kernel: Kernel::new(case.config(0)),
        fx: Effects::default(),
        committing: None,
        disk: Disk::new(case),
        tools: Tools::default(),
        checker: Checker::new(case),
        report: Report::default(),
    };
    match world.live() {
        Ok(()) => Ok(world.report),
        Err(Rule(rule, what)) => {
            let at = world.now.since(BEGIN);
            Err(Box::new(Failure {
                case: case.clone(),
                rule,
                what,
                at,
                inputs: world.report.inputs,
            }))
        }
    }
}

impl World<'_> {
    fn live(&mut self) -> Result<(), Rule> {
        for action in &self.case.actions {
            let at = workload::moment(self.case, *action);
            self.schedule(at, Event::Action(*action));
        }
        self.plan_shutdowns();
        let horizon = BEGIN.after(HORIZON);
        while self.phase != Phase::Up || self.next_moment().is_some_and(|at| at < horizon) {
            self.turn()?;
        }
        self.healthy = true;
        self.disk.heal();
        self.come_to_rest()?;
        self.end_all()?;
        self.close()
    }

    /// Lets everything that can happen happen.
    fn come_to_rest(&mut self) -> Result<(), Rule> {
        let latest = self.now.after(REST_MAX);
        while self.phase != Phase::Up || self.next_moment().is_some() {
            self.turn()?;
            ensure(self.now <= latest, "a healthy world comes to rest", || {
                let states = self.kernel.processes().map(|(pid, p)| (pid, p.state.word()));
                format!("still busy after {REST_MAX}: {:?}", states.collect::<Vec<_>>())
            })?;
        }
        self.checker.check_quiet(&self.kernel)
    }

    /// Asks whoever is left to end. Half of the runs lift stops first; the others prove that TERM
    /// needs no help.
    fn end_all(&mut self) -> Result<(), Rule> {
        let pids: Vec<Pid> = self.kernel.processes().map(|(pid, _)| pid).collect();
        let signals = if self.case.seed.is_multiple_of(2) {
            vec![Signal::Cont, Signal::Term]
        } else {
            vec![Signal::Term]
        };
        for signal in signals {
            let inputs = pids.iter().map(|pid| {
                let command = Command::Signal { pid: *pid, signal };
                Input::Operator { request: RequestId(0), command }
            });
            self.batch(inputs.collect())?;
        }
        let latest = self.now.after(END_MAX);
        while let Some(next) = self.next_moment() {
            ensure(next <= latest || self.kernel.process_count() == 0, "TERM ends all", || {
                let states = self.kernel.processes().map(|(pid, p)| (pid, p.state.word()));
                format!("alive after {END_MAX}: {:?}", states.collect::<Vec<_>>())
            })?;
            self.turn()?;
        }
        ensure(self.kernel.process_count() == 0, "TERM ends all", || {
            format!("{:?}", self.kernel.processes().map(|(pid, _)| pid).collect::<Vec<_>>())
        })
    }

    /// What is left for whoever comes after: a whole journal and readable processes.
    fn close(&mut self) -> Result<(), Rule> {
        let reader = self.disk.reader();
        let verified = aosk_store::verify(reader.as_ref(), None)
            .map_err(|error| Rule("the journal's chain holds", error.to_string()))?;
        let failed =
            |error: aosk_store::StoreError| Rule("the store can be read", error.to_string());
        let query = ProcessQuery { which: Which::All, ..ProcessQuery::default() };
        let mut left = verified.head.hash.to_string();
        for row in reader.processes(&query).map_err(failed)? {
            ensure(!row.live, "TERM ends all", || format!("{} is not archived", row.pid))?;
            Kernel::read_process(row.pid, &row.spec, &row.process)
                .map_err(|error| Rule("what is stored can be restored", error.to_string()))?;
            left.push_str(&row.spec);
            left.push_str(&row.process);
            for (_, page) in reader.pages(row.pid).map_err(failed)? {
                left.push_str(&page);
            }
            self.report.processes += 1;
        }
        for (_, row) in self.kernel.rows() {
            left.push_str(&row);
        }
        self.report.state = Hash::of(left.as_bytes());
        self.report.virtual_time = self.now.since(BEGIN);
        self.report.seen = std::mem::take(&mut self.checker.seen);
        Ok(())
    }

    fn schedule(&mut self, at: Timestamp, event: Event) -> (Timestamp, u64) {
        self.order += 1;
        self.events.insert((at, self.order), event);
        (at, self.order)
    }

    /// When something happens next.
    fn next_moment(&self) -> Option<Timestamp> {
        let first = |of: fn(&Event) -> bool| {
            self.events.iter().find(|(_, event)| of(event)).map(|((at, _), _)| *at)
        };
        match self.phase {
            Phase::Down | Phase::Up => {}
            Phase::Draining { until } => {
                let event = first(|event| matches!(event, Event::Report(_) | Event::Commit));
                return Some(event.map_or(until, |at| at.min(until)));
            }
            Phase::CutOff => return first(|event| matches!(event, Event::Commit)),
        }
        match (first(|_| true), self.kernel.next_deadline()) {
            (Some(event), Some(deadline)) => Some(event.min(deadline)),
            (event, deadline) => event.or(deadline),
        }
    }

    /// Lets the next thing happen.
    fn turn(&mut self) -> Result<(), Rule> {
        self.report.batches += 1;
        ensure(self.report.batches < BATCHES_MAX, "a healthy world comes to rest", || {
            format!("{BATCHES_MAX} batches")
        })?;
        if self.phase == Phase::Down {
            return self.restart();
        }
        let Some(next) = self.next_moment() else {
            return Ok(());
        };
        let mut rng = Rng::of(self.case.seed, About::Batch, &[self.report.batches, 0]);
        let mut late = 0;
        if self.case.has(Feature::LateTimers) {
            late += rng.below(300);
        }
        if self.case.has(Feature::Batching) && rng.chance(300) {
            late += rng.below(3_000);
        }
        self.now = self.now.max(next).after(Millis(late));
        if self.phase != Phase::Up {
            return self.wind_down();
        }
        if let Some(first) = self.events.first_entry()
            && first.key().0 <= self.now
            && let Event::Commit | Event::Stop(_) = first.get()
        {
            return match first.remove() {
                Event::Stop(number) => self.shut_down(number),
                Event::Commit | Event::Report(_) | Event::Action(_) => self.commit_done(),
            };
        }
        let inputs = self.take_due();
        self.batch(inputs)
    }

    /// What is due before the commit in flight is done or the kernel is stopped: reports before timers before what the
    /// operator asks.
    fn take_due(&mut self) -> Vec<Input> {
        let mut reports = Vec::new();
        let mut commands = Vec::new();
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now || matches!(entry.get(), Event::Commit | Event::Stop(_)) {
                break;
            }
            match entry.remove() {
                Event::Report(input) => {
                    shutdown::ended(&mut self.running, &input);
                    reports.push(input);
                }
                Event::Action(action) => {
                    self.order += 1;
                    let request = RequestId(self.order);
                    let command = workload::command(self.case, action, &self.kernel);
                    commands.extend(command.map(|command| Input::Operator { request, command }));
                }
                // Not taken, see above.
                Event::Commit | Event::Stop(_) => {}
            }
        }
        if self.kernel.next_deadline().is_some_and(|at| at <= self.now) {
            reports.push(Input::Tick);
        }
        reports.append(&mut commands);
        reports
    }
}
