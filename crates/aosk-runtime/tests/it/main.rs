//! The runtime around the kernel: a node on a store in memory, with models and tools of the tests'
//! own. What happens is written down in a [`scene::Trace`] that tests wait on; nothing sleeps and
//! nothing asks the wall clock.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "everything here is a test"
)]

mod bytes;
mod control;
mod crash;
mod elsewhere;
mod embedding;
mod failure;
mod llama;
mod memory;
mod misfits;
mod order;
mod programs;
mod provider;
mod reading;
mod relay;
mod scene;
mod shutdown;
mod skip;
mod time;
mod wire;
