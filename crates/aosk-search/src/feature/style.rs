//! What kind of sentence answers: people tell of themselves, after they were asked.
//!
//! Only for pages that someone said. The output of a tool is not read for its tone.

use crate::page::Kept;

use super::Scene;
use super::context::Near;

/// Features of how a page is put.
#[derive(Default)]
pub(crate) struct Style {
    pub(crate) asks: f32,
    pub(crate) answers: f32,
    pub(crate) first_person: f32,
    pub(crate) second_person: f32,
    pub(crate) opening: f32,
    pub(crate) quotes: f32,
    pub(crate) time_told: f32,
    pub(crate) name_told: f32,
}

impl Style {
    pub(crate) fn of(scene: &Scene<'_>, page: &Kept, near: &Near) -> Self {
        if page.who.is_none() {
            return Style::default();
        }
        let (signs, expect) = (page.signs, scene.asked.expect);
        let flag = |on: bool| f32::from(u8::from(on));
        let few = |count: u8| f32::from(count.min(3)) / 3.0;
        Style {
            asks: flag(signs.asks),
            answers: flag(near.answers),
            first_person: few(signs.first_person),
            second_person: few(signs.second_person),
            opening: flag(near.opening),
            quotes: flag(signs.quotes),
            time_told: flag(expect.time && !page.mentions.is_empty()),
            name_told: if expect.name { few(signs.names) } else { 0.0 },
        }
    }
}
