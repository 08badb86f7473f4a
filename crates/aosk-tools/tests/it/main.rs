//! The tools as the kernel sees them: through a registry, on a directory of their own.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail a test as its own code does"
)]

mod bench;
mod commands;
mod escapes;
mod files;
mod registry;
