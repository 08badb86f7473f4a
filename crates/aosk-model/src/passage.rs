//! Requests of clients that are passed on: the provider reads what the client wrote, and the client reads
//! what the provider wrote, byte for byte but for the name of the model and what is listed in
//! `Additions`.
//!
//! What comes back is understood on its way, for the accounts and the log, by the assembly of its format.
//! Nothing is handed to the client before the model has said something, so that an attempt that fails
//! before that can be made again without their noticing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aosk_abi::{Failure, ModelReply, Tokens};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::cache_hints::openai_key;
use crate::client::Format;
use crate::driver::{Delta, OnDelta, Request};
use crate::endpoint::{Answer, Endpoint, Refusal};
use crate::exchange::{self, Assembly, Context, Progress};
use crate::sse::Event;
use crate::surrogate;

/// Headers of clients that mean something to providers.
pub const HEADERS: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];

/// Events that are held back until the model has said something. A stream that goes on for longer without
/// a word is passed on all the same, such as one of a kind of thoughts that is not known here.
const HELD_BACK_MAX: usize = 64;

/// A request of a client that is to be passed on.
#[derive(Debug)]
pub struct Passage {
    /// Its format.
    pub format: Format,
    /// Its body: a JSON object.
    pub body: Bytes,
    /// Those of its headers that are passed on too, by the names in [`HEADERS`].
    pub headers: HeaderMap,
    /// Whether it wants a stream.
    pub stream: bool,
    /// Whether it wants usage at the end of a stream of chat completions.
    pub stream_usage: bool,
    /// Who is told what came back.
    pub on_passed: OnPassed,
}

/// What came back for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// An event of a stream.
    Event {
        /// Its name; empty if it has none.
        name: String,
        /// Its data.
        data: String,
    },
    /// The body of an answer that is no stream.
    Whole(Bytes),
    /// What the provider said in place of an answer. The call may be made again all the same.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Bytes,
    },
}

/// Who is told what came back for a client.
#[derive(Clone)]
pub struct OnPassed(Arc<dyn Fn(Passed) + Send + Sync>);

impl OnPassed {
    /// Has `hear` told.
    #[must_use]
    pub fn new(hear: impl Fn(Passed) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Tells.
    pub(crate) fn tell(&self, passed: Passed) {
        (self.0)(passed);
    }
}

impl fmt::Debug for OnPassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnPassed")
    }
}

/// What is added to a request that is passed on, where the client does not say it itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Additions {
    /// Usage at the end of a stream of chat completions is asked for, and taken out again.
    pub(crate) stream_usage: bool,
    /// A key that brings requests of one conversation to the same cache.
    pub(crate) cache_key: bool,
    /// The wish that what can be cached is: Anthropic caches only what is marked.
    pub(crate) cache_mark: bool,
}

/// Passes a request on to the endpoint of its format, and understands what comes back.
pub(crate) async fn pass_on<A: Assembly>(
    endpoint: &Endpoint,
    model: &str,
    additions: Additions,
    request: &Request,
    passage: &Passage,
    on_delta: OnDelta<'_>,
) -> Result<ModelReply, Failure> {
    let body = rewritten(passage, model, additions, &request.cache.key);
    let body = body.map_err(|error| endpoint.unwritable(&error))?;
    let sent = body.len();
    let posted = endpoint.post_with(body, passage.stream, &passage.headers, &request.on_rates);
    let mut answer = match posted.await? {
        Ok(answer) => answer,
        Err(Refusal { status, body, failure }) => {
            passage.on_passed.tell(Passed::Refused { status, body });
            return Err(failure);
        }
    };
    let has_said = AtomicBool::new(false);
    let heard = |delta: Delta| {
        has_said.store(true, Ordering::Relaxed);
        if let Some(on_delta) = on_delta {
            on_delta(delta);
        }
    };
    let on_delta: OnDelta<'_> = Some(&heard);
    let mut assembly = A::default();
    let mut whole = Vec::new();
    let read = if passage.stream && answer.is_event_stream() {
        let hides_usage = additions.stream_usage && !passage.stream_usage;
        let outward = Outward { passage, has_said: &has_said, held: Vec::new(), hides_usage };
        read_stream(answer, &mut assembly, request, on_delta, outward).await
    } else {
        match answer.whole(&mut whole).await {
            Ok(()) => {
                let headers = answer.headers();
                let cx = Context { endpoint, request, headers, on_delta };
                assembly.take_whole(&surrogate::mended(&whole), &cx)
            }
            Err(failure) => Err(failure),
        }
    };
    let is_heard = passage.stream && whole.is_empty() && has_said.load(Ordering::Relaxed);
    match exchange::conclude_passed(assembly, (read, &whole), sent, endpoint, request) {
        Ok(reply) => {
            if !whole.is_empty() {
                passage.on_passed.tell(Passed::Whole(whole.into()));
            }
            Ok(reply)
        }
        Err(mut failure) => {
            // Whoever may make the call again must see whether something was heard, whatever was counted.
            if is_heard {
                let usage = failure.usage.get_or_insert_default();
                usage.output = usage.output.max(Tokens(1));
            } else if let Some(usage) = &mut failure.usage {
                usage.output = Tokens::ZERO;
            }
            Err(failure)
        }
    }
}

/// Events on their way to the client.
struct Outward<'a> {
    passage: &'a Passage,
    /// Whether the model has said something.
    has_said: &'a AtomicBool,
    /// What came before it did.
    held: Vec<Passed>,
    /// Whether usage was asked for that the client did not ask for.
    hides_usage: bool,
}

impl Outward<'_> {
    /// Hands an event on, or holds it back until the model has said something or has `ended`.
    fn take(&mut self, event: Event, ended: bool) {
        if self.hides_usage && is_usage_alone(&event.data) {
            return;
        }
        self.held.push(Passed::Event { name: event.name, data: event.data });
        let held_long = self.held.len() > HELD_BACK_MAX;
        if held_long {
            self.has_said.store(true, Ordering::Relaxed);
        }
        if ended || self.has_said.load(Ordering::Relaxed) {
            self.held.drain(..).for_each(|event| self.passage.on_passed.tell(event));
        }
    }
}

async fn read_stream<A: Assembly>(
    mut answer: Answer<'_>,
    assembly: &mut A,
    request: &Request,
    on_delta: OnDelta<'_>,
    mut outward: Outward<'_>,
) -> Result<(), Failure> {
    let endpoint = answer.endpoint();
    loop {
        let event = match answer.event().await {
            Ok(Some(event)) => event,
            // All is said; only usage or the last event may be missing.
            Ok(None) | Err(_) if assembly.progress() >= Progress::Finished => return Ok(()),
            Ok(None) => return Err(endpoint.broke_off()),
            Err(failure) => return Err(failure),
        };
        let taken = if event.data.is_empty() {
            Ok(())
        } else {
            let cx = Context { endpoint, request, headers: answer.headers(), on_delta };
            assembly.take_event(&surrogate::mended(event.data.as_bytes()), &cx)
        };
        let progress = assembly.progress();
        // An error is not the client's to hear in these words: before anything was said another attempt
        // may do better, and after it the kernel says what it means for the client.
        taken?;
        outward.take(event, progress >= Progress::Finished);
        if progress == Progress::Over {
            answer.drain().await;
            return Ok(());
        }
    }
}

/// Whether the data of a chunk tells usage and nothing of the answer.
fn is_usage_alone(data: &str) -> bool {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: Option<Vec<&'a RawValue>>,
        #[serde(borrow)]
        usage: Option<&'a RawValue>,
    }
    serde_json::from_str::<Chunk<'_>>(data).is_ok_and(|chunk| {
        chunk.choices.is_some_and(|choices| choices.is_empty()) && chunk.usage.is_some()
    })
}

/// The body as it goes to the provider.
fn rewritten(
    passage: &Passage,
    model: &str,
    additions: Additions,
    cache_key: &str,
) -> serde_json::Result<Vec<u8>> {
    let Fields(mut fields) = serde_json::from_slice(&passage.body)?;
    let json = |value: serde_json::Value| serde_json::value::to_raw_value(&value);
    let name = json(model.into())?;
    for (field, value) in &mut fields {
        if field == "model" {
            value.clone_from(&name);
        }
    }
    let has = |fields: &[(String, Box<RawValue>)], name: &str| {
        fields.iter().any(|(field, _)| field == name)
    };
    let is_chat = passage.format == Format::Chat;
    if is_chat && passage.stream && additions.stream_usage && !passage.stream_usage {
        let asked = fields.iter().find(|(field, _)| field == "stream_options");
        let asked = asked.and_then(|(_, asked)| serde_json::from_str(asked.get()).ok());
        let mut options: serde_json::Map<String, serde_json::Value> = asked.unwrap_or_default();
        options.insert("include_usage".to_owned(), true.into());
        fields.retain(|(field, _)| field != "stream_options");
        fields.push(("stream_options".to_owned(), json(options.into())?));
    }
    if additions.cache_key && !cache_key.is_empty() && !has(&fields, "prompt_cache_key") {
        let key = json(openai_key(cache_key).into())?;
        fields.push(("prompt_cache_key".to_owned(), key));
    }
    let is_marked = || fields.iter().any(|(_, value)| value.get().contains("\"cache_control\""));
    if additions.cache_mark && !has(&fields, "cache_control") && !is_marked() {
        let mark = json(serde_json::json!({ "type": "ephemeral" }))?;
        fields.push(("cache_control".to_owned(), mark));
    }
    written(&fields)
}

/// The fields as an object, each value as it was.
fn written(fields: &[(String, Box<RawValue>)]) -> serde_json::Result<Vec<u8>> {
    let mut out = vec![b'{'];
    for (at, (field, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, field)?;
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    Ok(out)
}

/// The fields of an object, in their order and as they were written.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// The headers of a client that are passed on.
#[must_use]
pub fn passed_headers(all: &HeaderMap) -> HeaderMap {
    let known = HEADERS.iter().map(|name| HeaderName::from_static(name));
    let there = known.flat_map(|name| {
        let values: Vec<HeaderValue> = all.get_all(&name).iter().cloned().collect();
        values.into_iter().map(move |value| (name.clone(), value))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in there {
        headers.append(name, value);
    }
    headers
}

#[cfg(test)]
mod tests;
