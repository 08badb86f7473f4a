//! The bar, cell by cell.

use super::*;

fn stretch(fill: Fill, tokens: u64) -> Stretch {
    Stretch { fill, tokens, pinned: false }
}

const TOOLS: Fill = Fill::Kind(PageKind::Tools);
const RESULT: Fill = Fill::Kind(PageKind::ToolResult);

fn drawn(stretches: &[Stretch], width: usize) -> String {
    cells(stretches, width).iter().map(|cell| cell.fill.letter()).collect()
}

#[test]
fn a_cell_shows_what_takes_most_of_its_share() {
    let window = [
        stretch(TOOLS, 300),
        stretch(RESULT, 120),
        stretch(Fill::Stub, 30),
        stretch(RESULT, 50),
        stretch(Fill::Free, 500),
    ];
    assert_eq!(drawn(&window, 10), "TTTRR.....");
    assert_eq!(drawn(&window, 100).len(), 100);
    let count = |letter| drawn(&window, 100).chars().filter(|c| *c == letter).count();
    assert_eq!([count('T'), count('R'), count(':'), count('.')], [30, 17, 3, 50]);
    // Parts of one kind count together: 15 + 20 against 30.
    let torn = [stretch(RESULT, 15), stretch(Fill::Stub, 30), stretch(RESULT, 20)];
    assert_eq!(drawn(&torn, 1), "R");
}

#[test]
fn a_window_of_fewer_tokens_than_cells_is_drawn_all_the_same() {
    let window = [stretch(TOOLS, 1), stretch(Fill::Free, 2)];
    assert_eq!(drawn(&window, 9), "TTT......");
    assert_eq!(drawn(&[], 9), "");
    assert_eq!(drawn(&window, 0), "");
    let huge = [stretch(TOOLS, u64::MAX), stretch(Fill::Free, u64::MAX)];
    assert_eq!(drawn(&huge, 4), "TT..");
}

#[test]
fn what_is_pinned_is_marked_however_little_it_is() {
    let pinned = Stretch { pinned: true, ..stretch(Fill::Kind(PageKind::User), 1) };
    let window = [stretch(TOOLS, 99), pinned, stretch(Fill::Free, 300)];
    let marks: Vec<bool> = cells(&window, 4).iter().map(|cell| cell.pinned).collect();
    assert_eq!(marks, [true, false, false, false]);
    let (sums, of_pinned) = legend(&window);
    assert_eq!(sums.len(), 3);
    assert_eq!(of_pinned, 1);
}

#[test]
fn no_two_fills_share_a_letter() {
    let kinds = [
        PageKind::System,
        PageKind::Tools,
        PageKind::Task,
        PageKind::User,
        PageKind::Assistant,
        PageKind::ToolResult,
        PageKind::Message,
        PageKind::Recalled,
        PageKind::Summary,
    ];
    let fills = kinds.map(Fill::Kind).into_iter().chain([Fill::Stub, Fill::Free]);
    let mut letters: Vec<char> = fills.map(Fill::letter).collect();
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len(), 11);
}
