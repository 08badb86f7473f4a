//! The shell around the core: the event loop, devices at work, programs, start and shutdown.
//!
//! | room | what it holds |
//! |---|---|
//! | [`Node`] | a kernel on a store: started, supervised, shut down |
//! | [`Handle`] | what can be asked of a running kernel |
//! | [`agent`] | an agent as a person asks for it: which tools it is given, and what it is started with |
//! | [`program`] | what drives a process; `react` and `replay` are built in |
//! | `event_loop` | decide, commit, act |
//! | `turns` | events in, system calls out |
//! | [`foreign`] | processes whose program is a client outside |
//! | `devices` | model and tool calls in flight |
//! | `memory` | pages as content: cut, found again, made into messages |
//! | [`meter`] | what is counted while a kernel runs |
//! | [`trace`] | the place of work in the traces of others |
//! | `bodies` | content in memory, in front of the store |
//! | `published` | what readers see, without entering the loop |
//! | [`Surroundings`] | what a running kernel is told anew |
//! | `flight`, `shadow` | the flight recorder, and the check of rows in debug builds |
//! | [`at_rest`] | what can be changed in a store on which no kernel runs |
//! | [`rehearsal`] | a known conversation through the memory of a live process, without devices |
//! | [`lack`], [`words`] | bounds without room, figures and moments, told to people |
//! | [`inspect`] | reading a store that another kernel may be running on |
//!
//! This is the only crate that sees both the core and the drivers. It decides nothing that the core
//! could decide.

pub mod agent;
pub mod at_rest;
mod bodies;
mod clock;
mod commits;
mod config;
mod devices;
mod event_loop;
mod flight;
pub mod foreign;
mod handle;
pub mod inspect;
pub mod lack;
mod memory;
pub mod meter;
mod node;
pub mod program;
mod published;
pub mod rehearsal;
mod shadow;
mod surroundings;
pub mod trace;
mod turns;
pub mod words;

pub use aosk_abi as abi;
pub use aosk_kernel as kernel;
pub use aosk_model as model;
pub use aosk_search as search;
pub use aosk_store as store;
pub use aosk_tools as tools;
pub use clock::Clock;
pub use config::{ModelDevice, NodeConfig};
pub use devices::Growth;
pub use handle::{Equipment, Handle};
pub use meter::Meter;
pub use node::Node;
pub use program::{Action, Call, Event, ProcessView, Program, Programs};
pub use published::{Census, Snapshot};
pub use surroundings::Surroundings;
pub use trace::TraceParent;
