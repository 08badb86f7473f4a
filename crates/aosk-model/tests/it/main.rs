//! Drivers against servers on loopback that say exactly what a test wants, byte for byte.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod anthropic;
mod continuing;
mod embeddings;
mod faults;
mod llama;
mod openai;
mod own_server;
mod passage;
mod prefix_cache;
mod rates;
mod recorded;
mod resolve;
mod server;
mod skip;
mod traces;
