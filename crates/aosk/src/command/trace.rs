//! `aosk trace`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{TraceArgs, Place};
use crate::fail::Done;

pub(crate) async fn run(_place: &Place, _args: &TraceArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
