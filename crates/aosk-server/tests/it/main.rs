//! The server as clients see it: real sockets in folders of the tests' own and on loopback, a real
//! kernel on a store in memory, and a model that does what the task says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "everything here is a test"
)]

mod access;
mod approvals;
mod bad_input;
mod client;
mod control;
mod description;
mod events;
mod exposition;
mod files;
mod listening;
mod memory;
mod metrics;
mod reading;
mod reasons;
mod requests;
mod scene;
mod tenants;
mod time;
