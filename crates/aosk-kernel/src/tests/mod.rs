//! Tests of the core, by feature. Each is a script of inputs with the transcript it must give; see
//! [`script`] for what is checked besides the transcript.

mod approval;
mod boot;
mod budget;
mod determinism;
mod fair;
mod family;
mod fork;
mod groups;
mod image;
mod ipc;
mod lack;
mod memory;
mod memory_calls;
mod preempt;
mod rates;
mod reconfigure;
mod relay;
mod retry;
mod route;
mod route_wait;
mod runaway;
mod scene;
mod schedule;
mod script;
mod signal;
mod spawn;
mod summary;
mod tasks;
mod think;
mod tools;
mod waiters;
mod watch;
