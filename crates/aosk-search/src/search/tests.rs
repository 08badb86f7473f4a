//! Searches over a few pages, each for one thing that speaks for a page.

use super::*;
use crate::date::Day;
use crate::page::Page;

fn index(pages: &[Page<'_>]) -> Index {
    let mut index = Index::new();
    for (id, page) in (0..).zip(pages) {
        index.add(&Page { id, order: id, ..*page });
    }
    index
}

fn texts(texts: &[&str]) -> Index {
    let pages: Vec<Page<'_>> = texts.iter().map(|text| Page { text, ..Page::default() }).collect();
    index(&pages)
}

fn found(index: &Index, text: &str) -> Vec<u64> {
    let query = Query { text, ..Query::default() };
    index.search(&query, &Ranker::fitted(), 10).iter().map(|hit| hit.id).collect()
}

fn first(index: &Index, text: &str) -> Option<u64> {
    found(index, text).first().copied()
}

#[test]
fn the_page_with_the_words_is_first() {
    let index = texts(&["the cat sat", "dogs bark at night", "rain fell on the town"]);
    assert_eq!(first(&index, "did a dog bark?"), Some(1));
    assert_eq!(first(&index, "rainy towns"), Some(2));
}

#[test]
fn names_of_machines_are_found_whole_and_by_their_parts() {
    let index = texts(&[
        "edited src/config/parser.rs and built it",
        "edited src/config/lexer.rs and built it",
        "error E0277 in max_retry_count",
        "error E0308 in the retry of a count",
    ]);
    assert_eq!(first(&index, "what happened in src/config/lexer.rs"), Some(1));
    assert_eq!(first(&index, "parser"), Some(0));
    assert_eq!(first(&index, "E0277"), Some(2));
    assert_eq!(first(&index, "e0308"), Some(3));
    assert_eq!(first(&index, "maxRetryCount"), Some(2));
}

#[test]
fn chinese_words_of_two_to_four_characters_are_found() {
    let index = texts(&[
        "我们昨天在上海开会，讨论预算",
        "操作系统的内存管理很重要",
        "他喜欢吃苹果和香蕉",
        "用 Rust 写的内核，版本是２０２３",
    ]);
    for (query, page) in [
        ("上海", 0),
        ("预算", 0),
        ("操作系统", 1),
        ("内存管理", 1),
        ("吃苹果", 2),
        ("香蕉", 2),
        ("Rust 内核", 3),
        ("2023", 3),
        ("谁喜欢香蕉？", 2),
    ] {
        assert_eq!(first(&index, query), Some(page), "{query}");
    }
}

#[test]
fn the_named_speaker_goes_before_the_other() {
    let text = "I painted a lake";
    let pages = [
        Page { text, who: Some("Bo"), group: 1, ..Page::default() },
        Page { text, who: Some("Ann"), group: 2, ..Page::default() },
    ];
    assert_eq!(first(&index(&pages), "What did Ann paint?"), Some(1));
    assert_eq!(first(&index(&pages), "What did Bo paint?"), Some(0));
}

#[test]
fn the_day_that_is_asked_for_goes_before_others() {
    let page = |when: &str, group| Page {
        text: "we went out for dinner",
        when: Day::parse(when),
        group,
        ..Page::default()
    };
    let pages = [page("3 May 2023", 1), page("9 July 2023", 2), page("1 June 2022", 3)];
    let index = index(&pages);
    assert_eq!(first(&index, "Where was dinner on 8 July, 2023?"), Some(1));
    assert_eq!(first(&index, "dinner in 2022"), Some(2));
    assert_eq!(first(&index, "dinner in early May"), Some(0));
    let query =
        Query { text: "dinner last week", now: Day::parse("2023-05-10"), ..Query::default() };
    assert_eq!(index.search(&query, &Ranker::fitted(), 1)[0].id, 0);
}

#[test]
fn a_time_told_from_another_day_is_understood() {
    let said = Day::parse("28 May 2023");
    let page = |text, group| Page { text, when: said, group, ..Page::default() };
    let pages = [page("we moved one week ago", 1), page("we moved three weeks ago", 2)];
    assert_eq!(first(&index(&pages), "who moved on 7 May 2023"), Some(1));
    assert_eq!(first(&index(&pages), "who moved on 20 May 2023"), Some(0));
}

#[test]
fn the_answer_is_found_beside_the_words_of_the_question() {
    let said = |who, text| Page { text, who: Some(who), ..Page::default() };
    let pages = [
        said("Bo", "Nice weather today, and everything is quiet"),
        said("Ann", "What is the name of your new hamster?"),
        said("Bo", "I call him Biscuit"),
        said("Ann", "Good choice"),
        said("Bo", "Shall we have lunch together on Sunday?"),
    ];
    assert!(found(&index(&pages), "What is Bo's hamster called?")[..2].contains(&2));
}

#[test]
fn neighbours_are_of_the_same_group_only() {
    let pages = [
        Page { text: "where are the keys", group: 1, ..Page::default() },
        Page { text: "under the mat", group: 2, ..Page::default() },
    ];
    let index = index(&pages);
    let query = Query { text: "keys", ..Query::default() };
    let candidates = index.candidates(&query);
    let window = FEATURES.iter().position(|name| *name == "window").expect("a feature");
    assert!(candidates[0].features[window] > 0.0);
    assert_eq!(candidates[1].features[window], 0.0);
}

#[test]
fn a_vector_finds_what_words_do_not() {
    let pages = [
        Page { text: "the feline slept", vector: Some(&[1.0, 0.1]), group: 1, ..Page::default() },
        Page { text: "stocks fell", vector: Some(&[0.0, 1.0]), group: 2, ..Page::default() },
        Page { text: "of another model", vector: Some(&[1.0]), group: 3, ..Page::default() },
    ];
    let query = Query { text: "kitty", vector: Some(&[2.0, 0.0]), ..Query::default() };
    assert_eq!(index(&pages).search(&query, &Ranker::fitted(), 1)[0].id, 0);
}

#[test]
fn kinds_are_held_apart() {
    let pages = [
        Page { text: "build failed", kind: Some("tool"), ..Page::default() },
        Page { text: "build failed", kind: Some("user"), ..Page::default() },
        Page { text: "build failed", ..Page::default() },
    ];
    let query = Query { text: "build", kinds: &["user"], ..Query::default() };
    let hits = index(&pages).search(&query, &Ranker::fitted(), 10);
    assert_eq!(hits.iter().map(|hit| hit.id).collect::<Vec<_>>(), [1]);
}

#[test]
fn cover_says_how_much_of_the_query_a_page_holds() {
    let index = texts(&["red balloons", "a red kite", "nothing"]);
    let query = Query { text: "red balloons", ..Query::default() };
    let hits = index.search(&query, &Ranker::fitted(), 10);
    let cover: Vec<f32> = hits.iter().map(|hit| hit.cover).collect();
    assert!(cover[0] > 0.99 && cover[1] > 0.1 && cover[1] < 0.9 && cover[2] == 0.0, "{cover:?}");
}

#[test]
fn a_removed_page_is_not_found() {
    let mut index = texts(&["a red kite", "a blue kite"]);
    assert!(index.remove(0));
    assert_eq!(found(&index, "red kite"), [1]);
    assert!(index.remove(1));
    assert_eq!(found(&index, "red kite"), Vec::<u64>::new());
}

/// Many pages, so that not all are candidates.
fn many() -> Vec<String> {
    let word = |number: usize| ["red", "blue", "kite", "boat", "lake", "tree", "stone"][number % 7];
    (0..3_000).map(|at| format!("{} {} page{at}", word(at * at / 7), word(at / 3))).collect()
}

#[test]
fn among_many_pages_the_right_one_is_a_candidate() {
    let pages = many();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let index = texts(&pages);
    for at in [0, 777, 1_500, 2_999] {
        let query = format!("red kite on page{at}");
        assert_eq!(first(&index, &query), Some(at));
        let query = Query { text: &query, ..Query::default() };
        assert_eq!(index.candidates(&query).len(), CANDIDATES_MAX);
    }
}

#[test]
fn the_way_pages_came_does_not_change_what_is_found() {
    let pages = many();
    let mut forward = Index::new();
    let mut backward = Index::new();
    for (id, text) in (0..).zip(&pages) {
        forward.add(&Page { id, text, order: id, ..Page::default() });
    }
    for (id, text) in (0..).zip(&pages).collect::<Vec<_>>().into_iter().rev() {
        backward.add(&Page { id: id + 10_000, text: "lake of stones", ..Page::default() });
        backward.add(&Page { id, text, order: id, ..Page::default() });
        backward.remove(id + 10_000);
    }
    let ranker = Ranker::fitted();
    for text in ["red kite", "blue stones by the lake", "page12 page2000", "nothing of it"] {
        let query = Query { text, ..Query::default() };
        let hits = forward.search(&query, &ranker, 50);
        assert_eq!(hits, backward.search(&query, &ranker, 50), "{text}");
        assert_eq!(hits, forward.search(&query, &ranker, 50), "{text}");
    }
}

#[test]
fn hostile_texts_and_queries_do_no_harm() {
    let word = "x".repeat(1 << 20);
    let marks = "\u{301}".repeat(1 << 16);
    let hostile = [
        "",
        " ",
        &word,
        &marks,
        "\u{0}\u{7}\u{1b}[2J",
        "🎉🎉🎉",
        "[[[[",
        "a.b.c.d.e.f",
        "'''",
        "-",
    ];
    let index = texts(&hostile);
    for text in hostile {
        let hits = found(&index, text);
        assert_eq!(hits.len(), hostile.len());
    }
    assert_eq!(first(&index, &word), Some(2));
    let scores = |text| index.search(&Query { text, ..Query::default() }, &Ranker::fitted(), 10);
    assert!(scores("").iter().all(|hit| hit.score.is_finite() && hit.cover == 0.0));
    assert_eq!(found(&Index::new(), "anything"), Vec::<u64>::new());
}

#[test]
fn a_vector_that_comes_later_counts_as_one_that_came_with_the_page() {
    let mut index = texts(&["the feline slept", "stocks fell"]);
    let query = Query { text: "kitty", vector: Some(&[1.0, 0.0]), ..Query::default() };
    let similar = |index: &Index| -> Vec<(u64, f32)> {
        let hits = index.search(&query, &Ranker::fitted(), 10);
        hits.iter().map(|hit| (hit.id, hit.similar)).collect()
    };
    assert_eq!(similar(&index), [(0, 0.0), (1, 0.0)]);
    assert!(index.set_vector(0, &[0.0, 3.0]) && index.set_vector(1, &[2.0, 0.0]));
    assert_eq!(similar(&index), [(1, 1.0), (0, -1.0)]);
    assert!(index.set_vector(0, &[f32::NAN, 0.0]), "what is no vector takes the one there was");
    assert_eq!(similar(&index), [(0, 0.0), (1, 0.0)], "the one that is left is like any");
    assert!(!index.set_vector(7, &[1.0, 0.0]), "there is no such page");
}
