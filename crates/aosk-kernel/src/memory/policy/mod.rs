//! The policies of replacement, and what they share: one pass over what is rendered.

mod fifo_batch;
mod lru;
mod place;
mod priced;
mod scan;
mod sliding;
mod summarise;
mod tasks;

use aosk_abi::{Error, ErrorCode};

pub use fifo_batch::emergency;
pub use priced::{Priced, Setting};
pub use scan::{Scan, Unit};
pub(crate) use summarise::summarising;
pub(crate) use tasks::{Ended, close_what_pays, keep_before_tasks};

use super::plan::Replacement;

/// Every policy there is; the first is the one a kernel begins with.
const POLICIES: [&dyn Replacement; 5] = [
    &Priced { setting: None },
    &fifo_batch::FifoBatch::USUAL,
    &lru::Lru,
    &sliding::Sliding::USUAL,
    &summarise::Summarise,
];

/// The policy that a kernel begins with.
pub const DEFAULT: &dyn Replacement = &Priced { setting: None };

/// The policy of this name.
///
/// # Errors
/// If there is none; the hint lists those there are.
pub fn replacement(name: &str) -> Result<&'static dyn Replacement, Error> {
    POLICIES.into_iter().find(|policy| policy.name() == name).ok_or_else(|| {
        let names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
        let text = format!("choosing a policy of replacement: no such policy: {name}");
        Error::new(ErrorCode::Usage, text).hint(format!("policies: {}", names.join(", ")))
    })
}
