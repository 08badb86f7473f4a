//! What a run left in its data directory, read beside the program or after it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aosk::abi::Pid;
use aosk::inspect;
use aosk::store::{JournalQuery, Reader, Sqlite, Which};
use serde_json::Value;

use crate::machine::until;

/// A reader, as soon as there is something to read.
pub(crate) fn reader(dir: &Path) -> Arc<dyn Reader> {
    until("a store", || Sqlite::open_reader(dir).ok())
}

/// The number of entries in the journal.
pub(crate) fn journal_length(reader: &dyn Reader) -> u64 {
    reader.head().expect("reads the head").length
}

/// A fact of a process: its kind and its figures, with the process's own id taken out.
pub(crate) type Fact = (String, Value);

/// The facts of every process in order, by the process's label and name.
pub(crate) fn facts(dir: &Path) -> BTreeMap<String, Vec<Fact>> {
    let reader = reader(dir);
    let mut of_pids: BTreeMap<Pid, Vec<Fact>> = BTreeMap::new();
    inspect::journal(reader.as_ref(), &JournalQuery::default(), |entry| {
        if let Some(pid) = entry.pid {
            let mut data: Value = serde_json::from_str(&entry.data).expect("a fact is JSON");
            if let Some(call) = data.get_mut("call") {
                assert_eq!(call["pid"], pid.0, "a fact tells of its own process's calls");
                *call = call["number"].clone();
            }
            of_pids.entry(pid).or_default().push((entry.kind, data));
        }
        true
    })
    .expect("reads the journal");
    // After the journal: whoever it tells of is there, also while a kernel runs.
    let processes = inspect::processes(reader.as_ref(), Which::All).expect("reads processes");
    let label = |spec: &aosk::kernel::Spec| format!("{}: {}", spec.label, spec.name);
    let labels: BTreeMap<Pid, String> =
        processes.iter().map(|process| (process.pid, label(&process.spec))).collect();
    let mut facts: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
    for (pid, told) in of_pids {
        facts.entry(labels[&pid].clone()).or_default().extend(told);
    }
    facts
}

/// Checks that every call that was made ended exactly once.
pub(crate) fn check_calls(facts: &BTreeMap<String, Vec<Fact>>) {
    for (label, facts) in facts {
        let mut open: BTreeMap<String, &str> = BTreeMap::new();
        for (kind, data) in facts {
            let call = data["call"].to_string();
            let opened = match kind.as_str() {
                "model.called" | "tool.called" => {
                    let twice = open.insert(call.clone(), kind);
                    assert_eq!(twice, None, "{label}: call {call} is made once");
                    continue;
                }
                "model.answered" | "model.failed" => "model.called",
                "tool.returned" => "tool.called",
                _ => continue,
            };
            let began = open.remove(&call);
            assert_eq!(began, Some(opened), "{label}: {kind} {call} ends a call that was made");
        }
        assert!(open.is_empty(), "{label}: calls without an end: {open:?}");
    }
}

/// The texts of a process's log with their roles, as the model sees them.
pub(crate) fn log(dir: &Path, pid: u64) -> Vec<(String, String)> {
    let log = inspect::log(reader(dir).as_ref(), Pid(pid)).expect("reads the log");
    log.iter().map(|body| (body.message().role().to_owned(), body.message().text())).collect()
}
