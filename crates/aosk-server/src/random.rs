//! Random bytes of the system, for what nobody may guess or have twice.

use aosk_abi::{Error, ErrorCode};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `bytes`.
///
/// # Errors
/// If the system gives none.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::INTR) => {}
            Err(error) => {
                let text = format!("asking the system for random bytes: {error}");
                return Err(Error::new(ErrorCode::Io, text));
            }
        }
    }
    Ok(())
}

/// The bytes as text, two digits for each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
