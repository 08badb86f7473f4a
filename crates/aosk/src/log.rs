//! The log, which goes to stderr: how much of it there is can be changed while the program runs.

use std::sync::OnceLock;

use aosk::abi::{Error, ErrorCode};
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::term;

/// What changes how much is logged; whether it could be.
type Set = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// The log of this program.
struct Log {
    /// What is logged if nobody says how much.
    usual: &'static str,
    set: Set,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// What `text` lets through; none if it is no filter.
pub(crate) fn filter(text: &str) -> Option<EnvFilter> {
    EnvFilter::try_new(text).ok()
}

/// Logs go to stderr, as `AOSK_LOG` says. If it says nothing they are errors only, or what a daemon has
/// to tell if a form was asked for. Only the first call counts.
pub(crate) fn to_stderr(form: Option<LogFormat>) {
    let usual = if form.is_some() { "info" } else { "error" };
    let said = std::env::var("AOSK_LOG").ok().and_then(|text| filter(&text));
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(said.unwrap_or_else(|| EnvFilter::new(usual)));
    // One that is set already stays.
    let set: Option<Set> = match form {
        None | Some(LogFormat::Text) => {
            let subscriber = subscriber.with_filter_reloading();
            let handle = subscriber.reload_handle();
            let is_set = tracing::subscriber::set_global_default(subscriber.finish()).is_ok();
            is_set.then(|| Box::new(move |filter| handle.reload(filter).is_ok()) as Set)
        }
        Some(LogFormat::Json) => {
            term::log_notes();
            let json = subscriber.json().flatten_event(true).with_current_span(false);
            let json = json.with_span_list(false).with_filter_reloading();
            let handle = json.reload_handle();
            let is_set = tracing::subscriber::set_global_default(json.finish()).is_ok();
            is_set.then(|| Box::new(move |filter| handle.reload(filter).is_ok()) as Set)
        }
    };
    if let Some(set) = set {
        // Nobody else has set one.
        drop(LOG.set(Log { usual, set }));
    }
}

/// Logs as much as `said` says; as much as is usual if it says nothing.
///
/// # Errors
/// If there is no log.
pub(crate) fn say(said: Option<&str>) -> Result<(), Error> {
    let changed = LOG.get().and_then(|log| Some((log.set)(filter(said.unwrap_or(log.usual))?)));
    if changed == Some(true) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Io, "changing how much is logged: there is no log"))
}
