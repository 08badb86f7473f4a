//! Head and tail of output of any size: in constant memory, on character borders, safe to show.
//!
//! What is kept is raw bytes. Cleaning happens when they are shown, so that the figures in the
//! marker are those of the output itself.

mod clean;

use std::borrow::Cow;
use std::collections::VecDeque;

use clean::{Piece, pieces};

pub use clean::clean;

/// The first and the last bytes of a stream, and the count of all of them.
///
/// Invariant: neither `head` nor `tail` ever holds more than `half_bytes_max`; the tail is used only
/// once the head is full.
#[derive(Debug)]
pub struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half_bytes_max: usize,
    bytes: u64,
    lines: u64,
}

impl Capture {
    /// Keeps at most `bytes_max` bytes, half from each end.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let half_bytes_max = bytes_max.div_ceil(2);
        Self { head: Vec::new(), tail: VecDeque::new(), half_bytes_max, bytes: 0, lines: 0 }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.lines = self.lines.saturating_add(count_lines(bytes));
        let room = self.half_bytes_max - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let (_, last) = rest.split_at(rest.len().saturating_sub(self.half_bytes_max));
        let overflow = (self.tail.len() + last.len()).saturating_sub(self.half_bytes_max);
        self.tail.drain(..overflow.min(self.tail.len()));
        self.tail.reserve_exact(last.len());
        self.tail.extend(last);
    }

    /// How many bytes the stream had.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes of memory are set aside for what is kept.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.head.capacity() + self.tail.capacity()
    }

    /// The stream as a model may see it: all of it if that is at most `bytes_max` bytes, or its two
    /// ends with a line between them that says how much was cut. The line comes on top.
    #[must_use]
    pub fn render(&self, bytes_max: usize) -> String {
        let mut kept = self.head.clone();
        let complete = self.bytes == (self.head.len() + self.tail.len()) as u64;
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if complete {
            kept.extend(&tail);
            return self.join(&pieces(&kept).collect::<Vec<_>>(), None, bytes_max);
        }
        let mut all: Vec<Piece<'_>> = pieces(without_broken_end(&kept)).collect();
        let seam = all.len();
        all.extend(pieces(without_broken_start(&tail)));
        self.join(&all, Some(seam), bytes_max)
    }

    /// Joins what fits. If there is a `seam`, bytes are missing before that piece.
    fn join(&self, all: &[Piece<'_>], seam: Option<usize>, bytes_max: usize) -> String {
        let length: usize = all.iter().map(|piece| piece.shown.len()).sum();
        if seam.is_none() && length <= bytes_max {
            return all.iter().map(|piece| piece.shown.as_ref()).collect();
        }
        let (before, _) = all.split_at(seam.unwrap_or(all.len()));
        let (front, used) = fitting(before.iter(), bytes_max / 2);
        let (_, after) = all.split_at(seam.unwrap_or(front));
        let (back, _) = fitting(after.iter().rev(), bytes_max - used);
        let (front, _) = before.split_at(front);
        let (_, back) = after.split_at(after.len() - back);
        let kept = || front.iter().chain(back);
        let kept_bytes: u64 = kept().map(|piece| piece.raw.len() as u64).sum();
        let kept_lines: u64 = kept().map(|piece| count_lines(piece.raw)).sum();
        let mut text: String = front.iter().map(|piece| piece.shown.as_ref()).collect();
        text.push_str(&format!(
            "\n[… {} bytes cut: {} lines …]\n",
            grouped(self.bytes.saturating_sub(kept_bytes)),
            grouped(self.lines.saturating_sub(kept_lines)),
        ));
        text.extend(back.iter().map(|piece| piece.shown.as_ref()));
        text
    }
}

/// `text` as a model may see it, with its middle cut out if it is longer than `bytes_max`.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> String {
    let mut capture = Capture::new(bytes_max);
    capture.push(text.as_bytes());
    capture.render(bytes_max)
}

/// `number` with a comma between thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many pieces fit into `bytes_max`, and how many bytes they take.
fn fitting<'a>(pieces: impl Iterator<Item = &'a Piece<'a>>, bytes_max: usize) -> (usize, usize) {
    let (mut count, mut used) = (0, 0);
    for piece in pieces {
        if used + piece.shown.len() > bytes_max {
            break;
        }
        count += 1;
        used += piece.shown.len();
    }
    (count, used)
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Without a character at the end of which only the first bytes are there.
pub(crate) fn without_broken_end(bytes: &[u8]) -> &[u8] {
    let broken = bytes.utf8_chunks().last().map_or(0, |chunk| {
        let invalid = chunk.invalid();
        match std::str::from_utf8(invalid) {
            // No error length means that more bytes could have made it a character.
            Err(error) if error.error_len().is_none() => invalid.len(),
            Err(_) | Ok(_) => 0,
        }
    });
    bytes.split_at(bytes.len() - broken).0
}

/// Without a character at the start of which only the last bytes are there.
fn without_broken_start(bytes: &[u8]) -> &[u8] {
    let broken = bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    bytes.split_at(broken).1
}

/// The lossy text of `bytes`, cleaned, and cut at its end to `bytes_max` bytes.
pub(crate) fn clean_prefix(bytes: &[u8], bytes_max: usize) -> Cow<'_, str> {
    let all: Vec<Piece<'_>> = pieces(bytes).collect();
    let (count, _) = fitting(all.iter(), bytes_max);
    let (front, _) = all.split_at(count);
    front.iter().map(|piece| piece.shown.as_ref()).collect()
}

#[cfg(test)]
mod tests;
