//! Figures as the tables of cuts have them.

use super::*;

#[test]
fn figures_are_rounded_as_people_read_them() {
    assert_eq!([chance(0), chance(134_656), chance(1_000_000)], ["0.0 %", "13.5 %", "100.0 %"]);
    assert_eq!(
        [tokens(499), tokens(1_000), tokens(14_316_415)],
        ["0 tokens", "1 token", "14,316 tokens"]
    );
    assert_eq!([tenths(38), tenths(12_345)], ["3.8", "1,234.5"]);
}
