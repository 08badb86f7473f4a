//! Tests of `aosk doctor`.

use aosk::store::{Sqlite, Store};
use tempfile::TempDir;

use super::*;

#[test]
fn sizes_have_a_unit_that_fits() {
    assert_eq!(
        [0, 1, 1_023 << 10, 1 << 20, (1 << 30) - 1, 5 << 30].map(size),
        ["0 KiB", "1 KiB", "1023 KiB", "1 MiB", "1023 MiB", "5 GiB"]
    );
}

#[test]
fn a_directory_that_is_not_there_is_judged_by_the_one_above() {
    let dir = TempDir::new().expect("a temporary directory");
    assert_eq!(existing(&dir.path().join("a/b")), Some(dir.path()));
    assert_eq!(existing(Path::new("no/such")), Some(Path::new(".")));
    assert_eq!(directory(&dir.path().join("a/b")).verdict, Verdict::Good);
}

#[test]
fn a_store_is_found_good_and_a_foreign_file_is_not() {
    let dir = TempDir::new().expect("a temporary directory");
    let verdicts = |dir: &Path| -> Vec<_> {
        store(dir).iter().map(|check| (check.name.clone(), check.verdict)).skip(1).collect()
    };
    assert_eq!(verdicts(dir.path()), [("store".to_owned(), Verdict::Absent)]);
    let mut sqlite = Sqlite::open(dir.path()).expect("opens");
    sqlite.commit(&[aosk::store::Batch::default()]).expect("commits");
    let good = |name: &str| (name.to_owned(), Verdict::Good);
    assert_eq!(verdicts(dir.path()), [good("store"), good("journal")]);
    drop(sqlite);
    let other = TempDir::new().expect("a temporary directory");
    std::fs::write(other.path().join("aosk.db"), "a letter to a friend").expect("writes");
    assert_eq!(
        verdicts(other.path()),
        [("store".to_owned(), Verdict::Failure(ErrorCode::StoreIo))]
    );
}

#[test]
fn keys_are_looked_for_and_not_shown() {
    let checks: Vec<Check> = keys(None).collect();
    let variables: std::collections::BTreeSet<_> = PROVIDERS
        .iter()
        .filter(|provider| provider.needs_key)
        .map(|provider| provider.key_variable)
        .collect();
    assert_eq!(checks.len(), variables.len());
    for check in checks {
        let variable = check.found.split(' ').next().unwrap_or_default();
        assert!([" is set", " is not set"].contains(&&check.found[variable.len()..]), "{check:?}");
    }
}
