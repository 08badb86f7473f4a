//! Files of recorded conversations.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use aosk::abi::{Body, Error, ErrorCode, Hash, Message, limits};
use aosk::model::{Record, parse_line};
use aosk::program::replay::Turn;

use crate::fail;
use crate::term::note;

/// Messages of one conversation. The turns of so many are what a program's parameter can hold, at
/// sixteen bytes each.
const MESSAGES_MAX: usize = limits::PROGRAM_STATE_BYTES_MAX / 16;

/// Bytes of one line of a file. The largest recordings known have a few MB.
const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Lines that are left out and told of one by one; the rest are counted. A file of another kind has
/// none that can be used, and what is wrong with all of them can be seen from a few.
const LINES_TOLD_MAX: usize = 10;

/// What a file must look like.
const FORM: &str = "a trace has one JSON object {\"id\", \"messages\"} per line";

/// A recorded conversation.
pub(crate) struct Conversation {
    /// Its place among all that were read.
    pub(crate) index: usize,
    /// How many were read.
    of: usize,
    /// What was recorded.
    pub(crate) record: Record,
    /// The address of its line, so that a changed file is noticed.
    hash: Hash,
}

/// Reads the files. A line that cannot be used is told of and left out; returns how many were.
pub(crate) fn read(files: &[PathBuf]) -> Result<(Vec<Conversation>, usize), Error> {
    let mut conversations = Vec::new();
    let mut skipped = 0;
    for path in files {
        let failed = |wrong: Unread| {
            let error =
                |code, what| Error::new(code, format!("reading {}: {what}", path.display()));
            match wrong {
                Unread::Io(what) => {
                    error(ErrorCode::Io, what).hint("give files that are there and can be read")
                }
                Unread::TooLong(most) => {
                    let what = format!("a line has more than {most} bytes");
                    error(ErrorCode::TraceInvalid, what).hint(FORM)
                }
            }
        };
        let file = File::open(path).map_err(|error| failed(Unread::Io(error.to_string())))?;
        let mut reader = BufReader::new(file);
        let mut number = 0_usize;
        while let Some(line) = next_line(&mut reader, LINE_BYTES_MAX).map_err(failed)? {
            number = number.saturating_add(1);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match conversation(path, &line, number, conversations.len()) {
                Ok(conversation) => conversations.push(conversation),
                Err(error) => {
                    skipped += 1;
                    if skipped <= LINES_TOLD_MAX {
                        note(&fail::line(&error));
                    }
                }
            }
        }
    }
    if skipped > LINES_TOLD_MAX {
        let more = (skipped - LINES_TOLD_MAX) as u64;
        note(&format!("… and {more} more that {} left out", if more == 1 { "is" } else { "are" }));
    }
    if conversations.is_empty() {
        let names: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
        let text = format!("reading {}: there is no conversation in it", names.join(", "));
        return Err(Error::new(ErrorCode::TraceInvalid, text).hint(FORM));
    }
    let of = conversations.len();
    for conversation in &mut conversations {
        conversation.of = of;
    }
    Ok((conversations, skipped))
}

/// Why a line could not be read.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    /// The file cannot be read.
    Io(String),
    /// The line has more bytes than this.
    TooLong(usize),
}

/// The next line without its end, or none at the end of the file. Never holds more than one line
/// that is within the bound.
fn next_line(reader: &mut impl BufRead, bytes_max: usize) -> Result<Option<Vec<u8>>, Unread> {
    let mut line = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.by_ref().take(bound).read_until(b'\n', &mut line);
    read.map_err(|error| Unread::Io(error.to_string()))?;
    if line.len() > bytes_max {
        return Err(Unread::TooLong(bytes_max));
    }
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(line))
}

/// The number of conversations of the run that a label belongs to.
pub(crate) fn run_length(label: &str) -> Option<usize> {
    let (_, rest) = label.strip_prefix("trace/")?.split_once("-of-")?;
    rest.split_once('/')?.0.parse().ok()
}

/// The place of a label's conversation in its run, and the beginning of the address of its line.
pub(crate) fn place(label: &str) -> Option<(usize, &str)> {
    let (_, rest) = label.strip_prefix("trace/")?.split_once('/')?;
    let (index, rest) = rest.split_once("-of-")?;
    Some((index.parse().ok()?, rest.split_once('/')?.1))
}

fn conversation(
    path: &Path,
    line: &[u8],
    number: usize,
    index: usize,
) -> Result<Conversation, Error> {
    let wrong = |what: String| {
        Error::new(
            ErrorCode::TraceInvalid,
            format!("reading {} line {number}: {what}", path.display()),
        )
        .hint("the line is left out")
    };
    let text = std::str::from_utf8(line).map_err(|error| wrong(error.to_string()))?;
    let record = parse_line(text).map_err(|error| wrong(error.message))?;
    let conversation = Conversation { index, of: 0, record, hash: Hash::of(line) };
    let messages = &conversation.record.messages;
    if messages.len() > MESSAGES_MAX {
        return Err(wrong(format!("it has {} messages, more than {MESSAGES_MAX}", messages.len())));
    }
    for (at, message) in messages.iter().enumerate() {
        let arguments = message.tool_calls().iter().map(|call| call.arguments.len());
        if let Some(most) =
            arguments.clone().max().filter(|most| *most > limits::ARGUMENTS_BYTES_MAX)
        {
            return Err(wrong(format!(
                "message {at}: a call has {most} bytes of arguments, too many"
            )));
        }
        let bytes = message.text().len().saturating_add(arguments.sum());
        // In its canonical form a byte takes six at most, so only large ones need a closer look.
        if bytes > limits::BODY_BYTES_MAX / 8 {
            let bytes = Body::new(message.clone()).bytes().len();
            if bytes > limits::BODY_BYTES_MAX {
                return Err(wrong(format!(
                    "message {at}: it has {bytes} bytes, more than a page holds"
                )));
            }
        }
    }
    Ok(conversation)
}

impl Conversation {
    /// What names it within a run.
    pub(crate) fn key(&self) -> String {
        let hash: String = self.hash.to_string().chars().take(16).collect();
        format!("{}-of-{}/{hash}", self.index, self.of)
    }

    /// Whether its line has this address, of which `hash` is the beginning.
    pub(crate) fn is_of(&self, hash: &str) -> bool {
        self.hash.to_string().starts_with(hash)
    }

    /// A name for people.
    pub(crate) fn name(&self) -> String {
        let id = self.record.id.trim();
        let name: String = id.chars().filter(|c| !c.is_control()).take(60).collect();
        if name.is_empty() { format!("conversation-{}", self.index) } else { name }
    }

    /// How many messages the process is started with: the instructions at the beginning.
    fn head_length(&self) -> usize {
        let is_system = |message: &&Message| matches!(message, Message::System { .. });
        self.record.messages.iter().take_while(is_system).count()
    }

    /// The messages the process is started with.
    pub(crate) fn head(&self) -> &[Message] {
        self.record.messages.get(..self.head_length()).unwrap_or_default()
    }

    /// The messages that are sent to the process, in order: every one that is neither the model's
    /// nor the result of a call.
    pub(crate) fn mail(&self, calls: &[(usize, usize, usize)]) -> Vec<Message> {
        let taped: BTreeSet<usize> = calls.iter().map(|(_, _, result)| *result).collect();
        let after_head = self.record.messages.iter().enumerate().skip(self.head_length());
        after_head
            .filter(|(at, message)| match message {
                Message::User { .. } | Message::System { .. } => true,
                Message::Tool { .. } => !taped.contains(at),
                Message::Assistant { .. } => false,
            })
            .map(|(_, message)| message.clone())
            .collect()
    }

    /// The turns after the head. `calls` says where the tool calls that have results stand, in the
    /// order of the results.
    pub(crate) fn turns(&self, calls: &[(usize, usize, usize)]) -> Vec<Turn> {
        let taped: BTreeSet<usize> = calls.iter().map(|(_, _, result)| *result).collect();
        let mut turns = Vec::new();
        for (at, message) in self.record.messages.iter().enumerate().skip(self.head_length()) {
            match message {
                Message::System { .. } | Message::User { .. } => turns.push(Turn::Mail),
                Message::Assistant { .. } => {
                    turns.push(Turn::Answer);
                    let places: Vec<u16> = calls
                        .iter()
                        .filter(|(message, _, _)| *message == at)
                        .filter_map(|(_, place, _)| u16::try_from(*place).ok())
                        .collect();
                    // What one turn may hold is bounded; a longer one is called in parts.
                    for part in places.chunks(limits::TOOL_CALLS_PER_TURN_MAX) {
                        turns.push(Turn::Tools(part.to_vec()));
                    }
                }
                // A result comes with its call; one that has none comes from outside.
                Message::Tool { .. } if taped.contains(&at) => {}
                Message::Tool { .. } => turns.push(Turn::Mail),
            }
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_up_to_its_bound_and_no_further() {
        let mut reader = BufReader::with_capacity(4, &b"12345\n\n6789"[..]);
        let mut next = || next_line(&mut reader, 6);
        assert_eq!(next(), Ok(Some(b"12345".to_vec())));
        assert_eq!(next(), Ok(Some(Vec::new())));
        assert_eq!(next(), Ok(Some(b"6789".to_vec())));
        assert_eq!(next(), Ok(None));
        // A line without an end is not read into memory to the last.
        let mut endless = BufReader::new(std::io::repeat(b'x'));
        assert_eq!(next_line(&mut endless, 6), Err(Unread::TooLong(6)));
    }

    #[test]
    fn a_label_tells_how_long_its_run_is() {
        assert_eq!(run_length("trace/3/0-of-17/0123456789abcdef"), Some(17));
        assert_eq!(run_length("run"), None);
    }
}
