//! What is done with logs beside the event loop: searches, the first look at what a long log carries,
//! vectors for pages. What comes of it is done with on the loop, when it has come.

use std::sync::Arc;
use std::time::Duration;

use aosk_abi::{Body, Error, Pid, ThinkOptions};
use aosk_store::Reader;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::aside::Aside;
use super::carried::Carried;
use super::embedding::Embedding;
use super::entries::{Entry, Texts};
use super::found::FOUND_MAX;
use super::recollect::{Found, Recollection};

/// How long a question to the model waits for what may be brought back unasked. A log of ten thousand
/// pages is read in a fifth of a second; what is not read by then is read on for the next time.
const UNASKED_WAIT: Duration = Duration::from_secs(2);

/// Pages that a search looks at: some of what is found may be forgotten, or in the window.
pub(crate) const LOOKED_AT: usize = FOUND_MAX * 2;

/// Pages whose identifiers are noted in one go.
const NOTED_AT_ONCE: usize = 256;

/// Work with logs that is under way.
pub(crate) struct Background {
    aside: Arc<Aside>,
    embedding: Option<Arc<Embedding>>,
    tasks: JoinSet<Done>,
    tending: JoinSet<()>,
}

/// What was done.
pub(crate) enum Done {
    /// What may be brought back was looked for.
    Recalled(Box<Waiting>, Vec<Found>),
    /// What the log of a process carries was noted.
    Carried(Pid, Carried),
    /// Nothing that anybody waits for.
    Nothing,
}

/// A question to the model that waited for what may be brought back.
pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    pub(crate) turn: u64,
    pub(crate) append: Vec<Body>,
    pub(crate) options: ThinkOptions,
    pub(crate) state: Arc<str>,
}

/// What came of a search.
pub(crate) struct Searched {
    pub(crate) found: Result<Vec<Found>, Error>,
    /// What was missing from it, in words for the model.
    pub(crate) note: Option<String>,
}

impl Background {
    /// Nothing is under way yet. To be called within the runtime.
    pub(crate) fn new(reader: Arc<dyn Reader>, embedding: Option<Arc<Embedding>>) -> Self {
        let aside = Arc::new(Aside::new(reader));
        let mut tending = JoinSet::new();
        if let Some(embedding) = &embedding {
            tending.spawn(embedding.clone().tend(aside.clone()));
        }
        Self { aside, embedding, tasks: JoinSet::new(), tending }
    }

    /// Whether pages get vectors when they enter a log.
    pub(crate) fn has_embedder(&self) -> bool {
        self.embedding.is_some()
    }

    /// The next that was done; none while nothing is under way.
    pub(crate) async fn next(&mut self) -> Option<Done> {
        let done = self.tasks.join_next().await?;
        // What may panic runs on threads of its own, so this is one that was cut off.
        Some(done.unwrap_or(Done::Nothing))
    }

    /// Cuts off everything and waits until it has ended.
    pub(crate) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
        self.tending.shutdown().await;
    }

    /// Searches a log for what was asked for. Its new pages have been handed over.
    pub(crate) fn search(
        &self,
        log: Arc<Recollection>,
        query: String,
    ) -> impl Future<Output = Searched> + Send + 'static {
        let (aside, embedding) = (self.aside.clone(), self.embedding.clone());
        async move {
            let vector = async {
                match &embedding {
                    Some(embedding) => Some(embedding.of_query(&query).await),
                    None => None,
                }
            };
            let (read, vector) = tokio::join!(aside.catch_up(&log, embedding.is_some()), vector);
            if let Err(error) = read {
                return Searched { found: Err(error), note: None };
            }
            let (vector, why) = match vector {
                Some(Ok(vector)) => (Some(vector), None),
                Some(Err(why)) => (None, Some(why)),
                None => (None, None),
            };
            let searched = log.clone();
            let found = aside.run(move |_| {
                // Asked first: what comes meanwhile may not have been seen by the search.
                let waiting = searched.waiting();
                (searched.search(&query, vector.as_deref(), LOOKED_AT), waiting)
            });
            let (found, waiting) = match found.await {
                Ok((found, waiting)) => (Ok(found), waiting),
                Err(error) => (Err(error), 0),
            };
            if let Some(embedding) = embedding.filter(|_| waiting > 0) {
                embedding.enqueue(&log);
            }
            let note = match why {
                Some(why) => Some(format!("searched by words alone: {why}")),
                None if waiting > 0 => Some(format!(
                    "without a vector as yet, and searched by words alone: {waiting} pages"
                )),
                None => None,
            };
            Searched { found, note }
        }
    }

    /// Looks for what may be brought back before the model is asked.
    pub(crate) fn recall(&mut self, log: Arc<Recollection>, said: String, waiting: Waiting) {
        let (aside, vectors) = (self.aside.clone(), self.has_embedder());
        self.tasks.spawn(async move {
            let search = async {
                aside.catch_up(&log, vectors).await?;
                let log = log.clone();
                aside.run(move |_| log.search(&said, None, LOOKED_AT)).await
            };
            let found = match timeout(UNASKED_WAIT, search).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    tracing::warn!(pid = %waiting.pid, %error, "nothing is brought back unasked");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            };
            Done::Recalled(Box::new(waiting), found)
        });
    }

    /// Reads on in a log whose pages have been handed over.
    pub(crate) fn read_on(&mut self, log: Arc<Recollection>) {
        if let Some(embedding) = &self.embedding {
            embedding.enqueue(&log);
            return;
        }
        let aside = self.aside.clone();
        self.tasks.spawn(async move {
            if let Err(error) = aside.catch_up(&log, /*vectors*/ false).await {
                tracing::warn!(%error, "a log cannot be read to be searched");
            }
            Done::Nothing
        });
    }

    /// Notes what these pages of a log carry.
    pub(crate) fn note(&mut self, pid: Pid, entries: Vec<Entry>) {
        let aside = self.aside.clone();
        self.tasks.spawn(async move {
            let mut carried = Carried::default();
            for some in entries.chunks(NOTED_AT_ONCE) {
                let some = some.to_vec();
                let noted = aside.run(move |reader| noted(carried, reader, &some)).await;
                match noted.and_then(|noted| noted) {
                    Ok(more) => carried = more,
                    Err(error) => {
                        tracing::warn!(%pid, %error, "what a log carries cannot be read");
                        return Done::Nothing;
                    }
                }
            }
            Done::Carried(pid, carried)
        });
    }
}

/// Notes what these pages of a log carry too.
pub(crate) fn noted(
    mut carried: Carried,
    reader: &dyn Reader,
    entries: &[Entry],
) -> Result<Carried, Error> {
    let mut texts = Texts::said(reader);
    for entry in entries {
        carried.add(entry.id, texts.of(entry)?);
    }
    Ok(carried)
}
