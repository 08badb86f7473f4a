//! What a flush takes on this disk without a kernel: the floor under whatever is committed.
//!
//! As much as a commit of some calls writes goes to a place in a file that was written before, and is
//! flushed. The file lies where the stores of the benchmark lie, and the flushes are as far apart as
//! commits are, so that they meet with what else the disk has to do.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use aosk::abi::{Error, ErrorCode};

use super::figures::{millis, now};

/// How often.
const FLUSHES: u64 = 400;

/// Bytes of one: ten pages of a database.
const BYTES: usize = 10 * 4096;

/// How long it is between two.
const APART: Duration = Duration::from_millis(5);

/// Places in the file.
const PLACES: u64 = 100;

/// How long flushes take, in milliseconds, each with its write.
///
/// # Errors
/// If the file cannot be written.
pub(super) async fn measure() -> Result<Vec<f64>, Error> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorCode::Io, format!("measuring flushes of the disk: {error}"))
    };
    let dir = tempfile::tempdir().map_err(failed)?;
    let mut file = File::create(dir.path().join("flushed")).map_err(failed)?;
    let bytes = [7; BYTES];
    for _ in 0..PLACES {
        file.write_all(&bytes).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let mut took = Vec::new();
    for number in 0..FLUSHES {
        tokio::time::sleep(APART).await;
        if number.is_multiple_of(PLACES) {
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
        }
        let began = now();
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        took.push(millis(began.elapsed()));
    }
    Ok(took)
}
