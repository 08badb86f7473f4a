//! `aosk doctor`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{DoctorArgs, Place};
use crate::fail::Done;

pub(crate) async fn run(_place: &Place, _args: &DoctorArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
