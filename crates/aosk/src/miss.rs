//! What a person is told of a provider's cache that had less than could be expected.

use aosk::abi::{Changed, MissReason, Tokens};

use crate::term::{count, plural};

/// Why, and what changed where, as far as the kernel said it.
pub(crate) fn why(reason: MissReason, changed: Option<&Changed>) -> String {
    let why = match reason {
        MissReason::Model => "another model was asked than before",
        MissReason::Tools => "the tools offered were others than before",
        MissReason::Expired => "more time had passed than entries of the cache live",
        MissReason::Provider => {
            "the provider did not keep what was sent, or another machine answered"
        }
    };
    changed.map_or_else(|| why.to_owned(), |changed| format!("{why}: {changed}"))
}

/// A line of warning.
pub(crate) fn warning(
    call: u32,
    (read, unchanged): (Tokens, Tokens),
    reason: MissReason,
    changed: Option<&Changed>,
) -> String {
    let (read, unchanged) = (count(read.0), plural(unchanged.0, "token"));
    let why = why(reason, changed);
    format!("cache miss at c{call}: {read} of {unchanged} sent before were read from it; {why}")
}
