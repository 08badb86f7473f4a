//! `aosk show`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{ShowArgs, Place};
use crate::fail::Done;

pub(crate) fn run(_place: &Place, _args: &ShowArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
