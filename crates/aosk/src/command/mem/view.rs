//! The window of a process as a person reads it: a headline, a bar, and a table of what is in it.

use aosk::Snapshot;

use super::bar::{self, Cell};
use super::history::{History, percent, rate};
use super::places::{At, Place, Places};
use super::texts::Texts;
use crate::term::{count, cut, money, plural, table};

/// Characters of a name or a text on its line of the headline.
const NAME_MAX: usize = 100;

/// Rows of a table that is not asked for whole.
pub(super) const ROWS_MAX: usize = 40;

/// The least characters of a text in the table, and what the other columns take.
const TEXT_MIN: usize = 24;
const COLUMNS: usize = 60;

/// Of the whole: what it is and what it has cost.
pub(super) fn headline(snapshot: &Snapshot, history: &History, places: &Places) -> Vec<String> {
    let stats = &snapshot.stats;
    let counts = places.counts;
    let state = match snapshot.status {
        Some(status) => format!("{}: {status}", snapshot.state),
        None => snapshot.state.to_owned(),
    };
    let model = history.calls.last().map_or("none asked yet", |call| call.model.as_str());
    let pages = format!(
        "{}: {} resident, {} behind stubs, {} evicted, {} left with tasks, {} forgotten; {} pinned",
        plural(counts.all(), "page"),
        count(counts.resident),
        count(counts.behind_stubs),
        count(counts.evicted),
        count(counts.closed),
        count(counts.forgotten),
        count(counts.pinned),
    );
    let calls = format!(
        "{}, {}, {}, {}, {} recalled unasked",
        plural(history.calls.len() as u64, "call"),
        plural(history.cuts.len() as u64, "cut"),
        plural(history.faults.len() as u64, "fault"),
        plural(history.misses.len() as u64, "cache miss"),
        plural(history.unasked as u64, "page"),
    );
    let part = stats.cached.0.saturating_mul(1_000).checked_div(stats.input.0).unwrap_or_default();
    let input = format!(
        "{}, {} of them ({}) from the provider's cache",
        plural(stats.input.0, "token"),
        count(stats.cached.0),
        percent(part),
    );
    let mut lines = vec![
        ("process", format!("{} {}", snapshot.pid, cut(&snapshot.spec.name, NAME_MAX))),
        ("state", state),
        ("model", cut(model, NAME_MAX)),
        ("window", window(places)),
    ];
    lines.extend(limit(history, places).map(|limit| ("limit", limit)));
    lines.extend(policy(history).map(|policy| ("policy", policy)));
    lines.push(("pages", pages));
    if !history.tasks.is_empty() {
        lines.push(("tasks", tasks(history)));
    }
    lines.extend([("calls", calls), ("input", input), ("cost", money(stats.spend.micro_usd))]);
    lines.into_iter().map(|(name, text)| format!("{name:<11} {text}")).collect()
}

/// How many tasks there were, and which are open.
fn tasks(history: &History) -> String {
    let open = history.tasks.iter().filter(|task| task.result.is_none());
    let open: Vec<String> = open.map(|task| task.task.0.to_string()).collect();
    let begun = plural(history.tasks.len() as u64, "task");
    match open.len() {
        0 => format!("{begun} begun, none open"),
        count => format!("{begun} begun, {count} open: {}", open.join(", ")),
    }
}

/// What the provider takes, where what fits is another number of the estimate.
fn limit(history: &History, places: &Places) -> Option<String> {
    let limit = places.window?;
    let (counts, refused) = (places.rate != 1_000, history.was_refused());
    if places.room == Some(limit) && !counts && !refused {
        return None;
    }
    let mut what = format!("{} by the provider", plural(limit.0, "token"));
    if counts {
        what.push_str(&format!(", which counts {} for each of the estimate", rate(places.rate)));
    }
    if refused {
        what.push_str("; it refused what was too long, and less is sent since");
    }
    Some(what)
}

/// How it is chosen what leaves, as of the last call.
fn policy(history: &History) -> Option<String> {
    let plan = &history.plan;
    let policy = cut(plan.policy.as_deref()?, NAME_MAX);
    Some(match &plan.prefer {
        Some(prefer) => format!("{policy}, prefer {}", cut(prefer, NAME_MAX)),
        None => policy,
    })
}

/// What is shown, and what part of the window that is.
fn window(places: &Places) -> String {
    let shown = places.shown;
    match (places.room, places.fullness()) {
        (Some(room), Some(full)) => {
            let free = count(room.saturating_sub(shown).0);
            let (shown, room, full) = (count(shown.0), plural(room.0, "token"), percent(full));
            format!("{shown} of {room} ({full}), {free} free")
        }
        (Some(_) | None, _) => format!("{}; how many fit is not known", plural(shown.0, "token")),
    }
}

/// The bar, what its letters mean, and what a cell is worth. Nothing if nothing is shown.
pub(super) fn bar(places: &Places, width: usize, coloured: bool) -> Vec<String> {
    let stretches = bar::stretches(places.shown(), places.room.map(|room| room.0));
    let cells = bar::cells(&stretches, width.saturating_sub(2));
    if cells.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("[{}]", draw(&cells, coloured))];
    if cells.iter().any(|cell| cell.pinned) {
        let marks: String = cells.iter().map(|cell| if cell.pinned { '^' } else { ' ' }).collect();
        lines.push(format!(" {}", marks.trim_end()));
    }
    let (sums, pinned) = bar::legend(&stretches);
    let total: u64 = sums.iter().map(|(_, tokens)| tokens).sum();
    let share =
        |tokens: u64| percent(tokens.saturating_mul(1_000).checked_div(total).unwrap_or_default());
    let mut parts: Vec<String> = sums
        .iter()
        .map(|(fill, tokens)| {
            let letter = paint(&fill.letter().to_string(), fill.colour(), coloured);
            format!("{letter} {} {} ({})", fill.word(), count(*tokens), share(*tokens))
        })
        .collect();
    if pinned > 0 {
        parts.push(format!("^ pinned {}", count(pinned)));
    }
    let cell = total.div_ceil(cells.len() as u64);
    parts.push(format!("a character is about {}", plural(cell, "token")));
    lines.extend(wrap(&parts, width));
    lines
}

/// The parts on as few lines as hold them. Colours take no room.
fn wrap(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for part in parts {
        let takes = seen(part).saturating_add(2);
        match lines.last_mut().filter(|(_, used)| used.saturating_add(takes) <= width) {
            Some((line, used)) => {
                line.push_str("  ");
                line.push_str(part);
                *used = used.saturating_add(takes);
            }
            None => lines.push((format!(" {part}"), takes.saturating_sub(1))),
        }
    }
    lines.into_iter().map(|(line, _)| line).collect()
}

/// Characters of a text that are seen.
fn seen(text: &str) -> usize {
    let mut inside = false;
    let is_seen = |c: &char| {
        let begins = *c == '\u{1b}';
        let seen = !inside && !begins;
        inside = begins || (inside && *c != 'm');
        seen
    };
    text.chars().filter(is_seen).count()
}

fn draw(cells: &[Cell], coloured: bool) -> String {
    let runs = cells.chunk_by(|one, next| one.fill == next.fill);
    let text = runs.map(|run| {
        let fill = run.first().map(|cell| cell.fill);
        let letters: String = run.iter().map(|cell| cell.fill.letter()).collect();
        paint(&letters, fill.and_then(bar::Fill::colour), coloured)
    });
    text.collect()
}

/// Black letters on a colour, where colours are welcome.
fn paint(text: &str, colour: Option<u8>, coloured: bool) -> String {
    match colour.filter(|_| coloured) {
        Some(colour) => format!("\u{1b}[30;4{colour}m{text}\u{1b}[0m"),
        None => text.to_owned(),
    }
}

const HEAD: [&str; 6] = ["page", "kind", "tokens", "calls ago", "where", "begins"];
const FIGURES: [&str; 3] = ["page", "tokens", "calls ago"];

/// What is in the window, in order, neighbouring stubs on one row; with `all` every page on its own.
pub(super) fn pages(places: &Places, texts: &mut Texts<'_>, all: bool, width: usize) -> String {
    let rows: Vec<Vec<&Place>> = if all {
        places.all.iter().map(|place| vec![place]).collect()
    } else {
        runs(places.shown())
    };
    let text_max = width.saturating_sub(COLUMNS).max(TEXT_MIN);
    let row = |run: &Vec<&Place>| row(run, texts, text_max);
    elided(&rows, all, "row", row, |rows| table(&HEAD, &FIGURES, rows))
}

/// A table of rows, of which those in the middle are left out if they are many and not `all` is asked
/// for. `noun` is what a row is, in the singular.
pub(super) fn elided<T>(
    rows: &[T],
    all: bool,
    noun: &str,
    mut row: impl FnMut(&T) -> Vec<String>,
    print: impl Fn(Vec<Vec<String>>) -> String,
) -> String {
    if all || rows.len() <= ROWS_MAX {
        return print(rows.iter().map(&mut row).collect());
    }
    let half = ROWS_MAX / 2;
    let left_out = rows.len().saturating_sub(2 * half);
    let ends = rows.iter().take(half).chain(rows.iter().skip(half.saturating_add(left_out)));
    let printed = print(ends.map(&mut row).collect());
    // The first line is the head.
    let mut lines: Vec<&str> = printed.lines().collect();
    let gap = format!("  … {} left out, --all shows them …", plural(left_out as u64, noun));
    lines.insert(lines.len().min(half.saturating_add(1)), &gap);
    lines.join("\n")
}

/// Neighbouring stubs together, everything else by itself.
fn runs<'a>(shown: impl Iterator<Item = &'a Place>) -> Vec<Vec<&'a Place>> {
    let mut runs: Vec<Vec<&Place>> = Vec::new();
    let is_stub = |place: &Place| matches!(place.at, At::Stub(_));
    for place in shown {
        match runs.last_mut() {
            Some(run) if is_stub(place) && run.last().is_some_and(|last| is_stub(last)) => {
                run.push(place);
            }
            Some(_) | None => runs.push(vec![place]),
        }
    }
    runs
}

fn row(run: &[&Place], texts: &mut Texts<'_>, text_max: usize) -> Vec<String> {
    let Some(first) = run.first() else { return Vec::new() };
    let page = match run.last() {
        Some(last) if run.len() > 1 => format!("{}-{}", first.page.0, last.page.0),
        Some(_) | None => first.page.0.to_string(),
    };
    let tokens =
        if first.at.is_shown() { run.iter().map(|place| place.shown).sum() } else { first.tokens };
    vec![
        page,
        if run.len() > 1 { "stubs".to_owned() } else { first.kind.word().to_owned() },
        count(tokens),
        first.age.map_or_else(|| "-".to_owned(), |age| count(age as u64)),
        whereabouts(run),
        texts.begin(first, text_max),
    ]
}

fn whereabouts(run: &[&Place]) -> String {
    let stands_for = |place: &&Place| match place.at {
        At::Stub(pages) | At::Summary(pages) => pages,
        At::Resident | At::Behind(_) | At::Evicted | At::Closed | At::Forgotten => 0,
    };
    let pages = plural(run.iter().map(stands_for).sum(), "page");
    let Some(place) = run.first() else { return String::new() };
    let copy = place.copy_of.map(|page| format!("copy of page {}", page.0));
    match place.at {
        At::Stub(_) => match copy.filter(|_| run.len() == 1) {
            Some(copy) => format!("stub for {copy}"),
            None => format!("stub for {pages}"),
        },
        At::Summary(_) => format!("summary of {pages}"),
        At::Behind(page) => format!("behind {}", page.0),
        At::Evicted => copy.map_or_else(|| "evicted".to_owned(), |copy| format!("evicted {copy}")),
        At::Closed => match place.kept {
            Some(kept) => format!("left with task {}", kept.entry.arena.0),
            None => "left with its task".to_owned(),
        },
        At::Forgotten => "forgotten".to_owned(),
        At::Resident => match (copy, place.pinned) {
            (Some(copy), true) => format!("{copy}, pinned"),
            (Some(copy), false) => copy,
            (None, true) => "pinned".to_owned(),
            (None, false) => "resident".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
