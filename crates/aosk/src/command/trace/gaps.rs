//! What a record leaves open: calls whose results it lacks, results that nobody asked for, and
//! conversations in which the model never answers. They run as far as the record goes, and are told
//! of, so that nobody takes them for whole.

use aosk::abi::Message;

use super::input::Conversation;
use crate::term::{note, plural};

/// Conversations that are told of one by one; the rest are counted.
const TOLD_MAX: usize = 10;

/// How often each kind of gap is there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// Calls whose results are not recorded. They are not made: there would be nothing to return,
    /// and the model's next request would differ from the recorded one.
    pub(crate) calls: u64,
    /// Results that belong to no call. They are sent to the process as messages.
    pub(crate) results: u64,
    /// Conversations in which the model never answers. Their processes call nothing.
    pub(crate) silent: u64,
}

impl Gaps {
    /// The gaps of one conversation; `calls` says where the calls stand that have results.
    pub(crate) fn of(messages: &[Message], calls: &[(usize, usize, usize)]) -> Self {
        let mut gaps = Self::default();
        let (mut asked, mut returned) = (0_u64, 0_u64);
        let mut answers = false;
        for message in messages {
            match message {
                Message::Assistant { tool_calls, .. } => {
                    answers = true;
                    asked = asked.saturating_add(tool_calls.len() as u64);
                }
                Message::Tool { .. } => returned = returned.saturating_add(1),
                Message::System { .. } | Message::User { .. } => {}
            }
        }
        gaps.calls = asked.saturating_sub(calls.len() as u64);
        gaps.results = returned.saturating_sub(calls.len() as u64);
        gaps.silent = u64::from(!answers);
        gaps
    }

    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.results = self.results.saturating_add(other.results);
        self.silent = self.silent.saturating_add(other.silent);
    }

    /// What one conversation lacks, in words; nothing if it is whole.
    fn words(self) -> Vec<String> {
        let mut words = Vec::new();
        if self.silent > 0 {
            words.push("the model never answers in it, so nothing is called".to_owned());
        }
        if self.calls > 0 {
            let (calls, is) = (plural(self.calls, "tool call"), is(self.calls));
            words.push(format!("{calls} without a recorded result {is} not made"));
        }
        if self.results > 0 {
            let (results, is) = (plural(self.results, "tool result"), is(self.results));
            words.push(format!("{results} without a recorded call {is} sent as a message"));
        }
        words
    }

    /// The sums in one line; none if every record is whole.
    pub(crate) fn summary(self) -> Option<String> {
        (self != Self::default()).then(|| {
            format!(
                "{} without a result, {} without a call, {} without an answer",
                plural(self.calls, "call"),
                plural(self.results, "result"),
                plural(self.silent, "conversation")
            )
        })
    }
}

fn is(figure: u64) -> &'static str {
    if figure == 1 { "is" } else { "are" }
}

/// Adds the gaps of all conversations up, and tells of the first ones.
pub(crate) fn tell<'a>(
    conversations: impl Iterator<Item = (&'a Conversation, Vec<(usize, usize, usize)>)>,
) -> Gaps {
    let mut sum = Gaps::default();
    let mut told = 0_usize;
    for (conversation, calls) in conversations {
        let gaps = Gaps::of(&conversation.record.messages, &calls);
        if gaps == Gaps::default() {
            continue;
        }
        sum.add(gaps);
        told = told.saturating_add(1);
        if told <= TOLD_MAX {
            note(&format!("{}: {}", conversation.name(), gaps.words().join("; ")));
        }
    }
    if told > TOLD_MAX {
        let more = (told - TOLD_MAX) as u64;
        note(&format!("… and {} more with gaps in the record", plural(more, "conversation")));
    }
    sum
}

#[cfg(test)]
mod tests {
    use aosk::abi::{Content, ToolUse};

    use super::*;

    fn answer(calls: &[&str]) -> Message {
        let call = |id: &&str| ToolUse {
            id: (*id).to_owned(),
            name: "x".to_owned(),
            arguments: "{}".to_owned(),
        };
        let tool_calls = calls.iter().map(call).collect();
        Message::Assistant { content: None, reasoning: None, tool_calls }
    }

    fn result(id: &str) -> Message {
        Message::Tool {
            tool_call_id: id.to_owned(),
            name: None,
            content: Content::Text("r".to_owned()),
            is_error: false,
        }
    }

    #[test]
    fn each_kind_of_gap_is_counted_and_said() {
        let whole = [Message::user("u"), answer(&["a"]), result("a"), answer(&[])];
        assert_eq!(Gaps::of(&whole, &[(1, 0, 2)]), Gaps::default());
        assert_eq!(Gaps::default().summary(), None);
        let gaps = Gaps::of(&[Message::user("u"), answer(&["a", "b"]), result("b")], &[(1, 1, 2)]);
        assert_eq!(gaps, Gaps { calls: 1, results: 0, silent: 0 });
        assert_eq!(gaps.words(), ["1 tool call without a recorded result is not made"]);
        let gaps = Gaps::of(&[result("a"), result("b")], &[]);
        assert_eq!(gaps, Gaps { calls: 0, results: 2, silent: 1 });
        let words = [
            "the model never answers in it, so nothing is called",
            "2 tool results without a recorded call are sent as a message",
        ];
        assert_eq!(gaps.words(), words);
        assert_eq!(Gaps::of(&[], &[]), Gaps { calls: 0, results: 0, silent: 1 });
    }
}
