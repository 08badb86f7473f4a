//! The team of the demo: what its model answers, and the agent that starts the others.

use std::sync::Arc;

use aosk::ModelDevice;
use aosk::abi::{
    Body, Error, Limits, Message, MicroUsd, Millis, PermissionLevel, Price, ProgramSpec, Rates,
    SpawnSpec, ThinkOptions, Tokens,
};
use aosk::model::{Script, Scripted};
use aosk::program::react;

#[cfg(test)]
mod tests;

/// The device that answers.
pub(super) const MODEL: &str = "scripted:demo";

/// The agent whose command is running when the kernel is killed, and which tests the program.
pub(super) const TESTER: &str = "Tester";

/// How the Tester tests.
pub(super) const TEST_COMMAND: &str = "cargo test --offline";

/// What tokens are said to cost, so that the accounts have something to count: a dollar for a million
/// tokens of input, five for a million of output.
pub(super) const PRICE: Price = Price::flat(Rates {
    input: MicroUsd(1_000_000),
    cache_read: MicroUsd(100_000),
    cache_write: MicroUsd(1_250_000),
    output: MicroUsd(5_000_000),
});

/// Model calls at once. Fewer than agents, so that priorities count.
const SLOTS: u32 = 2;

/// The answers. `"@name"` stands for the content of a file.
const SCRIPT: &str = include_str!("team.json");

/// The files that the agents write.
const FILES: &[(&str, &str)] = &[
    ("design.md", include_str!("roman/design.md")),
    ("manifest.toml", include_str!("roman/manifest.toml")),
    ("lib.rs", include_str!("roman/lib.rs")),
    ("first_main.rs", include_str!("roman/first_main.rs")),
    ("main.rs", include_str!("roman/main.rs")),
    ("conversions.rs", include_str!("roman/conversions.rs")),
    ("readme.md", include_str!("roman/readme.md")),
];

const SYSTEM: &str = "You are the architect of a small team of programmers. Design, delegate, and \
    report.";

const TASK: &str = "Let your team build a small command-line program that converts Roman numerals, \
    tested and documented.";

/// The scripted model.
///
/// # Errors
/// Never, as long as the script is sound; a test reads it.
pub(super) fn model() -> Result<ModelDevice, Error> {
    Ok(ModelDevice {
        slots: SLOTS,
        price: PRICE,
        timeout: Millis::from_secs(60),
        continues: true,
        ..ModelDevice::new(MODEL, Arc::new(Scripted::new(script()?)))
    })
}

fn script() -> Result<Script, Error> {
    let mut json = SCRIPT.to_owned();
    for (name, content) in FILES {
        // A text as JSON is a text in quotes, so it goes where the quoted name was.
        json =
            json.replace(&format!("\"@{name}\""), &serde_json::Value::from(*content).to_string());
    }
    Script::from_json(&json)
}

/// The agent that starts the others.
pub(super) fn architect(tools: Vec<String>) -> SpawnSpec {
    let options = ThinkOptions {
        model: MODEL.to_owned(),
        output_max: Tokens(4_096),
        tools,
        temperature_milli: None,
        window: None,
    };
    let param = react::Param {
        options,
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat: false,
    };
    SpawnSpec {
        name: "Architect".to_owned(),
        label: String::new(),
        program: ProgramSpec {
            name: "react".to_owned(),
            // The parameter is plain data with string keys, which always has a JSON form.
            param: serde_json::to_string(&param).unwrap_or_default().into(),
        },
        priority: 20,
        capabilities: PermissionLevel::Advanced.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: vec![Body::new(Message::system(SYSTEM)), Body::new(Message::user(TASK))],
    }
}
