//! A request in any of the formats, until it is answered.

use std::sync::Arc;

use aosk_abi::{
    Abilities, Ability, Body, Error, ErrorCode, Hash, Limits, Message, PermissionLevel, Pid,
    ProgramSpec, SpawnSpec, ThinkOptions, Tokens, ToolSpec,
};
use aosk_runtime::TraceParent;
use aosk_runtime::agent;
use aosk_runtime::foreign::{Answers, Ask, Asker, FOREIGN};
use aosk_runtime::model::client::{self, Asked, Format};
use aosk_runtime::model::{AnswerForm, OnPassed, Passage, Tokenizer, passage};
use aosk_server::App;
use aosk_server::access::{Caller, Role};
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;

use crate::answer::{self, Under};
use crate::caller::Session;
use crate::conversation::{Conversations, Left, Thread, Waiting};
use crate::limits::{COUNTED_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_TIMEOUT};
use crate::{model, refusal};

/// The header in which providers take a client's own id of a request:
/// <https://platform.openai.com/docs/api-reference/debugging-requests>.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// Characters of the key of a cache: enough to tell all conversations apart.
const CACHE_KEY_CHARS: usize = 32;

/// What every request can reach.
type Kept = Extension<Arc<Conversations>>;

pub(crate) async fn chat(
    app: State<App>,
    kept: Kept,
    caller: Caller,
    request: Request,
) -> Response {
    route(Format::Chat, app, kept, caller, request).await
}

pub(crate) async fn responses(
    app: State<App>,
    kept: Kept,
    caller: Caller,
    request: Request,
) -> Response {
    route(Format::Responses, app, kept, caller, request).await
}

pub(crate) async fn messages(
    app: State<App>,
    kept: Kept,
    caller: Caller,
    request: Request,
) -> Response {
    route(Format::Messages, app, kept, caller, request).await
}

pub(crate) async fn embeddings(
    app: State<App>,
    kept: Kept,
    caller: Caller,
    request: Request,
) -> Response {
    route(Format::Embeddings, app, kept, caller, request).await
}

async fn route(
    format: Format,
    State(app): State<App>,
    Extension(kept): Kept,
    caller: Caller,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let asked = async {
        caller.must(Role::Operator)?;
        let body = aosk_server::body(request, REQUEST_BYTES_MAX, REQUEST_TIMEOUT).await?;
        ask(&app, &kept, (&caller, &headers), (format, body)).await
    };
    match asked.await {
        Ok(under) => answer::of(under).await,
        Err(error) => refusal::answer(format, &error, None),
    }
}

/// Hands a request to the kernel.
async fn ask(
    app: &App,
    kept: &Arc<Conversations>,
    (caller, headers): (&Caller, &HeaderMap),
    (format, body): (Format, Bytes),
) -> Result<Under, Error> {
    let asked = client::understand(format, &body)?;
    let session = Session::of(caller, headers, &asked)?;
    let passage_of = |on_passed| Passage {
        format,
        body: body.clone(),
        headers: passed(headers),
        stream: asked.stream,
        stream_usage: asked.stream_usage,
        on_passed,
    };
    // Thoughts that another provider signed are not for this one.
    let passes = !asked.translated;
    begin(app, kept, &session, (format, passes), asked.clone(), passage_of).await
}

/// The headers that go to the provider: those of the client that mean something to it, and the id by which
/// the request is in the log here.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut passed = passage::passed_headers(headers);
    if let Ok(id) = HeaderValue::try_from(aosk_server::request_id()) {
        passed.insert(CLIENT_REQUEST_ID, id);
    }
    passed
}

/// The same of a request that is understood. Whether it `passes` says whether a model may be asked in the
/// words of the passage.
pub(crate) async fn begin(
    app: &App,
    kept: &Arc<Conversations>,
    session: &Session,
    (format, passes): (Format, bool),
    mut asked: Asked,
    passage: impl FnOnce(OnPassed) -> Passage,
) -> Result<Under, Error> {
    let equipment = app.handle().equipment();
    let model = model::resolve(&equipment, &asked.model)?;
    let own_format_only = asked.provider_tools || asked.choices > 1;
    if session.paged && own_format_only {
        let text = "asking the model: the request has what only the provider can keep or do, which \
                    a conversation that the kernel pages cannot have";
        return Err(Error::new(ErrorCode::ApiBadRequest, text));
    }
    let messages = std::mem::take(&mut asked.messages);
    let mut thread = Thread::begin(&session.key);
    messages.iter().for_each(|message| thread.say(message));
    // It may have been killed meanwhile. What is published may be older than its last answer.
    let lives = |one: &Waiting| {
        let process = app.handle().process(one.pid);
        process.is_some_and(|process| !process.has_ended && process.status.is_none())
    };
    let waiting = kept.take(&thread).filter(lives);
    let first = messages.first();
    let cache_key = first.map(|first| cache_key(session, first, &asked.tools)).unwrap_or_default();
    let count = model::behind(&equipment, &model).next().map(|device| device.tokenizer);
    let count = count.unwrap_or_default();
    let known = waiting.as_ref().map_or(0, |waiting| waiting.messages);
    let new = messages.get(known..).unwrap_or_default();
    let tokens = waiting.as_ref().map_or(Tokens::ZERO, |waiting| waiting.tokens)
        + Tokens(new.iter().map(|message| tokens(count, message).0).sum());
    let tool_tokens = count.of_tools(&asked.tools);
    let needs = needs(&messages, &asked);
    let append: Vec<Body> = new.iter().cloned().map(Body::new).collect();
    // What is passed on needs no other words for it.
    let passes_all = passes && model::all_pass(&equipment, &model, format);
    let needs_words = !session.paged && !passes_all;
    let whole = if needs_words { messages } else { Vec::new() };
    let options = ThinkOptions {
        model,
        output_max: output_max(&asked),
        tools: Vec::new(),
        temperature_milli: None,
        window: session.window,
    };
    let parent = aosk_server::trace_parent();
    let asker = match &waiting {
        Some(Waiting { pid, .. }) => Asker::Process(*pid),
        None => Asker::New(Box::new(spec(session, parent))),
    };
    let ask = |on_passed| Ask {
        options,
        input: tokens + tool_tokens,
        needs,
        tool_tokens,
        append,
        messages: whole.into_iter().map(Body::new).collect(),
        tools: asked.tools.clone().into(),
        wishes: Arc::new(asked.wishes.clone()),
        passage: passage(on_passed),
        cache_key,
        passes,
        own_format_only,
        parent,
        paged: session.paged,
    };
    let pid: Option<Pid> = waiting.map(|waiting| waiting.pid);
    let mut taken = Taken { app, kept, pid };
    let answers: Answers = app.handle().relay(asker, ask).await?;
    taken.pid = None;
    Ok(Under::new(app, kept, (format, asked), (thread, tokens), (answers, pid)))
}

/// What not every model can do and a request needs.
fn needs(messages: &[Message], asked: &Asked) -> Abilities {
    let has_schema = matches!(asked.wishes.answer, Some(AnswerForm::JsonSchema { .. }));
    let needed = [
        (Ability::Tools, !asked.tools.is_empty()),
        (Ability::Images, messages.iter().any(Message::has_image)),
        (Ability::Schema, has_schema),
    ];
    needed.into_iter().filter(|(_, is_needed)| *is_needed).map(|(ability, _)| ability).collect()
}

/// The most tokens that all answers together may have.
fn output_max(asked: &Asked) -> Tokens {
    let one = asked.output_max.unwrap_or(agent::OUTPUT_MAX).max(Tokens(1));
    Tokens(one.0.saturating_mul(u64::from(asked.choices)))
}

/// What brings requests to the same cache: those of a session that begin with the same instructions and
/// tools. Nothing of it can be read out of it.
fn cache_key(session: &Session, first: &Message, tools: &[ToolSpec]) -> String {
    let parts = serde_json::to_string(&(&session.key, first, tools)).unwrap_or_default();
    Hash::of(parts.as_bytes()).to_string().chars().take(CACHE_KEY_CHARS).collect()
}

/// A process that was taken to ask. If its client goes away before it does, nobody goes on with it.
struct Taken<'a> {
    app: &'a App,
    kept: &'a Conversations,
    pid: Option<Pid>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.kept.leave(self.app, self.pid.map(Left::Waiting));
    }
}

/// What a message takes, exactly if that is quick to know.
pub(crate) fn tokens(count: Tokenizer, message: &Message) -> Tokens {
    let is_short = message.text().len() <= COUNTED_BYTES_MAX;
    let count = if is_short { count } else { Tokenizer::ESTIMATE };
    count.of_message(message)
}

/// The process of a new conversation. It may ask models and nothing else.
fn spec(session: &Session, parent: Option<TraceParent>) -> SpawnSpec {
    let mut program = ProgramSpec { name: FOREIGN.to_owned(), param: "{}".into() };
    if let Some(parent) = parent {
        parent.keep_in(&mut program);
    }
    SpawnSpec {
        name: session.name.clone(),
        label: "gateway".to_owned(),
        program,
        priority: session.priority,
        capabilities: PermissionLevel::Restricted.capabilities(),
        limits: Limits::default(),
        group: session.group.clone(),
        fork: false,
        pages: Vec::new(),
    }
}
