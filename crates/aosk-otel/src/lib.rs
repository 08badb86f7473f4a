//! What the kernel does, told to an OpenTelemetry collector: traces and metrics by the conventions for
//! generative AI, over OTLP as protobuf over HTTP.
//!
//! | room | what it holds |
//! |---|---|
//! | [`Settings`] | where the collector is and what it is told |
//! | [`Telemetry`] | a follower of a kernel's journal, started and ended |
//! | `story` | facts in, spans out |
//! | `figures` | histograms |
//! | `ids` | which trace and which span a process and a call is |
//! | `follower` | reads the journal as it grows |
//! | `post` | sends, within bounds |
//! | `content` | what is said, for those who ask for it |
//! | `provider`, `value` | names and attributes as the conventions have them |
//!
//! Nothing here is asked or waited for by the kernel: it reads what is committed, as anybody may. What a
//! collector cannot take is dropped and counted.
//! <https://github.com/open-telemetry/semantic-conventions-genai>

mod content;
mod figures;
mod follower;
mod ids;
mod limits;
mod post;
mod provider;
mod settings;
mod story;
mod value;

use std::sync::{Arc, Mutex};

use aosk_abi::Error;
use aosk_runtime::{Clock, Handle};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::figures::Figures;
use crate::follower::Follower;
use crate::limits::SPANS_WAITING_MAX;
use crate::post::Collector;

pub use settings::{Said, Settings};

/// Somebody who tells a collector what a kernel does.
#[derive(Debug)]
pub struct Telemetry {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Telemetry {
    /// Follows the journal of a kernel from now on.
    ///
    /// # Errors
    /// If there can be no HTTP client.
    pub fn start(handle: &Handle, settings: Settings) -> Result<Self, Error> {
        let clock = Clock::start();
        let (stop, stopped) = watch::channel(false);
        let (spans, to_send) = mpsc::channel(SPANS_WAITING_MAX);
        let figures = Arc::new(Mutex::new(Figures::new(clock.now())));
        let (whose, known) = watch::channel(None);
        let told = (settings.content, figures.clone());
        let follower = Follower::new(handle, told, (spans, whose));
        let collector = Collector::new(settings, handle.meter().clone(), clock, known)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(follower.run(stopped.clone()));
        tasks.spawn(collector.run(to_send, figures, stopped));
        Ok(Self { stop, tasks })
    }

    /// Tells the collector what it has not been told yet, as far as that takes no longer than
    /// five seconds, and ends. Call it when the kernel has stopped.
    pub async fn finish(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
