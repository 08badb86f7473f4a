//! Tables cut in the middle, and colours.

use super::*;

#[test]
fn the_middle_of_a_long_table_is_left_out_and_counted() {
    let rows: Vec<usize> = (0..100).collect();
    let row = |row: &usize| vec![row.to_string()];
    let print = |rows| table(&["row"], &["row"], rows);
    let short = elided(&rows, /*all*/ false, "row", row, print);
    let lines: Vec<&str> = short.lines().collect();
    assert_eq!(lines.len(), 1 + ROWS_MAX + 1);
    assert_eq!((lines[20], lines[22]), (" 19", " 80"));
    assert_eq!(lines[21], "  … 60 rows left out, --all shows them …");
    assert_eq!(elided(&rows, /*all*/ true, "row", row, print).lines().count(), 101);
    assert_eq!(elided(&rows[..40], /*all*/ false, "row", row, print).lines().count(), 41);
}

#[test]
fn colours_take_no_room() {
    let plain = paint("AAA", Some(4), /*coloured*/ false);
    let coloured = paint("AAA", Some(4), /*coloured*/ true);
    assert_eq!(plain, "AAA");
    assert_eq!(coloured, "\u{1b}[30;44mAAA\u{1b}[0m");
    assert_eq!((seen(&plain), seen(&coloured)), (3, 3));
    let parts = [coloured.clone(), coloured.clone(), coloured];
    assert_eq!(wrap(&parts, 10).len(), 2);
}
