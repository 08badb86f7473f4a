//! `aosk run`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{RunArgs, Place};
use crate::fail::Done;

pub(crate) async fn run(_place: &Place, _args: &RunArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
