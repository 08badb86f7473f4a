//! Checks of the distance between names.

use super::*;

#[test]
fn distance_counts_edits() {
    let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), b);
    assert_eq!(of("", "abc"), 3);
    assert_eq!(of("kitten", "sitting"), 3);
    assert_eq!(of("read_file", "read_file"), 0);
    assert_eq!(of("abc", ""), 3);
}

#[test]
fn near_names_come_nearest_first() {
    let names = ["read_file", "write_file", "list_files", "calculator"];
    assert_eq!(near_names("raed_file", names.into_iter()), ["read_file"]);
    assert_eq!(near_names("ReadFile", names.into_iter()), ["read_file"]);
    assert_eq!(near_names("browse_the_web", names.into_iter()), Vec::<String>::new());
}
