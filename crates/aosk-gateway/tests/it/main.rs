//! The gateway as programs use it: a real server and a real kernel, clients on real sockets, and
//! providers on loopback that answer with the very bytes that a test wants.

#![expect(clippy::unwrap_used, clippy::panic, reason = "everything here is a test")]

mod access;
mod bad_input;
mod client;
mod conversation;
mod ends;
mod failure;
mod gone;
mod listed;
mod paged;
mod passing;
mod provider;
mod query;
mod routes;
mod scene;
mod slow;
