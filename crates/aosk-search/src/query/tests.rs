//! What is understood of a query.

use super::*;
use crate::page::Page;

fn index(pages: &[(&str, &str)]) -> Index {
    let mut index = Index::new();
    for (id, (who, text)) in (0..).zip(pages) {
        index.add(&Page { id, text, who: Some(who), order: id, ..Page::default() });
    }
    index
}

fn asked<'a>(index: &Index, text: &'a str) -> Asked<'a> {
    Asked::new(index, &Query { text, ..Query::default() })
}

#[test]
fn a_speaker_is_told_from_other_words() {
    let index = index(&[("Ann Lee", "I like plums"), ("Bo", "Ann likes pears"), ("李雷", "好")]);
    let asked_of = |text| {
        let asked = asked(&index, text);
        (asked.speakers.iter().map(ToString::to_string).collect::<Vec<_>>(), asked.columns.len())
    };
    assert_eq!(asked_of("What does Ann like?"), (vec!["Ann Lee".to_owned()], 1));
    assert_eq!(asked_of("Do ann and bo like plums"), (vec!["Ann Lee".into(), "Bo".into()], 2));
    assert_eq!(asked_of("What does Carl like?"), (vec![], 2));
    assert_eq!(asked_of("李雷").0, ["李雷"]);
}

#[test]
fn other_words_for_a_term_are_those_of_one_notion_or_one_family() {
    let index = index(&[("Ann", "my puppy and my photographer"), ("Bo", "a car")]);
    let related = |text| -> Vec<usize> {
        asked(&index, text).columns.iter().map(|column| column.related.len()).collect()
    };
    assert_eq!(related("pet"), [1]);
    assert_eq!(related("photography"), [1]);
    assert_eq!(related("vehicle stone"), [1, 0]);
}

#[test]
fn of_many_terms_the_rarest_are_kept() {
    let words: Vec<String> = (0..200)
        .map(|number| {
            format!(
                "w{}",
                char::from(b'a' + number % 26).to_string().repeat(1 + usize::from(number / 26))
            )
        })
        .collect();
    let common = words[..150].join(" ");
    let index = index(&[("Ann", &common), ("Bo", &common)]);
    let query = words.join(" ");
    let asked = asked(&index, &query);
    assert_eq!(asked.columns.len(), QUERY_TERMS_MAX);
    assert_eq!(asked.columns.iter().filter(|column| column.term.is_none()).count(), 50);
}

#[test]
fn the_kind_of_answer_is_seen() {
    let index = Index::new();
    let expect = |text| asked(&index, text).expect;
    assert_eq!(expect("When did Ann leave?"), Expect { time: true, name: false });
    assert_eq!(expect("Where and how long was she?"), Expect { time: true, name: true });
    assert_eq!(expect("谁什么时候来的"), Expect { time: true, name: true });
    assert_eq!(expect("What is it"), Expect::default());
}

#[test]
fn vectors_that_are_none_are_not_used() {
    let index = Index::new();
    for (vector, sound) in [(&[3.0, 4.0][..], true), (&[0.0], false), (&[f32::NAN], false)] {
        let query = Query { vector: Some(vector), ..Query::default() };
        assert_eq!(Asked::new(&index, &query).vector.is_some(), sound);
    }
}
