//! The embeddings wire format: `POST /v1/embeddings`, as OpenAI has it and nearly everyone else too,
//! llama.cpp's server with `--embeddings` among them.

mod passed;

use std::fmt;
use std::sync::OnceLock;

use aosk_abi::{ErrorCode, Failure, FailureClass};
use async_trait::async_trait;
use reqwest::header::HeaderMap;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::driver::OnRates;
use crate::embedder::{Embedder, TEXT_BYTES_MAX, TEXTS_MAX, VECTOR_MAX};
use crate::endpoint::Endpoint;
use crate::failure::{Complaint, failed};

pub(crate) use passed::Assembly;

/// The path under a base URL.
pub const PATH: &str = "/embeddings";

/// An embedder that is asked over HTTP.
#[derive(Debug)]
pub struct Embeddings {
    endpoint: Endpoint,
    model: String,
    /// How many numbers its vectors have, once it has given one.
    length: OnceLock<usize>,
}

/// What is sent. Nothing that a provider may refuse to know: floats are what all send unasked.
#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: &'a [String],
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    /// Which text it is of; the order of the list says so where this is missing.
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl Embeddings {
    /// The embedder called `model` at an endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint, model: impl Into<String>) -> Self {
        Self { endpoint, model: model.into(), length: OnceLock::new() }
    }

    /// What an answer says.
    fn read(
        &self,
        body: &[u8],
        headers: &HeaderMap,
        texts: usize,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| {
            if Complaint::read(body).is_some() {
                self.endpoint.refused(/*status*/ 200, headers, body)
            } else if serde_json::from_slice::<IgnoredAny>(body).is_ok() {
                self.odd(error)
            } else {
                self.endpoint.not_understood(body, &error)
            }
        })?;
        let vectors = in_order(answer.data, texts).map_err(|what| self.odd(what))?;
        let first = vectors.first().map_or(0, Vec::len);
        let length = *self.length.get_or_init(|| first);
        for vector in &vectors {
            self.check(vector, length)?;
        }
        Ok(vectors)
    }

    fn check(&self, vector: &[f32], length: usize) -> Result<(), Failure> {
        let numbers = vector.len();
        if numbers == 0 || numbers > VECTOR_MAX {
            return Err(self.odd(format_args!("a vector has {numbers} numbers")));
        }
        if numbers != length {
            let what = format_args!("a vector has {numbers} numbers and others have {length}");
            return Err(self.odd(what));
        }
        if !vector.iter().all(|number| number.is_finite()) {
            return Err(self.odd("a vector has a number that is none"));
        }
        Ok(())
    }

    /// The failure of an answer that came whole and is none. The same would come again.
    fn odd(&self, what: impl fmt::Display) -> Failure {
        self.endpoint.malformed(FailureClass::Final, what)
    }

    /// The failure of a call that is not even made.
    fn not_taken(&self, what: &str) -> Failure {
        let message = format!("asking {}: {what}", self.endpoint.device());
        failed(FailureClass::Final, ErrorCode::ModelBadRequest, message)
    }
}

#[async_trait]
impl Embedder for Embeddings {
    fn name(&self) -> &str {
        self.endpoint.device()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        if texts.len() > TEXTS_MAX {
            return Err(self.not_taken(&format!("more than {TEXTS_MAX} texts")));
        }
        if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(self.not_taken(&format!("a text has more than {TEXT_BYTES_MAX} bytes")));
        }
        let asked = Asked { model: &self.model, input: texts };
        let body = serde_json::to_vec(&asked).map_err(|error| self.endpoint.unwritable(&error))?;
        let mut answer = self.endpoint.post(body, /*is_stream*/ false, &OnRates::default()).await?;
        let mut whole = Vec::new();
        answer.whole(&mut whole).await?;
        self.read(&whole, answer.headers(), texts.len())
    }
}

/// The vectors in the order of the texts; what is wrong if there is not one for each.
fn in_order(items: Vec<Item>, texts: usize) -> Result<Vec<Vec<f32>>, String> {
    if items.len() != texts {
        return Err(format!("{} vectors for {texts} texts", items.len()));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for (at, item) in items.into_iter().enumerate() {
        let index = item.index.unwrap_or(at);
        match vectors.get_mut(index) {
            Some(place @ None) => *place = Some(item.embedding),
            Some(Some(_)) => return Err(format!("two vectors for text {index}")),
            None => return Err(format!("a vector for text {index} of {texts}")),
        }
    }
    // One for each place and none twice: none is missing.
    Ok(vectors.into_iter().flatten().collect())
}
