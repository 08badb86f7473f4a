//! What a person says to a process that asks one.

use crate::budget::Limits;
use crate::id::CallId;

/// An answer to a process whose call waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The call. An answer to an earlier one comes too late.
    pub call: CallId,
    /// What is said.
    pub verdict: Verdict,
    /// Who says it. The journal keeps it.
    pub by: String,
    /// Why; may be empty. The journal keeps it.
    pub note: String,
}

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The node that has no room is bounded like this from now on, and the call is looked at again.
    Granted(Box<Limits>),
    /// The call is not made: the program is told that its budget is used up.
    Denied,
}
