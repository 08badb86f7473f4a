//! What readers see of the processes, without entering the event loop. It follows the commits:
//! nothing is shown that a crash could undo.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aosk_abi::{CallId, ExitStatus, Hash, Lack, Pid};
use aosk_kernel::{Process, Spec, State, Stats, Wait};
use tokio::sync::{oneshot, watch};

/// Ended processes that are remembered; older ones are in the store.
const ENDED_MAX: usize = 10_000;

/// A process as readers see it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its id.
    pub pid: Pid,
    /// What it was started with.
    pub spec: Arc<Spec>,
    /// What it does, in one word.
    pub state: &'static str,
    /// Whether it has ended and nothing of it is left to be done.
    pub has_ended: bool,
    /// How it ended, if it has.
    pub status: Option<ExitStatus>,
    /// What it left, if it has ended.
    pub result: Option<Hash>,
    /// Whether it waits for a message or a child, with no time limit.
    pub waits_for_others: bool,
    /// The bound that it waits for a person to raise, if it does.
    pub asks: Option<Lack>,
    /// The bound that had no room for what it asked last, if one had none.
    pub lack: Option<Lack>,
    /// The call of a model that it waits with or is being answered.
    pub call: Option<CallId>,
    /// The model it waits for or is being answered by.
    pub model: Option<String>,
    /// Its priority.
    pub priority: u8,
    /// What it has used so far.
    pub stats: Stats,
    /// The number of messages ever put into its mailbox.
    pub mail_count: u64,
}

/// How many processes live.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Census {
    /// By what they do, in the words of [`Snapshot::state`].
    pub states: BTreeMap<&'static str, u64>,
    /// Those whose calls wait for a slot, by the model they ask.
    pub waiting: BTreeMap<String, u64>,
}

impl Snapshot {
    /// The process as it is.
    #[must_use]
    pub fn of(pid: Pid, process: &Process) -> Self {
        let (status, result) = match process.state {
            State::Zombie { status, result } | State::Exiting { status, result, .. } => {
                (Some(status), result)
            }
            State::Program { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Waiting { .. }
            | State::Stopped { .. } => (None, None),
        };
        let asks = match process.state {
            State::Waiting { on: Wait::Quota { lack, asks: true, .. } } => Some(lack),
            State::Program { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => None,
        };
        let call = process.state.call();
        let model = call.map(|call| call.options.model.clone());
        let call = call.map(|call| CallId { pid, number: call.number });
        Self {
            pid,
            spec: process.spec.clone(),
            state: process.state.word(),
            has_ended: matches!(process.state, State::Zombie { .. }),
            status,
            result,
            waits_for_others: matches!(
                process.state,
                State::Waiting {
                    on: Wait::Message { until: None, .. } | Wait::Child { until: None, .. }
                }
            ),
            asks,
            lack: process.lack,
            call,
            model,
            priority: process.priority,
            stats: process.stats,
            mail_count: process.mail_count,
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    live: BTreeMap<Pid, Snapshot>,
    ended: BTreeMap<Pid, Snapshot>,
    ended_order: VecDeque<Pid>,
    waiting: BTreeMap<Pid, Vec<oneshot::Sender<Snapshot>>>,
    watching: BTreeMap<Pid, Vec<oneshot::Sender<()>>>,
    /// The kernel stopped: nothing more will be published.
    closed: bool,
    /// The scheduler policy in force.
    policy: &'static str,
}

impl Table {
    fn end(&mut self, mut snapshot: Snapshot) {
        let pid = snapshot.pid;
        snapshot.state = "exited";
        self.live.remove(&pid);
        for waiter in self.waiting.remove(&pid).unwrap_or_default() {
            let _gone = waiter.send(snapshot.clone());
        }
        if self.ended.insert(pid, snapshot).is_none() {
            self.ended_order.push_back(pid);
        }
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

/// The published table.
#[derive(Debug, Default)]
pub(crate) struct Published {
    table: Mutex<Table>,
    /// How many entries the journal has. Whoever follows it is woken by this and reads the store, so
    /// that nobody who is slow holds up the loop or has anything kept for him.
    journal: watch::Sender<u64>,
}

impl Published {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a commit: the processes that changed, the policy and the journal's length, as they are
    /// after it.
    pub(crate) fn publish(&self, changed: Vec<Snapshot>, policy: &'static str, journal: u64) {
        self.lock().policy = policy;
        self.publish_all(changed);
        self.journal.send_replace(journal);
    }

    fn publish_all(&self, changed: Vec<Snapshot>) {
        let mut table = self.lock();
        for snapshot in changed {
            for watcher in table.watching.remove(&snapshot.pid).unwrap_or_default() {
                // A watcher that has gone away needs no word.
                let _gone = watcher.send(());
            }
            if snapshot.has_ended {
                table.end(snapshot);
            } else {
                table.live.insert(snapshot.pid, snapshot);
            }
        }
    }

    /// How many entries the journal has, as it grows.
    pub(crate) fn journal(&self) -> watch::Receiver<u64> {
        self.journal.subscribe()
    }

    /// The scheduler policy in force.
    pub(crate) fn policy(&self) -> &'static str {
        self.lock().policy
    }

    /// Live processes, and ended ones that are remembered.
    pub(crate) fn all(&self) -> Vec<Snapshot> {
        let table = self.lock();
        let mut all: Vec<_> = table.live.values().chain(table.ended.values()).cloned().collect();
        all.sort_unstable_by_key(|snapshot| snapshot.pid);
        all
    }

    pub(crate) fn get(&self, pid: Pid) -> Option<Snapshot> {
        let table = self.lock();
        table.live.get(&pid).or_else(|| table.ended.get(&pid)).cloned()
    }

    pub(crate) fn live(&self) -> Vec<Pid> {
        self.lock().live.keys().copied().collect()
    }

    pub(crate) fn live_count(&self) -> usize {
        self.lock().live.len()
    }

    /// How many live, by what they do.
    pub(crate) fn census(&self) -> Census {
        let mut census = Census::default();
        for snapshot in self.lock().live.values() {
            let count = census.states.entry(snapshot.state).or_default();
            *count = count.saturating_add(1);
            if snapshot.state == "ready"
                && let Some(model) = &snapshot.model
            {
                match census.waiting.get_mut(model) {
                    Some(count) => *count = count.saturating_add(1),
                    None => drop(census.waiting.insert(model.clone(), 1)),
                }
            }
        }
        census
    }

    /// The end of a process: at once if it has ended, otherwise when it does; none if it is unknown.
    /// The sender is dropped if the kernel stops first.
    pub(crate) fn end_of(&self, pid: Pid) -> Option<oneshot::Receiver<Snapshot>> {
        let mut table = self.lock();
        let (sender, receiver) = oneshot::channel();
        if let Some(snapshot) = table.ended.get(&pid) {
            let _gone = sender.send(snapshot.clone());
        } else if table.live.contains_key(&pid) {
            if !table.closed {
                add(table.waiting.entry(pid).or_default(), sender);
            }
        } else {
            return None;
        }
        Some(receiver)
    }

    /// The next change of a process; the sender is dropped at once if it does not live, or when the
    /// kernel stops.
    pub(crate) fn change_of(&self, pid: Pid) -> oneshot::Receiver<()> {
        let mut table = self.lock();
        let (sender, receiver) = oneshot::channel();
        if table.live.contains_key(&pid) && !table.closed {
            add(table.watching.entry(pid).or_default(), sender);
        }
        receiver
    }

    /// The kernel stopped: nobody will hear of anything more.
    pub(crate) fn close(&self) {
        let mut table = self.lock();
        table.closed = true;
        table.waiting.clear();
        table.watching.clear();
    }
}

/// Adds one who waits, and forgets those who have given up: a process may wait for days.
fn add<T>(waiting: &mut Vec<oneshot::Sender<T>>, sender: oneshot::Sender<T>) {
    waiting.retain(|other| !other.is_closed());
    waiting.push(sender);
}

#[cfg(test)]
mod tests;
