//! The budget tree as people see it.

use super::bar::Bar;

fn bar(used: u64, held: u64, limit: u64) -> String {
    let name = "tokens".to_owned();
    Bar { name, is_money: false, used, held, limit }.line()
}

#[test]
fn a_bar_shows_what_is_used_held_and_free() {
    let shown = [bar(0, 0, 1_000), bar(1, 0, 1_000), bar(500, 250, 1_000), bar(999, 0, 1_000)];
    assert_eq!(
        shown,
        [
            "tokens           [........................] 0 of 1,000 (0 %)",
            "tokens           [#.......................] 1 of 1,000 (0 %)",
            "tokens           [############++++++......] 500 + 250 held of 1,000 (75 %)",
            "tokens           [#######################.] 999 of 1,000 (99 %)",
        ]
    );
    assert!(bar(1_500, 0, 1_000).ends_with("[########################] 1,500 of 1,000 (150 %)"));
    assert!(bar(u64::MAX, u64::MAX, u64::MAX).contains("[########################]"));
    assert!(bar(0, 0, 0).contains("0 of 0 (0 %)"), "a bound of nothing does not divide");
}
