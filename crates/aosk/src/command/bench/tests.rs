//! Tests of what a replay counts, on histories small enough to count by hand.

use std::path::Path;

use aosk::abi::{Error, Message, Timestamp, Tokens, ToolSpec, ToolUse};
use aosk::kernel::memory::{Class, Feature, NeedTable, Prefer, replacement, rules};
use aosk::model::Record;
use aosk::rehearsal::Conditions;

use super::fit::{Oracle, counted, fit};
use super::keeper::{Entry, Keeper, Knowledge, Paged, Planned, STUDY_STUB_TOKENS};
use super::live::Live;
use super::pages::{History, Role, TracePage};
use super::policies::Naive;
use super::provider::{Provider, Request, Sent};
use super::replay::{Account, replay};
use super::rival::Sorted;
use super::talk::{self, histories};
use super::{Bench, parse_figures, table};

/// Entries of these sizes, a block each, with keys that begin at `first`.
fn entries(first: u32, sizes: &[u32]) -> Vec<Sent> {
    let keyed = sizes.iter().zip(first..);
    keyed.map(|(tokens, at)| Sent { key: at.into(), tokens: *tokens, block: at }).collect()
}

/// What a provider says to requests of these entries, ten seconds apart: cached tokens of each.
fn cached(cache: &str, requests: &[Vec<Sent>], breakpoints: &[usize]) -> Vec<u64> {
    let mut provider = Provider::new(rules(cache).unwrap());
    let mut request = Request::default();
    let mut before = 0;
    let mut cached = Vec::new();
    for (entries, at) in requests.iter().zip(0_u32..) {
        request.set(entries.iter().copied());
        provider.call(&request, breakpoints, f64::from(at) * 10.0);
        cached.push(provider.cached.0 - before);
        before = provider.cached.0;
    }
    cached
}

#[test]
fn blocks_are_matched_as_far_as_they_are_the_same() {
    let first = entries(0, &[1000, 500]);
    let longer = entries(0, &[1000, 500, 300]);
    let other = [entries(0, &[1000]), entries(70, &[800])].concat();
    let requests = [first, longer, other];
    assert_eq!(cached("vllm16", &requests, &[]), [0, 1488, 992]);
    // The whole of 1,000 is below the minimum.
    assert_eq!(cached("openai", &requests, &[]), [0, 1408, 0]);
}

/// Another system of this kind took the words that two requests share for what was cached, in whatever
/// order they came.
#[test]
fn the_same_entries_in_another_order_are_no_hit() {
    let first = entries(0, &[1000, 2000, 3000]);
    let [a, b, c] = first[..] else { panic!("three entries") };
    let requests = [first, vec![b, c, a], vec![a, c, b]];
    assert_eq!(cached("vllm16", &requests, &[]), [0, 0, 992]);
    assert_eq!(cached("anthropic5m", &requests, &[0]), [0, 0, 0]);
}

#[test]
fn of_the_same_request_again_the_last_token_is_computed() {
    let same = entries(0, &[1600]);
    assert_eq!(cached("vllm16", &[same.clone(), same], &[]), [0, 1584]);
}

#[test]
fn breakpoints_are_found_where_they_were_written() {
    let first = entries(0, &[2000, 500]);
    let longer = entries(0, &[2000, 500, 300]);
    let cut = [entries(0, &[2000]), entries(70, &[800])].concat();
    let requests = [first, longer, cut];
    // Only the end is marked: after the cut, nothing ends where an entry does.
    assert_eq!(cached("anthropic5m", &requests, &[]), [0, 2500, 0]);
    assert_eq!(cached("anthropic5m", &requests, &[0]), [0, 2500, 2000]);
}

#[test]
fn breakpoints_look_back_twenty_blocks_and_no_further() {
    let long = |more: usize| entries(0, &vec![2000; 1 + more]);
    assert_eq!(cached("anthropic5m", &[long(0), long(20)], &[]), [0, 2000]);
    assert_eq!(cached("anthropic5m", &[long(0), long(21)], &[]), [0, 0]);
}

#[test]
fn entries_expire_and_prices_are_as_listed() {
    let mut provider = Provider::new(rules("anthropic5m").unwrap());
    let mut request = Request::default();
    request.set(entries(0, &[2000]).into_iter());
    provider.call(&request, &[], 0.0);
    assert_eq!(provider.cost, 2000 * 1250);
    provider.call(&request, &[], 300.0);
    assert_eq!(provider.cost, 2000 * 1250 + 2000 * 100);
    provider.call(&request, &[], 601.0);
    assert_eq!(provider.cost, 2 * 2000 * 1250 + 2000 * 100);
}

/// A history of messages: who, tokens, identifiers. All of one task.
fn history(messages: &[(Role, u32, &[u32])]) -> History {
    let pages = messages.iter().zip(1..).map(|((role, tokens, ids), message)| TracePage {
        role: *role,
        tokens: *tokens,
        message,
        task: 0,
        ids: ids.to_vec(),
        time: None,
        group: message,
    });
    History { fixed: 100, pages: pages.collect(), talk: None, counted: None }
}

/// Eight pages of 200 tokens with one identifier each, then one that needs the first.
fn forgetful() -> History {
    let mut messages: Vec<(Role, u32, &[u32])> = Vec::new();
    let ids: [[u32; 1]; 8] = [[0], [1], [2], [3], [4], [5], [6], [7]];
    for id in &ids {
        messages.push((Role::User, 200, id));
        messages.push((Role::Assistant, 10, &[]));
    }
    messages.push((Role::Assistant, 10, &[0, 7]));
    history(&messages)
}

fn naive(history: &History, window: u64) -> Account {
    let vllm = rules("vllm16").unwrap();
    let knowledge = Knowledge::Table(NeedTable::seeded().clone());
    let how = (Tokens(window), vllm, Prefer::Cost);
    let mut keeper = Paged::new(&Naive, how, knowledge, (history.fixed, STUDY_STUB_TOKENS), false);
    replay(history, window, &[vllm], &mut keeper).unwrap()
}

#[test]
fn a_need_that_is_not_resident_is_a_fault() {
    let account = naive(&forgetful(), 1_000);
    assert_eq!((account.needs, account.missed, account.faults), (2, 1, 1));
    // Nine calls, and one that asks.
    assert_eq!((account.requests, account.breaks, account.overruns), (10, 0, 0));
    let account = naive(&forgetful(), 10_000);
    assert_eq!((account.needs, account.missed, account.faults, account.cuts), (2, 0, 0, 0));
}

#[test]
fn a_client_without_a_cache_is_what_is_compared_with() {
    let history = history(&[
        (Role::User, 500, &[]),
        (Role::Assistant, 300, &[]),
        (Role::User, 500, &[]),
        (Role::Assistant, 10, &[]),
    ]);
    // 600 tokens, then 97 of 100 parts of the window.
    assert_eq!(naive(&history, 1_000).plain, 600 + 970);
}

#[test]
fn in_a_window_without_an_end_every_policy_appends() {
    let history = forgetful();
    let vllm = rules("vllm16").unwrap();
    let mut inputs = Vec::new();
    for name in ["priced", "fifo-batch", "lru", "summarise"] {
        let knowledge = Knowledge::Table(NeedTable::seeded().clone());
        let how = (Tokens(1_000_000), vllm, Prefer::Cost);
        let policy = replacement(name).unwrap();
        let mut keeper =
            Paged::new(policy, how, knowledge, (history.fixed, STUDY_STUB_TOKENS), false);
        inputs.push(replay(&history, 1_000_000, &[vllm], &mut keeper).unwrap().providers[0].input);
    }
    let expected: u64 = (1..=8).map(|call| 100 + 210 * call - 10).sum::<u64>() + 100 + 210 * 8;
    assert_eq!(inputs, [Tokens(expected); 4]);
}

#[test]
fn who_knows_the_future_keeps_what_is_needed() {
    let history = forgetful();
    let vllm = rules("vllm16").unwrap();
    let knowledge = Knowledge::Oracle(Box::new(Oracle::of(&history)));
    let how = (Tokens(1_000), vllm, Prefer::Cost);
    let policy = replacement("priced").unwrap();
    let mut keeper = Paged::new(policy, how, knowledge, (history.fixed, STUDY_STUB_TOKENS), false);
    let account = replay(&history, 1_000, &[vllm], &mut keeper).unwrap();
    assert_eq!((account.missed, account.faults), (0, 0));
    assert!(account.cuts > 0);
}

#[test]
fn the_sorted_context_breaks_its_prefix() {
    let mut messages: Vec<(Role, u32, &[u32])> = vec![(Role::User, 2_000, &[]); 1];
    for _ in 0..20 {
        messages.push((Role::User, 300, &[1]));
        messages.push((Role::Assistant, 10, &[1]));
    }
    let history = history(&messages);
    let vllm = rules("vllm16").unwrap();
    let mut keeper = Sorted::new(100_000, history.fixed);
    let sorted = replay(&history, 100_000, &[vllm], &mut keeper).unwrap();
    let appended = naive(&history, 100_000);
    assert!(sorted.hit_rate(0) < appended.hit_rate(0) - 0.3, "{}", sorted.hit_rate(0));
}

#[test]
fn a_table_is_fitted_to_what_was_needed() {
    let text = fit(&[forgetful()]).unwrap().print();
    // Of eight pages of the user two were used: one at the ninth call, one at the second.
    assert!(text.contains("[\"user\",0,0,0,8,2,11]"), "{text}");
}

/// A keeper that says the same as another, but renders its second entry anew at one call.
struct Fickle<K> {
    inner: K,
    calls: u32,
    changes_at: u32,
}

impl<K: Keeper> Keeper for Fickle<K> {
    fn append(&mut self, at: usize, page: &TracePage) -> Result<(), Error> {
        self.inner.append(at, page)
    }

    fn plan(&mut self, now: f64) -> Result<Planned, Error> {
        self.calls += 1;
        self.inner.plan(now)
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = self.inner.entries();
        if self.calls >= self.changes_at
            && let Some(entry) = entries.get_mut(1)
        {
            entry.sent.key = !entry.sent.key;
        }
        entries
    }

    fn breakpoints(&self) -> Vec<usize> {
        self.inner.breakpoints()
    }

    fn unchanged(&self) -> Option<usize> {
        self.inner.unchanged()
    }

    fn sent(&mut self, now: f64) {
        self.inner.sent(now);
    }

    fn touch(&mut self, entry: &Entry) {
        self.inner.touch(entry);
    }

    fn recall(&mut self, pages: &[usize], ids: &[u32]) -> Result<(), Error> {
        self.inner.recall(pages, ids)
    }

    fn ids<'a>(&'a self, history: &'a History, entry: &Entry) -> &'a [u32] {
        self.inner.ids(history, entry)
    }
}

/// Requests of which the second message is another from the fourth on: in a window in which nothing
/// leaves, and in one in which much does.
#[test]
fn a_prefix_that_changes_unsaid_is_a_break() {
    let history = histories(&conversations(&[1], 20), true).remove(0);
    let caches = [rules("vllm16").unwrap()];
    for (window, changes_at, breaks) in [(100_000, 4, 1), (8_000, 4, 1), (8_000, u32::MAX, 0)] {
        let inner = live(&history, window);
        let mut keeper = Fickle { inner, calls: 0, changes_at };
        let account = replay(&history, window, &caches, &mut keeper).unwrap();
        assert_eq!(account.breaks, breaks, "{window} {changes_at}: {account:?}");
        assert_eq!(account.cuts > 0, window == 8_000, "{account:?}");
    }
}

/// Who truncates plans nothing: each of its changes is a break. Who begins a process anew does plan it.
#[test]
fn who_says_nothing_of_changes_breaks_with_each() {
    let history = forgetful();
    let vllm = rules("vllm16").unwrap();
    let knowledge = Knowledge::Table(NeedTable::seeded().clone());
    let how = (Tokens(1_000), vllm, Prefer::Cost);
    let keeper = Paged::new(&Naive, how, knowledge, (history.fixed, STUDY_STUB_TOKENS), false);
    let account = replay(&history, 1_000, &[vllm], &mut keeper.unannounced()).unwrap();
    assert!(account.breaks > 2 && account.breaks == account.cuts, "{account:?}");
    let mut keeper = Sorted::new(1_000, history.fixed);
    assert!(replay(&history, 1_000, &[vllm], &mut keeper).unwrap().breaks > 2);
    let apart = lived(&conversations(&[1, 2, 3], 5), 100_000, true);
    assert_eq!((apart.breaks, apart.cuts), (0, 0));
}

/// The table of the study, by hand: what the user says has one use after eight calls and one after none.
#[test]
fn the_studys_table_is_counted_over_a_history() {
    let table = counted(&forgetful());
    let feature = |idle, refs| Feature { class: Class::User, idle, refs, turns: 0 };
    // Eight pages were new; the first was needed at the ninth call, nine calls with it, and the last
    // at the second call with it.
    let need = table.expect(feature(0, 0));
    assert_eq!((need.chance_ppm, need.gap_16ths), (224_444, (9 + 2) * 16 / 2));
    // Six came to be idle for three calls, and one of them was needed at the sixth call then.
    let need = table.expect(feature(2, 0));
    assert_eq!((need.chance_ppm, need.gap_16ths), (145_714, 6 * 16));
    // Nothing was used four times.
    assert_eq!(table.expect(feature(0, 3)), table.expect(feature(9, 3)));
    assert_eq!(table.expect(feature(0, 3)).chance_ppm, 20_000);
}

/// A table of the other half is taken from beside a trace, and no other.
#[test]
fn a_trace_has_the_table_of_its_other_half() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let trace = write("runA.json", r#"{"static": 1, "pages": [{"r": "u", "n": 9, "g": 0}]}"#);
    let named = |trace: &Path| {
        let found = History::read(trace).unwrap().counted;
        found.map(|(name, table)| {
            let feature = Feature { class: Class::User, idle: 0, refs: 1, turns: 2 };
            (name.split(' ').next().unwrap().to_owned(), table.expect(feature).chance_ppm)
        })
    };
    assert_eq!(named(&trace), None);
    let table = |chance: &str| format!(r#"{{"u,0,1": [{chance}, 3.5]}}"#);
    let tables = [("runA", "0.1"), ("otherB", "0.2"), ("runB", "0.3")];
    let tables = tables.map(|(name, chance)| format!("\"{name}\": {}", table(chance))).join(",");
    write("value_table.json", &format!("{{{tables}}}"));
    assert_eq!(named(&trace), Some(("runB".to_owned(), 300_000)));
    let alone = write("soloA.json", r#"{"static": 1, "pages": [{"r": "u", "n": 9, "g": 0}]}"#);
    assert_eq!(named(&alone), None);
    write("value_table.json", "no table");
    assert_eq!(named(&trace), None);
}

/// A conversation of a task for each of `files`: a long file is read, then so many others, then what the
/// first said is asked for.
fn conversations(files: &[u32], others: u32) -> Vec<Record> {
    let read = |id: String, path: String| Message::Assistant {
        content: None,
        reasoning: None,
        tool_calls: vec![ToolUse { id, name: "read".into(), arguments: path }],
    };
    let record = |file: &u32| {
        let mut messages = vec![Message::system("Answer."), Message::user("Read all files.")];
        for other in 0..=others {
            let id = format!("call-{other}");
            messages.push(read(id.clone(), format!("part_{other}_of_{file}.txt")));
            let line = format!("the key of this one is key_{other}_of_{file} and no other\n");
            messages.push(Message::tool(id, line.repeat(60)));
        }
        messages.push(Message::assistant(format!("It was key_0_of_{file}.")));
        Record { id: file.to_string(), messages, ..Record::default() }
    };
    files.iter().map(record).collect()
}

/// A live process in a window.
fn live(history: &History, window: u64) -> Live<'_> {
    let conditions = Conditions {
        window: Tokens(window),
        count: talk::tokenizer(),
        cache: rules("vllm16").unwrap(),
        replacement: replacement("priced").unwrap(),
        prefer: Prefer::Cost,
        needs: NeedTable::seeded(),
        tools: Tokens::ZERO,
    };
    Live::new(history.talk.as_ref().unwrap(), &conditions, false).unwrap()
}

/// What a live process makes of them in a window.
fn lived(records: &[Record], window: u64, tasks: bool) -> Account {
    let caches = vec![rules("anthropic5m").unwrap(), rules("vllm16").unwrap()];
    let bench = Bench {
        window,
        rules: caches.first().copied(),
        caches,
        prefer: Prefer::Cost,
        table: None,
        tasks,
        stub: STUDY_STUB_TOKENS,
    };
    let histories = histories(records, true);
    bench.account("priced", &histories[0]).unwrap()
}

#[test]
fn a_live_process_appends_while_there_is_room() {
    let account = lived(&conversations(&[1], 10), 100_000, false);
    assert_eq!((account.requests, account.needs, account.missed), (12, 1, 0));
    assert_eq!((account.cuts, account.breaks, account.overruns), (0, 0, 0));
    // Each request begins with the one before it, so nothing is read twice but the ends of blocks, and
    // what stands around messages.
    let (input, cached) = (account.providers[1].input.0, account.providers[1].cached.0);
    let most = account.entered + account.requests * 60;
    assert!(input - cached <= most, "{input} {cached} {most}");
}

/// Two calls further apart than entries of the cache live: nothing is read at the second. Tools that are
/// offered stand before all else in every request, and are read with it.
#[test]
fn pauses_and_tools_of_a_recording_count() {
    let mut record = conversations(&[1], 5).remove(0);
    let asked = |record: &Record| lived(std::slice::from_ref(record), 100_000, false);
    let plain = asked(&record);
    record.times = (0..record.messages.len() as u64)
        .map(|at| Some(Timestamp(at * 10_000 + if at > 6 { 400_000 } else { 0 })))
        .collect();
    let paused = asked(&record);
    assert_eq!(paused.providers[0].input, plain.providers[0].input);
    assert!(paused.providers[0].cached.0 + 2_000 < plain.providers[0].cached.0, "{paused:?}");
    // The other cache forgets nothing.
    assert_eq!(paused.providers[1].cached, plain.providers[1].cached);
    record.tools = vec![ToolSpec {
        name: "read".into(),
        description: "Reads a file, and all of it.".repeat(200),
        parameters: serde_json::json!({}),
    }];
    let offered = asked(&record);
    let tools = talk::tokenizer().of_tools(&record.tools).0;
    let (input, cached) = (offered.providers[1].input.0, offered.providers[1].cached.0);
    assert_eq!(input, plain.providers[1].input.0 + plain.requests * tools);
    let read = cached - plain.providers[1].cached.0;
    let all = (plain.requests - 1) * tools;
    assert!(read <= all + 16 * plain.requests && read + 16 * plain.requests >= all, "{read} {all}");
    assert_eq!((offered.breaks, offered.overruns), (0, 0));
}

#[test]
fn a_live_process_that_misses_a_page_recalls_it() {
    let account = lived(&conversations(&[1], 20), 8_000, false);
    assert_eq!((account.needs, account.missed, account.faults), (1, 1, 1));
    assert_eq!((account.requests, account.breaks, account.overruns), (23, 0, 0));
    assert!(account.cuts > 0 && account.evicted > 10);
}

#[test]
fn a_task_of_a_live_process_begins_with_the_instructions_alone() {
    let records = conversations(&[1, 2, 3], 5);
    let (long, apart) = (lived(&records, 100_000, false), lived(&records, 100_000, true));
    assert_eq!((long.missed, apart.missed, apart.cuts), (0, 0, 0));
    let one = lived(&records[..1], 100_000, true);
    assert_eq!(apart.providers[1].input.0, 3 * one.providers[1].input.0);
    assert!(long.providers[1].input > apart.providers[1].input);
}

#[test]
fn a_question_that_does_not_fit_is_not_asked() {
    let mut records = conversations(&[1], 2);
    records[0].messages.insert(2, Message::assistant("much too long ".repeat(2_000)));
    let account = lived(&records, 2_000, false);
    assert!(account.overruns > 0, "{account:?}");
    assert!(account.requests > 0, "{account:?}");
}

#[test]
fn figures_of_a_policy_are_read_or_refused() {
    assert_eq!(parse_figures("x", "0.97/0.6").unwrap(), [0.97, 0.6]);
    assert_eq!(parse_figures("x", "").unwrap(), Vec::<f64>::new());
    assert!(parse_figures("x", "0.97/inf").is_err());
    let bench = Bench {
        window: 1_000,
        caches: Vec::new(),
        rules: None,
        prefer: Prefer::Cost,
        table: None,
        tasks: false,
        stub: STUDY_STUB_TOKENS,
    };
    let history = forgetful();
    for wrong in
        ["lottery", "naive:1", "cvb", "batch:0.9", "rob:1/2/3", "batch:2/1", "rob:0.9/0.8/-1/0"]
    {
        assert!(bench.account(wrong, &history).is_err(), "{wrong}");
    }
    for right in ["readme", "lru", "priced:0.99/0/100/1", "cvb:0.98/0.88/1e4"] {
        assert!(bench.account(right, &history).is_ok(), "{right}");
    }
    assert!(table::read(Path::new("/nowhere/at-all#x")).is_err());
}
