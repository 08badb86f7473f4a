//! How well the pages around a page fit the query: the answer often stands beside the words of the
//! question.

use crate::page::Kept;

use super::Scene;
use super::lexical::{RELATED, WINDOW, ask, own_bm25};

/// Pages on each side that make the window and the wide window.
pub(crate) const NEAR: isize = 1;
pub(crate) const WIDE: isize = 4;

/// Features of a page's neighbours.
pub(crate) struct Near {
    pub(crate) before: f32,
    pub(crate) after: f32,
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
    pub(crate) fn of(scene: &Scene<'_>, place: usize, page: &Kept) -> Self {
        let before = scene.beside(place, -1);
        let after = scene.beside(place, 1);
        let score = |beside: Option<(usize, &Kept)>| {
            beside.map_or(0.0, |(place, page)| own_bm25(scene, place, page) / scene.best.own)
        };
        Near {
            before: score(before),
            after: score(after),
            before_cover: before.map_or(0.0, |(place, _)| soft(scene, place, 0)),
            window: around(scene, place, NEAR) / scene.best.window,
            window_cover: soft(scene, place, NEAR),
            wide: around(scene, place, WIDE) / scene.best.wide,
            wide_cover: soft(scene, place, WIDE),
            answers: before.is_some_and(|(_, other)| other.signs.asks && other.who != page.who),
            opening: before.is_none(),
        }
    }
}

/// BM25 of a page and `reach` neighbours on each side, read as one.
pub(crate) fn around(scene: &Scene<'_>, place: usize, reach: isize) -> f32 {
    let mut counts = [0.0_f32; crate::query::QUERY_TERMS_MAX];
    let mut length = 0.0;
    let mut any = false;
    for step in -reach..=reach {
        let Some((there, page)) = scene.beside(place, step) else { continue };
        length += page.length as f32;
        if scene.matches.exact(there) == 0 {
            continue;
        }
        any = true;
        for (sum, count) in counts.iter_mut().zip(scene.matches.row(there)) {
            *sum += f32::from(*count);
        }
    }
    if !any {
        return 0.0;
    }
    let mean = scene.index.mean_length() * (2 * reach + 1) as f32;
    WINDOW.score(scene.asked, counts.into_iter(), length, mean)
}

/// The share of the query that a page and its neighbours hold together.
fn soft(scene: &Scene<'_>, place: usize, reach: isize) -> f32 {
    let (mut exact, mut related) = (0, 0);
    for step in -reach..=reach {
        if let Some((there, _)) = scene.beside(place, step) {
            exact |= scene.matches.exact(there);
            related |= scene.matches.related(there);
        }
    }
    ask(scene.asked, exact) + RELATED * ask(scene.asked, related & !exact)
}
