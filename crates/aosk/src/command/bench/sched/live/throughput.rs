//! A thousand agents behind the kernel, and plain concurrent clients with nothing between: the same
//! driver, the same server, the same conversations, as many calls at once.

use std::sync::Arc;
use std::time::Duration;

use aosk::abi::{Body, CallId, Error, ErrorCode, Message, Pid, ThinkOptions, Tokens};
use aosk::model::{CacheHints, Driver, OnRates, Request};
use tokio::task::JoinSet;

use super::figures::{cpu, millis, now, quantile};
use super::node::{DEVICE, Disk, Plan, Running, driver};
use super::probe::Probe;
use super::programs::{Calls, GO_ON, beginning, caller};
use super::server::ModelServer;

const AGENTS: usize = 1_000;

/// Slots of the device, and clients of the other side.
const SLOTS: u32 = 64;

const LATENCY: Duration = Duration::from_millis(500);

/// The longest answer in tokens.
const OUTPUT_MAX: u64 = 64;

/// Rounds of calls before anything is measured: connections are made, agents started.
const ROUNDS_BEFORE: u64 = 2;

/// Calls of one conversation of a client, as many as an agent makes.
const CALLS_OF_ONE: u32 = 3;

/// What one side did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side {
    pub(super) calls_per_second: f64,
    /// How long a slot of the server stood idle between two calls: p99.
    pub(super) idle_p99_ms: f64,
    /// CPU time of one call, the server's left out.
    pub(super) cpu_ms_per_call: f64,
}

/// Agents behind the kernel, for so many rounds of all slots.
///
/// # Errors
/// If the kernel or the server cannot be started, or a call fails.
pub(super) async fn kernel(rounds: u64) -> Result<Side, Error> {
    let mut server = ModelServer::start(LATENCY).await?;
    let plan = Plan { disk: Disk::Sqlite, slots: SLOTS, continues: false };
    let running = Running::start(plan, &server).await?;
    let agent = |number| caller(number, 50, Calls::endless(OUTPUT_MAX));
    running.spawn_all((0..AGENTS).map(agent)).await?;
    let side = side(&running.probe, &mut server, rounds).await?;
    running.stop().await?;
    Ok(side)
}

/// Plain clients, for so many rounds.
///
/// # Errors
/// If the server cannot be started, or a call fails.
pub(super) async fn direct(rounds: u64) -> Result<Side, Error> {
    let mut server = ModelServer::start(LATENCY).await?;
    let (probe, _) = driver(&server).await?;
    let mut clients = JoinSet::new();
    for number in 0..SLOTS {
        clients.spawn(client(probe.clone(), number));
    }
    // They end with this.
    side(&probe, &mut server, rounds).await
}

/// Watches one side for so many rounds.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
async fn side(probe: &Probe, server: &mut ModelServer, rounds: u64) -> Result<Side, Error> {
    let before = probe.counts().returned + ROUNDS_BEFORE * u64::from(SLOTS);
    let calls = rounds * u64::from(SLOTS);
    probe.wait_for(|counts| counts.returned >= before).await?;
    server.account().await?;
    let (began, cpu_before) = (now(), cpu());
    probe.wait_for(|counts| counts.returned >= before + calls).await?;
    let (took, cpu_used) = (began.elapsed(), cpu().saturating_sub(cpu_before));
    let books = server.account().await?;
    if books.busy_max > SLOTS {
        let text =
            format!("measuring throughput: {} calls at once on {SLOTS} slots", books.busy_max);
        return Err(Error::new(ErrorCode::KernelPanic, text));
    }
    Ok(Side {
        calls_per_second: calls as f64 / took.as_secs_f64(),
        idle_p99_ms: quantile(&books.idle_ms, 0.99),
        cpu_ms_per_call: millis(cpu_used) / calls as f64,
    })
}

/// Asks again and again, one conversation after another. Ends when a call fails, which the probe says.
async fn client(probe: Arc<Probe>, number: u32) {
    let options = Arc::new(ThinkOptions {
        model: DEVICE.to_owned(),
        output_max: Tokens(OUTPUT_MAX),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    });
    let mut pid = Pid(u64::from(number));
    loop {
        let mut messages = beginning(usize::try_from(number).unwrap_or(0));
        for call in 1..=CALLS_OF_ONE {
            let request = Request {
                call: CallId { pid, number: call },
                attempt: 1,
                process: format!("client-{number}"),
                label: String::new(),
                options: options.clone(),
                messages: messages.clone(),
                begun: None,
                tools: Arc::new([]),
                cache: CacheHints::default(),
                wishes: Arc::default(),
                answers: u64::from(call - 1),
                on_rates: OnRates::default(),
            };
            let Ok(reply) = probe.complete(request, None).await else { return };
            messages.extend([reply.body, Body::new(Message::user(GO_ON))]);
        }
        pid = Pid(pid.0 + u64::from(SLOTS));
    }
}
