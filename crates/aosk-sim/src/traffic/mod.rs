//! Many agents on scarce models: what the scheduler promises, judged from outside.
//!
//! The world of [`crate::world`](crate) breaks the kernel in every way, with few processes. Here
//! nothing crashes, and up to ten thousand agents compete: for slots, for rates that providers set and
//! lie about, for budgets in all and in time, through storms of refusals and outages, while priorities
//! change, calls give up their slots and go on elsewhere, and the clock jumps.
//!
//! The judges keep books of their own from what enters and leaves the kernel. They know the rules from
//! the documentation; of the kernel they ask only in which state a process is.

mod agent;
mod case;
mod judge;
mod provider;
mod world;

pub use case::Traffic;
pub use judge::Shares;
pub use world::{Broken, Figures, run};
