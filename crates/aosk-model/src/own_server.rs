//! What a server of one's own says of itself: which models it has, and how much they hold.
//!
//! Providers publish windows; a server has the one it was started with, and only it knows. Each make
//! says it elsewhere. One that says nothing is none the worse for it: its window is not known.

use std::fmt;
use std::time::Duration;

use aosk_abi::{Error, ErrorCode, Tokens};
use reqwest::{Client, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::egress;
use crate::gemini;
use crate::provider::{Provider, Wire};

/// How long a server is given to say what it has. One on this machine answers at once.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Bytes of an answer. The longest have a chat template or a hundred models in them.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The window that an Ollama gives at least, whatever the machine, to a model that can hold as much.
const OLLAMA_LEAST: Tokens = Tokens(4_096);

/// A server at an address of one's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnServer<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) base: &'a str,
    pub(crate) key: Option<&'a SecretString>,
}

/// A model that a server lists.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// Its window, as vLLM and SGLang say it.
    max_model_len: Option<Tokens>,
}

#[derive(Default, Deserialize)]
struct ModelList {
    #[serde(default)]
    data: Vec<Listed>,
}

/// What llama.cpp's server says of itself.
#[derive(Deserialize)]
struct Props {
    default_generation_settings: Option<GenerationSettings>,
}

#[derive(Deserialize)]
struct GenerationSettings {
    n_ctx: Option<Tokens>,
}

/// What an Ollama has in memory.
#[derive(Deserialize)]
struct Loaded {
    #[serde(default)]
    models: Vec<LoadedModel>,
}

#[derive(Deserialize)]
struct LoadedModel {
    model: String,
    context_length: Option<Tokens>,
}

/// What an Ollama knows of a model.
#[derive(Deserialize)]
struct Shown {
    /// Lines of a name and a value.
    #[serde(default)]
    parameters: String,
    #[serde(default)]
    model_info: Map<String, Value>,
}

/// What a server said of what it was asked, unless it could not be asked.
type Said<T> = reqwest::Result<Option<T>>;

impl Shown {
    /// The window that the model gets when it is loaded, as far as that can be told.
    fn window(&self) -> Option<Tokens> {
        let trained = self.model_info.iter().find_map(|(name, value)| {
            name.ends_with(".context_length").then(|| value.as_u64()).flatten().map(Tokens)
        });
        let wanted = self
            .parameters
            .lines()
            .find_map(|line| line.trim().strip_prefix("num_ctx")?.trim().parse().ok().map(Tokens));
        match (wanted, trained) {
            (Some(wanted), Some(trained)) => Some(wanted.min(trained)),
            (Some(wanted), None) => Some(wanted),
            (None, trained) => trained.filter(|trained| *trained <= OLLAMA_LEAST),
        }
    }
}

impl<'a> OwnServer<'a> {
    /// The first model that the server offers.
    ///
    /// # Errors
    /// `model.unreachable` if it does not answer, `model.unknown` if it has none, `config.invalid` if
    /// the address is none.
    pub(crate) async fn first_model(self) -> Result<Listed, Error> {
        let provider = self.provider;
        let attempted = format!("asking {} which models it has", provider.name);
        let wrong = |error: &dyn fmt::Display| {
            Error::new(ErrorCode::ConfigInvalid, format!("{attempted}: {error}"))
        };
        let url: Url = self.models_url().parse().map_err(|error| wrong(&error))?;
        let place = egress::place(provider.name, &url);
        let client = egress::client(&url).map_err(|error| wrong(&error))?;
        let request = self.signed(client.get(url)).timeout(PROBE_TIMEOUT);
        let answer = async { bounded(request.send().await?.error_for_status()?).await };
        let answer = answer.await.map_err(|error| {
            let failure = egress::failure(&place, error);
            let hint = if failure.hint == egress::PLAIN_SERVER {
                failure.hint
            } else {
                format!("start the server, or name the model: {}:MODEL", provider.name)
            };
            Error::new(ErrorCode::ModelUnreachable, format!("{attempted}: {}", failure.message))
                .hint(hint)
        })?;
        let list: ModelList = serde_json::from_slice(&answer).unwrap_or_default();
        // Models that only embed cannot answer.
        let first = list.data.into_iter().find(|model| !model.id.contains("embed"));
        first.ok_or_else(|| {
            Error::new(ErrorCode::ModelUnknown, format!("{attempted}: it has none"))
                .hint(format!("install one, or name one: {}:MODEL", provider.name))
        })
    }

    /// The tokens that `model` holds on this server, if it says so soon. `listed` is what it has said
    /// of the model already.
    pub(crate) async fn context(self, model: &str, listed: Option<&Listed>) -> Option<Tokens> {
        let positive = |tokens: &Tokens| *tokens > Tokens::ZERO;
        if let Some(said) = listed.and_then(|listed| listed.max_model_len).filter(positive) {
            return Some(said);
        }
        let client = egress::client(&self.base.parse().ok()?).ok()?;
        let asked = async {
            if self.provider.name == "ollama" {
                return self.ollama_context(&client, model).await;
            }
            if listed.is_none()
                && let Some(said) = self.listed_context(&client, model).await?
            {
                return Ok(Some(said));
            }
            self.props_context(&client).await
        };
        // A server that cannot be reached is not asked again.
        let said = tokio::time::timeout(PROBE_TIMEOUT, asked).await.ok()?.ok()?;
        said.filter(positive)
    }

    /// As vLLM says it: in the list of models. A server of one model takes any name for it.
    async fn listed_context(self, client: &Client, model: &str) -> Said<Tokens> {
        let list: Option<ModelList> = self.answer(client.get(self.models_url())).await?;
        let list = list.unwrap_or_default().data;
        let named = list.iter().find(|listed| listed.id == model);
        Ok(match (named, list.as_slice()) {
            (Some(listed), _) | (None, [listed]) => listed.max_model_len,
            (None, _) => None,
        })
    }

    /// As llama.cpp says it: the context of one slot, which is what a call gets.
    async fn props_context(self, client: &Client) -> Said<Tokens> {
        let props = client.get(format!("{}/props", self.root()));
        let props: Option<Props> = self.answer(props).await?;
        Ok(props.and_then(|props| props.default_generation_settings?.n_ctx))
    }

    /// As Ollama says it: of a model in memory what it was loaded with; else what the model asks for.
    /// What the model was trained for says little, because an Ollama gives less unless told, and
    /// then drops the beginning of what is longer without a word.
    async fn ollama_context(self, client: &Client, model: &str) -> Said<Tokens> {
        let loaded = client.get(format!("{}/api/ps", self.root()));
        let loaded: Option<Loaded> = self.answer(loaded).await?;
        let tagged = if model.contains(':') { model.to_owned() } else { format!("{model}:latest") };
        let loaded = loaded.map(|loaded| loaded.models).unwrap_or_default();
        let found = loaded.into_iter().find(|loaded| loaded.model == tagged);
        if let Some(said) = found.and_then(|loaded| loaded.context_length) {
            return Ok(Some(said));
        }
        let show = client.post(format!("{}/api/show", self.root()));
        let body = serde_json::json!({"model": model}).to_string();
        let show = show.header("content-type", "application/json").body(body);
        let shown: Option<Shown> = self.answer(show).await?;
        Ok(shown.and_then(|shown| shown.window()))
    }

    /// What comes of a request, if it is what was asked for.
    async fn answer<T: DeserializeOwned>(self, request: RequestBuilder) -> Said<T> {
        let response = self.signed(request).send().await?;
        if !response.status().is_success() {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&bounded(response).await?).ok())
    }

    fn signed(self, request: RequestBuilder) -> RequestBuilder {
        match (self.key, self.provider.wire) {
            (None, _) => request,
            (Some(key), Wire::OpenAi { .. } | Wire::Responses) => {
                request.bearer_auth(key.expose_secret())
            }
            (Some(key), Wire::Anthropic { .. }) => request.header("x-api-key", key.expose_secret()),
            (Some(key), Wire::Gemini) => request.header("x-goog-api-key", key.expose_secret()),
        }
    }

    fn models_url(self) -> String {
        match self.provider.wire {
            Wire::OpenAi { .. } | Wire::Responses => {
                format!("{}/models", self.base.trim_end_matches('/'))
            }
            Wire::Anthropic { .. } => format!("{}/v1/models", self.root()),
            Wire::Gemini => format!("{}{}", self.root(), gemini::PATH),
        }
    }

    /// The address without the path of the wire format.
    fn root(self) -> &'a str {
        let base = self.base.trim_end_matches('/');
        base.strip_suffix("/v1").or_else(|| base.strip_suffix("/v1beta")).unwrap_or(base)
    }
}

/// The body of an answer, as far as it may be long.
async fn bounded(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
