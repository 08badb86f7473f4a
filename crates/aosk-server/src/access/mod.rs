//! Who asks, and what they may do.
//!
//! A request over the unix socket comes from whoever may open that file: the owner of the data
//! directory. Over TCP only a token tells who it is. A token that is given counts in either case.

mod caller;
mod check;
mod lasting;
mod pace;
mod place;
mod share;
mod token;
pub mod workspace;

pub(crate) use caller::{Admin, Operator};
pub use caller::{Caller, Peer, Role};
pub(crate) use check::check;
pub(crate) use pace::Pace;
pub(crate) use place::{Place, Unknown};
pub(crate) use share::Shares;
pub use token::{Kept, NewToken, Tokens};
