//! The Agent OS Kernel as a library: an operating-system kernel for AI agents.
//!
//! An agent is a process, the model is the CPU, the context window is RAM, the store is the disk,
//! tools are devices. Start a [`Node`] on a store, give it models, tools and programs, and speak to
//! it through its [`Handle`]. To drive processes in a way of your own, implement [`Program`].

pub use aosk_runtime::*;
