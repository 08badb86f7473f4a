//! Tests of what is taken over of models that are found anew.

use std::sync::Arc;

use aosk::abi::{Price, Rates, Tokens};
use aosk::model::Scripted;

use super::*;
use crate::config::Device;

fn device(name: &str) -> ModelDevice {
    ModelDevice::new(name, Arc::new(Scripted::offline()))
}

#[test]
fn bounds_and_prices_are_taken_over_and_windows_are_not() {
    let old = ModelDevice { context: Some(Tokens(1_000)), ..device("a") };
    let rates = Rates { input: aosk::abi::MicroUsd(2_000_000), ..Rates::default() };
    let new = ModelDevice {
        slots: 7,
        price: Price::flat(rates),
        context: Some(Tokens(2_000)),
        ..device("a")
    };
    let merged = Merged::of(std::slice::from_ref(&old), std::slice::from_ref(&new), false);
    let [one] = merged.models.as_slice() else { panic!("{:?}", merged.models) };
    assert_eq!((one.slots, one.price, one.context), (7, new.price, old.context));
    assert!(Arc::ptr_eq(&one.driver, &old.driver), "it is reached as before");
    let keys = |changes: &[Change]| changes.iter().map(|c| c.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&merged.changed), ["the price of a"]);
    let expected = change("the window of a", Some("1000"), Some("2000"));
    assert_eq!(merged.needs_restart, [expected]);
    let merged = Merged::of(&[old], std::slice::from_ref(&new), true);
    assert!(Arc::ptr_eq(&merged.models[0].driver, &new.driver));
}

#[test]
fn a_model_may_come_and_does_not_go() {
    let merged = Merged::of(&[device("a")], &[device("b")], false);
    let names: Vec<_> = merged.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(merged.changed, [change("b", None, Some("there"))]);
    assert_eq!(merged.needs_restart, [change("a", Some("there"), None)]);
}

#[test]
fn what_a_model_can_is_taken_over_and_told() {
    let old = ModelDevice { quality: Some(Quality::High), ..device("a") };
    let new = ModelDevice { quality: Some(Quality::Low), ..device("a") };
    let merged = Merged::of(std::slice::from_ref(&old), std::slice::from_ref(&new), false);
    assert_eq!(merged.models[0].quality, new.quality);
    let told = merged.changed.iter().map(|change| change.key.as_str()).collect::<Vec<_>>();
    assert_eq!(told, ["the class and abilities of a"]);
}

/// Calls that wait for it would else go to the usual address of its provider.
#[test]
fn the_usual_model_is_found_where_it_was_until_a_restart() {
    let of = |model: &str, listed: bool| {
        let said = Device { base_url: Some("http://127.0.0.1:1/v1".into()), ..Device::default() };
        let devices = [(model.to_owned(), said)].into_iter().filter(|_| listed).collect();
        Config { default_model: Some(model.to_owned()), devices, ..Config::default() }
    };
    let before = of("vllm:slow", true);
    let after = as_started(of("vllm:quick", true), &before);
    assert_eq!(after.default_model.as_deref(), Some("vllm:slow"));
    let found = after.devices.get("vllm:slow").and_then(|said| said.base_url.clone());
    assert_eq!(found.as_deref(), Some("http://127.0.0.1:1/v1"));
    // Whoever says of it that it has no address of its own any more means that.
    assert!(as_started(of("vllm:slow", false), &before).devices.is_empty());
}

#[test]
fn what_only_a_restart_changes_stays() {
    let before = Config { window: Some(1), slots: Some(2), ..Config::default() };
    let after = Config { window: Some(3), slots: Some(4), ..Config::default() };
    let config = as_started(after, &before);
    assert_eq!((config.window, config.slots), (Some(1), Some(4)));
}
