//! Vectors of recorded conversations, from an embedder that is asked for them as an agent's memory asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aosk::abi::{Error, ErrorCode, Failure, FailureClass};
use aosk::model::Embedder;
use aosk::model::embedder::{TEXTS_MAX, start_of};
use aosk::search::evaluate::Conversation;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

/// How long one call may take, how often it is made, and how long is waited between.
const CALL: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 4;
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An embedder, and what it is asked with.
pub(super) struct Vectors {
    embedder: Arc<dyn Embedder>,
    runtime: Runtime,
}

impl Vectors {
    pub(super) fn new(embedder: Arc<dyn Embedder>) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            Error::new(ErrorCode::Io, format!("starting to ask the embedder: {error}"))
        })?;
        Ok(Self { embedder, runtime })
    }

    pub(super) fn name(&self) -> &str {
        self.embedder.name()
    }

    /// Gives turns and questions their vectors. Says how long each question took.
    pub(super) fn embed(&self, conversation: &mut Conversation) -> Result<Vec<Duration>, Error> {
        self.runtime.block_on(async {
            let turns: Vec<&str> =
                conversation.turns.iter().map(|turn| turn.text.as_str()).collect();
            let mut vectors = Vec::with_capacity(turns.len());
            for some in turns.chunks(TEXTS_MAX) {
                vectors.extend(self.of_texts(some).await?);
            }
            conversation.turn_vectors = vectors;
            let (mut vectors, mut waits) = (Vec::new(), Vec::new());
            for question in &conversation.questions {
                #[expect(clippy::disallowed_methods, reason = "what a query takes is measured")]
                let start = Instant::now();
                // One by one, as agents ask.
                vectors.extend(self.of_texts(&[question.question.as_str()]).await?);
                waits.push(start.elapsed());
            }
            conversation.question_vectors = vectors;
            Ok(waits)
        })
    }

    /// A vector for each text; an empty one for a text that says nothing.
    async fn of_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let says = |text: &&&str| !text.trim().is_empty();
        let asked: Vec<String> =
            texts.iter().filter(says).map(|text| start_of(text).to_owned()).collect();
        let mut vectors = self.ask(&asked).await?.into_iter();
        let vector = |text: &&str| if says(&text) { vectors.next() } else { None };
        Ok(texts.iter().map(vector).map(Option::unwrap_or_default).collect())
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let mut attempt = 1;
        loop {
            let failure = match timeout(CALL, self.embedder.embed(texts)).await {
                Ok(Ok(vectors)) => return Ok(vectors),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let what = format!("asking {}: no answer in time", self.name());
                    return Err(Error::new(ErrorCode::ModelTimeout, what));
                }
            };
            if failure.class == FailureClass::Final || attempt >= ATTEMPTS {
                let Failure { code, message, hint, .. } = failure;
                return Err(Error::new(code, message).hint(hint));
            }
            attempt += 1;
            let asked = failure.retry_after.map_or(WAIT, |wait| wait.duration());
            sleep(asked.clamp(WAIT, WAIT_MAX)).await;
        }
    }
}
