//! Adding and removing.

use super::*;

fn page(id: u64, text: &str) -> Page<'_> {
    Page { id, text, order: id, who: Some("Ann"), kind: Some("note"), ..Page::default() }
}

/// Everything that a search reads, so that two indexes can be compared whatever their slots are.
fn content(index: &Index) -> Vec<String> {
    let mut content = vec![format!("{} {}", index.len(), index.length)];
    for (text, number) in &index.vocabulary {
        let slots = index.postings(*number).iter();
        let mut held: Vec<_> = slots
            .map(|(slot, count)| (index.slots[*slot as usize].as_ref().expect("kept").id, *count))
            .collect();
        held.sort_unstable();
        content.push(format!("{text} {held:?}"));
    }
    let line: Vec<_> = (0..index.len()).map(|at| index.at(at).expect("kept").id).collect();
    content.push(format!("{line:?} {:?} {:?}", index.speakers, index.kinds));
    content
}

#[test]
fn what_is_removed_leaves_nothing() {
    let mut index = Index::new();
    for (id, text) in [(1, "red apples"), (2, "green apples"), (3, "blue plums")] {
        index.add(&page(id, text));
    }
    let whole = content(&index);
    index.add(&page(4, "yellow plums and pears"));
    assert!(index.remove(4));
    assert!(!index.remove(4));
    assert_eq!(content(&index), whole);
    for id in 1..=3 {
        assert!(index.remove(id));
    }
    assert_eq!(content(&index), content(&Index::new()));
    assert_eq!(index.terms(), 0);
}

#[test]
fn a_page_of_the_same_id_is_replaced() {
    let mut index = Index::new();
    index.add(&page(1, "old words"));
    index.add(&page(1, "new words"));
    let mut fresh = Index::new();
    fresh.add(&page(1, "new words"));
    assert_eq!(content(&index), content(&fresh));
}

#[test]
fn slots_and_terms_are_used_again() {
    let mut index = Index::new();
    for round in 0..1_000_u64 {
        let text = format!("word{round} other{round}");
        index.add(&page(round, &text));
        if round >= 10 {
            index.remove(round - 10);
        }
    }
    assert_eq!(index.len(), 10);
    assert!(index.slots.len() <= 11 && index.places.len() <= 11);
    assert!(index.entries.len() <= 11 * 6, "{}", index.entries.len());
}

#[test]
fn pages_stand_in_line_by_group_and_order_however_they_came() {
    let mut index = Index::new();
    for (id, group, order) in [(1, 2, 5), (2, 1, 9), (3, 2, 1), (4, 1, 3), (5, 2, 5)] {
        index.add(&Page { id, group, order, text: "x", ..Page::default() });
    }
    let line: Vec<_> = (0..5).map(|at| index.at(at).expect("kept").id).collect();
    assert_eq!(line, [4, 2, 3, 1, 5]);
    for (place, slot) in index.line().iter().enumerate() {
        assert_eq!(index.place(*slot), place);
    }
}
