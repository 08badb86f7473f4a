//! What does not fit a window, or cannot be known to: the agent is told, no page is lost, and nothing is
//! sent that must be refused. Of what a tool writes beyond its bound the middle is not kept, which the
//! result says. More of it is in `memory`.

use std::sync::{Arc, Mutex};

use aosk_runtime::abi::{ErrorCode, ExitStatus, Failure, FailureClass};

use crate::memory::{Asked, kinds, run, scene, tokens};
use crate::scene::{Do, Say, last, text, tool};

/// What a provider takes that tells nobody of its limit.
const SECRET_LIMIT: u64 = 3_000;

/// A result of 50 MB reaches the model as its beginning and its end, and says what was cut.
#[tokio::test]
async fn a_result_of_fifty_megabytes_is_cut_and_told() {
    let (memory, asked) = (aosk_runtime::store::Memory::new(), Asked::default());
    let mut scene = scene(&memory, &asked, |n, request| match n {
        0 => tool("flood", "{}"),
        _ => {
            // It is a few pages, of which not all fit.
            let shown: String = request.messages.iter().map(|body| body.message().text()).collect();
            assert!(shown.contains("line 0 of it"), "{shown}");
            text(&last(request))
        }
    });
    let flood = |_: u32| {
        let rest = "and so on, for a very long time, line by line\n".repeat(1_150_000);
        assert!(rest.len() > 50_000_000);
        format!("line 0 of it\n{rest}the last line")
    };
    scene.tool("flood", Do::Make(flood), |_| {});
    let node = scene.start();
    let (pid, status, _) = run(&node).await;
    assert_eq!(status, ExitStatus::Finished);
    let pages = aosk_runtime::inspect::page_table(&memory, pid).unwrap().pages;
    let of_result = pages.iter().find(|page| page.page.0 == 3).unwrap();
    let body = aosk_runtime::inspect::body(&memory, of_result.body).unwrap();
    let kept = body.message().text();
    assert!(kept.starts_with("line 0 of it\n") && kept.ends_with("the last line"), "{kept}");
    assert!(kept.contains("[… 52,") && kept.contains("bytes cut"), "{kept}");
    node.shutdown().await.unwrap();
}

/// Where nobody knows the limit, a provider is asked with all there is until it refuses once; then what
/// it took is kept to, and the agent gets to its end.
#[tokio::test]
async fn a_limit_that_is_unknown_is_learnt_from_one_refusal() {
    let (memory, asked) = (aosk_runtime::store::Memory::new(), Asked::default());
    let refused = Arc::<Mutex<Vec<usize>>>::default();
    let noted = refused.clone();
    let mut scene = scene(&memory, &asked, move |n, request| {
        if tokens(request) > SECRET_LIMIT {
            noted.lock().unwrap().push(n);
            return Say::Fail(Failure {
                class: FailureClass::Final,
                code: ErrorCode::ModelContextLength,
                message: "maximum context length".to_owned(),
                hint: String::new(),
                retry_after: None,
                usage: None,
            });
        }
        if n < 60 { tool("fetch", "{}") } else { text("done") }
    });
    scene.config.models[0].context = None;
    let node = scene.start();
    let (_, status, said) = run(&node).await;
    assert_eq!((status, said.as_str()), (ExitStatus::Finished, "done"));
    assert_eq!(refused.lock().unwrap().len(), 1);
    let causes: Vec<_> =
        kinds(&memory, "memory.cut").iter().map(|cut| cut["cause"].clone()).collect();
    assert_eq!(causes[0], "refused", "nothing left before");
    assert!(causes.len() > 3 && causes[1..].iter().all(|cause| cause != "refused"), "{causes:?}");
    node.shutdown().await.unwrap();
}
