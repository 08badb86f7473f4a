//! Tests of the counting of skips.

use super::*;

#[test]
fn skips_are_counted_by_feature_and_reason() {
    let log = "SKIP userns: not permitted\nSKIP docker: not found\n\nSKIP userns: not permitted\n";
    let expected = BTreeMap::from([("docker: not found", 1), ("userns: not permitted", 2)]);
    assert_eq!(count(log), expected);
    assert_eq!(count(""), BTreeMap::new());
    assert_eq!(count("half a line").len(), 1, "a torn line is not lost");
}
