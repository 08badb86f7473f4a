//! The real kernel core in a simulated world.
//!
//! A run is a function of its [`Case`]: the world is made of virtual time and seeded chance only,
//! so whatever a seed finds it finds again. The kernel crashes, devices lie, programs do whatever
//! programs may do, and after every input everything that must be true is checked.
//!
//! | room | what it holds |
//! |---|---|
//! | [`case`] | one run as data, and the configuration of its kernel |
//! | [`faults`] | what a run may do and suffer |
//! | [`defect`] | known ways to break the kernel and the loop around it |
//! | `world` | virtual time, the loop, crashes |
//! | [`content`] | what messages hold, as the page table is told |
//! | [`workload`] | the operator |
//! | [`program`] | the program of every process |
//! | [`model`], [`tools`], [`store`] | devices and the disk, and how they fail |
//! | `checker` | what must be true |
//! | [`mod@reference`] | small models that parts of the kernel are held against |
//! | [`mod@shrink`] | the smallest run that still fails |
//! | [`traffic`] | many agents on scarce models, and judges of what the scheduler promises |
//! | [`bench`](mod@bench) | what one input costs with many processes |

pub mod bench;
pub mod case;
mod checker;
pub mod content;
pub mod defect;
pub mod faults;
pub mod model;
pub mod program;
pub mod reference;
pub mod report;
pub mod rng;
pub mod shrink;
pub mod store;
pub mod tools;
pub mod traffic;
pub mod workload;
mod world;

pub use case::Case;
pub use defect::{Defect, ShellMutant};
pub use faults::{Feature, Features};
pub use report::{Failure, Report};
pub use shrink::shrink;
pub use world::run;
