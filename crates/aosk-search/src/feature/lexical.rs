//! How well a page's own words fit the query.

use crate::analyse::Kind;
use crate::page::{GAP, Kept};
use crate::query::Asked;

use super::Scene;

/// The weighting of occurrences: how soon more of the same stops to count, and how much longer
/// pages are held back. Pages are short and of one speaker, so length counts for little.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bm25 {
    pub(crate) saturation: f32,
    pub(crate) length: f32,
}

/// For one page, and for several read as one.
pub(crate) const OWN: Bm25 = Bm25 { saturation: 1.2, length: 0.5 };
pub(crate) const WINDOW: Bm25 = Bm25 { saturation: 1.2, length: 0.75 };

impl Bm25 {
    /// The score of a text in which the query's terms occur `counts` times.
    pub(crate) fn score(
        self,
        asked: &Asked<'_>,
        counts: impl Iterator<Item = f32>,
        length: f32,
        mean: f32,
    ) -> f32 {
        let rest = self.saturation * (1.0 - self.length + self.length * length / mean);
        let terms = asked.columns.iter().zip(counts).filter(|(_, count)| *count > 0.0);
        terms
            .map(|(column, count)| column.rarity * count * (self.saturation + 1.0) / (count + rest))
            .sum()
    }
}

/// The weight of the terms in a mask, as a share of the query's.
pub(crate) fn ask(asked: &Asked<'_>, mask: u64) -> f32 {
    let terms = asked.columns.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
    terms.map(|(_, column)| column.rarity).sum::<f32>() / asked.weight
}

/// The weight of the terms that are held, exactly or by a related one, as a share of the query's.
pub(crate) fn ask_related(asked: &Asked<'_>, exact: u64, related: u64) -> f32 {
    let related = related & !exact;
    let terms = asked.columns.iter().enumerate().filter(|(at, _)| related >> at & 1 == 1);
    terms.map(|(_, column)| column.related_rarity).sum::<f32>() / asked.weight
}

/// Features of a page by itself.
pub(crate) struct Own {
    pub(crate) bm25: f32,
    pub(crate) bm25_share: f32,
    pub(crate) cover: f32,
    pub(crate) cover_related: f32,
    pub(crate) rarest: f32,
    pub(crate) pairs: f32,
    pub(crate) exact_names: f32,
    pub(crate) length: f32,
    pub(crate) substance: f32,
}

/// A related term counts for so much of the term itself.
pub(crate) const RELATED: f32 = 0.5;

impl Own {
    pub(crate) fn of(scene: &Scene<'_>, place: usize, page: &Kept) -> Self {
        let asked = scene.asked;
        let (exact, related) = (scene.matches.exact(place), scene.matches.related(place));
        let score = bm25(scene, place);
        let cover = ask(asked, exact);
        Own {
            bm25: score / scene.best.own,
            bm25_share: score / asked.weight / (OWN.saturation + 1.0),
            cover,
            cover_related: ask_related(asked, exact, related),
            rarest: rarest(asked, exact),
            pairs: pairs(asked, page, exact),
            exact_names: exact_names(asked, exact),
            length: ((1.0 + page.length as f32) / (1.0 + scene.index.mean_length()))
                .ln()
                .clamp(-1.5, 1.0),
            substance: substance(scene, page),
        }
    }
}

/// BM25 of one page.
pub(crate) fn bm25(scene: &Scene<'_>, place: usize) -> f32 {
    let Some(page) = scene.index.at(place) else { return 0.0 };
    if scene.matches.exact(place) == 0 {
        return 0.0;
    }
    let counts = scene.matches.row(place).iter().map(|count| f32::from(*count));
    OWN.score(scene.asked, counts, page.length as f32, scene.index.mean_length())
}

/// The rarest term of the query that the page holds, against the rarest there is.
fn rarest(asked: &Asked<'_>, mask: u64) -> f32 {
    let top = |any: bool| {
        let held = asked
            .columns
            .iter()
            .enumerate()
            .filter(|(at, column)| column.term.is_some() && (any || mask >> at & 1 == 1));
        held.map(|(_, column)| column.rarity).fold(0.0, f32::max)
    };
    top(false) / top(true).max(0.01)
}

/// Numbers and whole names of machines: who asks for one means exactly that.
fn exact_names(asked: &Asked<'_>, mask: u64) -> f32 {
    let held = asked.columns.iter().enumerate().filter(|(at, column)| {
        mask >> at & 1 == 1 && matches!(column.kind, Kind::Number | Kind::Whole)
    });
    held.map(|(_, column)| column.rarity).sum::<f32>() / asked.weight
}

/// Terms that follow each other in the query and stand within this many places in the page.
const PAIR_DISTANCE: usize = 3;

/// The weight of neighbouring terms of the query that are neighbours in the page too, as a share.
fn pairs(asked: &Asked<'_>, page: &Kept, exact: u64) -> f32 {
    let (mut all, mut held) = (0.01, 0.0);
    for (a, b) in &asked.pairs {
        let (Some(first), Some(second)) = (asked.columns.get(*a), asked.columns.get(*b)) else {
            continue;
        };
        let weight = first.rarity + second.rarity;
        all += weight;
        let (Some(one), Some(other)) = (first.term, second.term) else { continue };
        if exact >> a & 1 == 1 && exact >> b & 1 == 1 && stand_close(&page.sequence, one, other) {
            held += weight;
        }
    }
    held / all
}

fn stand_close(sequence: &[u32], one: u32, other: u32) -> bool {
    let (mut last_one, mut last_other) = (None::<usize>, None::<usize>);
    for (at, term) in sequence.iter().enumerate() {
        if *term == GAP {
            continue;
        }
        if *term == one {
            last_one = Some(at);
        }
        if *term == other {
            last_other = Some(at);
        }
        if let (Some(a), Some(b)) = (last_one, last_other)
            && a.abs_diff(b) <= PAIR_DISTANCE
        {
            return true;
        }
    }
    false
}

/// How much a page tells at all: the rarity of what it holds. Greetings have little.
fn substance(scene: &Scene<'_>, page: &Kept) -> f32 {
    let rarity = |term: u32| scene.index.rarity(scene.index.postings(term).len());
    let all: f32 = page.counts.iter().take(200).map(|(term, _)| rarity(*term)).sum();
    (1.0 + all).ln().min(5.0) / 5.0
}
