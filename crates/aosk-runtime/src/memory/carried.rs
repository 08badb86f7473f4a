//! Which page an identifier was last seen in, and so which pages an answer used.
//!
//! An answer that names a path, a number or a rare word that stands in an older page has used that
//! page, as far as can be told from outside. What occurs in very many pages tells nothing, and that a
//! page is named which was idle for long may be chance: the rarer what is named, and the more of it, the
//! longer the page may have been idle. Without that, every task that resembles an old one would keep
//! the old one's pages.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use aosk_abi::{Message, PageId};
use aosk_search::identifier::{identifiers, is_plain};

/// An identifier in more pages than this tells nothing of any of them, and a plain word in more than a
/// few.
const COMMON_PAGES: u32 = 40;
const COMMON_WORD_PAGES: u32 = 6;

/// What a page's only identifier counts as evidence that the page was used, and a plain word. Each page
/// more that it occurs in takes as much from it.
const EVIDENCE: u32 = 1_000;
const WORD_EVIDENCE: u32 = 300;

/// The evidence that it takes for each call that a page was idle.
const IDLE_EVIDENCE: u32 = 100;

/// Identifiers that are remembered of one process.
const REMEMBERED_MAX: usize = 50_000;

/// What a process's pages carry.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// By the hash of an identifier: the newest page with it, and in how many it is.
    newest: HashMap<u64, (PageId, u32)>,
    hasher: BuildHasherDefault<DefaultHasher>,
    /// What older pages carry, where those were read later than the newer ones.
    older: Option<Box<Carried>>,
}

impl Carried {
    /// Notes what a page carries.
    pub(crate) fn add(&mut self, page: PageId, text: &str) {
        if self.newest.len() > REMEMBERED_MAX {
            // What has not been seen for longest goes: half of it, by page.
            let mut pages: Vec<PageId> = self.newest.values().map(|(page, _)| *page).collect();
            let middle = pages.len() / 2;
            let (_, middle, _) = pages.select_nth_unstable(middle);
            let middle = *middle;
            self.newest.retain(|_, (page, _)| *page > middle);
        }
        for identifier in identifiers(text) {
            let hash = self.hasher.hash_one(identifier);
            let seen = self.newest.entry(hash).or_insert((page, 0));
            if seen.0 != page || seen.1 == 0 {
                *seen = (page, seen.1.saturating_add(1));
            }
        }
    }

    /// Puts what older pages carry behind what these do.
    pub(crate) fn put_behind(&mut self, older: Carried) {
        self.older = Some(Box::new(older));
    }

    /// The newest page with an identifier, and in how many it is.
    fn seen(&self, hash: u64) -> Option<(PageId, u32)> {
        let newer = self.newest.get(&hash).copied();
        let older = self.older.as_ref().and_then(|older| older.seen(hash));
        match (newer, older) {
            (Some((page, pages)), Some((_, more))) => Some((page, pages.saturating_add(more))),
            (one, other) => one.or(other),
        }
    }

    /// The pages that an answer used, in order, where `idle` says how many calls ago each was used last.
    pub(crate) fn used_by(&self, answer: &Message, idle: impl Fn(PageId) -> u32) -> Vec<PageId> {
        let mut named = BTreeSet::new();
        let mut evidence: BTreeMap<PageId, u32> = BTreeMap::new();
        let mut note = |text: &str| {
            for identifier in identifiers(text) {
                let hash = self.hasher.hash_one(identifier);
                let (most, counts) = match is_plain(identifier) {
                    true => (COMMON_WORD_PAGES, WORD_EVIDENCE),
                    false => (COMMON_PAGES, EVIDENCE),
                };
                let seen = self.seen(hash).filter(|(_, pages)| *pages <= most);
                let Some((page, pages)) = seen.filter(|_| named.insert(hash)) else { continue };
                let sum = evidence.entry(page).or_default();
                *sum = sum.saturating_add(counts.checked_div(pages).unwrap_or(counts));
            }
        };
        note(&answer.text());
        for call in answer.tool_calls() {
            note(&call.arguments);
        }
        let is_used =
            |(page, sum): &(PageId, u32)| *sum >= idle(*page).saturating_mul(IDLE_EVIDENCE);
        evidence.into_iter().filter(is_used).map(|(page, _)| page).collect()
    }
}

#[cfg(test)]
mod tests {
    use aosk_abi::ToolUse;

    use super::*;

    fn answer(text: &str, arguments: &str) -> Message {
        let call = ToolUse { id: "c".into(), name: "read".into(), arguments: arguments.into() };
        Message::Assistant {
            content: Some(aosk_abi::Content::Text(text.into())),
            reasoning: None,
            tool_calls: vec![call],
        }
    }

    /// No page was idle.
    fn now(_: PageId) -> u32 {
        0
    }

    #[test]
    fn an_answer_uses_the_newest_page_with_what_it_names() {
        let mut carried = Carried::default();
        carried.add(PageId(3), "see src/main.rs and lib/table.rs");
        carried.add(PageId(5), "src/main.rs again");
        let looks = answer("look at src/main.rs", r#"{"path":"lib/table.rs"}"#);
        assert_eq!(carried.used_by(&looks, now), [PageId(3), PageId(5)]);
        assert_eq!(carried.used_by(&answer("nothing of it", "{}"), now), []);
    }

    #[test]
    fn the_longer_a_page_was_idle_the_more_must_speak_for_it() {
        let mut carried = Carried::default();
        carried.add(PageId(1), "lib/table.rs src/main.rs oregano");
        carried.add(PageId(2), "src/main.rs");
        carried.add(PageId(3), "lib/table.rs oregano src/other.rs");
        let idle = |calls: u32| move |_: PageId| calls;
        // A name in two pages, however often it is said.
        let twice = answer("src/main.rs", "src/main.rs");
        assert_eq!(carried.used_by(&twice, idle(5)), [PageId(2)]);
        assert_eq!(carried.used_by(&twice, idle(6)), []);
        // A plain word in two.
        assert_eq!(carried.used_by(&answer("oregano", "{}"), idle(1)), [PageId(3)]);
        assert_eq!(carried.used_by(&answer("oregano", "{}"), idle(2)), []);
        // A name of its own, one in two pages and the word.
        let all = answer("src/other.rs lib/table.rs", "oregano");
        assert_eq!(carried.used_by(&all, idle(16)), [PageId(3)]);
        assert_eq!(carried.used_by(&all, idle(17)), []);
    }

    #[test]
    fn what_is_everywhere_tells_nothing() {
        let mut carried = Carried::default();
        for page in 1..=COMMON_PAGES {
            carried.add(PageId(page), "error_code");
        }
        assert_eq!(carried.used_by(&answer("error_code", "{}"), now), [PageId(COMMON_PAGES)]);
        carried.add(PageId(COMMON_PAGES + 1), "error_code");
        assert_eq!(carried.used_by(&answer("error_code", "{}"), now), []);
    }

    #[test]
    fn older_pages_stand_behind_newer_ones() {
        let (mut carried, mut older) = (Carried::default(), Carried::default());
        carried.add(PageId(9), "src/main.rs");
        for page in 1..COMMON_PAGES {
            older.add(PageId(page), "src/main.rs error_code");
        }
        older.add(PageId(COMMON_PAGES), "lib/table.rs error_code");
        carried.put_behind(older);
        let used = |names: &str| carried.used_by(&answer(names, "{}"), now);
        assert_eq!(used("src/main.rs and lib/table.rs"), [PageId(9), PageId(COMMON_PAGES)]);
        assert_eq!(used("error_code"), [PageId(COMMON_PAGES)]);
        carried.add(PageId(COMMON_PAGES + 1), "error_code");
        assert_eq!(carried.used_by(&answer("error_code", "{}"), now), [], "both are counted");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut carried = Carried::default();
        let text =
            |page: u32| (0..10_000).map(|n| format!("id_{page}_{n}")).collect::<Vec<_>>().join(" ");
        for page in 1..=10 {
            carried.add(PageId(page), &text(page));
            assert!(carried.newest.len() <= REMEMBERED_MAX + 10_000);
        }
        assert_eq!(carried.used_by(&answer("id_10_7", "{}"), now), [PageId(10)]);
        assert_eq!(carried.used_by(&answer("id_1_7", "{}"), now), []);
    }
}
