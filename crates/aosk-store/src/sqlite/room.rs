//! Room in the write-ahead log, made before it is needed.
//!
//! A flush of a file that has grown must also write where its new blocks are, and waits for whatever
//! else the file system has to write for that. A flush of blocks that were there before does not. So
//! zeros are put behind the log between commits, in which commits are then written. SQLite takes a log
//! to end at the first frame that is none, as it does where older frames stand behind newer ones.
//!
//! It is never done while a commit is being written, and nothing depends on it: where it fails, the log
//! grows by itself.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use crate::limits::{LOG_AHEAD_BUSY, LOG_AHEAD_IDLE, LOG_BYTES_MAX, LOG_STEP_MAX, LOG_STEP_MIN};

/// Bytes of a log before its first frame, and of a frame with its page.
const HEADER: u64 = 32;
const FRAME: u64 = 24 + 4096;

/// Zeros are written so many bytes at a time.
const PIECE: usize = 64 * 1024;

/// The file of the log, with room at its end.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    /// Where the file ends, or ended when it was last looked at; none if it cannot be written.
    end: Option<u64>,
}

impl Room {
    /// The room in the log at `path`, which need not be there yet.
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, end: Some(0) }
    }

    /// Makes room where little is left behind so many frames; more of it when `idle`.
    pub(super) fn make(&mut self, frames: u64, idle: bool) {
        let written = HEADER.saturating_add(frames.saturating_mul(FRAME));
        let ahead = if idle { LOG_AHEAD_IDLE } else { LOG_AHEAD_BUSY };
        let wanted = written.saturating_add(ahead).min(LOG_BYTES_MAX);
        if self.end.is_some_and(|end| end < wanted) {
            let step = written.clamp(LOG_STEP_MIN, LOG_STEP_MAX);
            self.end = self.extend(wanted, step).ok();
        }
    }

    /// Extends the file by `step` if it ends before `wanted`. Returns where it ends then.
    fn extend(&self, wanted: u64, step: u64) -> std::io::Result<u64> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        let mut end = file.metadata()?.len();
        if end >= wanted {
            return Ok(end);
        }
        let until = end.saturating_add(step).max(wanted).min(LOG_BYTES_MAX);
        let zeros = [0; PIECE];
        while end < until {
            let left = usize::try_from(until.saturating_sub(end)).unwrap_or(PIECE);
            let piece = zeros.get(..left).unwrap_or(&zeros);
            file.write_all(piece)?;
            end = end.saturating_add(u64::try_from(piece.len()).unwrap_or(0));
        }
        file.sync_all()?;
        Ok(end)
    }
}
