//! Conversations as they were last written, so that only what is new in one is written again.
//!
//! A conversation grows at its end, and the part that stays is most of it. Kept are the bytes of the
//! messages and their addresses, for each process the last ones; a message is written again when it
//! is another one than before, or stands behind one that is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aosk_abi::{Body, Hash, Pid};

/// Bytes of conversations that are kept. When there are more, all are written anew once.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The conversations that one driver has written.
#[derive(Debug)]
pub(super) struct Prefixes {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { kept: Mutex::default(), bytes_max: BYTES_MAX }
    }
}

#[derive(Debug, Default)]
struct Kept {
    by_process: HashMap<Pid, Written>,
    bytes: usize,
}

/// Messages in wire form, with a comma between each two.
#[derive(Debug, Default)]
struct Written {
    /// The address of each message, and where its bytes end.
    messages: Vec<(Hash, usize)>,
    bytes: Vec<u8>,
}

impl Prefixes {
    /// Appends `messages` to `out`, with a comma between each two. What has to be written is written
    /// by `write`, which must depend on the message alone.
    pub(super) fn append<E>(
        &self,
        pid: Pid,
        messages: &[Body],
        out: &mut Vec<u8>,
        write: impl Fn(&Body, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut written = self.take(pid);
        let stays = written
            .messages
            .iter()
            .zip(messages)
            .take_while(|((hash, _), body)| *hash == body.hash())
            .count();
        written.messages.truncate(stays);
        written.bytes.truncate(written.messages.last().map_or(0, |(_, end)| *end));
        for body in messages.iter().skip(stays) {
            if !written.messages.is_empty() {
                written.bytes.push(b',');
            }
            write(body, &mut written.bytes)?;
            written.messages.push((body.hash(), written.bytes.len()));
        }
        out.extend_from_slice(&written.bytes);
        self.put(pid, written);
        Ok(())
    }

    fn take(&self, pid: Pid) -> Written {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let written = kept.by_process.remove(&pid).unwrap_or_default();
        kept.bytes = kept.bytes.saturating_sub(written.bytes.capacity());
        written
    }

    fn put(&self, pid: Pid, written: Written) {
        let bytes = written.bytes.capacity();
        if bytes > self.bytes_max {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes.saturating_add(bytes) > self.bytes_max {
            kept.by_process.clear();
            kept.bytes = 0;
        }
        kept.bytes = kept.bytes.saturating_add(bytes);
        kept.by_process.insert(pid, written);
    }
}

#[cfg(test)]
mod tests {
    use aosk_abi::Message;

    use super::*;

    fn append(prefixes: &Prefixes, pid: u64, texts: &[&str]) -> (String, usize) {
        let messages: Vec<_> = texts.iter().map(|text| Body::new(Message::user(*text))).collect();
        let (mut out, written) = (Vec::new(), std::cell::Cell::new(0));
        let result: Result<(), ()> = prefixes.append(Pid(pid), &messages, &mut out, |body, out| {
            written.set(written.get() + 1);
            out.extend_from_slice(body.message().text().as_bytes());
            Ok(())
        });
        result.expect("writes");
        (String::from_utf8(out).expect("is text"), written.get())
    }

    #[test]
    fn only_what_is_new_is_written() {
        let prefixes = Prefixes::default();
        assert_eq!(append(&prefixes, 1, &["a", "b"]), ("a,b".into(), 2));
        assert_eq!(append(&prefixes, 1, &["a", "b", "c"]), ("a,b,c".into(), 1));
        assert_eq!(append(&prefixes, 1, &["a", "b", "c"]), ("a,b,c".into(), 0));
        assert_eq!(append(&prefixes, 1, &["a"]), ("a".into(), 0));
        assert_eq!(append(&prefixes, 1, &["a", "x", "c"]), ("a,x,c".into(), 2));
        assert_eq!(append(&prefixes, 1, &["y", "x", "c"]), ("y,x,c".into(), 3));
        assert_eq!(append(&prefixes, 2, &["y"]), ("y".into(), 1));
        assert_eq!(append(&prefixes, 1, &[]), (String::new(), 0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let prefixes = Prefixes { bytes_max: 1_000, ..Prefixes::default() };
        let long = "x".repeat(100);
        for pid in 0..50 {
            append(&prefixes, pid, &[&long]);
            let kept = prefixes.kept.lock().expect("is free");
            let bytes: usize = kept.by_process.values().map(|w| w.bytes.capacity()).sum();
            assert_eq!(kept.bytes, bytes);
            assert!((100..=1_000).contains(&bytes), "{bytes}");
        }
        let huge = "x".repeat(1_001);
        append(&prefixes, 99, &[&huge]);
        assert_eq!(append(&prefixes, 99, &[&huge]).1, 1, "it was not kept");
    }

    #[test]
    fn a_message_that_cannot_be_written_leaves_nothing() {
        let prefixes = Prefixes::default();
        append(&prefixes, 1, &["a"]);
        let messages = ["a", "b"].map(|text| Body::new(Message::user(text)));
        let failed = prefixes.append(Pid(1), &messages, &mut Vec::new(), |_, _| Err(()));
        assert_eq!(failed, Err(()));
        assert_eq!(append(&prefixes, 1, &["a", "b"]), ("a,b".into(), 2));
    }
}
