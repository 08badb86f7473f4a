//! A bound as a bar of characters: what is used of it, held, and free.

use aosk::abi::{Bounds, Spend, Timestamp};
use aosk::kernel::{BudgetView, Span};

use super::figure;

/// Cells of a bar.
const CELLS: u64 = 24;

/// One bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) is_money: bool,
    pub(super) used: u64,
    pub(super) held: u64,
    pub(super) limit: u64,
}

/// The bounds of a node that count something, each as a bar.
pub(super) fn bars(view: &BudgetView, now: Timestamp) -> Vec<Bar> {
    let limits = &view.limits;
    let whole = Bounds { calls: limits.calls, tokens: limits.tokens, micro_usd: limits.micro_usd };
    let mut bars = Vec::new();
    add(&mut bars, "", &whole, &view.used, &view.reserved);
    let more = [
        ("steps", limits.steps, view.used.steps, view.reserved.steps),
        ("children", limits.children, view.used.children, view.reserved.children),
    ];
    for (name, limit, used, held) in more {
        let name = name.to_owned();
        bars.extend(limit.map(|limit| Bar { name, is_money: false, used, held, limit }));
    }
    let spans = [
        (Span::Minute, " a minute", limits.per_minute),
        (Span::Hour, " an hour", limits.per_hour),
        (Span::Day, " a day", limits.per_day),
    ];
    for (span, name, bounds) in spans {
        // What is held counts as used there from the start of its call.
        add(&mut bars, name, &bounds, &view.used_in(span, now), &Spend::default());
    }
    bars
}

fn add(bars: &mut Vec<Bar>, span: &str, bounds: &Bounds, used: &Spend, held: &Spend) {
    let all = [
        ("tokens", false, bounds.tokens.map(|tokens| tokens.0), used.tokens.0, held.tokens.0),
        ("calls", false, bounds.calls, used.calls, held.calls),
        ("money", true, bounds.micro_usd.map(|usd| usd.0), used.micro_usd.0, held.micro_usd.0),
    ];
    for (word, is_money, limit, used, held) in all {
        let name = format!("{word}{span}");
        bars.extend(limit.map(|limit| Bar { name, is_money, used, held, limit }));
    }
}

impl Bar {
    /// The bar with its figures.
    pub(super) fn line(&self) -> String {
        let Self { name, is_money, used, held, limit } = self;
        let print = |amount: u64| figure(*is_money, amount);
        let held_too = if *held > 0 { format!(" + {} held", print(*held)) } else { String::new() };
        let percent = percent(used.saturating_add(*held), *limit);
        let cells = self.cells();
        format!(
            "{name:<16} [{cells}] {}{held_too} of {} ({percent} %)",
            print(*used),
            print(*limit)
        )
    }

    /// The cells. Whatever is used shows, and what is not full does not look so.
    fn cells(&self) -> String {
        let share = |amount: u64| {
            if amount >= self.limit {
                return CELLS;
            }
            let cells = u128::from(amount) * u128::from(CELLS) / u128::from(self.limit.max(1));
            let cells = u64::try_from(cells).unwrap_or(CELLS);
            cells.max(u64::from(amount > 0)).min(CELLS - 1)
        };
        let used = share(self.used);
        let taken = share(self.used.saturating_add(self.held)).max(used);
        let part = |of: u64, cell: &str| cell.repeat(usize::try_from(of).unwrap_or(0));
        part(used, "#") + &part(taken - used, "+") + &part(CELLS - taken, ".")
    }
}

/// The share in percent; more than all of it if more is used.
fn percent(amount: u64, limit: u64) -> u128 {
    u128::from(amount) * 100 / u128::from(limit.max(1))
}
