//! Faults that another system of this kind was found to have, each as a test that they are not here.
//! Two more are where they can be seen: scans in plans of the page table, and hits blind to order in
//! the caches of `aosk bench`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aosk_runtime::abi::{ExitStatus, Message, MessageIndex, PageId, Pid, Tokens, Usage};
use aosk_runtime::inspect::{self, PageTable};
use aosk_runtime::kernel::memory::{CacheRules, DEFAULT, NeedTable, Prefer, Residency};
use aosk_runtime::model::{Request, Tokenizer};
use aosk_runtime::rehearsal::{Conditions, Decision, Rehearsal};
use aosk_runtime::store::Memory;

use crate::memory::{Asked, kinds, reader, result, run, scene, tokens};
use crate::scene::{Do, Running, Say, last, text, tool};

/// Results that an agent fetches: five times what its window holds.
const RESULTS: usize = 90;

/// A page of each result, by its number; the text is that of the whole message.
fn results(memory: &Memory, pid: Pid) -> (PageTable, BTreeMap<PageId, String>) {
    let table = inspect::page_table(memory, pid).unwrap();
    let mut texts = BTreeMap::new();
    for page in &table.pages {
        let body = inspect::body(memory, page.body).unwrap();
        if let Message::Tool { .. } = body.message().as_ref() {
            texts.insert(page.page, inspect::page_text(&body, page).unwrap());
        }
    }
    (table, texts)
}

/// What the model asks to bring every result back, one after the other, and notes of each.
fn bring_back(brought: &Mutex<Vec<String>>, n: usize, request: &Request) -> Say {
    // The pages are the task, and then an answer and a result in turns.
    let page = |n: usize| format!(r#"{{"pages":[{}]}}"#, 3 + 2 * n);
    if n > 0 {
        brought.lock().unwrap().push(last(request));
    }
    if n < RESULTS { tool("recall", &page(n)) } else { text("done") }
}

/// Holds what was brought back against what was fetched.
fn check_brought(brought: &Mutex<Vec<String>>) {
    let brought = brought.lock().unwrap();
    assert_eq!(brought.len(), RESULTS);
    let mut left = 0;
    for (number, told) in (0_u32..).zip(brought.iter()) {
        let is_shown = told.contains("in_window") || told.contains("in the window");
        left += usize::from(!is_shown);
        assert!(is_shown || told.ends_with(&result(number)), "{number}: {told}");
    }
    assert!(left > RESULTS / 2, "{left} had left");
}

/// It counted words between blanks, so that a page of Chinese was one token.
#[tokio::test]
async fn chinese_is_not_counted_as_one_token() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let mut scene = scene(&memory, &asked, |n, _| match n {
        0..20 => tool("read_it", "{}"),
        _ => text("done"),
    });
    scene.tool(
        "read_it",
        Do::Make(|n| format!("第{n}页：{}", "上下文窗口是稀缺的资源".repeat(30))),
        |traits| {
            traits.idempotent = true;
        },
    );
    let node = scene.start();
    let (pid, status, _) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    let (table, texts) = results(&memory, pid);
    for page in table.pages.iter().filter(|page| texts.contains_key(&page.page)) {
        let characters = texts[&page.page].chars().count() as u64;
        let tokens = u64::from(page.entry.tokens);
        assert!((characters / 3..=2 * characters).contains(&tokens), "{tokens} of {characters}");
    }
    assert!(
        !kinds(&memory, "memory.cut").is_empty(),
        "six thousand characters are no twenty tokens"
    );
    node.shutdown().await.unwrap();
}

/// Unless a store was set up, what it swapped out was never written anywhere.
#[tokio::test]
async fn no_page_is_lost_at_default_settings() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let brought = Arc::<Mutex<Vec<String>>>::default();
    let noted = brought.clone();
    let node = scene(&memory, &asked, move |n, request| match n {
        0..RESULTS => tool("fetch", "{}"),
        _ => bring_back(&noted, n - RESULTS, request),
    })
    .start();
    assert_eq!(run(&node).await.1, ExitStatus::Finished);
    check_brought(&brought);
    node.shutdown().await.unwrap();
}

/// An agent that has fetched all and hangs, and the node it runs on.
async fn hanging(memory: &Memory) -> (Running, Pid) {
    let asked = Asked::default();
    let node = scene(memory, &asked, |n, _| match n {
        0..RESULTS => tool("fetch", "{}"),
        _ => Say::Hang,
    })
    .start();
    let pid = node.handle.spawn(reader(false)).await.unwrap();
    tokio::select! {
        () = node.trace.until_times("ask reader.1", RESULTS + 1) => {}
        ended = node.handle.wait(pid) => panic!("it ended: {ended:?}"),
    }
    (node, pid)
}

/// It restored an agent with its name and state, and an empty page table.
#[tokio::test]
async fn a_restored_agent_has_its_pages() {
    let memory = Memory::new();
    let (node, pid) = hanging(&memory).await;
    let (before, texts) = results(&memory, pid);
    let away = before.pages.iter().filter(|page| page.entry.kept.residency != Residency::Resident);
    assert!(texts.len() == RESULTS && away.count() > RESULTS / 2);
    drop(node);
    let node = scene(&memory, &Asked::default(), |_, _| text("done")).start();
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    let (after, _) = results(&memory, pid);
    assert_eq!(after.pages[..before.pages.len()], before.pages);
    node.shutdown().await.unwrap();
}

/// Its swap was a dictionary in the same process, gone with it.
#[tokio::test]
async fn what_was_swapped_out_outlives_the_kernel() {
    let memory = Memory::new();
    let (node, pid) = hanging(&memory).await;
    drop(node);
    let brought = Arc::<Mutex<Vec<String>>>::default();
    let noted = brought.clone();
    let node = scene(&memory, &Asked::default(), move |n, request| bring_back(&noted, n, request));
    let node = node.start();
    assert_eq!(node.end(pid).await.0, ExitStatus::Finished);
    check_brought(&brought);
    node.shutdown().await.unwrap();
}

/// It sorted the pages by use before each call, so that the prefix changed and the talk was shuffled.
#[tokio::test]
async fn what_was_shown_is_not_sorted_anew() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, _| match n {
        // Some results are spoken of again and again.
        0..RESULTS => tool("fetch", &format!(r#"{{"like":"secret_{}x"}}"#, n / 7 * 3)),
        _ => text("done"),
    })
    .start();
    assert_eq!(run(&node).await.1, ExitStatus::Finished);
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    for request in &asked {
        let said = request.iter().map(Message::text);
        let numbers: Vec<u32> = said
            .filter_map(|text| {
                let (_, rest) = text.split_once("file_")?;
                rest.split_once('.')?.0.parse().ok()
            })
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    let cuts = kinds(&memory, "memory.cut").len();
    let breaks = asked.windows(2).filter(|two| !two[1].starts_with(&two[0])).count();
    assert!(breaks <= cuts && cuts < asked.len() / 5, "{breaks} breaks, {cuts} cuts");
    node.shutdown().await.unwrap();
}

/// What an agent whose provider reads so many tokens of each call from its cache is said to have read.
async fn cached(read: impl Fn(usize) -> u64 + Send + Sync + 'static) -> (Tokens, Tokens) {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, move |n, _| {
        let say = if n < 5 { tool("fetch", "{}") } else { text("done") };
        let (cache_read, input_uncached) = (Tokens(read(n)), Tokens(1_000 - read(n)));
        Say::Used(Usage { cache_read, input_uncached, ..Usage::default() }, Box::new(say))
    })
    .start();
    let (pid, status, _) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    let stats = inspect::process(&memory, pid).unwrap().stats;
    node.shutdown().await.unwrap();
    (stats.cached, stats.input)
}

/// Whatever happened, it printed a hit rate of 0.75.
#[tokio::test]
async fn a_hit_rate_is_what_the_provider_counted() {
    assert_eq!(cached(|n| n as u64 * 100).await, (Tokens(1_500), Tokens(6_000)));
    assert_eq!(cached(|_| 990).await, (Tokens(5_940), Tokens(6_000)));
}

/// It counted a page that is in the window when it is used as a hit of the cache.
#[tokio::test]
async fn what_is_in_the_window_is_no_hit_of_the_cache() {
    assert_eq!(cached(|_| 0).await, (Tokens(0), Tokens(6_000)));
}

/// It took a page that had few words for nothing, and a swap that gave nothing back for a success.
#[tokio::test]
async fn what_is_swapped_out_frees_its_tokens() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let sizes = Arc::<Mutex<Vec<u64>>>::default();
    let noted = sizes.clone();
    let node = scene(&memory, &asked, move |n, request| {
        noted.lock().unwrap().push(tokens(request));
        if n < RESULTS { tool("fetch", "{}") } else { text("done") }
    })
    .start();
    assert_eq!(run(&node).await.1, ExitStatus::Finished);
    let sizes = std::mem::take(&mut *sizes.lock().unwrap());
    let smaller: Vec<u64> =
        sizes.windows(2).filter(|two| two[1] < two[0]).map(|two| two[0] - two[1]).collect();
    let cuts = kinds(&memory, "memory.cut");
    assert_eq!(smaller.len(), cuts.len());
    for (cut, smaller) in cuts.iter().zip(smaller) {
        let freed = cut["before"].as_u64().unwrap() - cut["after"].as_u64().unwrap();
        // A turn came between the two requests, and a stub is counted as more than it takes.
        assert!((smaller + 260) * 5 > freed * 4 && smaller > 200, "{smaller} smaller: {cut}");
    }
    node.shutdown().await.unwrap();
}

/// Pages that came back from its store changed none of its figures.
#[tokio::test]
async fn a_fault_is_counted() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let node = scene(&memory, &asked, |n, _| match n {
        0..20 => tool("fetch", "{}"),
        20 => tool("recall", r#"{"pages":[5]}"#),
        21 => tool("recall", r#"{"pages":[7]}"#),
        _ => text("done"),
    })
    .start();
    let (pid, status, _) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    assert_eq!(inspect::process(&memory, pid).unwrap().stats.faults, 2);
    let faults: Vec<_> =
        kinds(&memory, "page.faulted").iter().map(|fact| fact["page"].as_u64()).collect();
    assert_eq!(faults, [Some(5), Some(7)]);
    node.shutdown().await.unwrap();
}

/// Where it was to weigh what is near in meaning, it drew random numbers.
#[tokio::test]
async fn what_is_found_is_no_matter_of_chance() {
    let mut found = Vec::new();
    for _ in 0..2 {
        let (memory, asked) = (Memory::new(), Asked::default());
        let node = scene(&memory, &asked, |n, request| match n {
            0..40 => tool("fetch", "{}"),
            40 => tool("search_memory", r#"{"query":"who holds secret_11x","limit":8}"#),
            _ => text(&last(request)),
        })
        .start();
        let (_, status, said) = run(&node).await;
        assert_eq!(status, ExitStatus::Finished);
        node.shutdown().await.unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        // Page 3 is the first result, and two pages on is the next.
        assert_eq!(said["found"][0]["page"], 3 + 2 * 11, "{said}");
        found.push(said);
    }
    assert_eq!(found[0], found[1]);
}

/// What an agent was shown counted as never used, so that what it needs was no dearer than the rest.
#[test]
fn a_page_that_an_answer_uses_counts_as_used() {
    let conditions = Conditions {
        // It is noted once there is a chance that something has to leave.
        window: Tokens(1_500),
        count: Tokenizer::ESTIMATE,
        cache: CacheRules::none(),
        replacement: DEFAULT,
        prefer: Prefer::Cost,
        needs: NeedTable::seeded(),
        tools: Tokens::ZERO,
    };
    let mut rehearsal = Rehearsal::new(&conditions, None).unwrap();
    let ask = |rehearsal: &mut Rehearsal, now: u64| {
        let told = rehearsal.tell(aosk_runtime::abi::Timestamp(now)).unwrap();
        assert!(matches!(rehearsal.decide(told).unwrap(), Decision::Asked { .. }));
    };
    for n in 0..3 {
        rehearsal.append(Message::user(result(n)));
    }
    ask(&mut rehearsal, 1);
    rehearsal.answer(Message::assistant("I have read it."), Tokens(900)).unwrap();
    rehearsal.append(Message::user("where?"));
    ask(&mut rehearsal, 2);
    rehearsal.answer(Message::assistant("It is secret_1x in file_1.rs."), Tokens(900)).unwrap();
    rehearsal.append(Message::user("and now?"));
    ask(&mut rehearsal, 3);
    let space = rehearsal.memory().unwrap().space();
    let used = |source| {
        let page = space.pages().find(|(_, page)| page.source == MessageIndex(source));
        page.map(|(_, page)| page.refs)
    };
    assert_eq!([used(0), used(1), used(2)], [Some(0), Some(1), Some(0)]);
}

/// A page that was changed could grow, and the window was overrun.
#[tokio::test]
async fn no_request_is_larger_than_the_window_whatever_comes() {
    let (memory, asked) = (Memory::new(), Asked::default());
    let largest = Arc::<Mutex<u64>>::default();
    let noted = largest.clone();
    let mut scene = scene(&memory, &asked, move |n, request| {
        let mut largest = noted.lock().unwrap();
        *largest = tokens(request).max(*largest);
        // A whole window in one answer, of results that grow.
        match n {
            0..12 => Say::Tools((0..6).map(|_| ("grow", "{}".to_owned())).collect()),
            _ => text("done"),
        }
    });
    let grow = |n: u32| format!("{n}: {}", "more and more of it\n".repeat(1 << (n % 11)));
    scene.tool("grow", Do::Make(grow), |traits| traits.idempotent = true);
    let node = scene.start();
    assert_eq!(run(&node).await.1, ExitStatus::Finished);
    let largest = *largest.lock().unwrap();
    // The window is full, and no fuller.
    assert!((3_000..=3_700).contains(&largest), "{largest}");
    node.shutdown().await.unwrap();
}
