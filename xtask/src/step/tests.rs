//! Tests of the steps.

use super::*;

#[test]
fn results_of_tests_are_added_up() {
    let mut tests = Tests::default();
    tests.count("running 3 tests");
    tests.count("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out");
    tests.count("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured");
    assert_eq!(tests, Tests { passed: 6, failed: 2 });
}

#[test]
fn a_failed_step_is_reported_and_fails_the_whole() {
    let good = watch("good", "", || Ok((true, Tests::default())));
    let bad = watch("bad", "", || Ok((false, Tests { passed: 1, failed: 2 })));
    let broken = watch("broken", "", || anyhow::bail!("no such program"));
    assert!(bad.line().contains("FAILED") && bad.line().ends_with("1 passed, 2 failed"));
    assert!(!broken.passed());
    assert!(sum_up(&[good, Report::skipped("elsewhere")]));
    assert!(!sum_up(&[Report::not_run("later")]));
    assert!(!sum_up(&[bad, broken]));
}

#[test]
fn the_exit_status_and_the_output_of_a_command_count() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(Step::cargo("version", "--version").run(root).passed());
    let no = Step { words: vec!["false".into()], ..Step::cargo("no", "") };
    assert!(!no.run(root).passed());
    let test = ["test", "-d", "src"].map(OsString::from);
    assert!(Step::program("folder", test).run(root).passed());
    assert!(!answers(&["no-such-program-anywhere".into()]));
}
