//! How well what is known of a page fits the query: who, when, how recent.

use crate::date::{Mention, Span};
use crate::page::Kept;

use super::Scene;

/// Features of a page's facts.
pub(crate) struct Facts {
    pub(crate) speaker: f32,
    pub(crate) day: f32,
    pub(crate) mentioned: f32,
    pub(crate) late: f32,
}

impl Facts {
    pub(crate) fn of(scene: &Scene<'_>, place: usize, page: &Kept) -> Self {
        let named = &scene.asked.speakers;
        let same = page.who.as_ref().is_some_and(|who| named.contains(who));
        let flag = |on: bool| f32::from(u8::from(on));
        let own_day = page.when.map(Span::day);
        let day = scene
            .asked
            .mentions
            .iter()
            .map(|wanted| own_day.map_or(0.0, |day| closeness(wanted, Mention::Span(day))));
        let mentioned = scene
            .asked
            .mentions
            .iter()
            .flat_map(|wanted| page.mentions.iter().map(move |told| closeness(wanted, *told)));
        Facts {
            speaker: flag(same),
            day: day.fold(0.0, f32::max),
            mentioned: mentioned.fold(0.0, f32::max),
            late: (place + 1) as f32 / scene.index.len().max(1) as f32,
        }
    }
}

/// How well a time fits the one asked for: 1 inside it, less by the days between, and less for a
/// span that says little because it is much longer.
fn closeness(wanted: &Mention, told: Mention) -> f32 {
    match (wanted, told) {
        (Mention::Span(wanted), Mention::Span(told)) => {
            let reach = 4.0 + wanted.days() as f32 / 4.0;
            let vague = (wanted.days() as f32 / told.days() as f32).min(1.0).sqrt();
            vague * (-(wanted.gap(told) as f32) / reach).exp()
        }
        (Mention::Yearly { month, first, last }, Mention::Span(told)) => {
            let (year, ..) = told.first.civil();
            let days = crate::date::in_year(year, *month, *first, *last);
            days.map_or(0.0, |wanted| closeness(&Mention::Span(wanted), Mention::Span(told)))
        }
        (Mention::Yearly { .. }, Mention::Yearly { .. }) => f32::from(u8::from(*wanted == told)),
        (Mention::Span(_), Mention::Yearly { .. }) => 0.0,
    }
}
