//! The chance that a page is needed again: a table by kind, idle time, references and turns.
//!
//! The seeds are counted from recorded runs and are data, `needs.json`; the table goes on counting.
//! Old counts fade, so that it follows a process that works differently.

use std::sync::LazyLock;

use aosk_abi::{Error, ErrorCode};
use serde::{Deserialize, Serialize};

use super::page::{Page, PageKind};

/// The seeds that come along, made with `aosk bench needs`.
const SEEDS: &str = include_str!("needs.json");

/// Kinds of pages that differ in their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// What people, or other processes, said.
    User,
    /// What the model said.
    Assistant,
    /// What tools returned, and what was brought back.
    Tool,
}

/// The largest of what is observed.
const IDLE_MAX: u8 = 10;
const REFS_MAX: u8 = 3;
const TURNS_MAX: u8 = 2;

const CLASSES: usize = 3;
const IDLES: usize = IDLE_MAX as usize + 1;
const REFS: usize = REFS_MAX as usize + 1;
const TURNS: usize = TURNS_MAX as usize + 1;
const CELLS: usize = CLASSES * IDLES * REFS * TURNS;

/// What is observed of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Feature {
    /// Its kind.
    pub class: Class,
    /// The calls since its last use and one, as a power of two, at most 10.
    pub idle: u8,
    /// Times it was used, at most 3.
    pub refs: u8,
    /// Turns of the user since, at most 2.
    pub turns: u8,
}

impl Feature {
    /// Of a page, before call number `step` in turn number `turns`.
    #[must_use]
    pub fn of(page: &Page, step: u32, turns: u32) -> Self {
        let class = match page.kind {
            PageKind::Task | PageKind::User | PageKind::Message => Class::User,
            PageKind::Assistant | PageKind::Summary => Class::Assistant,
            PageKind::ToolResult | PageKind::Recalled | PageKind::System | PageKind::Tools => {
                Class::Tool
            }
        };
        Self {
            class,
            idle: Self::idle(step.saturating_sub(page.last_used)),
            refs: u8::try_from(page.refs.min(3)).unwrap_or(3),
            turns: u8::try_from(turns.saturating_sub(page.turn).min(2)).unwrap_or(2),
        }
    }

    /// The bucket of so many calls without use.
    #[must_use]
    pub fn idle(calls: u32) -> u8 {
        u8::try_from(calls.saturating_add(1).ilog2().min(10)).unwrap_or(10)
    }

    fn at(self) -> usize {
        let class = match self.class {
            Class::User => 0,
            Class::Assistant => 1,
            Class::Tool => 2,
        };
        let idle = usize::from(self.idle.min(IDLE_MAX));
        let refs = usize::from(self.refs.min(REFS_MAX));
        let turns = usize::from(self.turns.min(TURNS_MAX));
        ((class * IDLES + idle) * REFS + refs) * TURNS + turns
    }
}

/// What is expected of a page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The chance that it is needed again, in millionths.
    pub chance_ppm: u32,
    /// The calls until then, if it is, in sixteenths.
    pub gap_16ths: u32,
}

/// What is known of the future of pages.
pub trait Needs: std::fmt::Debug {
    /// What is expected of a page, before call number `step` in turn number `turns`.
    fn need(&self, page: &Page, step: u32, turns: u32) -> Need;
}

/// What was counted for pages with one feature, in 256ths.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cell {
    seen: u32,
    needed: u32,
    /// Calls until they were needed, summed.
    gap: u32,
}

/// One count.
const ONE: u32 = 256;

/// Counts beyond which a cell is halved: about so many pages are remembered.
const SEEN_MAX: u32 = 400 * ONE;

/// Counts that seeds bring at most, so that what a process shows itself soon weighs more.
const SEED_MAX: u32 = 100;

/// What a cell that has seen nothing says: one in fifty, after twenty calls.
const PRIOR: Need = Need { chance_ppm: 20_000, gap_16ths: 320 };

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedTable {
    cells: Vec<Cell>,
    /// What each cell comes to.
    needs: Vec<Need>,
    /// Counts beyond which a cell is halved; none if it does not count.
    most: Option<u32>,
}

/// A cell as data: class, idle, refs and turns; pages that had this feature, those of them that were
/// needed again, and the calls until then, summed.
type Line = (Class, u8, u8, u8, u32, u32, u32);

impl NeedTable {
    /// A table that has seen nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            cells: vec![Cell::default(); CELLS],
            needs: vec![PRIOR; CELLS],
            most: Some(SEEN_MAX),
        }
    }

    /// A table that has seen nothing and forgets nothing, to be fitted to recorded runs.
    #[must_use]
    pub fn unfitted() -> Self {
        Self { most: Some(u32::MAX), ..Self::empty() }
    }

    /// The table that comes along.
    #[must_use]
    pub fn seeded() -> &'static Self {
        static SEEDED: LazyLock<NeedTable> =
            LazyLock::new(|| NeedTable::parse(SEEDS).unwrap_or_else(|_| NeedTable::empty()));
        &SEEDED
    }

    /// Reads a table.
    ///
    /// # Errors
    /// If the text is no table, or one that says nothing, or what cannot be.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::new(ErrorCode::ConfigInvalid, format!("reading a table of needs: {what}"))
                .hint("make one from recorded runs with `aosk bench needs`")
        };
        let lines: Vec<Line> =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if lines.is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        let mut table = Self::empty();
        let mut known = vec![false; CELLS];
        for (number, line) in (1_u32..).zip(lines) {
            let (class, idle, refs, turns, seen, needed, gap) = line;
            let feature = Feature { class, idle, refs, turns };
            let most = [
                ("idle", u32::from(idle), IDLE_MAX.into()),
                ("refs", u32::from(refs), REFS_MAX.into()),
                ("turns", u32::from(turns), TURNS_MAX.into()),
                ("needed", needed, seen),
            ];
            if let Some((what, is, most)) = most.iter().find(|(_, is, most)| is > most) {
                return Err(wrong(format!("entry {number}: {what} is {is}, and at most {most}")));
            }
            if known.get_mut(feature.at()).is_some_and(|known| std::mem::replace(known, true)) {
                return Err(wrong(format!("entry {number} says again what another has said")));
            }
            // Larger counts keep their ratio and their limit.
            let scale = u64::from(seen.div_ceil(SEED_MAX).max(1));
            let fixed = |count: u32| {
                let scaled = u64::from(count).saturating_mul(u64::from(ONE)) / scale;
                u32::try_from(scaled).unwrap_or(u32::MAX)
            };
            table.change(feature, |cell| {
                *cell = Cell { seen: fixed(seen), needed: fixed(needed), gap: fixed(gap) };
            });
        }
        Ok(table)
    }

    /// The table as data, with a line for every cell that has seen anything.
    #[must_use]
    pub fn print(&self) -> String {
        let mut lines = Vec::new();
        for feature in Self::features() {
            let cell = self.cell(feature);
            if cell.seen == 0 {
                continue;
            }
            let [seen, needed, gap] = [cell.seen, cell.needed, cell.gap].map(|one| one / ONE);
            let Feature { class, idle, refs, turns } = feature;
            let line: Line = (class, idle, refs, turns, seen, needed, gap);
            lines.push(serde_json::to_string(&line).unwrap_or_default());
        }
        format!("[\n{}\n]\n", lines.join(",\n"))
    }

    /// Every feature there is.
    pub fn features() -> impl Iterator<Item = Feature> {
        let classes = [Class::User, Class::Assistant, Class::Tool];
        classes.into_iter().flat_map(|class| {
            (0..11_u8).flat_map(move |idle| {
                (0..4_u8).flat_map(move |refs| {
                    (0..3_u8).map(move |turns| Feature { class, idle, refs, turns })
                })
            })
        })
    }

    /// Sets what is expected of one feature, and stops counting.
    pub fn fix(&mut self, feature: Feature, need: Need) {
        self.most = None;
        if let Some(fixed) = self.needs.get_mut(feature.at()) {
            *fixed = need;
        }
    }

    /// Counts a page that has come to have a feature.
    pub fn seen(&mut self, feature: Feature) {
        let Some(most) = self.most else { return };
        self.change(feature, |cell| {
            cell.seen = cell.seen.saturating_add(ONE);
            if cell.seen > most {
                *cell = Cell { seen: cell.seen / 2, needed: cell.needed / 2, gap: cell.gap / 2 };
            }
        });
    }

    /// Counts that a page that had a feature was needed so many calls later.
    pub fn needed(&mut self, feature: Feature, gap: u32) {
        if self.most.is_none() {
            return;
        }
        self.change(feature, |cell| {
            cell.needed = cell.needed.saturating_add(ONE).min(cell.seen);
            cell.gap = cell.gap.saturating_add(gap.saturating_mul(ONE));
        });
    }

    /// What is expected of pages with a feature.
    #[must_use]
    pub fn expect(&self, feature: Feature) -> Need {
        self.needs.get(feature.at()).copied().unwrap_or(PRIOR)
    }

    fn change(&mut self, feature: Feature, how: impl FnOnce(&mut Cell)) {
        let at = feature.at();
        let (Some(cell), Some(need)) = (self.cells.get_mut(at), self.needs.get_mut(at)) else {
            return;
        };
        how(cell);
        let (seen, needed) = (u64::from(cell.seen), u64::from(cell.needed));
        // As if one page more had been seen, and a fiftieth of it needed.
        let one = u64::from(ONE);
        let chance = (needed * 1_000_000 + one * u64::from(PRIOR.chance_ppm)) / (seen + one);
        let gap = (u64::from(cell.gap) * 16).checked_div(needed);
        *need = Need {
            chance_ppm: u32::try_from(chance).unwrap_or(u32::MAX),
            gap_16ths: gap.and_then(|gap| u32::try_from(gap).ok()).unwrap_or(PRIOR.gap_16ths),
        };
    }

    fn cell(&self, feature: Feature) -> Cell {
        self.cells.get(feature.at()).copied().unwrap_or_default()
    }
}

impl Needs for NeedTable {
    fn need(&self, page: &Page, step: u32, turns: u32) -> Need {
        self.expect(Feature::of(page, step, turns))
    }
}
