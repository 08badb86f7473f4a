//! How well the pages around a page fit the query: the answer often stands beside the words of the
//! question.

use std::ops::Range;

use crate::matches::bits;
use crate::page::Kept;
use crate::query::QUERY_TERMS_MAX;

use super::lexical::{RELATED, WINDOW, ask, ask_related, bm25};
use super::{Plain, Scene};

/// How far the neighbourhood of a page goes on each side: pages of a conversation are read with
/// those around them, long pages by themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pages: usize,
    terms: u32,
}

pub(crate) const NEAR: Reach = Reach { pages: 1, terms: 60 };
pub(crate) const WIDE: Reach = Reach { pages: 4, terms: 120 };

impl Reach {
    /// The places of the neighbourhood.
    fn around(self, scene: &Scene<'_>, place: usize) -> Range<usize> {
        let step = |back: bool| {
            let mut terms = 0;
            let mut there = place;
            for _ in 0..self.pages {
                let Some((next, page)) = scene.beside(there, if back { -1 } else { 1 }) else {
                    break;
                };
                terms += page.length;
                if terms > self.terms {
                    break;
                }
                there = next;
            }
            there
        };
        step(true)..step(false) + 1
    }
}

/// Features of a page's neighbours.
pub(crate) struct Near {
    pub(crate) before: f32,
    pub(crate) before_cover: f32,
    pub(crate) window: f32,
    pub(crate) window_cover: f32,
    pub(crate) wide: f32,
    pub(crate) wide_cover: f32,
    /// The page before it, by someone else, ends with a question.
    pub(crate) answers: bool,
    /// It is the first of its group.
    pub(crate) opening: bool,
}

impl Near {
    pub(crate) fn of(scene: &Scene<'_>, place: usize, page: &Kept, plain: Plain) -> Self {
        let before = scene.beside(place, -1);
        Near {
            before: before.map_or(0.0, |(place, _)| bm25(scene, place) / scene.best.own),
            before_cover: before.map_or(0.0, |(place, _)| soft(scene, place..place + 1)),
            window: plain.window / scene.best.window,
            window_cover: soft(scene, NEAR.around(scene, place)),
            wide: plain.wide / scene.best.wide,
            wide_cover: soft(scene, WIDE.around(scene, place)),
            answers: before.is_some_and(|(_, other)| other.signs.asks && other.who != page.who),
            opening: before.is_none(),
        }
    }
}

/// BM25 of a page with its neighbourhood, read as one.
pub(crate) fn around(scene: &Scene<'_>, place: usize, reach: Reach) -> f32 {
    let places = reach.around(scene, place);
    let pages = places.len() as f32;
    let mut counts = [0_u16; QUERY_TERMS_MAX];
    let mut length = 0.0;
    let mut mask = 0;
    for there in places {
        length += scene.index.at(there).map_or(0.0, |page| page.length as f32);
        let (held, row) = (scene.matches.exact(there), scene.matches.row(there));
        mask |= held;
        for at in bits(held) {
            if let (Some(sum), Some(count)) = (counts.get_mut(at), row.get(at)) {
                *sum = sum.saturating_add(*count);
            }
        }
    }
    WINDOW.score(scene.asked, mask, &counts, length, scene.index.mean_length() * pages)
}

/// The share of the query that the pages at `places` hold together.
fn soft(scene: &Scene<'_>, places: Range<usize>) -> f32 {
    let (mut exact, mut related) = (0, 0);
    for there in places {
        exact |= scene.matches.exact(there);
        related |= scene.matches.related(there);
    }
    ask(scene.asked, exact) + RELATED * ask_related(scene.asked, exact, related)
}
