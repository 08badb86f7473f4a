//! What agents do: they ask the model again and again, some at once and some after a sleep, until all
//! have asked as often as the run has calls.

use aosk_abi::{
    ExitStatus, Millis, PageKind, Pid, Piece, Resource, Signal, Step, Syscall, TEXT_END,
    ThinkOptions, Tokens, Wake,
};
use aosk_kernel::Process;

use super::case::{OUTPUT_MAX, Traffic};
use crate::faults::Feature;
use crate::rng::About;

/// How often an agent comes back that was told that a budget is spent.
const TRIES_MAX: u32 = 4;

/// One agent.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Agent {
    steps: u64,
    /// How often it was told that a budget is spent.
    spent: u32,
}

impl Agent {
    /// Whether it asks again as soon as it is answered.
    pub(super) fn is_eager(case: &Traffic, pid: Pid) -> bool {
        !case.has(Feature::Lazy) || !case.rng(About::Agent, &[pid.0, 2]).chance(300)
    }

    /// What it does next.
    pub(super) fn next(
        &mut self,
        case: &Traffic,
        pid: Pid,
        wake: &Wake,
        process: &Process,
        is_over: bool,
    ) -> Step {
        self.steps += 1;
        let mut rng = case.rng(About::Agent, &[pid.0, self.steps, 3]);
        let exit = |status| Syscall::Exit { status, result: None };
        let call = match wake {
            Wake::Terminated => exit(ExitStatus::Signalled(Signal::Term)),
            _ if is_over => exit(ExitStatus::Finished),
            Wake::OutOfBudget { resource } if self.spent >= TRIES_MAX => {
                exit(ExitStatus::OutOfBudget(*resource))
            }
            Wake::OutOfBudget { resource: Resource::Wall } | Wake::Refused { .. } => {
                exit(ExitStatus::OutOfBudget(Resource::Wall))
            }
            Wake::OutOfBudget { .. } => {
                self.spent += 1;
                Syscall::Sleep { span: Millis(rng.between(1_000, 90_000)) }
            }
            Wake::Answered { .. } if !Self::is_eager(case, pid) => {
                Syscall::Sleep { span: Millis(rng.between(1_000, 400_000)) }
            }
            Wake::Started
            | Wake::Answered { .. }
            | Wake::ModelFailed { .. }
            | Wake::Slept
            | Wake::ToolsReturned { .. }
            | Wake::Spawned { .. }
            | Wake::ChildExited { .. }
            | Wake::Sent
            | Wake::Received { .. }
            | Wake::TimedOut
            | Wake::Recalled { .. }
            | Wake::Pinned
            | Wake::TaskBegun { .. }
            | Wake::TaskEnded { .. }
            | Wake::Forgotten { .. } => think(case, process),
        };
        Step { append: Vec::new(), call, state: "0".into() }
    }
}

fn think(case: &Traffic, process: &Process) -> Syscall {
    let new = process.memory.taken().0..process.page_count().0;
    let piece = |source| Piece {
        source: aosk_abi::MessageIndex(source),
        kind: PageKind::Assistant,
        tokens: 5,
        end: TEXT_END,
        answers: false,
        copy_of: None,
    };
    let options = ThinkOptions {
        model: case.name().to_owned(),
        output_max: OUTPUT_MAX,
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    };
    Syscall::Think {
        options,
        tools: Tokens(100),
        pieces: new.map(piece).collect(),
        uses: Vec::new(),
    }
}
