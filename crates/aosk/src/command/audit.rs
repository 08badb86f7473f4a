//! `aosk audit`.

use aosk::abi::{Error, ErrorCode};

use crate::cli::{AuditArgs, Place};
use crate::fail::Done;

pub(crate) fn run(_place: &Place, _args: &AuditArgs) -> Result<Done, Error> {
    Err(Error::new(ErrorCode::Usage, "to be written"))
}
