//! Plans: what goes, and when.

use proptest::prelude::*;

use super::super::{CutCause, Need, Needs, Page, replacement, rules};
use super::*;

const POLICIES: [&str; 5] = ["priced", "fifo-batch", "lru", "sliding", "summarise"];

fn scene<'a>(policy: &str, window: u64, cache: &str) -> Scene<'a> {
    Scene::new(replacement(policy).unwrap(), window, rules(cache).unwrap())
}

#[test]
fn an_unknown_policy_is_refused_with_the_names_there_are() {
    let error = replacement("lottery").unwrap_err();
    assert!(POLICIES.iter().all(|name| error.hint.contains(name)), "{error:?}");
}

#[test]
fn below_the_watermark_nothing_goes() {
    for policy in ["priced", "fifo-batch", "lru", "summarise"] {
        let mut scene = scene(policy, 10_000, "vllm16");
        for block in 1..8 {
            scene.space.append(page(PageKind::ToolResult, 1_000, block));
            let plan = scene.call();
            assert_eq!((plan.evict.len(), plan.excess), (0, Tokens(0)), "{policy}");
        }
    }
}

#[test]
fn a_cut_is_one_batch_and_has_its_figures() {
    let mut scene = scene("priced", 10_000, "anthropic5m");
    scene.prefer = Prefer::Utilisation;
    let mut cuts = Vec::new();
    for block in 1..60 {
        scene.space.append(page(PageKind::ToolResult, 300, block));
        let plan = scene.call();
        cuts.extend(plan.cut);
        for gone in &plan.evict {
            assert!(gone.tokens > 0 && gone.chance_ppm > 0 && gone.loss > 0, "{gone:?}");
        }
    }
    assert!((2..20).contains(&cuts.len()), "{cuts:?}");
    assert!(cuts.iter().all(|cut| cut.cause == CutCause::Pressure && cut.freed >= Tokens(300)));
}

#[test]
fn what_is_dead_is_cut_out_before_the_window_is_full() {
    let mut scene = scene("priced", 1_000_000, "anthropic5m");
    let mut causes = Vec::new();
    for block in 1..400 {
        scene.space.append(page(PageKind::ToolResult, 600, block));
        causes.extend(scene.call().cut.map(|cut| cut.cause));
    }
    assert!(causes.contains(&CutCause::Price), "{causes:?}");
    assert!(scene.space.total() < Tokens(100_000), "{}", scene.space.total());
}

#[test]
fn where_reading_is_free_nothing_is_cut_early() {
    let mut scene = scene("priced", 1_000_000, "vllm16");
    for block in 1..400 {
        scene.space.append(page(PageKind::ToolResult, 600, block));
        assert_eq!(scene.call().cut, None);
    }
}

#[test]
fn what_is_dear_stays() {
    let mut scene = scene("priced", 10_000, "vllm16");
    scene.prefer = Prefer::Utilisation;
    for block in 1..34 {
        let mut new = page(PageKind::ToolResult, 300, block);
        new.importance = if block == 3 { 1000 } else { 0 };
        scene.space.append(new);
        scene.call();
    }
    assert!(is_at(&scene.space, 3, Residency::Resident));
    assert!(scene.space.pages().any(|(_, page)| page.residency == Residency::Stub));
}

#[test]
fn breakpoints_stand_at_the_end_and_before_the_next_cut() {
    let mut scene = scene("priced", 20_000, "anthropic5m");
    scene.prefer = Prefer::Utilisation;
    let mut most = 0;
    for block in 1..200 {
        scene.space.append(page(PageKind::ToolResult, 300, block));
        let plan = scene.call();
        let last = scene.space.shown().last().map(|one| one.id);
        assert_eq!(plan.breakpoints.last().copied(), last);
        assert!(plan.breakpoints.is_sorted() && plan.breakpoints.len() <= 4, "{plan:?}");
        let shown: Vec<_> = scene.space.shown().map(|one| one.id).collect();
        assert!(plan.breakpoints.iter().all(|page| shown.contains(page)), "{plan:?}");
        most = most.max(plan.breakpoints.len());
    }
    assert!(most >= 2, "no breakpoint was ever spared for a cut");
    let mut plain = self::scene("priced", 20_000, "openai");
    plain.space.append(page(PageKind::User, 300, 1));
    assert_eq!(plain.call().breakpoints, []);
}

#[test]
fn a_page_larger_than_the_window_is_told_of() {
    for policy in POLICIES {
        let mut scene = scene(policy, 1_000, "vllm16");
        scene.space.append(page(PageKind::User, 5_000, 1));
        let plan = scene.plan();
        assert_eq!(plan.evict, [], "{policy}: what the call is about must stay");
        assert_eq!(plan.excess, Tokens(4_100), "{policy}");
    }
}

#[test]
fn pins_that_fill_the_window_are_told_of() {
    for policy in POLICIES {
        let mut scene = scene(policy, 1_000, "vllm16");
        for block in 1..20 {
            let mut pinned = page(PageKind::User, 100, block);
            pinned.pinned = true;
            scene.space.append(pinned);
        }
        let plan = scene.call();
        assert_eq!((plan.evict.len(), plan.excess), (0, Tokens(1_000)), "{policy}");
    }
}

#[test]
fn summarise_asks_for_a_summary_of_all_but_the_newest() {
    let mut scene = scene("summarise", 10_000, "anthropic5m");
    for block in 1..12 {
        scene.space.append(page(PageKind::ToolResult, 900, block));
        let plan = scene.call();
        assert_eq!(plan.summarise.is_some(), block == 11, "{block}");
    }
    assert!(scene.space.page(PageId(1)).unwrap().summary);
}

/// A message: of the model with results, or of a person.
#[derive(Debug, Clone)]
enum Said {
    Person(u32),
    Model { text: u32, results: Vec<u32> },
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        (1..1_500_u32).prop_map(Said::Person),
        ((1..500_u32), proptest::collection::vec(1..1_500_u32, 0..4))
            .prop_map(|(text, results)| Said::Model { text, results }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is said, under every policy: the window is kept, no call is without its results nor a
    /// result without its call, and no prefix changes where it was not said.
    #[test]
    fn plans_hold(
        talk in proptest::collection::vec(said(), 20..120),
        policy in proptest::sample::select(&POLICIES[..]),
        cache in proptest::sample::select(&["anthropic5m", "openai", "vllm16"][..]),
        prefer in proptest::sample::select(&[Prefer::Cost, Prefer::Quality, Prefer::Utilisation][..]),
    ) {
        let mut scene = scene(policy, 12_000, cache);
        scene.prefer = prefer;
        let mut before: Vec<(PageId, u32)> = Vec::new();
        let mut block = 0;
        for (one, group) in talk.into_iter().zip(1..) {
            let mut append = |scene: &mut Scene<'_>, kind, tokens| {
                block += 1;
                let mut new = page(kind, tokens, block);
                new.group = GroupId(group);
                scene.space.append(new);
            };
            match one {
                Said::Person(tokens) => append(&mut scene, PageKind::User, tokens),
                Said::Model { text, results } => {
                    append(&mut scene, PageKind::Assistant, text);
                    for tokens in results {
                        append(&mut scene, PageKind::ToolResult, tokens);
                    }
                }
            }
            let plan = scene.plan();
            scene.space.apply(&plan);
            if let Some(range) = plan.summarise {
                scene.space.summarise(range, 50, None);
            }
            prop_assert!(scene.space.total().0 <= 12_000, "{} {plan:?}", scene.space.total());
            prop_assert_eq!(plan.excess, Tokens(0));
            let now: Vec<_> = scene.space.shown().map(|one| one.identity()).collect();
            let same = scene.space.unchanged().entries;
            prop_assert_eq!(&now[..same], &before[..same]);
            calls_are_answered(&scene.space)?;
            scene.memo.sent(&scene.space, &plan.breakpoints, Timestamp(scene.now));
            scene.space.sent();
            scene.now += 15_000;
            before = now;
        }
    }

    /// In a window without an end, every policy but the sliding one only appends.
    #[test]
    fn without_a_limit_the_log_is_append_only(sizes in proptest::collection::vec(1..3_000_u32, 1..60)) {
        for policy in ["priced", "fifo-batch", "lru", "summarise"] {
            let mut scene = scene(policy, u64::MAX, "vllm16");
            for (tokens, block) in sizes.iter().zip(1..) {
                scene.space.append(page(PageKind::ToolResult, *tokens, block));
                scene.call();
            }
            prop_assert_eq!(shown(&scene.space), shown(&space(&sizes)));
        }
    }
}

/// No result that is resident has a call that is not, and every call that is resident has something
/// in the place of each result before the next message.
fn calls_are_answered(space: &AddressSpace) -> Result<(), TestCaseError> {
    let pages: Vec<_> = space.pages().collect();
    let shown: Vec<_> = space.shown().collect();
    for (id, page) in &pages {
        let is_resident = page.residency == Residency::Resident;
        if page.kind == PageKind::ToolResult && is_resident {
            let call = pages
                .iter()
                .find(|(_, one)| one.group == page.group && one.kind == PageKind::Assistant);
            let call = call.map(|(_, call)| call.residency);
            prop_assert_eq!(call, Some(Residency::Resident), "the call of {:?}", id);
        }
        let results = pages
            .iter()
            .filter(|(_, one)| one.group == page.group && one.kind == PageKind::ToolResult);
        if page.kind == PageKind::Assistant && is_resident && results.count() > 0 {
            let at = shown.iter().position(|one| one.id == *id).unwrap();
            let next = shown.get(at + 1).map(|one| one.page.group);
            prop_assert_eq!(next, Some(page.group), "the results of {:?}", id);
        }
    }
    Ok(())
}

#[test]
fn entries_of_the_cache_live_as_long_as_the_rules_say_and_end_with_a_cut() {
    let mut anchors = super::super::Anchors::default();
    anchors.written(&ids(&[3, 9]), Timestamp(1_000));
    anchors.written(&ids(&[5]), Timestamp(2_000));
    anchors.written(&ids(&[3]), Timestamp(3_000));
    let lifetime = aosk_abi::Millis(1_500);
    let live = |anchors: &super::super::Anchors, now: u64| -> Vec<PageId> {
        anchors.live(lifetime, Timestamp(now)).collect()
    };
    assert_eq!(live(&anchors, 2_500), ids(&[3, 5, 9]));
    assert_eq!(live(&anchors, 3_000), ids(&[3, 5]));
    anchors.expire(Some(PageId(5)), lifetime, Timestamp(3_000));
    assert_eq!(live(&anchors, 3_000), ids(&[3]));
    for page in 0..1_000 {
        anchors.written(&ids(&[page]), Timestamp(4_000 + u64::from(page)));
    }
    assert_eq!(live(&anchors, 5_000).len(), 64);
}

/// A pause longer than the lifetime makes a cut free: all is read anew anyway.
#[test]
fn after_a_pause_what_is_dead_goes() {
    let first_cut = |pause_at: u32| {
        let mut scene = scene("priced", 1_000_000, "anthropic5m");
        (1..1_000).find_map(|block| {
            scene.space.append(page(PageKind::ToolResult, 600, block));
            scene.now += if block == pause_at { 400_000 } else { 0 };
            scene.call().cut.map(|cut| (block, cut.rewritten))
        })
    };
    let (usual, rewritten) = first_cut(0).unwrap();
    assert!(rewritten > Tokens(0));
    assert_eq!(first_cut(usual), Some((usual, Tokens(0))));
}

/// A table of needs that counts how often it is asked.
#[derive(Debug)]
struct Counted<'a> {
    table: &'a NeedTable,
    asked: std::cell::Cell<usize>,
}

impl Needs for Counted<'_> {
    fn need(&self, page: &Page, step: u32, turns: u32) -> Need {
        self.asked.set(self.asked.get() + 1);
        self.table.need(page, step, turns)
    }
}

/// Another system of this kind looked at every page again for each page that left.
#[test]
fn a_batch_leaves_after_one_scan_and_not_one_for_each_page() {
    for prefer in [Prefer::Cost, Prefer::Quality, Prefer::Utilisation] {
        let pages = 2_000_u32;
        let space = space(&vec![100; 2_000]);
        let needs = Counted { table: NeedTable::seeded(), asked: std::cell::Cell::new(0) };
        let situation = Situation {
            space: &space,
            window: Tokens(100 * u64::from(pages) / 2),
            rules: rules("anthropic5m").unwrap(),
            needs: &needs,
            prefer,
            now: Timestamp(0),
        };
        let plan = replacement("priced").unwrap().plan(&situation, &mut Memo::default());
        assert!(plan.evict.len() > 1_000, "{prefer:?}: {}", plan.evict.len());
        // Once to weigh it, and once more to say why it left.
        let most = 2 * usize::try_from(pages).unwrap() + 2;
        let asked = needs.asked.get();
        assert!((2_000..=most).contains(&asked), "{prefer:?}: {asked} times for {pages} pages");
    }
}
