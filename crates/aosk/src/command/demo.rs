//! `aosk demo`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{DemoArgs, Place};
use crate::fail::Done;

pub(crate) async fn run(_place: &Place, _args: &DemoArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
