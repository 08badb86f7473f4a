//! The window as a bar of characters: one for an equal share of it.

use aosk::abi::PageKind;

use super::places::{At, Place};

/// What a cell of the bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Kind(PageKind),
    Stub,
    Free,
}

/// A cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    /// What takes most of its share.
    pub(super) fill: Fill,
    /// Whether anything in it is pinned.
    pub(super) pinned: bool,
}

/// A stretch of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) fill: Fill,
    pub(super) tokens: u64,
    pub(super) pinned: bool,
}

impl Fill {
    /// The character of its cells. No two fills have the same.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Kind(PageKind::System) => 'S',
            Self::Kind(PageKind::Tools) => 'T',
            Self::Kind(PageKind::Task) => 'K',
            Self::Kind(PageKind::User) => 'U',
            Self::Kind(PageKind::Assistant) => 'A',
            Self::Kind(PageKind::ToolResult) => 'R',
            Self::Kind(PageKind::Message) => 'M',
            Self::Kind(PageKind::Recalled) => 'C',
            Self::Kind(PageKind::Summary) => 'Y',
            Self::Stub => ':',
            Self::Free => '.',
        }
    }

    /// What it is called.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.word(),
            Self::Stub => "stub",
            Self::Free => "free",
        }
    }

    /// Its colour on a terminal: the number of one of the eight usual ones; none for free room.
    pub(super) fn colour(self) -> Option<u8> {
        match self {
            Self::Kind(PageKind::System | PageKind::Tools) => Some(5),
            Self::Kind(PageKind::Task | PageKind::User | PageKind::Message) => Some(2),
            Self::Kind(PageKind::Assistant) => Some(4),
            Self::Kind(PageKind::ToolResult) => Some(6),
            Self::Kind(PageKind::Recalled | PageKind::Summary) => Some(3),
            Self::Stub => Some(1),
            Self::Free => None,
        }
    }
}

/// The window as stretches, in order, free room last.
pub(super) fn stretches<'a>(
    shown: impl Iterator<Item = &'a Place>,
    room: Option<u64>,
) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = shown
        .map(|place| {
            let fill = match place.at {
                At::Stub(_) => Fill::Stub,
                At::Summary(_) => Fill::Kind(PageKind::Summary),
                At::Resident | At::Behind(_) | At::Evicted | At::Closed | At::Forgotten => {
                    Fill::Kind(place.kind)
                }
            };
            Stretch { fill, tokens: place.shown, pinned: place.pinned }
        })
        .collect();
    let taken: u64 = all.iter().map(|one| one.tokens).sum();
    let free = room.unwrap_or_default().saturating_sub(taken);
    if free > 0 {
        all.push(Stretch { fill: Fill::Free, tokens: free, pinned: false });
    }
    all
}

/// So many cells for the stretches, each for an equal share. None if there is nothing to share out.
pub(super) fn cells(stretches: &[Stretch], width: usize) -> Vec<Cell> {
    let total: u128 = stretches.iter().map(|one| u128::from(one.tokens)).sum();
    if total == 0 {
        return Vec::new();
    }
    // In units of a token divided by the width, a cell takes `total` of them.
    let width = width as u128;
    let mut rest = stretches.iter().map(|one| (*one, u128::from(one.tokens) * width)).peekable();
    let mut cells = Vec::new();
    for _ in 0..width {
        let mut left = total;
        let mut best: Option<(u128, Fill)> = None;
        let mut pinned = false;
        let mut parts: Vec<(Fill, u128)> = Vec::new();
        while left > 0
            && let Some((stretch, units)) = rest.peek_mut()
        {
            let takes = left.min(*units);
            left -= takes;
            *units -= takes;
            let is_over = *units == 0;
            if takes > 0 {
                pinned |= stretch.pinned;
                match parts.iter_mut().find(|(fill, _)| *fill == stretch.fill) {
                    Some((_, units)) => *units += takes,
                    None => parts.push((stretch.fill, takes)),
                }
            }
            if is_over {
                rest.next();
            }
        }
        for (fill, units) in parts {
            if best.is_none_or(|(most, _)| units > most) {
                best = Some((units, fill));
            }
        }
        cells.extend(best.map(|(_, fill)| Cell { fill, pinned }));
    }
    cells
}

/// The tokens of each fill that is there, free room last, and those that are pinned.
pub(super) fn legend(stretches: &[Stretch]) -> (Vec<(Fill, u64)>, u64) {
    let mut sums: Vec<(Fill, u64)> = Vec::new();
    let mut pinned = 0_u64;
    for one in stretches.iter().filter(|one| one.tokens > 0) {
        match sums.iter_mut().find(|(fill, _)| *fill == one.fill) {
            Some((_, tokens)) => *tokens = tokens.saturating_add(one.tokens),
            None => sums.push((one.fill, one.tokens)),
        }
        pinned = pinned.saturating_add(if one.pinned { one.tokens } else { 0 });
    }
    (sums, pinned)
}

#[cfg(test)]
mod tests;
