//! Which model is meant.

use std::sync::Arc;

use aosk_abi::{Failure, ModelReply};
use aosk_runtime::kernel::Route;
use aosk_runtime::model::{Driver, OnDelta, Request};
use async_trait::async_trait;

use super::*;

/// A model that is asked in this format, and never is.
struct Silent(Format);

#[async_trait]
impl Driver for Silent {
    async fn complete(&self, _: Request, _: OnDelta<'_>) -> Result<ModelReply, Failure> {
        std::future::pending().await
    }

    fn passes(&self, format: Format) -> bool {
        format == self.0
    }
}

fn equipment() -> Equipment {
    let model = |name: &str, format| ModelDevice::new(name, Arc::new(Silent(format)));
    let models = vec![
        model("openai:gpt", Format::Chat),
        model("other:gpt", Format::Chat),
        model("openai:mini", Format::Chat),
        model("anthropic:claude", Format::Messages),
        model("own:org/model:7b", Format::Chat),
    ];
    let route = |names: &[&str]| Route {
        backends: names.iter().map(|name| ((*name).to_owned(), 1)).collect(),
        ..Route::default()
    };
    let routes = [
        ("best", route(&["anthropic:claude", "openai:gpt"])),
        ("claude", route(&["openai:mini"])),
        ("half", route(&["gone:model", "openai:gpt"])),
    ];
    let routes = routes.into_iter().map(|(name, route)| (name.to_owned(), route)).collect();
    Equipment { models, routes, tools: Arc::default() }
}

fn found(name: &str) -> Result<String, (ErrorCode, String)> {
    resolve(&equipment(), name).map_err(|error| (error.code, error.hint))
}

#[test]
fn a_name_in_full_or_the_providers_alone() {
    for (name, expected) in [
        ("openai:gpt", "openai:gpt"),
        ("mini", "openai:mini"),
        ("org/model:7b", "own:org/model:7b"),
        ("best", "best"),
        // A route comes before a model that a provider calls the same.
        ("claude", "claude"),
    ] {
        assert_eq!(found(name), Ok(expected.to_owned()), "{name}");
    }
}

#[test]
fn a_name_that_several_have_is_nobodys() {
    let error = resolve(&equipment(), "gpt").expect_err("two have it");
    assert_eq!(
        (error.code, error.hint.as_str()),
        (ErrorCode::ModelUnknown, "name the provider too")
    );
    assert!(error.message.contains("openai:gpt, other:gpt"), "{error:?}");
}

#[test]
fn a_name_that_nobody_has_is_answered_with_all() {
    let hint = "models: best, claude, half, openai:gpt, other:gpt, openai:mini, anthropic:claude, \
                own:org/model:7b";
    for name in ["none", "", "openai:", "GPT", "openai:gpt "] {
        assert_eq!(found(name), Err((ErrorCode::ModelUnknown, hint.to_owned())), "{name:?}");
    }
}

#[test]
fn behind_a_name_are_those_of_its_route_in_order() {
    let equipment = equipment();
    let behind = |name| -> Vec<String> {
        behind(&equipment, name).map(|device| device.name.clone()).collect()
    };
    assert_eq!(behind("best"), ["anthropic:claude", "openai:gpt"]);
    assert_eq!(behind("half"), ["openai:gpt"]);
    assert_eq!(behind("openai:mini"), ["openai:mini"]);
    assert!(behind("none").is_empty());
}

#[test]
fn a_request_needs_no_other_words_if_all_take_it_as_it_is() {
    let equipment = equipment();
    let all = |name, format| all_pass(&equipment, name, format);
    assert!(all("openai:gpt", Format::Chat) && !all("openai:gpt", Format::Messages));
    assert!(!all("best", Format::Chat) && !all("best", Format::Messages));
    assert!(all("half", Format::Chat));
}
