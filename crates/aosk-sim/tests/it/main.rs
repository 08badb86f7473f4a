//! The simulator as a test: many seeds, every seed that ever failed, every broken kernel.

mod bench;
mod mutants;
mod regressions;
mod smoke;
mod traffic;
