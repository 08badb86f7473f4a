//! The functional core of the Agent OS Kernel: one deterministic state machine.
//!
//! [`Kernel::apply`] takes one input and says what must happen; [`Kernel::flush`] says what must be
//! stored. There is no I/O here, no clock, no randomness, no thread, no float and no logging: time
//! comes in as an argument and everything else leaves as [`aosk_abi::Effects`].
//!
//! | room | what is decided there |
//! |---|---|
//! | [`kernel`] | the state, the dispatch of inputs, the order of one `apply` |
//! | `process` | states, birth, signals, end and reaping, mailboxes |
//! | `syscall` | what each system call does; the one place where capabilities are checked |
//! | `interrupt` | what each completion does: answers, failures, retries |
//! | `scheduler` | the policies |
//! | `dispatch` | who stands where and who starts: queues, policy, slots and budgets together |
//! | `preempt` | when a running call gives up its slot, and how it goes on |
//! | `share` | what each process and group was served |
//! | `group` | tenants and groups, nodes of the budget tree with a name |
//! | `device` | slots, circuit breakers, routes |
//! | `reconfigure` | a configuration that changes while the kernel runs |
//! | `rates` | what providers say of their rates, and the bounds of them |
//! | `runaway` | processes that do the same without end |
//! | `budget` | reserve, settle, release in the budget tree |
//! | `bounds` | bounds that change while calls wait and run |
//! | `approval` | what becomes of a process when the person answers that it waits for |
//! | `index` | queues and deadlines, all derived from the process table |
//! | [`memory`] | page tables: what of a log is in the model's window, and what leaves it when |
//! | `config` | what the kernel is told of its surroundings |
//! | `table` | a table that notes what was borrowed to be changed |
//! | `boot` | what happens to work in flight after a crash |
//! | `image` | the durable form: rows out, rows in |
//! | `view` | budgets and queues as readers of the rows see them |
//! | `invariant` | what must always hold |
//! | `mutant` | known ways to break the kernel, for testing the tests |

mod approval;
mod boot;
mod bounds;
mod budget;
mod config;
mod device;
mod dispatch;
mod group;
mod hold;
mod image;
mod index;
mod interrupt;
mod invariant;
pub mod kernel;
pub mod memory;
mod mutant;
mod preempt;
mod process;
mod rates;
mod reconfigure;
mod route;
mod runaway;
mod scheduler;
mod share;
mod syscall;
mod table;
mod view;

pub use config::{Choice, Config, GroupConfig, ModelConfig, Rates, Route};
pub use image::RestoreError;
pub use invariant::Violation;
pub use kernel::Kernel;
pub use mutant::Mutant;
pub use process::{
    Asked, CancelKind, Cancelling, Cause, EndedTask, Entry, LogDigest, LogPage, Mail, Memory,
    ModelCall, Phase, Process, STUB_TOKENS, Spec, State, Stats, SummaryCall, Termination, Times,
    ToolPhase, ToolWait, Wait,
};
pub use scheduler::{Candidate, Levels, Policy, Rank, policy, policy_names, weight};
pub use view::{BudgetView, GroupView, Line, Span, line};
#[cfg(test)]
mod tests;
