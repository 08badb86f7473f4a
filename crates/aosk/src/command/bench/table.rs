//! Tables of needs as files: in the form of the kernel, or in that of the study which its policies
//! grew from.

use std::path::Path;

use aosk::abi::{Error, ErrorCode};
use aosk::kernel::memory::{Class, Feature, Need, NeedTable};
use serde_json::Value;

/// Reads a table in the form of `aosk bench needs`, or the form of the study: `{"u,0,1": [chance,
/// gap]}` with kind, idle bucket and references, which may stand under a name that follows a `#`.
pub(super) fn read(path: &Path) -> Result<NeedTable, Error> {
    let text = path.to_str().and_then(|path| path.rsplit_once('#'));
    let (path, name) = text.map_or((path, None), |(path, name)| (Path::new(path), Some(name)));
    let failed = |what: String| {
        Error::new(ErrorCode::ConfigInvalid, format!("reading {}: {what}", path.display()))
            .hint("make a table with `aosk bench needs`")
    };
    let text = super::read_text(path)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    if value.is_array() {
        return NeedTable::parse(&text);
    }
    let value = match name {
        Some(name) => value.get(name).ok_or_else(|| failed(format!("no {name} in it")))?,
        None => &value,
    };
    Ok(of_study(value))
}

/// The file of tables that the study keeps beside its traces.
const BESIDE: &str = "value_table.json";

/// The table that the study has for a page trace, with what to call it: traces come in two halves, such
/// as `sweA` and `sweB`, and what is known of needs in one is counted over the other. None if there is
/// no file of tables beside the trace, or no such table in it.
pub(super) fn beside(trace: &Path) -> Result<Option<(String, NeedTable)>, Error> {
    let path = trace.with_file_name(BESIDE);
    let Some(stem) = trace.file_stem().and_then(|stem| stem.to_str()).filter(|_| path.is_file())
    else {
        return Ok(None);
    };
    let text = super::read_text(&path)?;
    let tables: Value = serde_json::from_str(&text).unwrap_or_default();
    let kind =
        |name: &str| name.char_indices().next_back().map(|(at, _)| name.split_at(at).0.to_owned());
    let is_other = |name: &str| name != stem && kind(name) == kind(stem);
    let other =
        tables.as_object().and_then(|tables| tables.iter().find(|(name, _)| is_other(name)));
    Ok(other.map(|(name, table)| (format!("{name} of {}", path.display()), of_study(table))))
}

fn of_study(value: &Value) -> NeedTable {
    let mut table = NeedTable::empty();
    for feature in NeedTable::features() {
        table.fix(feature, studied(value, feature));
    }
    table
}

fn studied(value: &Value, feature: Feature) -> Need {
    let class = match feature.class {
        Class::User => "u",
        Class::Assistant => "a",
        Class::Tool => "t",
    };
    let cell = value.get(format!("{class},{},{}", feature.idle, feature.refs));
    let figure = |at: usize, usual: f64| {
        cell.and_then(|cell| cell.get(at)).and_then(Value::as_f64).unwrap_or(usual)
    };
    need(figure(0, USUAL.0), figure(1, USUAL.1))
}

/// The chance and the gap in calls of what the study never saw.
pub(super) const USUAL: (f64, f64) = (0.02, 20.0);

/// A chance that four digits do not show, in millionths.
const ROUNDED_PPM: u32 = 10;

/// What is expected by a chance and a gap in calls.
pub(super) fn need(chance: f64, gap: f64) -> Need {
    // The study's files have four digits; what is rounded to none was not nothing.
    Need { chance_ppm: whole(chance * 1e6).max(ROUNDED_PPM), gap_16ths: whole(gap * 16.0) }
}

/// The nearest whole figure of one that is small and not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
pub(super) fn whole(figure: f64) -> u32 {
    figure.round().clamp(0.0, 1e9) as u32
}
