//! Calls that clients ask, in their own words: passed on where the model is asked in their format, else
//! put into the model's and told them in pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aosk_abi::{
    CallId, ErrorCode, Failure, FailureClass, ModelOutcome, ModelReply, ThinkOptions, Tokens, Usage,
};
use aosk_model::{CacheHints, Delta, OnDelta, OnRates, Request};

use crate::config::ModelDevice;
use crate::foreign::{Live, Said};

use super::answer::Growing;
use super::first::FirstToken;
use super::{Asker, Devices, Growth, Kind, Stops, failed, internal};

impl Devices {
    /// Starts a call that a client asks.
    pub(crate) fn relay(
        &mut self,
        (call, attempt): (CallId, u32),
        device: &str,
        (asker, options): (Asker, Arc<ThinkOptions>),
        live: Option<Arc<Live>>,
    ) {
        let kind = Kind::Model(device.to_owned());
        let model = self.models.get(device).cloned();
        // A stream of which nothing counts as output, and which was cut off, was passed on all the same.
        let live = live.filter(|live| !live.outlet.is_gone() && !live.outlet.is_told());
        let (Some(live), Some(model)) = (live, model) else {
            // Its client went away while it waited, or heard a part; the kernel knows the same devices.
            let failure = internal(format!("asking {device} for {call}: its answer broke off"));
            self.spawn((call, attempt), kind, async move { failed(call, attempt, failure) });
            return;
        };
        let (heard, name) = (self.heard.clone(), device.to_owned());
        let request = Request {
            call,
            attempt,
            cache: CacheHints { key: live.ask.cache_key.clone(), ..CacheHints::default() },
            process: asker.name,
            label: asker.label,
            options,
            messages: live.ask.messages.clone(),
            begun: None,
            tools: live.ask.tools.clone(),
            wishes: live.ask.wishes.clone(),
            answers: asker.answers,
            on_rates: OnRates::new(move |report| heard.take(&name, report)),
        };
        let growth = self.growth.clone();
        let stops = Arc::<Stops>::default();
        self.stops.insert((call, attempt), stops.clone());
        let first = FirstToken::new(self.meter.clone(), call, device);
        self.spawn((call, attempt), kind, async move {
            let growing = Growing::default();
            let on_delta = |delta: Delta| {
                first.came();
                growing.take(&delta);
                if !matches!(delta, Delta::Arguments(_)) {
                    // Nobody need be watching.
                    let _unseen = growth.send(Growth { pid: call.pid, delta });
                }
            };
            let outcome = tokio::select! {
                biased;
                () = stops.cancel.notified() => growing.cut_off(model.tokenizer),
                answer = answer(&model, request, &live, &on_delta) => match answer {
                    Ok(reply) => ModelOutcome::Answered(Box::new(reply)),
                    Err(failure) => ModelOutcome::Failed(failure),
                },
            };
            aosk_abi::Input::ModelDone { call, attempt, outcome }
        });
    }
}

/// The answer to what a client asks. The client hears it on the way.
async fn answer(
    model: &ModelDevice,
    request: Request,
    live: &Live,
    on_delta: &(dyn Fn(Delta) + Send + Sync),
) -> Result<ModelReply, Failure> {
    let ask = &live.ask;
    let answer = if ask.passes && model.driver.passes(ask.passage.format) {
        model.driver.pass_on(request, &ask.passage, Some(on_delta)).await
    } else if ask.own_format_only {
        Err(in_another_format(model))
    } else {
        in_other_words(model, request, live, on_delta).await
    };
    // What was passed on is known here by its size alone.
    let with_input = |usage: &mut Usage| {
        if usage.estimated {
            usage.input_uncached += ask.input.saturating_sub(usage.input());
        }
    };
    match answer {
        Ok(mut reply) => {
            with_input(&mut reply.usage);
            live.outlet.tell(Said::Answered(Box::new(reply.clone())));
            Ok(reply)
        }
        Err(mut failure) => {
            failure.usage.as_mut().map(with_input);
            Err(failure)
        }
    }
}

/// Asks a model that is asked in another format than the client's.
async fn in_other_words(
    model: &ModelDevice,
    request: Request,
    live: &Live,
    on_delta: &(dyn Fn(Delta) + Send + Sync),
) -> Result<ModelReply, Failure> {
    let is_told = AtomicBool::new(false);
    let told = |delta: Delta| {
        is_told.store(true, Ordering::Relaxed);
        on_delta(delta.clone());
        live.outlet.tell(Said::Delta(delta));
    };
    let told: OnDelta<'_> = Some(&told);
    let streams = live.ask.passage.stream && model.stream;
    let answer = model.driver.complete(request, if streams { told } else { None }).await;
    answer.map_err(|mut failure| {
        // The kernel must know whether something was heard, whatever was counted.
        if is_told.load(Ordering::Relaxed) {
            let usage = failure.usage.get_or_insert_default();
            usage.output = usage.output.max(Tokens(1));
        } else if let Some(usage) = &mut failure.usage {
            usage.output = Tokens::ZERO;
        }
        failure
    })
}

/// What only a model that is asked in the client's format can do is asked of another.
fn in_another_format(model: &ModelDevice) -> Failure {
    Failure {
        class: FailureClass::Final,
        code: ErrorCode::ModelBadRequest,
        message: format!(
            "asking {}: the request has what only a model that is asked in its own format can do, \
             and this one is asked in another",
            model.name
        ),
        hint: "leave out tools that the provider runs and what the provider keeps, or ask a model \
               of that provider"
            .to_owned(),
        retry_after: None,
        usage: None,
    }
}
