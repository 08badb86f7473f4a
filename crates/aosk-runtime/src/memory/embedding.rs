//! The embedder at work: pages get their vectors in the background, queries theirs while a search waits.
//!
//! Nothing depends on it. A page without a vector is found by its words, and so is everything while the
//! embedder fails.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use aosk_abi::{ErrorCode, Failure, FailureClass, Hash};
use aosk_model::Embedder;
use aosk_model::embedder::{TEXT_BYTES_MAX, TEXTS_MAX};
use aosk_store::Reader;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::aside::Aside;
use super::entries::{Entry, Texts};
use super::recollect::Recollection;
use super::vectors::Vectors;

/// How long a search waits for the vector of its query.
const QUERY_WAIT: Duration = Duration::from_secs(2);

/// How long the vectors of pages may take. A server of one's own on a slow machine needs seconds.
const PAGES_WAIT: Duration = Duration::from_secs(60);

/// An embedder that takes fewer bytes of a text than this is of no use.
const TEXT_BYTES_MIN: usize = 256;

/// How long it is left alone after a failure; doubles with each further one up to the second. One that
/// would fail again in any case is left alone for longer.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
const REST_FINAL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));

/// The embedder of a node, and the vectors that it gave.
pub(crate) struct Embedding {
    embedder: Arc<dyn Embedder>,
    vectors: Mutex<Vectors>,
    rest: Mutex<Rest>,
    /// Bytes that it takes of a text, as far as that is known.
    text_bytes: AtomicUsize,
    /// Logs with pages that may want vectors, each once.
    queue: Mutex<VecDeque<Weak<Recollection>>>,
    queued: Notify,
}

/// How the embedder has been doing.
#[derive(Default)]
struct Rest {
    /// Failures in a row.
    failures: u32,
    /// It is left alone until then, and why.
    until: Option<(Instant, String)>,
}

/// A page that wants a vector.
struct Bare {
    entry: Entry,
    key: Hash,
    /// As much of its text as the embedder takes.
    text: String,
}

impl Embedding {
    pub(crate) fn new(embedder: Arc<dyn Embedder>) -> Self {
        Self {
            embedder,
            vectors: Mutex::default(),
            rest: Mutex::default(),
            text_bytes: AtomicUsize::new(TEXT_BYTES_MAX),
            queue: Mutex::default(),
            queued: Notify::new(),
        }
    }

    /// The vector of a query; why there is none if it does not come soon.
    pub(crate) async fn of_query(&self, text: &str) -> Result<Arc<[f32]>, String> {
        let key = Hash::of(text.as_bytes());
        if let Some(vector) = locked(&self.vectors).get(key) {
            return Ok(vector);
        }
        let name = self.embedder.name();
        if let Some((until, why)) = &locked(&self.rest).until
            && *until > Instant::now()
        {
            return Err(format!("{name} is left alone for a while: {why}"));
        }
        if text.trim().is_empty() {
            return Err("the query is blank".to_owned());
        }
        match timeout(QUERY_WAIT, self.of_one(self.start_of(text))).await {
            Ok(Ok(Some(vector))) => {
                self.went_well();
                locked(&self.vectors).put(key, vector.clone());
                Ok(vector)
            }
            Ok(Ok(None)) => Err(format!("{name} does not take the query")),
            Ok(Err(failure)) => {
                self.failed(&failure);
                Err(failure.message)
            }
            Err(_) => Err(format!("{name} did not answer within {} s", QUERY_WAIT.as_secs())),
        }
    }

    /// Says that a log may have pages without vectors.
    pub(crate) fn enqueue(&self, recollection: &Arc<Recollection>) {
        if recollection.begin_to_queue() {
            locked(&self.queue).push_back(Arc::downgrade(recollection));
            self.queued.notify_one();
        }
    }

    /// Gives pages their vectors, one batch after the other, for ever.
    pub(crate) async fn tend(self: Arc<Self>, aside: Arc<Aside>) {
        loop {
            let next = locked(&self.queue).pop_front();
            let Some(next) = next else {
                self.queued.notified().await;
                continue;
            };
            // One that is gone wants nothing any more.
            let Some(recollection) = next.upgrade() else { continue };
            // What comes from here on is not seen for certain.
            recollection.end_to_queue();
            if let Err(error) = aside.catch_up(&recollection, /*vectors*/ true).await {
                tracing::warn!(%error, "pages cannot be read to be embedded");
                continue;
            }
            if self.embed_some(&aside, &recollection).await {
                self.enqueue(&recollection);
            }
        }
    }

    /// Gives a batch of pages their vectors. False if none wants any.
    async fn embed_some(self: &Arc<Self>, aside: &Aside, log: &Arc<Recollection>) -> bool {
        let until = locked(&self.rest).until.as_ref().map(|(until, _)| *until);
        if let Some(until) = until {
            sleep_until(until).await;
        }
        let (this, read) = (self.clone(), log.clone());
        let taken = aside.run(move |reader| this.take(reader, &read)).await;
        let bare = match taken {
            Ok(Some(bare)) => bare,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(%error, "pages cannot be read to be embedded");
                return false;
            }
        };
        let texts: BTreeMap<Hash, String> =
            bare.iter().map(|bare| (bare.key, bare.text.clone())).collect();
        let (keys, texts): (Vec<Hash>, Vec<String>) = texts.into_iter().unzip();
        let outcome = self.of_texts(&texts).await;
        match &outcome {
            Ok(vectors) => {
                self.went_well();
                let mut kept = locked(&self.vectors);
                for (key, vector) in keys.iter().zip(vectors) {
                    if let Some(vector) = vector {
                        kept.put(*key, vector.clone());
                    }
                }
            }
            Err(failure) => self.failed(failure),
        }
        let log = log.clone();
        let put = move |_: &dyn Reader| match outcome {
            Ok(vectors) => {
                let by_key: BTreeMap<Hash, Arc<[f32]>> = keys
                    .into_iter()
                    .zip(vectors)
                    .filter_map(|(key, vector)| Some((key, vector?)))
                    .collect();
                let found = bare
                    .iter()
                    .filter_map(|bare| Some((bare.entry.id, by_key.get(&bare.key)?.as_ref())));
                log.settle(bare.len(), found);
            }
            // Later, behind the others: it may be one of these that is not taken.
            Err(_) => log.put_back(bare.into_iter().map(|bare| bare.entry)),
        };
        aside.run(put).await.is_ok()
    }

    /// Takes a batch of pages that want vectors. Those whose text has one get it at once. None if no
    /// page wants any.
    fn take(&self, reader: &dyn Reader, log: &Recollection) -> Option<Vec<Bare>> {
        let mut bare = Vec::new();
        let mut texts = Texts::found(reader);
        while bare.is_empty() {
            let entries = log.take_bare(TEXTS_MAX);
            if entries.is_empty() {
                return None;
            }
            let (taken, mut known) = (entries.len(), Vec::new());
            for entry in entries {
                let text = match texts.of(&entry) {
                    Ok(text) => text,
                    Err(error) => {
                        tracing::warn!(%error, "a page cannot be read to be embedded");
                        continue;
                    }
                };
                let key = Hash::of(text.as_bytes());
                match locked(&self.vectors).get(key) {
                    Some(vector) => known.push((entry.id, vector)),
                    None => {
                        let text = self.start_of(text).to_owned();
                        bare.push(Bare { entry, key, text });
                    }
                }
            }
            let settled = taken.saturating_sub(bare.len());
            log.settle(settled, known.iter().map(|(id, vector)| (*id, vector.as_ref())));
        }
        Some(bare)
    }

    /// The vectors of texts; none for one that the embedder does not take by itself.
    async fn of_texts(&self, texts: &[String]) -> Result<Vec<Option<Arc<[f32]>>>, Failure> {
        let failure = match self.ask(texts).await {
            Ok(vectors) => return Ok(vectors.into_iter().map(|one| Some(one.into())).collect()),
            Err(failure) if is_of_a_text(&failure) => failure,
            Err(failure) => return Err(failure),
        };
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            vectors.push(self.of_one(text).await?);
        }
        // It is not the texts, then.
        if vectors.iter().all(Option::is_none) { Err(failure) } else { Ok(vectors) }
    }

    /// The vector of a text, or of its beginning if that is what the embedder takes.
    async fn of_one(&self, text: &str) -> Result<Option<Arc<[f32]>>, Failure> {
        let mut bytes = text.len();
        loop {
            let part = text.get(..text.floor_char_boundary(bytes)).unwrap_or(text);
            match self.ask(&[part.to_owned()]).await {
                Ok(vectors) => {
                    if bytes < text.len() {
                        // The others are cut before they are sent.
                        self.text_bytes.fetch_min(bytes, Ordering::Relaxed);
                    }
                    return Ok(vectors.into_iter().next().map(Into::into));
                }
                Err(failure) if !is_of_a_text(&failure) => return Err(failure),
                Err(_) if bytes / 2 < TEXT_BYTES_MIN => return Ok(None),
                Err(_) => bytes /= 2,
            }
        }
    }

    /// One call, in bounded time.
    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
        timeout(PAGES_WAIT, self.embedder.embed(texts)).await.unwrap_or_else(|_| {
            let (name, waited) = (self.embedder.name(), PAGES_WAIT.as_secs());
            Err(Failure {
                class: FailureClass::Transient,
                code: ErrorCode::ModelTimeout,
                message: format!("asking {name}: no answer within {waited} s"),
                hint: String::new(),
                retry_after: None,
                usage: None,
            })
        })
    }

    fn start_of<'a>(&self, text: &'a str) -> &'a str {
        let bytes = text.floor_char_boundary(self.text_bytes.load(Ordering::Relaxed));
        text.get(..bytes).unwrap_or(text)
    }

    fn went_well(&self) {
        *locked(&self.rest) = Rest::default();
    }

    /// Leaves the embedder alone for a while.
    fn failed(&self, failure: &Failure) {
        let mut rest = locked(&self.rest);
        let (first, longest) = match failure.class {
            FailureClass::Transient | FailureClass::RateLimited => REST,
            FailureClass::Final => REST_FINAL,
        };
        let doubled = first.saturating_mul(1 << rest.failures.min(16)).min(longest);
        let asked = failure.retry_after.map(|wait| wait.duration()).unwrap_or_default();
        let wait = doubled.max(asked.min(REST_FINAL.1));
        if rest.failures == 0 {
            tracing::warn!(code = %failure.code, message = failure.message, "the embedder fails");
        }
        rest.failures = rest.failures.saturating_add(1);
        rest.until = Some((Instant::now() + wait, failure.message.clone()));
    }
}

/// Whether a failure may be one of a text that was sent, and not of the embedder.
fn is_of_a_text(failure: &Failure) -> bool {
    matches!(failure.code, ErrorCode::ModelContextLength | ErrorCode::ModelBadRequest)
}

/// What a lock holds, also after somebody panicked with it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// Takes texts of so many bytes, none with a `!`, and gives their length.
    struct Lengths(usize);

    #[async_trait]
    impl Embedder for Lengths {
        fn name(&self) -> &str {
            "test:lengths"
        }

        async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
            if texts.iter().any(|text| text.len() > self.0 || text.contains('!')) {
                return Err(Failure {
                    class: FailureClass::Final,
                    code: if self.0 == 0 {
                        ErrorCode::ModelUnauthorized
                    } else {
                        ErrorCode::ModelContextLength
                    },
                    message: "it does not take this".to_owned(),
                    hint: String::new(),
                    retry_after: None,
                    usage: None,
                });
            }
            Ok(texts
                .iter()
                .map(|text| vec![f32::from(u16::try_from(text.len()).unwrap())])
                .collect())
        }
    }

    fn lengths(vectors: &[Option<Arc<[f32]>>]) -> Vec<Option<f32>> {
        vectors.iter().map(|vector| vector.as_ref().map(|vector| vector[0])).collect()
    }

    #[tokio::test]
    async fn what_it_takes_of_a_text_is_learnt() {
        let embedding = Embedding::new(Arc::new(Lengths(1_000)));
        let long = "x".repeat(3_000);
        assert_eq!(embedding.start_of(&long).len(), 3_000);
        let vectors = embedding.of_texts(&["short".to_owned(), long.clone()]).await.unwrap();
        assert_eq!(lengths(&vectors), [Some(5.0), Some(750.0)]);
        assert_eq!(embedding.start_of(&long).len(), 750, "the others are cut before they are sent");
    }

    #[tokio::test]
    async fn one_text_that_is_not_taken_keeps_no_other_from_its_vector() {
        let embedding = Embedding::new(Arc::new(Lengths(1_000)));
        let texts = ["good".to_owned(), "bad!".to_owned()];
        assert_eq!(lengths(&embedding.of_texts(&texts).await.unwrap()), [Some(4.0), None]);
        assert!(embedding.of_texts(&texts[1..]).await.is_err(), "it takes none of these");
        assert_eq!(embedding.start_of(&"x".repeat(9_000)).len(), TEXT_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_query_that_is_too_long_is_embedded_by_its_beginning() {
        let embedding = Embedding::new(Arc::new(Lengths(1_000)));
        assert_eq!(embedding.of_query(&"x".repeat(3_000)).await.unwrap()[0], 750.0);
        let why = embedding.of_query("what!").await.unwrap_err();
        assert_eq!(why, "test:lengths does not take the query");
        assert_eq!(embedding.of_query("good").await.unwrap()[0], 4.0, "it is not left alone");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_is_left_alone_for_longer_each_time() {
        let embedding = Embedding::new(Arc::new(Lengths(0)));
        for wait in [60, 120, 240, 480, 600, 600] {
            assert_eq!(embedding.of_query("x").await.unwrap_err(), "it does not take this");
            tokio::time::advance(Duration::from_secs(wait - 1)).await;
            let why = embedding.of_query("x").await.unwrap_err();
            assert!(
                why.contains("left alone for a while: it does not take this"),
                "{wait} s: {why}"
            );
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
}
