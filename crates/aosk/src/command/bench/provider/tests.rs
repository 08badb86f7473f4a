//! The rules of Anthropic's prefix cache held against usage that its API counted, and the kernel's own
//! breakpoints against those that were set there.
//!
//! A recording tells, for each request, its blocks, where breakpoints stood, when it was sent, and what
//! was read and written. How many tokens one block has it does not tell: what a request adds is spread
//! over its new blocks by their characters, so that the prefix before the last breakpoint is as long as
//! was counted. How much of that is read and how much is written is what must come out.
//!
//! In none of them does an entry lie unused for five minutes, or a turn add more than twenty blocks.

mod recorded;

use aosk::abi::{Millis, Tokens};
use aosk::kernel::memory::{CacheRules, Matching, NeedTable, Prefer, replacement, rules};

use super::super::keeper::{Keeper, Knowledge, Paged};
use super::super::pages::{Role, TracePage};
use super::{Provider, Request, Sent};
use recorded::{RECORDINGS, Recording};

/// Predicted tokens may be so many thousandths of the counted ones off: where a prefix that is read
/// ends within what one request wrote, its length is known by characters only.
const TOLERANCE: u64 = 20;

/// Characters that a block takes for what stands around its text.
const FRAME: u64 = 20;

/// A window that none of the recordings fills.
const WINDOW: Tokens = Tokens(1_000_000);

fn anthropic() -> &'static CacheRules {
    rules("anthropic5m").unwrap()
}

/// The requests of a recording.
fn requests(recording: &Recording) -> Vec<Vec<Sent>> {
    let mut tokens: Vec<Option<u64>> = vec![None; recording.characters.len()];
    let mut requests = Vec::new();
    for call in recording.calls {
        let blocks: Vec<usize> = call.blocks.iter().flat_map(|&(from, to)| from..=to).collect();
        let known: u64 = blocks.iter().filter_map(|at| tokens[*at]).sum();
        let mut left = call.marked().checked_sub(known).expect("what was sent before is in it");
        let weight = |at: usize| recording.characters[at] + FRAME;
        let new: Vec<usize> = blocks.iter().copied().filter(|at| tokens[*at].is_none()).collect();
        let mut weights: u64 = new.iter().map(|at| weight(*at)).sum();
        for at in new {
            let share = left * weight(at) / weights;
            weights -= weight(at);
            left -= share;
            tokens[at] = Some(share);
        }
        let sent = blocks.iter().map(|at| Sent {
            key: *at as u64,
            tokens: tokens[*at].unwrap().try_into().unwrap(),
            block: (*at).try_into().unwrap(),
        });
        requests.push(sent.collect());
    }
    requests
}

/// The place in a request of a block.
fn place(request: &[Sent], block: usize) -> usize {
    request.iter().position(|sent| sent.key == block as u64).unwrap()
}

/// What is predicted under some rules for the breakpoints that were set: read and written.
fn predicted(recording: &Recording, rules: &'static CacheRules) -> Vec<(u64, u64)> {
    let mut provider = Provider::new(rules);
    let mut request = Request::default();
    let answers = recording.calls.iter().zip(requests(recording)).map(|(call, sent)| {
        let marks: Vec<usize> = call.marks.iter().map(|mark| place(&sent, *mark)).collect();
        request.set(sent.into_iter());
        provider.call(&request, &marks, call.second)
    });
    answers.collect()
}

/// Where the rules predict other than was counted.
fn wrong(rules: &'static CacheRules) -> Vec<String> {
    let mut wrong = Vec::new();
    for recording in &RECORDINGS {
        for (call, (read, written)) in recording.calls.iter().zip(predicted(recording, rules)) {
            // What is off in the one is off in the other.
            let slack = call.read * TOLERANCE / 1_000;
            let is_near = |one: u64, other: u64| one.abs_diff(other) <= slack;
            if !is_near(read, call.read) || !is_near(written, call.written) {
                let source = recording.source;
                wrong.push(format!("{source}: {read} read, {written} written: {call:?}"));
            }
        }
    }
    wrong
}

#[test]
fn what_anthropic_counted_is_what_the_rules_predict() {
    assert_eq!(wrong(anthropic()), Vec::<String>::new());
}

#[test]
fn what_anthropic_counted_is_not_what_other_rules_predict() {
    let ours = *anthropic();
    let breakpoints = |max, look_back| Matching::Breakpoints { max, look_back };
    let others = [
        ("shorter prefixes", CacheRules { minimum: 512, ..ours }),
        ("longer prefixes only", CacheRules { minimum: 2_048, ..ours }),
        ("not for long", CacheRules { lifetime: Millis(30_000), ..ours }),
        ("only at the same place", CacheRules { matching: breakpoints(4, 0), ..ours }),
        ("only the last breakpoint", CacheRules { matching: breakpoints(1, 20), ..ours }),
        (
            "wherever it is the same",
            CacheRules { matching: Matching::Blocks { tokens: 1 }, ..ours },
        ),
    ];
    for (what, rules) in others {
        assert_ne!(wrong(Box::leak(Box::new(rules))), Vec::<String>::new(), "{what}");
    }
}

/// What a request under the kernel's own breakpoints would have read, for each call.
fn read_with_ours(recording: &Recording) -> Vec<u64> {
    let mut provider = Provider::new(anthropic());
    let mut reads = Vec::new();
    let mut kept: Option<(usize, Paged<'static>, usize)> = None;
    for (call, sent) in recording.calls.iter().zip(requests(recording)) {
        let fixed = place(&sent, call.fixed) + 1;
        let (mut paged, had) = match kept.take() {
            Some((conversation, paged, had)) if conversation == call.conversation => (paged, had),
            _ => {
                let tokens: u32 = sent.iter().take(fixed).map(|one| one.tokens).sum();
                let knowledge = Knowledge::Table(NeedTable::seeded().clone());
                let how = (WINDOW, anthropic(), Prefer::Cost);
                let policy = replacement("priced").unwrap();
                (Paged::new(policy, how, knowledge, (tokens, 20), false), fixed)
            }
        };
        for (at, one) in sent.iter().enumerate().skip(had) {
            let block = u32::try_from(at).unwrap();
            let page = TracePage {
                role: Role::User,
                tokens: one.tokens,
                message: block,
                task: 0,
                ids: Vec::new(),
                time: None,
                group: block,
            };
            paged.append(at - fixed, &page).expect("it is taken in");
        }
        assert!(!paged.plan(call.second).expect("it fits").cut, "{}: {call:?}", recording.source);
        // The static part is one entry of the page table.
        let marks: Vec<usize> = paged.breakpoints().iter().map(|at| at + fixed - 1).collect();
        assert_eq!(marks.last(), Some(&(sent.len() - 1)), "one stands at the end");
        paged.sent(call.second);
        let mut request = Request::default();
        let had = sent.len();
        request.set(sent.into_iter());
        reads.push(provider.call(&request, &marks, call.second).0);
        kept = Some((call.conversation, paged, had));
    }
    reads
}

#[test]
fn our_breakpoints_read_no_less_than_those_that_were_set() {
    for recording in &RECORDINGS {
        let theirs = predicted(recording, anthropic());
        for (at, (ours, (theirs, _))) in read_with_ours(recording).iter().zip(theirs).enumerate() {
            assert!(*ours >= theirs, "{}, call {at}: {ours} of {theirs}", recording.source);
        }
    }
}
