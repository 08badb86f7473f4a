//! `aosk logs`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{LogsArgs, Place};
use crate::fail::Done;

pub(crate) fn run(_place: &Place, _args: &LogsArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
