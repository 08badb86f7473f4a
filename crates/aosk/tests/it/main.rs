//! The real program, as a person or a script uses it: every test has a machine of its own, with its
//! own home, data directory and workspace, and speaks to models on loopback only.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, its helpers too; it starts programs and watches the clock"
)]

mod bad_input;
mod bench;
mod commands;
mod config;
mod conversation;
mod crash;
mod damage;
mod embedder;
mod ends;
mod exit_status;
mod machine;
mod mem;
mod memory;
mod mistakes;
mod model_server;
mod models;
mod read_commands;
mod reload;
mod rng;
mod rows;
mod run;
mod schedule;
mod serve;
mod signatures;
mod store;
mod tasks;
mod trace;
mod why;
