//! The directory of a demo: when it is refused, and what is counted in it.

use super::*;

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let asked = dir.path().join("new");
    let stage = Stage::make(Some(&asked)).expect("a stage");
    assert!(stage.data().is_dir() && stage.workspace().is_dir());
    let error = Stage::make(Some(&asked)).expect_err("not empty");
    assert_eq!(error.code, ErrorCode::Usage);
}

#[test]
fn started_commands_are_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let stage = Stage::make(Some(dir.path())).expect("a stage");
    assert_eq!(stage.commands(), Ok(BTreeMap::new()));
    std::fs::write(stage.notes(), "a b\nc\na b\n").expect("writes");
    let counted = BTreeMap::from([("a b".to_owned(), 2), ("c".to_owned(), 1)]);
    assert_eq!(stage.commands(), Ok(counted));
}
