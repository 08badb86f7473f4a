//! An answer that is being written: it may be cut off, or broken off at the next token and gone on
//! from later.

use std::sync::{Arc, Mutex, PoisonError};

use aosk_abi::{
    Body, Content, ErrorCode, Failure, Message, ModelOutcome, ModelReply, ThinkOptions, Tokens,
    Usage,
};
use aosk_model::{Delta, Tokenizer};

/// What of an answer has come so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Growing(Arc<Mutex<Grown>>);

#[derive(Debug, Default)]
struct Grown {
    text: String,
    /// What cannot be gone on from: reasoning, which providers sign, and tool calls.
    other: String,
}

impl Grown {
    /// The tokens of all that came.
    fn output(&self, count: Tokenizer) -> Tokens {
        count.of_text(&self.text) + count.of_text(&self.other)
    }
}

impl Growing {
    /// A piece of the answer came.
    pub(super) fn take(&self, delta: &Delta) {
        let mut grown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match delta {
            Delta::Text(text) => grown.text.push_str(text),
            Delta::Reasoning(more)
            | Delta::ToolCall { name: more, .. }
            | Delta::Arguments(more) => {
                grown.other.push_str(more);
            }
        }
    }

    /// How the call ended that was cut off here.
    pub(super) fn cut_off(&self, count: Tokenizer) -> ModelOutcome {
        let grown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ModelOutcome::Cancelled { output: grown.output(count) }
    }

    /// How the call ended that was broken off here. What the provider counted never came, so the
    /// output is counted here, and the input by the kernel.
    pub(super) fn broken_off(
        &self,
        begun: Option<&Body>,
        count: Tokenizer,
        continues: bool,
    ) -> ModelOutcome {
        let grown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = Usage { output: grown.output(count), estimated: true, ..Usage::default() };
        let text = format!("{}{}", begun.map_or("", text_of), grown.text);
        let begun = (continues && grown.other.is_empty() && !text.is_empty())
            .then(|| Body::new(Message::assistant(text)));
        ModelOutcome::Yielded { begun, usage }
    }
}

/// The text of an assistant message that was begun.
fn text_of(begun: &Body) -> &str {
    match begun.message().as_ref() {
        Message::Assistant { content: Some(Content::Text(text)), .. } => text,
        Message::Assistant { .. }
        | Message::System { .. }
        | Message::User { .. }
        | Message::Tool { .. } => "",
    }
}

/// The options of a call that goes on from what was begun: of the longest answer, what is left.
pub(super) fn left_of(
    mut options: Arc<ThinkOptions>,
    begun: Option<&Body>,
    count: Tokenizer,
) -> Arc<ThinkOptions> {
    if let Some(begun) = begun {
        let left = options.output_max.saturating_sub(count.of_text(text_of(begun)));
        Arc::make_mut(&mut options).output_max = left.max(Tokens(1));
    }
    options
}

/// How a call ended that went on from what was begun, if anything was. One that the provider refuses
/// to go on with begins anew: what the provider does not take is how it was asked, and not what.
pub(super) fn outcome(begun: Option<&Body>, answer: Result<ModelReply, Failure>) -> ModelOutcome {
    match answer {
        Ok(reply) => ModelOutcome::Answered(Box::new(joined(begun, reply))),
        Err(failure) if begun.is_some() && failure.code == ErrorCode::ModelBadRequest => {
            ModelOutcome::Yielded { begun: None, usage: failure.usage.unwrap_or_default() }
        }
        Err(failure) => ModelOutcome::Failed(failure),
    }
}

/// The whole answer, of what was begun and how it went on.
fn joined(begun: Option<&Body>, reply: ModelReply) -> ModelReply {
    let Some(begun) = begun else {
        return reply;
    };
    let Message::Assistant { content, reasoning, tool_calls } =
        reply.body.message().as_ref().clone()
    else {
        return reply;
    };
    let rest = match content {
        Some(Content::Text(rest)) => rest,
        None => String::new(),
        // No driver makes parts of what a model writes.
        Some(Content::Parts(_)) => return reply,
    };
    let content = Some(Content::Text(format!("{}{rest}", text_of(begun))));
    let body = Body::new(Message::Assistant { content, reasoning, tool_calls });
    ModelReply { body, ..reply }
}

#[cfg(test)]
mod tests {
    use aosk_abi::{FailureClass, FinishReason};

    use super::*;

    fn begun(text: &str) -> Body {
        Body::new(Message::assistant(text))
    }

    #[test]
    fn what_was_broken_off_twice_is_whole_when_it_ends() {
        let count = Tokenizer::default();
        let first = Growing::default();
        first.take(&Delta::Text("one ".to_owned()));
        first.take(&Delta::Text("two ".to_owned()));
        let ModelOutcome::Yielded { begun: Some(so_far), usage } =
            first.broken_off(None, count, true)
        else {
            panic!("it can be gone on from")
        };
        assert!(usage.output > Tokens::ZERO && usage.estimated);
        let second = Growing::default();
        second.take(&Delta::Text("three ".to_owned()));
        let outcome = second.broken_off(Some(&so_far), count, true);
        let ModelOutcome::Yielded { begun: Some(so_far), .. } = outcome else {
            panic!("as before")
        };
        let reply =
            ModelReply { body: begun("four"), usage: Usage::default(), finish: FinishReason::Stop };
        assert_eq!(joined(Some(&so_far), reply).body, begun("one two three four"));
    }

    #[test]
    fn the_bound_of_the_answer_is_what_is_left_of_it() {
        let options = Arc::new(ThinkOptions {
            model: "m".to_owned(),
            output_max: Tokens(10),
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        });
        let count = Tokenizer::default();
        let left = |begun: Option<&Body>| left_of(options.clone(), begun, count).output_max;
        assert_eq!(left(None), Tokens(10));
        let four = begun("one two three four");
        assert_eq!(left(Some(&four)), Tokens(10).saturating_sub(count.of_text(text_of(&four))));
        assert_eq!(left(Some(&begun(&"many words ".repeat(100)))), Tokens(1));
    }

    #[test]
    fn a_provider_that_refuses_to_go_on_is_asked_anew() {
        let refused = |code| Failure {
            class: FailureClass::Final,
            code,
            message: String::new(),
            hint: String::new(),
            retry_after: None,
            usage: None,
        };
        let (so_far, refusal) = (begun("so far"), refused(ErrorCode::ModelBadRequest));
        let anew = ModelOutcome::Yielded { begun: None, usage: Usage::default() };
        assert_eq!(outcome(Some(&so_far), Err(refusal.clone())), anew);
        assert_eq!(outcome(None, Err(refusal.clone())), ModelOutcome::Failed(refusal));
        let stranger = refused(ErrorCode::ModelUnauthorized);
        let failed = ModelOutcome::Failed(stranger.clone());
        assert_eq!(outcome(Some(&so_far), Err(stranger)), failed);
    }

    #[test]
    fn a_tool_call_or_reasoning_is_counted_and_not_gone_on_from() {
        let long = "so many words ".repeat(100);
        let call = Delta::ToolCall { index: 0, name: long.clone() };
        for other in [call, Delta::Reasoning(long.clone()), Delta::Arguments(long.clone())] {
            let growing = Growing::default();
            growing.take(&Delta::Text("let me see".to_owned()));
            growing.take(&other);
            let count = Tokenizer::default();
            let output = count.of_text("let me see") + count.of_text(&long);
            let usage = Usage { output, estimated: true, ..Usage::default() };
            let anew = ModelOutcome::Yielded { begun: None, usage };
            assert_eq!(growing.broken_off(None, count, true), anew, "{other:?}");
            assert_eq!(growing.cut_off(count), ModelOutcome::Cancelled { output }, "{other:?}");
        }
    }
}
