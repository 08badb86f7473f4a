//! What devices keep between calls is bounded.

use std::collections::BTreeMap;
use std::path::Path;

use super::tool::WORKSPACES_MAX;
use super::*;
use crate::clock::Clock;

fn devices(workspace: &Path) -> Devices {
    let (growth, _) = broadcast::channel(1);
    let models = Models::new(Vec::new(), BTreeMap::new());
    let tools = Arc::new(Registry::new());
    let meter = Meter::new(&[], &BTreeMap::new(), &tools, Clock::start());
    Devices::new(models, tools, None, workspace.to_owned(), growth, meter)
}

#[test]
fn only_so_many_workspaces_are_kept_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut devices = devices(dir.path());
    let first = devices.workspace_of("{}").unwrap();
    for number in 0..=WORKSPACES_MAX {
        let param = serde_json::json!({ "workspace": dir.path().join(number.to_string()) });
        devices.workspace_of(&param.to_string()).unwrap();
        assert!(devices.workspaces.len() <= WORKSPACES_MAX);
    }
    assert_eq!(first.root(), devices.workspace_of("not json").unwrap().root());
}

#[test]
fn only_so_many_sets_of_tools_are_remembered() {
    let mut devices = devices(Path::new("/nowhere"));
    for number in 0..=OFFERED_MAX {
        let offered = devices.offered(&[format!("tool{number}"), "sleep".to_owned()]);
        assert_eq!(offered.specs.len(), 1, "unknown tools are left out");
        assert!(devices.offered.len() <= OFFERED_MAX);
    }
}
