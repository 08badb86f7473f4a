//! The commands, one file each.

pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod budget;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod logs;
pub(crate) mod mem;
pub(crate) mod models;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod version;
pub(crate) mod why;
