//! `aosk ps`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{PsArgs, Place};
use crate::fail::Done;

pub(crate) fn run(_place: &Place, _args: &PsArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
