//! When a probe says that a call was entered, returned and dropped.

use std::time::Duration;

use aosk::abi::{
    Body, CallId, ErrorCode, FailureClass, FinishReason, Message, ThinkOptions, Tokens, Usage,
};
use aosk::model::{CacheHints, OnRates};

use super::*;

/// Answers, refuses, or never comes back, by the number of the call.
struct Moody;

#[async_trait]
impl Driver for Moody {
    async fn complete(&self, request: Request, _: OnDelta<'_>) -> Result<ModelReply, Failure> {
        match request.call.number {
            1 => Ok(ModelReply {
                body: Body::new(Message::assistant("yes")),
                usage: Usage::default(),
                finish: FinishReason::Stop,
            }),
            2 => Err(Failure {
                class: FailureClass::Final,
                code: ErrorCode::ModelServer,
                message: "no".to_owned(),
                hint: String::new(),
                retry_after: None,
                usage: None,
            }),
            _ => std::future::pending().await,
        }
    }
}

fn request(number: u32) -> Request {
    Request {
        call: CallId { pid: Pid(7), number },
        attempt: 1,
        process: "p".to_owned(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: "m".to_owned(),
            output_max: Tokens(1),
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        }),
        messages: Vec::new(),
        begun: None,
        tools: Arc::new([]),
        cache: CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: OnRates::default(),
    }
}

#[tokio::test]
async fn what_is_cut_off_is_told_from_what_returned() {
    let probe = Probe::around(Arc::new(Moody));
    probe.complete(request(1), None).await.unwrap();
    let mut call = probe.complete(request(3), None);
    assert!(
        std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_pending()))
            .await
    );
    assert_eq!(probe.counts(), Counts { entered: 2, returned: 1, failed: 0 });
    drop(call);
    let whats: Vec<_> = probe.moments().iter().map(|moment| moment.what).collect();
    assert_eq!(whats, [What::Entered, What::Returned, What::Entered, What::Dropped]);
    assert!(probe.moments().is_sorted_by_key(|moment| moment.at));
    probe.check().unwrap();
}

#[tokio::test]
async fn a_failed_call_ends_whatever_waits_for_calls() {
    let probe = Probe::around(Arc::new(Moody));
    probe.complete(request(2), None).await.unwrap_err();
    let error = probe.wait_for(|counts| counts.returned > 9).await.unwrap_err();
    assert_eq!(error.message, "measuring: a call failed: no");
    assert_eq!(error.code, ErrorCode::ModelServer);
}

#[test]
fn the_slot_that_is_free_longest_is_taken_first() {
    let start = now();
    let moment = |ms, what| Moment { at: start + Duration::from_millis(ms), pid: Pid(1), what };
    let moments = [
        // Slots that were never in use were not idle between two calls.
        moment(0, What::Entered),
        moment(0, What::Entered),
        moment(10, What::Returned),
        moment(12, What::Dropped),
        moment(15, What::Entered),
        moment(16, What::Entered),
        moment(20, What::Returned),
    ];
    assert_eq!(idle_ms(&moments), [5.0, 4.0]);
}
