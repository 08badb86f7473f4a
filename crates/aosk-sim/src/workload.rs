//! The operator: starts trees of processes and interferes with them at random times.

use aosk_abi::{Body, Command, Message, Millis, Pid, Signal, Timestamp};
use aosk_kernel::Kernel;

use crate::case::{BEGIN, Case, GROUPS, HORIZON};
use crate::faults::Feature;
use crate::program;
use crate::rng::{About, Rng};

/// How many generations a tree may have below its root.
const GENERATIONS_MAX: u64 = 3;

/// When an action takes place.
#[must_use]
pub fn moment(case: &Case, action: u32) -> Timestamp {
    let mut rng = Rng::of(case.seed, About::Action, &[u64::from(action), 0]);
    // The first ones come at once, so that there is something to interfere with.
    let latest = if action < first(case) { 100 } else { HORIZON.0 };
    BEGIN.after(Millis(rng.below(latest)))
}

/// What the operator does in an action, if the case has it. Whom it hits depends on who lives at the moment.
#[must_use]
pub fn command(case: &Case, action: u32, kernel: &Kernel) -> Option<Command> {
    let mut rng = Rng::of(case.seed, About::Action, &[u64::from(action), 1]);
    let spawn = |rng: &mut Rng| {
        let generations = u32::try_from(rng.between(0, GENERATIONS_MAX)).unwrap_or(0);
        let mut spec =
            program::spec(rng, case.features, rng_seed(case, action), case.steps_max, generations);
        if case.has(Feature::Groups) {
            let mut rng = Rng::of(case.seed, About::Traffic, &[2, u64::from(action)]);
            let group = if rng.chance(700) { rng.pick(&GROUPS) } else { None };
            spec.group = group.copied().unwrap_or_default().to_owned();
        }
        Command::Spawn(Box::new(spec))
    };
    if action < first(case) {
        return Some(spawn(&mut rng));
    }
    let live: Vec<Pid> = kernel.processes().map(|(pid, _)| pid).collect();
    let pid = match rng.pick(&live) {
        Some(pid) if rng.chance(950) => *pid,
        Some(_) | None => Pid(rng.below(50)),
    };
    let signal = |signal| Command::Signal { pid, signal };
    let command = match rng.below(100) {
        0..10 if case.has(Feature::Term) => signal(Signal::Term),
        10..20 if case.has(Feature::Kill) => signal(Signal::Kill),
        20..35 if case.has(Feature::Stop) => signal(Signal::Stop),
        35..50 if case.has(Feature::Stop) => signal(Signal::Cont),
        50..60 if case.has(Feature::Mail) => {
            let text = format!("the operator says {action}");
            Command::Send { pid, body: Body::new(Message::user(text)) }
        }
        60..66 if case.has(Feature::Renice) => {
            Command::Renice { pid, priority: u8::try_from(rng.between(0, 105)).unwrap_or(0) }
        }
        66..70 if case.has(Feature::Renice) => {
            let names = ["fair", "priority", "fifo", "round-robin", "lottery"];
            Command::SetPolicy { policy: rng.pick(&names).unwrap_or(&"fifo").to_string() }
        }
        70.. => spawn(&mut rng),
        // What the case leaves out is left out, not replaced: that would make shrinking harder.
        _ => return None,
    };
    Some(command)
}

/// How many trees are started at once at the beginning.
fn first(case: &Case) -> u32 {
    if case.has(Feature::Storm) { 10 } else { 3 }
}

/// The seed of the programs of a tree.
fn rng_seed(case: &Case, action: u32) -> u64 {
    case.seed.wrapping_mul(0x1_0000).wrapping_add(u64::from(action))
}
