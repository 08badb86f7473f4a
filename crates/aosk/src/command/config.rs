//! `aosk config`: what is in force and why, and whether a file is right. Secrets are not shown.

use std::path::{Path, PathBuf};

use aosk::abi::Error;
use clap::ValueEnum;
use hyper::Method;
use serde_json::{Value, json};

use crate::cli::{ConfigArgs, ConfigCommand, ConfigShowArgs, Place};
use crate::client::Client;
use crate::config::{self, Given, Origin, Row, Settings, keys};
use crate::fail::Done;
use crate::term::{self, line, note};

pub(crate) async fn run(place: &Place, args: &ConfigArgs) -> Result<Done, Error> {
    match &args.command {
        ConfigCommand::Show(args) => show(place, args),
        ConfigCommand::Check { file, json } => check(place, file.as_ref(), *json),
        ConfigCommand::Reload { json } => reload(place, *json).await,
        ConfigCommand::Path => path(place),
        ConfigCommand::Example => {
            line(config::example::text().trim_end());
            Ok(Done::Well)
        }
    }
}

fn show(place: &Place, args: &ConfigShowArgs) -> Result<Done, Error> {
    let settings = config::settings(place.config.as_ref(), &given(args))?;
    let path = &settings.config.path;
    let rows = settings.rows();
    if args.json {
        term::json(&rows.iter().map(|row| object(row, path)).collect());
        return Ok(Done::Well);
    }
    let mut head = vec!["key", "value"];
    head.extend(args.origin.then_some("origin"));
    let cells = rows.iter().map(|row| {
        let mut cells = vec![row.name.clone(), shown(row)];
        cells.extend(args.origin.then(|| origin(row, path)));
        cells
    });
    term::text(&term::table(&head, &[], cells.collect()));
    Ok(Done::Well)
}

/// The options that stand for keys.
fn given(args: &ConfigShowArgs) -> Vec<Given> {
    let ConfigShowArgs { model, embedder, permission, tasks, .. } = args;
    let all = [
        (&keys::DEFAULT_MODEL, model.model.clone()),
        (&keys::BASE_URL, model.base_url.clone()),
        (&keys::PERMISSION, permission.map(|level| word(&level))),
        (&keys::SLOTS, model.slots.map(|slots| slots.to_string())),
        (&keys::WINDOW, model.window.map(|window| window.to_string())),
        (&keys::REPLACEMENT, model.replacement.clone()),
        (&keys::PREFER, model.prefer.map(|prefer| word(&prefer))),
        (&keys::NEED_TABLE, model.need_table.as_ref().map(|path| path.display().to_string())),
        (&keys::SUMMARY_MODEL, model.summary_model.clone()),
        (&keys::TASKS, tasks.then(|| "true".to_owned())),
        (&keys::EMBEDDER, embedder.embedder.clone()),
        (&keys::EMBEDDER_URL, embedder.embedder_url.clone()),
    ];
    all.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
}

/// A choice as it is written.
fn word(choice: &impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn shown(row: &Row) -> String {
    match &row.value {
        Value::Null => format!("({})", row.otherwise),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            row.value.to_string()
        }
    }
}

fn origin(row: &Row, path: &Path) -> String {
    let from = row.origin.shown(path);
    if row.variables.is_empty() { from } else { format!("{from}, {}", row.variables.join(", ")) }
}

fn object(row: &Row, path: &Path) -> Value {
    let origin = match &row.origin {
        Origin::Default => json!({ "kind": "default" }),
        Origin::Line(line) => json!({ "kind": "file", "file": path, "line": line }),
        Origin::Variable(name) => json!({ "kind": "variable", "variable": name }),
        Origin::Flag(flag) => json!({ "kind": "flag", "flag": flag }),
    };
    json!({ "key": row.name, "value": row.value, "origin": origin, "variables": row.variables })
}

fn check(place: &Place, file: Option<&PathBuf>, json: bool) -> Result<Done, Error> {
    let Settings { config, said } = config::settings(file.or(place.config.as_ref()), &[])?;
    let path = config.path;
    let is_there = path.exists();
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (name, near) in config::strange(variables) {
        note(&format!("{name} is no variable of aosk: did you mean {}?", near.join(" or ")));
    }
    if json {
        term::json(&json!({ "ok": true, "file": path, "exists": is_there }));
    } else if !is_there {
        line(&format!("there is no {}, and none is needed", path.display()));
    } else if said.is_nothing() {
        line(&format!("{} says nothing", path.display()));
    } else {
        line(&format!("{} is right", path.display()));
    }
    Ok(Done::Well)
}

/// Has a daemon read its configuration anew.
async fn reload(place: &Place, json: bool) -> Result<Done, Error> {
    let path = "/api/v1/config/reload";
    let told = Client::connect(place).await?.ask(Method::POST, path, Some(&json!({}))).await?;
    if json {
        term::json(&told);
        return Ok(Done::Well);
    }
    let of = |name: &str| told.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (changed, left) = (of("changed"), of("needs_restart"));
    for change in &changed {
        line(&said(change));
    }
    for change in &left {
        line(&format!("needs a restart: {}", said(change)));
    }
    if changed.is_empty() && left.is_empty() {
        line("it says what it said");
    }
    Ok(Done::Well)
}

/// What is said anew, for a person.
fn said(change: &Value) -> String {
    let text = |name: &str| change.get(name).and_then(Value::as_str);
    let (from, to) = (text("from").unwrap_or("nothing"), text("to").unwrap_or("nothing"));
    format!("{}: {from} -> {to}", text("key").unwrap_or_default())
}

fn path(place: &Place) -> Result<Done, Error> {
    let path = crate::paths::config_file(place.config.as_ref())?;
    line(&path.display().to_string());
    if !path.exists() {
        note("it is not there, and none is needed");
    }
    Ok(Done::Well)
}
