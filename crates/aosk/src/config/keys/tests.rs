//! Tests of the table of keys.

use aosk::abi::limits;
use aosk::kernel::memory::{self, Prefer};
use aosk::kernel::{GroupConfig, policy};
use clap::CommandFactory;

use super::*;
use crate::cli::Cli;

/// The value of a key that holds without it.
fn usual(key: &Key) -> &'static str {
    match key.usual {
        Usual::Value(value) => value,
        Usual::Otherwise(words) => panic!("{} is {words}", key.path),
    }
}

#[test]
fn what_holds_without_a_key_is_what_the_code_takes() {
    assert_eq!(usual(&SLICE), (limits::TIME_SLICE.0 / 1_000).to_string());
    assert_eq!(usual(&REPLACEMENT), memory::DEFAULT.name());
    assert_eq!((usual(&PREFER), Prefer::default()), ("cost", Prefer::Cost));
    assert_eq!(usual(&GROUP_PRIORITY), GroupConfig::default().priority.to_string());
    assert!(policy(usual(&POLICY)).is_ok());
}

#[test]
fn the_words_that_a_key_may_be_are_those_that_there_are() {
    let policies = policy("?").expect_err("none").hint;
    assert_eq!(policies.replace("policies: ", "one of "), POLICY.form);
    let known = memory::replacement("?").expect_err("none").hint;
    assert_eq!(known.replace("policies: ", "one of "), REPLACEMENT.form);
}

#[test]
fn every_option_of_the_table_is_one_of_run() {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").expect("run");
    for key in KEYS {
        let Some(flag) = key.flag else { continue };
        let is_there = run.get_arguments().any(|arg| arg.get_long() == flag.strip_prefix("--"));
        assert!(is_there, "{flag}");
    }
}

#[test]
fn paths_are_different_and_whole() {
    for (at, key) in KEYS.iter().enumerate() {
        assert!(KEYS.iter().skip(at + 1).all(|other| other.path != key.path), "{}", key.path);
        assert!(!key.doc.contains('\n') && !key.doc.is_empty(), "{}", key.path);
    }
    assert_eq!(DEFAULT_MODEL.variable().as_deref(), Some("AOSK_DEFAULT_MODEL"));
    assert_eq!(GROUP_USD.variable(), None);
}
