//! What cargo knows of the workspace and its dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::step;

/// The workspace and everything it depends on.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// Our own packages, by name.
    pub(crate) ours: BTreeMap<String, Package>,
    /// Packages of others, by name and version.
    pub(crate) theirs: BTreeMap<(String, String), Package>,
}

/// One package.
#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    /// The licence expression, if it states one.
    pub(crate) licence: Option<String>,
    /// Packages it needs to run, by name.
    pub(crate) normal: BTreeSet<String>,
    /// Packages it needs to be built or tested, by name.
    pub(crate) other: BTreeSet<String>,
}

impl Metadata {
    /// Asks cargo, which downloads what is missing.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let words = [cargo, "metadata".into(), "--format-version=1".into()];
        let json = step::output_of(root, &words)?;
        Self::from_json(&serde_json::from_slice(&json).context("read what cargo metadata printed")?)
    }

    fn from_json(json: &Value) -> Result<Self> {
        let mut metadata = Self::default();
        for package in json.get("packages").and_then(Value::as_array).context("no packages")? {
            let name = text(package, "name")?;
            let entry = Package::from_json(package)?;
            if package.get("source").is_none_or(Value::is_null) {
                metadata.ours.insert(name, entry);
            } else {
                metadata.theirs.insert((name, text(package, "version")?), entry);
            }
        }
        Ok(metadata)
    }

    /// Names of the packages that `package`, one of ours, needs to run, directly or through others.
    ///
    /// Optional and target-specific dependencies count, whether or not they are in use.
    pub(crate) fn reached(&self, package: &Package) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = package.normal.iter().cloned().collect();
        while let Some(name) = open.pop() {
            let ours = self.ours.get(&name).into_iter().flat_map(|package| &package.normal);
            if reached.insert(name.clone()) {
                open.extend(ours.cloned());
            }
        }
        reached
    }
}

impl Package {
    fn from_json(json: &Value) -> Result<Self> {
        let licence = json.get("license").and_then(Value::as_str).map(str::to_owned);
        let mut package = Self { licence, ..Self::default() };
        let dependencies = json.get("dependencies").and_then(Value::as_array);
        for dependency in dependencies.context("no dependencies")? {
            let normal = dependency.get("kind").is_none_or(Value::is_null);
            let list = if normal { &mut package.normal } else { &mut package.other };
            list.insert(text(dependency, "name")?);
        }
        Ok(package)
    }
}

fn text(json: &Value, key: &str) -> Result<String> {
    let value = json.get(key).and_then(Value::as_str);
    value.map(str::to_owned).with_context(|| format!("a package without {key}"))
}

#[cfg(test)]
mod tests;
