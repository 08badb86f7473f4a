//! The directory of a demo: when it is refused, and what is counted in it.

use super::*;

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let asked = dir.path().join("new");
    let stage = Stage::make(Some(&asked), None).expect("a stage");
    assert!(stage.data().is_dir() && stage.workspace().is_dir());
    let error = Stage::make(Some(&asked), None).expect_err("not empty");
    assert_eq!(error.code, ErrorCode::Usage);
}

#[test]
fn started_commands_are_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let stage = Stage::make(Some(dir.path()), None).expect("a stage");
    assert_eq!(stage.commands(), Ok(BTreeMap::new()));
    std::fs::write(stage.notes(), "a b\nc\na b\n").expect("writes");
    let counted = BTreeMap::from([("a b".to_owned(), 2), ("c".to_owned(), 1)]);
    assert_eq!(stage.commands(), Ok(counted));
}

#[test]
fn a_data_directory_that_is_given_gets_a_new_one_each_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let above = dir.path().join("data");
    let names = [1, 2].map(|_| {
        let stage = Stage::make(None, Some(&above)).expect("a stage");
        stage.dir().file_name().expect("a name").to_owned()
    });
    assert_eq!(names, ["demo-1", "demo-2"]);
    // What is asked for by itself goes before.
    let asked = dir.path().join("here");
    Stage::make(Some(&asked), Some(&above)).expect("a stage");
    assert_eq!(std::fs::read_dir(&above).expect("reads").count(), 2);
}
