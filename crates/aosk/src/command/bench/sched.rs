//! `aosk bench sched`: what scheduling costs and how fair it is.

mod live;

use std::time::Duration;

use aosk::abi::Error;

use crate::fail::Done;
use crate::term::{line, note};

/// The model server that the benchmark starts for itself.
///
/// # Errors
/// If it cannot listen.
pub(crate) async fn serve(latency_ms: u64) -> Result<Done, Error> {
    live::serve(Duration::from_millis(latency_ms)).await.map(|()| Done::Well)
}

/// What is measured on real servers, alone.
///
/// # Errors
/// If something cannot be measured.
pub(crate) async fn live(quick: bool) -> Result<Done, Error> {
    let live = live::measure(quick, &note).await?;
    line(&serde_json::to_string_pretty(&live).unwrap_or_default());
    Ok(Done::Well)
}
