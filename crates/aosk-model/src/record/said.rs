//! What a recording says beside the messages, where it does: which tools were offered, and when a
//! message came. What cannot be read counts as not said.

use aosk_abi::{Timestamp, ToolSpec};
use serde_json::{Map, Value};

/// Fields that say when a message came.
const TIMES: [&str; 4] = ["timestamp", "created_at", "created", "time"];

/// Numbers below are seconds, those from here on milliseconds: as seconds this is the year 5138, as
/// milliseconds 1973.
const MILLISECONDS_MIN: f64 = 1e11;

/// When a message came.
pub(super) fn time(fields: &Map<String, Value>) -> Option<Timestamp> {
    TIMES.iter().find_map(|name| read_time(fields.get(*name)?))
}

fn read_time(value: &Value) -> Option<Timestamp> {
    let milliseconds = match value {
        Value::Number(number) => {
            let number = number.as_f64().filter(|number| *number >= 0.0)?;
            let seconds = if number < MILLISECONDS_MIN { number } else { number / 1e3 };
            std::time::Duration::try_from_secs_f64(seconds).ok()?.as_millis()
        }
        Value::String(text) => {
            let milliseconds = match text.parse::<jiff::Timestamp>() {
                Ok(time) => time.as_millisecond(),
                // Without a zone it is taken as that of Greenwich; what counts is the time between.
                Err(_) => {
                    let time = text.parse::<jiff::civil::DateTime>().ok()?;
                    time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()
                }
            };
            u128::try_from(milliseconds).ok()?
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    u64::try_from(milliseconds).ok().map(Timestamp)
}

/// The tools that were offered: in the form of chat completions, today's or the older one of
/// functions, or that of Messages.
pub(super) fn tools(fields: &Map<String, Value>) -> Vec<ToolSpec> {
    let listed = ["tools", "functions"].iter().find_map(|name| fields.get(*name)?.as_array());
    listed.into_iter().flatten().filter_map(tool).collect()
}

fn tool(value: &Value) -> Option<ToolSpec> {
    let function = value.get("function").unwrap_or(value);
    let text = |name: &str| function.get(name).and_then(Value::as_str);
    let parameters = ["parameters", "input_schema"].iter().find_map(|name| function.get(*name));
    Some(ToolSpec {
        name: text("name")?.to_owned(),
        description: text("description").unwrap_or_default().to_owned(),
        parameters: parameters.cloned().unwrap_or_else(|| Value::Object(Map::new())),
    })
}
