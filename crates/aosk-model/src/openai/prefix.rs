//! Conversations as they were last written, so that only what is new in one is written again.
//!
//! A conversation grows at its end, and the part that stays is most of it. Kept are the bytes of the
//! messages and their addresses, for each process the last ones; a message is written again when it
//! is another one than before, or stands behind one that is.

use std::collections::{BTreeSet, HashMap};
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
    /// The address of each message, whether it is marked, and where its bytes end.
    messages: Vec<(Hash, bool, usize)>,
    bytes: Vec<u8>,
}

impl Prefixes {
    /// Appends `messages` to `out`, with a comma between each two. What has to be written is written
    /// by `write`, which must depend on nothing but the message and on whether it is in `marked`,
    /// the places of messages that end in a breakpoint.
    pub(super) fn append<E>(
        &self,
        pid: Pid,
        messages: &[Body],
        marked: &BTreeSet<usize>,
        out: &mut Vec<u8>,
        write: impl Fn(&Body, bool, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut written = self.take(pid);
        let stays = written
            .messages
            .iter()
            .zip(messages)
            .enumerate()
            .take_while(|(index, ((hash, is_marked, _), body))| {
                *hash == body.hash() && *is_marked == marked.contains(index)
            })
            .count();
        written.messages.truncate(stays);
        written.bytes.truncate(written.messages.last().map_or(0, |(_, _, end)| *end));
        for (index, body) in messages.iter().enumerate().skip(stays) {
            let is_marked = marked.contains(&index);
            if !written.messages.is_empty() {
                written.bytes.push(b',');
            }
            write(body, is_marked, &mut written.bytes)?;
            written.messages.push((body.hash(), is_marked, written.bytes.len()));
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
        append_marked(prefixes, pid, texts, &[])
    }

    fn append_marked(
        prefixes: &Prefixes,
        pid: u64,
        texts: &[&str],
        marked: &[usize],
    ) -> (String, usize) {
        let messages: Vec<_> = texts.iter().map(|text| Body::new(Message::user(*text))).collect();
        let (mut out, written) = (Vec::new(), std::cell::Cell::new(0));
        let marked = marked.iter().copied().collect();
        let write = |body: &Body, is_marked: bool, out: &mut Vec<u8>| {
            written.set(written.get() + 1);
            out.extend_from_slice(body.message().text().as_bytes());
            out.extend_from_slice(if is_marked { b"!" } else { b"" });
            Ok::<(), ()>(())
        };
        prefixes.append(Pid(pid), &messages, &marked, &mut out, write).expect("writes");
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
    fn a_message_is_written_again_when_its_mark_comes_or_goes() {
        let prefixes = Prefixes::default();
        let append = |texts: &[&str], marked: &[usize]| append_marked(&prefixes, 1, texts, marked);
        assert_eq!(append(&["a", "b"], &[0, 1]), ("a!,b!".into(), 2));
        assert_eq!(append(&["a", "b", "c"], &[0, 2]), ("a!,b,c!".into(), 2));
        assert_eq!(append(&["a", "b", "c"], &[0, 2]), ("a!,b,c!".into(), 0));
        assert_eq!(append(&["a", "b", "c"], &[]), ("a,b,c".into(), 3));
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
        let failed = prefixes.append(
            Pid(1),
            &messages,
            &BTreeSet::new(),
            &mut Vec::new(),
            |_, _, _| Err(()),
        );
        assert_eq!(failed, Err(()));
        assert_eq!(append(&prefixes, 1, &["a", "b"]), ("a,b".into(), 2));
    }
}
