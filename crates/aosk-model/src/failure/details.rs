//! What Google's errors carry beside their message: a list of details, each of a type that it names.

use aosk_abi::Millis;
use serde_json::Value;

use crate::retry_after;

/// The name under which a quota that is used up for the day is judged.
pub(super) const PER_DAY: &str = "quota:PerDay";

/// What the details say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    /// Names of the error, the most telling first.
    pub(super) names: Vec<String>,
    /// How long the provider asks to be left alone.
    pub(super) wait: Option<Millis>,
}

impl Details {
    /// Reads the details of an error; nothing if they are none.
    pub(super) fn read(details: Option<&Value>) -> Self {
        let mut read = Self::default();
        for detail in details.and_then(Value::as_array).into_iter().flatten() {
            let text = |field: &str| detail.get(field).and_then(Value::as_str);
            let kind = text("@type").and_then(|kind| kind.rsplit('.').next());
            match kind {
                Some("RetryInfo") => {
                    let wait = text("retryDelay").and_then(|span| retry_after::delay(span, None));
                    read.wait = read.wait.or(wait);
                }
                Some("ErrorInfo") => read.names.extend(text("reason").map(str::to_owned)),
                // The delay that comes with it is that of the minute, and mends nothing.
                Some("QuotaFailure") if is_of_the_day(detail) => {
                    read.names.insert(0, PER_DAY.to_owned());
                }
                Some(_) | None => {}
            }
        }
        read
    }
}

/// Whether one of the quotas that are used up is counted by the day.
fn is_of_the_day(detail: &Value) -> bool {
    let violations = detail.get("violations").and_then(Value::as_array);
    violations.into_iter().flatten().any(|violation| {
        violation.get("quotaId").and_then(Value::as_str).is_some_and(|id| id.contains("PerDay"))
    })
}
