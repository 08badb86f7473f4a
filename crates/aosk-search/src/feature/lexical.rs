//! How well a page's own words fit the query.

use crate::matches::bits;
use crate::page::Kept;
use crate::query::{Asked, QUERY_TERMS_MAX};

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
    /// The score of a text that holds the terms of `mask`, each as often as `counts` says.
    pub(crate) fn score(
        self,
        asked: &Asked<'_>,
        mask: u64,
        counts: &[u16],
        length: f32,
        mean: f32,
    ) -> f32 {
        let rest = self.saturation * (1.0 - self.length + self.length * length / mean);
        let terms = bits(mask).filter_map(|at| Some((asked.columns.get(at)?, counts.get(at)?)));
        terms
            .map(|(column, count)| {
                let count = f32::from(*count);
                column.rarity * count * (self.saturation + 1.0) / (count + rest)
            })
            .sum()
    }
}

/// The weight of the terms in a mask, as a share of the query's.
pub(crate) fn ask(asked: &Asked<'_>, mask: u64) -> f32 {
    let terms = bits(mask).filter_map(|at| asked.columns.get(at));
    terms.map(|column| column.rarity).sum::<f32>() / asked.weight
}

/// The weight of the terms of which only a related one is held, as a share of the query's.
pub(crate) fn ask_related(asked: &Asked<'_>, exact: u64, related: u64) -> f32 {
    let terms = bits(related & !exact).filter_map(|at| asked.columns.get(at));
    terms.map(|column| column.related_rarity).sum::<f32>() / asked.weight
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

/// In windows a related term counts for so much of the term itself. Conversations that were left out
/// of the fit had a little more found at 0.8 than at 0.5 and 0.3.
pub(crate) const RELATED: f32 = 0.8;

impl Own {
    pub(crate) fn of(scene: &Scene<'_>, place: usize, page: &Kept, score: f32) -> Self {
        let asked = scene.asked;
        let (exact, related) = (scene.matches.exact(place), scene.matches.related(place));
        let cover = ask(asked, exact);
        Own {
            bm25: score / scene.best.own,
            bm25_share: score / asked.weight / (OWN.saturation + 1.0),
            cover,
            cover_related: ask_related(asked, exact, related),
            rarest: rarest(asked, exact) / asked.rarest,
            pairs: pairs(scene, page, exact),
            exact_names: ask(asked, exact & asked.exact_names),
            length: ((1.0 + page.length as f32) / (1.0 + scene.index.mean_length()))
                .ln()
                .clamp(-1.5, 1.0),
            substance: substance(scene, page),
        }
    }
}

/// BM25 of one page.
pub(crate) fn bm25(scene: &Scene<'_>, place: usize) -> f32 {
    let mask = scene.matches.exact(place);
    let Some(page) = scene.index.at(place).filter(|_| mask != 0) else { return 0.0 };
    let counts = scene.matches.row(place);
    OWN.score(scene.asked, mask, counts, page.length as f32, scene.index.mean_length())
}

/// The rarity of the rarest term of the query that the page holds.
fn rarest(asked: &Asked<'_>, mask: u64) -> f32 {
    let held = bits(mask).filter_map(|at| asked.columns.get(at));
    held.map(|column| column.rarity).fold(0.0, f32::max)
}

/// Terms that stand beside each other in the query and within this many places in the page.
const PAIR_DISTANCE: usize = 3;

/// The weight of neighbouring terms of the query that are neighbours in the page too, as a share.
fn pairs(scene: &Scene<'_>, page: &Kept, exact: u64) -> f32 {
    let asked = scene.asked;
    let weight = |(a, b): &(usize, usize)| {
        let rarity = |at: usize| asked.columns.get(at).map_or(0.0, |column| column.rarity);
        rarity(*a) + rarity(*b)
    };
    let both = |(a, b): &(usize, usize)| exact >> a & exact >> b & 1 == 1;
    if !asked.pairs.iter().any(both) {
        return 0.0;
    }
    let close = close_columns(scene, page);
    let held = asked.pairs.iter().filter(|(a, b)| close.get(*a).is_some_and(|to| to >> b & 1 == 1));
    let all: f32 = asked.pairs.iter().map(weight).sum();
    held.map(weight).sum::<f32>() / all.max(0.01)
}

/// For each column a bit for every column of a larger number that stands close to it in the page.
fn close_columns(scene: &Scene<'_>, page: &Kept) -> [u64; QUERY_TERMS_MAX] {
    let mut close = [0_u64; QUERY_TERMS_MAX];
    let mut before = [None; PAIR_DISTANCE];
    for (at, term) in page.sequence.iter().enumerate() {
        let column = scene.matches.column_of(*term);
        for (one, other) in before.iter().flatten().map(|other: &usize| (column, *other)) {
            let Some(one) = one else { break };
            if let Some(mask) = close.get_mut(one.min(other)) {
                *mask |= 1 << one.max(other);
            }
        }
        if let Some(place) = before.get_mut(at % PAIR_DISTANCE) {
            *place = column;
        }
    }
    close
}

/// A page that tells more than this tells enough.
const SUBSTANCE_MAX: f32 = 147.0;

/// How much a page tells at all: the rarity of what it holds. Greetings have little.
fn substance(scene: &Scene<'_>, page: &Kept) -> f32 {
    let mut all = 0.0;
    for (term, _) in &page.counts {
        all += scene.rarity(scene.index.postings(*term).len());
        if all > SUBSTANCE_MAX {
            break;
        }
    }
    (1.0 + all.min(SUBSTANCE_MAX)).ln() / 5.0
}
