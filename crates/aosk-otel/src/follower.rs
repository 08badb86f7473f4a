//! Reads the journal as it grows, and hands over the spans that end.
//!
//! The store is read on threads of its own, at most so often. It waits for nobody: a span for which
//! there is no room is dropped and counted.

use std::sync::{Arc, Mutex, PoisonError};

use aosk_abi::{Body, Entry, Error, Fact, Hash, MessageIndex, Pid};
use aosk_runtime::kernel::Spec;
use aosk_runtime::meter::Moment;
use aosk_runtime::store::{JournalQuery, Reader, StoredEntry};
use aosk_runtime::{Handle, Meter, inspect};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::figures::Figures;
use crate::ids::Ids;
use crate::limits::{CONTENT_BYTES_MAX, ENTRIES_PER_READ, MESSAGES_MAX, PACE, SPANS_WAITING_MAX};
use crate::story::{Library, Story};

/// Follows a journal.
pub(crate) struct Follower {
    handle: Handle,
    moments: broadcast::Receiver<Moment>,
    journal: watch::Receiver<u64>,
    /// The entry to read next.
    next: u64,
    /// None before the journal has a first entry.
    story: Option<Story>,
    /// Told the first hash of the journal, before any span.
    whose: watch::Sender<Option<Hash>>,
    content: bool,
    figures: Arc<Mutex<Figures>>,
    spans: mpsc::Sender<Span>,
    /// Whether spans are being dropped, which is said once.
    drops: bool,
}

impl Follower {
    /// Of a kernel's journal, from what it has now on.
    pub(crate) fn new(
        handle: &Handle,
        (content, figures): (bool, Arc<Mutex<Figures>>),
        (spans, whose): (mpsc::Sender<Span>, watch::Sender<Option<Hash>>),
    ) -> Self {
        let journal = handle.journal();
        let next = journal.borrow().saturating_add(1);
        let moments = handle.meter().moments();
        let handle = handle.clone();
        let (story, drops) = (None, false);
        Self { handle, moments, journal, next, story, whose, content, figures, spans, drops }
    }

    /// Follows until it is told to stop, and then to the end of the journal.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stopped = tokio::select! { biased;
                // A sender that is gone has stopped.
                _ = stop.wait_for(|stop| *stop) => true,
                _ = pace.tick() => false,
            };
            while *self.journal.borrow_and_update() >= self.next {
                let before = self.next;
                let Ok(read) = tokio::task::spawn_blocking(move || self.read()).await else {
                    tracing::error!(
                        "following the journal for the collector failed; it is not told any more"
                    );
                    return;
                };
                self = read;
                if self.next == before {
                    // What is there cannot be read now.
                    break;
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// Reads what is new, as much as one read gives.
    fn read(mut self) -> Self {
        let reader = self.handle.reader();
        match self.entries(reader.as_ref()) {
            Ok(entries) => {
                // Whatever happened to a call that is told of in them was said before.
                let heard = self.heard();
                self.take(reader.as_ref(), heard, &entries);
            }
            Err(error) => tracing::warn!(%error, "the journal could not be read for the collector"),
        }
        self
    }

    fn entries(&mut self, reader: &dyn Reader) -> Result<Vec<StoredEntry>, Error> {
        if self.story.is_none() {
            let query = JournalQuery { from: 1, limit: 1, pid: None };
            let first = reader.journal(&query)?.into_iter().next();
            if let Some(first) = first {
                self.whose.send_replace(Some(first.hash));
                self.story = Some(Story::new(Ids(first.hash)));
            }
        }
        let query = JournalQuery { from: self.next, limit: ENTRIES_PER_READ, pid: None };
        Ok(reader.journal(&query)?)
    }

    fn heard(&mut self) -> Vec<Moment> {
        let mut heard = Vec::new();
        loop {
            match self.moments.try_recv() {
                Ok(moment) => heard.push(moment),
                // Spans lack some details then.
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return heard,
            }
        }
    }

    fn take(&mut self, reader: &dyn Reader, heard: Vec<Moment>, entries: &[StoredEntry]) {
        let Some(story) = &mut self.story else { return };
        heard.into_iter().for_each(|moment| story.hear(moment));
        let (handle, content) = (&self.handle, self.content);
        let library = Library {
            spec: &|pid| spec(handle, reader, pid),
            log: &|pid, before| log(reader, pid, before),
            body: &|hash| if content { inspect::body(reader, hash).ok() } else { None },
        };
        let mut spans = Vec::new();
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            self.next = entry.seq.saturating_add(1);
            // A fact of a later kernel is none of ours.
            if let Some(fact) = Fact::read(&entry.kind, &entry.data) {
                let entry = Entry { at: entry.at, pid: entry.pid, fact };
                story.take(&entry, &library, (&mut figures, &mut spans));
            }
        }
        drop(figures);
        self.hand_over(spans);
    }

    fn hand_over(&mut self, spans: Vec<Span>) {
        let meter: &Meter = self.handle.meter();
        for span in spans {
            let is_dropped = self.spans.try_send(span).is_err();
            if is_dropped {
                meter.spans_dropped(1);
            }
            if is_dropped && !self.drops {
                tracing::warn!(
                    "the collector is too slow: spans are dropped, as aosk_otel_spans_dropped counts"
                );
            }
            // Until there is much room again it is the same drought.
            let has_room = self.spans.capacity() > SPANS_WAITING_MAX / 2;
            self.drops = is_dropped || (self.drops && !has_room);
        }
    }
}

/// What a process was started with.
fn spec(handle: &Handle, reader: &dyn Reader, pid: Pid) -> Option<Arc<Spec>> {
    let known = handle.process(pid).or_else(|| inspect::process(reader, pid).ok());
    known.map(|process| process.spec)
}

/// The last messages of a log before a page.
fn log(reader: &dyn Reader, pid: Pid, before: MessageIndex) -> Vec<Body> {
    let before = usize::try_from(before.0).unwrap_or(usize::MAX);
    let from = before.saturating_sub(MESSAGES_MAX);
    let limit = before.saturating_sub(from);
    if limit == 0 {
        return Vec::new();
    }
    let bytes = CONTENT_BYTES_MAX.saturating_mul(MESSAGES_MAX);
    let part = inspect::LogPart { from, limit, bytes };
    inspect::log_part(reader, pid, part).map(|(bodies, _)| bodies).unwrap_or_default()
}
