//! The face of a model driver.

use std::fmt;
use std::sync::Arc;

use aosk_abi::{
    Body, CallId, Content, ErrorCode, Failure, FailureClass, Message, ModelReply, RateReport,
    ThinkOptions, ToolSpec,
};
use async_trait::async_trait;

use crate::cache_hints::CacheHints;
use crate::client::Format;
use crate::failure::failed;
use crate::passage::Passage;
use crate::wishes::Wishes;

/// One attempt of a model call.
#[derive(Debug, Clone)]
pub struct Request {
    /// The call, unique in the life of the data directory.
    pub call: CallId,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// The name of the process that asks.
    pub process: String,
    /// The label of the process that asks; names the record to replay.
    pub label: String,
    /// What to ask.
    pub options: Arc<ThinkOptions>,
    /// The conversation, in order.
    pub messages: Vec<Body>,
    /// An answer that was begun and is to be gone on with: an assistant message. Only a device that
    /// can do that is given one; the answer is then the rest alone.
    pub begun: Option<Body>,
    /// The tools offered, in the order in which the model sees them.
    pub tools: Arc<[ToolSpec]>,
    /// What is asked beside the conversation and the tools.
    pub wishes: Arc<Wishes>,
    /// What to tell the provider's prefix cache.
    pub cache: CacheHints,
    /// How many answers the process has had before, shown or not.
    pub answers: u64,
    /// Who wants to hear how much more the provider takes.
    pub on_rates: OnRates,
}

/// Who wants to hear what a provider says of its rates; nobody by default. It is told at most once in
/// an attempt, when the head of the answer or of the refusal comes.
#[derive(Clone, Default)]
pub struct OnRates(Option<Arc<dyn Fn(RateReport) + Send + Sync>>);

impl OnRates {
    /// Has `hear` told.
    #[must_use]
    pub fn new(hear: impl Fn(RateReport) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    /// Tells who wants to hear.
    pub fn tell(&self, report: RateReport) {
        if let Some(hear) = &self.0 {
            hear(report);
        }
    }
}

impl fmt::Debug for OnRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnRates").field(&self.0.is_some()).finish()
    }
}

impl Request {
    /// The text of the answer that was begun; empty if none was.
    pub(crate) fn begun_text(&self) -> &str {
        match self.begun.as_ref().map(|begun| begun.message().as_ref()) {
            Some(Message::Assistant { content: Some(Content::Text(text)), .. }) => text,
            Some(_) | None => "",
        }
    }

    /// An id for the `index`-th tool call of the answer, where the model gave none: unique in the
    /// process, the same at every attempt, and of characters that every provider takes back.
    #[must_use]
    pub fn use_id(&self, index: usize) -> String {
        format!("call_{}_{}_{index}", self.call.pid, self.call.number)
    }
}

/// A piece of an answer that is still being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More of the text.
    Text(String),
    /// More of the reasoning.
    Reasoning(String),
    /// The model has begun to call a tool.
    ToolCall {
        /// The place of the call among the calls of this answer, from 0.
        index: usize,
        /// The tool.
        name: String,
    },
    /// More of the arguments of one of the tool calls, which may come in turns.
    Arguments(String),
}

/// Who wants to see an answer while it is written; nobody if none.
pub type OnDelta<'a> = Option<&'a (dyn Fn(Delta) + Send + Sync)>;

/// Shows a piece of an answer to whoever wants to see it.
pub(crate) fn tell(on_delta: OnDelta<'_>, delta: impl FnOnce() -> Delta) {
    if let Some(on_delta) = on_delta {
        on_delta(delta());
    }
}

/// A model that can be asked.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Asks the model once. The answer is streamed if, and only if, `on_delta` is given.
    ///
    /// Dropping the future cancels the call: the connection is closed, or the HTTP/2 stream reset,
    /// so that the provider stops generating. How long the call may take in all is up to the
    /// caller.
    ///
    /// # Errors
    /// The failure says whether the same call may be tried again and when. Nothing in it is secret.
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure>;

    /// Whether what clients ask in this format can be passed on as they wrote it.
    fn passes(&self, format: Format) -> bool {
        let _ = format;
        false
    }

    /// Passes on what a client asks, in a format that it [passes](Self::passes). What comes back is told
    /// the passage, and the answer is what of it could be understood. Of the request only the call, the
    /// key of the cache and who wants to hear of rates matter.
    ///
    /// # Errors
    /// As of [`complete`](Self::complete). The failure tells of output if, and only if, the passage was
    /// told a part of an answer.
    async fn pass_on(
        &self,
        request: Request,
        passage: &Passage,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let _ = (passage, on_delta);
        let message = format!("passing {} on: its format is another", request.call);
        Err(failed(FailureClass::Final, ErrorCode::ModelBadRequest, message))
    }
}
