//! Registration, arguments, inline calls, panics and timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aosk_abi::tool::{Risk, ToolSpec, ToolTraits};
use aosk_abi::unit::Millis;
use aosk_tools::{Invocation, Output, RegisterError, Registry, Tool, ToolError};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::bench::{Bench, Seen, seen};

/// What a [`Probe`] does when it is called.
#[derive(Debug, Clone, Copy)]
enum Act {
    Return(usize),
    Panic,
    Hang,
}

#[derive(Debug)]
struct Probe {
    spec: ToolSpec,
    traits: ToolTraits,
    act: Act,
    calls: Arc<AtomicUsize>,
}

impl Probe {
    fn new(name: &str, act: Act) -> Self {
        Self {
            spec: ToolSpec {
                name: name.into(),
                description: "A probe.".into(),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "count": { "type": "integer", "minimum": 1, "maximum": 9 },
                        "mode": { "type": "string", "enum": ["fast", "slow"] }
                    },
                    "required": ["count"],
                    "additionalProperties": false
                }),
            },
            traits: ToolTraits {
                risk: Risk::Safe,
                idempotent: true,
                inline: false,
                parallel: false,
                timeout: Millis::from_secs(5),
            },
            act,
            calls: Arc::default(),
        }
    }
}

#[async_trait]
impl Tool for Probe {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn traits(&self) -> &ToolTraits {
        &self.traits
    }

    async fn call(&self, invocation: &Invocation, arguments: Value) -> Result<Output, ToolError> {
        self.call_inline(invocation, &arguments)
            .unwrap_or_else(|| Err(ToolError::Failed("not reached".into())))?;
        match self.act {
            Act::Hang => std::future::pending().await,
            Act::Return(bytes) => Ok(Output::text("x".repeat(bytes))),
            Act::Panic => Err(ToolError::Failed("not reached".into())),
        }
    }

    fn call_inline(&self, _: &Invocation, _: &Value) -> Option<Result<Output, ToolError>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.act {
            Act::Panic => panic!("probe {}", 7),
            Act::Return(bytes) => Some(Ok(Output::text("x".repeat(bytes)))),
            Act::Hang => Some(Ok(Output::text(""))),
        }
    }
}

fn bench(probe: Probe) -> Bench {
    let mut registry = Registry::new();
    registry.add(Arc::new(probe)).expect("registers");
    Bench::with(registry)
}

#[tokio::test]
async fn arguments_are_checked_before_anything_runs() {
    let probe = Probe::new("probe", Act::Return(2));
    let calls = Arc::clone(&probe.calls);
    let bench = bench(probe);
    let takes = ". The tool takes count (integer, required), mode (string, optional)";
    let deep = format!("{{\"count\":{}", "[".repeat(200));
    let cases = [
        ("{}", "argument `count` is missing"),
        ("", "argument `count` is missing"),
        (r#"{"count":"5"}"#, "argument `count`: the value is not of type \"integer\" but a string"),
        (r#"{"count":10}"#, "argument `count`: the value is greater than the maximum of 9"),
        (r#"{"count":1,"extra":1}"#, "argument `extra` is not known"),
        (r#"{"count":1,"mode":"x"}"#, "argument `mode`: the value is not one of"),
        ("[1]", "arguments: the value is not of type \"object\" but an array"),
        ("{count:1}", "the arguments are not a valid JSON object"),
        (r#"{"count":1,"count":2}"#, "key \"count\" stands twice"),
        ("{\"count\":NaN}", "the arguments are not a valid JSON object"),
        ("\u{feff}{\"count\":1}", "the arguments are not a valid JSON object"),
        (deep.as_str(), "recursion limit exceeded"),
    ];
    for (arguments, expected) in cases {
        let Seen { text, is_error } = bench.call_text("probe", arguments).await;
        assert!(is_error, "{arguments}");
        assert!(text.starts_with("tool.arguments: "), "{arguments}: {text}");
        assert!(text.contains(expected), "{arguments}: {text}");
        assert!(text.ends_with(takes), "{arguments}: {text}");
    }
    let long = format!(r#"{{"count":1,"mode":"{}"}}"#, "x".repeat(2 << 20));
    let seen = bench.call_text("probe", &long).await;
    assert!(seen.text.starts_with("tool.arguments: the arguments have"), "{}", seen.text);
    // The control: none of these ran, and the first that fits does.
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(bench.ok("probe", json!({"count": 1, "mode": "fast"})).await, "xx");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn output_is_bounded_and_cleaned() {
    let bench = bench(Probe::new("probe", Act::Return(1 << 20)));
    let text = bench.ok("probe", json!({"count": 1})).await;
    assert!(text.len() < 17 * 1024);
    assert!(text.contains("\n[… 1,032,192 bytes cut: 0 lines …]\n"), "{}", text.len());
}

#[tokio::test]
async fn an_unknown_tool_is_named_with_its_neighbours() {
    let bench = Bench::new();
    let text = bench.err("read_fil", json!({})).await;
    assert_eq!(text, "tool.unknown: no tool is named \"read_fil\"; did you mean read_file?");
    let text = bench.err(&"\u{1b}[2J".repeat(10_000), json!({})).await;
    assert!(text.len() < 4096 && !text.contains('\u{1b}'));
}

#[tokio::test]
async fn a_panic_is_a_failure_of_the_call() {
    let bench = bench(Probe::new("probe", Act::Panic));
    let text = bench.err("probe", json!({"count": 1})).await;
    assert_eq!(text, "tool.failed: the tool panicked: probe 7");

    let mut probe = Probe::new("inline_probe", Act::Panic);
    probe.traits.inline = true;
    let bench = Bench::with({
        let mut registry = Registry::new();
        registry.add(Arc::new(probe)).expect("registers");
        registry
    });
    let body = bench.registry.call_inline(&bench.invocation("inline_probe", r#"{"count":1}"#));
    assert_eq!(
        body.as_ref().map(seen),
        Some(Seen { text: "tool.failed: the tool panicked: probe 7".into(), is_error: true })
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_is_given_up() {
    let bench = bench(Probe::new("probe", Act::Hang));
    let text = bench.err("probe", json!({"count": 1})).await;
    assert_eq!(text, "tool.timeout: did not finish within 5.0 s");
}

#[test]
fn inline_calls_need_no_runtime() {
    let bench = Bench::new();
    let call = |tool: &str, arguments: &str| {
        bench.registry.call_inline(&bench.invocation(tool, arguments)).map(|body| seen(&body))
    };
    assert_eq!(
        call("calculator", r#"{"expression":"6*7"}"#),
        Some(Seen { text: "42".into(), is_error: false })
    );
    let wrong = call("calculator", r#"{"expression":"1/0"}"#).expect("is inline");
    assert_eq!(wrong.text, "tool.failed: cannot calculate: division by zero");
    let wrong = call("calculator", r#"{"expr":"1"}"#).expect("is inline");
    assert!(wrong.is_error && wrong.text.starts_with("tool.arguments: "));
    assert_eq!(call("read_file", r#"{"path":"x"}"#), None);
    assert_eq!(call("no_such_tool", "{}"), None);
}

#[test]
fn names_and_schemas_are_checked_at_registration() {
    let mut registry = Registry::new();
    let mut add = |name: &str, parameters: Value| {
        let mut probe = Probe::new(name, Act::Hang);
        probe.spec.parameters = parameters;
        registry.add(Arc::new(probe))
    };
    let good = json!({ "type": "object" });
    assert_eq!(add("probe", good.clone()), Ok(()));
    assert_eq!(add("probe", good.clone()), Err(RegisterError::Duplicate("probe".into())));
    // A device must not take the place of a system call.
    assert_eq!(add("finish", good.clone()), Err(RegisterError::Duplicate("finish".into())));
    for name in ["", "a b", "näme", "a.b", &"x".repeat(65)] {
        assert_eq!(add(name, good.clone()), Err(RegisterError::Name(name.to_owned())));
    }
    for schema in [
        json!({ "type": "string" }),
        json!({ "type": "object", "properties": { "a": { "type": "strnig" } } }),
        json!({ "type": "object", "properties": { "a": { "$ref": "http://example.com/x" } } }),
        json!({ "type": "object", "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
        json!({ "type": "object", "properties": { "a": { "pattern": "(" } } }),
        json!(true),
    ] {
        let error = add("wrong", schema.clone()).expect_err("is refused");
        assert!(matches!(error, RegisterError::Schema { .. }), "{schema}");
    }
}

#[test]
fn specs_come_in_the_order_asked_and_are_strict() {
    let bench = Bench::new();
    let specs = bench.registry.specs(&["run_command", "finish", "calculator"]).expect("known");
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["run_command", "finish", "calculator"]);
    let unknown = bench.registry.specs(&["calculator", "nope"]).map_err(|error| error.code());
    assert_eq!(unknown, Err(aosk_abi::ErrorCode::ToolUnknown));
    let all: Vec<&str> = bench.registry.names().collect();
    assert_eq!(all.len(), 7);
    for spec in bench.registry.specs(&all).expect("known") {
        let extra = spec.parameters.get("additionalProperties");
        assert_eq!(extra, Some(&Value::Bool(false)), "{}", spec.name);
    }
}

#[test]
fn traits_say_what_the_kernel_decides_by() {
    let bench = Bench::new();
    let of = |name: &str| {
        let traits = bench.registry.traits(name).expect("known");
        (traits.risk, traits.idempotent, traits.inline)
    };
    assert_eq!(of("calculator"), (Risk::Safe, true, true));
    assert_eq!(of("read_file"), (Risk::Low, true, false));
    assert_eq!(of("list_files"), (Risk::Low, true, false));
    assert_eq!(of("search_files"), (Risk::Low, true, false));
    assert_eq!(of("write_file"), (Risk::Medium, true, false));
    assert_eq!(of("append_file"), (Risk::Medium, false, false));
    assert_eq!(of("run_command"), (Risk::High, false, false));
}
