//! A model call from question to answer, and what it costs.

use aosk_abi::{
    Body, FinishReason, Message, ModelOutcome, ModelReply, Pid, Tokens, ToolOutcome, Usage,
};
use expect_test::expect;

use super::script::*;
use crate::process::Stats;

#[test]
fn an_answer_is_a_page_and_is_paid() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    s.step(a, think("m"));
    // 10 in at 1, 90 out at 2 micro-dollars.
    assert_eq!(
        node(s.budget(a)),
        "used 1 children; reserved 100 tokens, 1 calls, 190 micro-dollars, 1 steps; \
         overdraft nothing"
    );
    let used = Usage {
        input_uncached: Tokens(3),
        cache_read: Tokens(5),
        cache_write: Tokens(1),
        output: Tokens(20),
        reasoning: Tokens(7),
        estimated: false,
    };
    let reply = ModelReply {
        body: Body::new(Message::assistant("forty-two")),
        usage: used,
        finish: FinishReason::Length,
    };
    s.model_done(a, ModelOutcome::Answered(Box::new(reply)));
    s.expect(&expect![[r#"
        0s p1#1 think m 10+90
            * p1 model.called p1.c1 m with 1 pages 10+90
            think p1.c1/1 m with 1 pages
        0s p1.c1/1 answered
            * p1 model.answered p1.c1 @1 used 9+20 for $0.000045
            p1#2 <- answered @1 Length
    "#]]);
    assert_eq!(s.log(a), ["user: task", "assistant: forty-two"]);
    // 3 + 0.5 + 1 + 40 micro-dollars, rounded up once.
    assert_eq!(
        node(s.budget(a)),
        "used 29 tokens, 1 calls, 45 micro-dollars, 1 steps, 1 children; reserved nothing; \
         overdraft nothing"
    );
    let stats = s.process(a).stats;
    assert_eq!(spent(&stats.spend), "29 tokens, 1 calls, 45 micro-dollars, 1 steps");
    assert_eq!(
        stats,
        Stats {
            spend: stats.spend,
            model_calls: 1,
            input: Tokens(9),
            cached: Tokens(5),
            written: Tokens(1),
            output: Tokens(20),
            ..Stats::default()
        }
    );
}

#[test]
fn each_call_shows_the_whole_log() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.answer(a, 10, 1);
    s.forget();
    let append = vec![user("and now?")];
    s.step_of(a, 2, aosk_abi::Step { append, call: think("m"), state: "null".into() });
    s.expect(&expect![[r#"
        0s p1#2 think m 10+90
            * p1 model.called p1.c2 m with 3 pages 10+90
            think p1.c2/1 m with 3 pages
    "#]]);
}

#[test]
fn an_unknown_or_forbidden_model_is_refused() {
    let mut s = Script::new(config());
    let mut capabilities = spec("a").capabilities;
    capabilities.models = aosk_abi::Grant::only(["m", "gone"]);
    let a = s.spawn(with_capabilities("a", capabilities));
    s.forget();
    s.step(a, think("gone"));
    s.step(a, think("n"));
    s.expect(&expect![[r#"
        0s p1#1 think gone 10+90
            * p1 syscall.refused think model.unknown
            p1#2 <- refused: asking the model: no such device: gone [model.unknown]
        0s p1#2 think n 10+90
            * p1 syscall.refused think kernel.forbidden
            p1#3 <- refused: p1 (a) may not use the model: n [kernel.forbidden]
    "#]]);
    // Neither was a call.
    assert_eq!(s.process(a).calls, 0);
}

#[test]
fn late_duplicate_and_unknown_completions_change_nothing() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, think("m"));
    s.step(b, call_tools(&["read", "shell"]));
    s.tool_returns(b, 1, "ok");
    let before = s.kernel.rows();
    let done = || answer(usage(1, 1));
    let returned = || ToolOutcome::Returned(Body::new(Message::tool("u0", "again")));
    s.model_done_of(a, 1, 2, done()); // an attempt that is not running
    s.model_done_of(a, 2, 1, done()); // a call that was not made
    s.model_done_of(b, 1, 1, done()); // a call of the other class
    s.model_done_of(Pid(9), 1, 1, cancelled()); // a process that never was
    s.tool_done_of(b, 1, 1, returned()); // twice
    s.tool_done_of(b, 2, 2, returned()); // an attempt that is not running
    s.tool_done_of(b, 3, 1, ToolOutcome::Cancelled); // a call that was not made
    s.tool_done_of(a, 1, 1, returned()); // a call of the other class
    s.tool_done_of(Pid(9), 1, 1, returned()); // a process that never was
    assert_eq!(s.kernel.ignored(), 9);
    assert_eq!(s.kernel.rows(), before);
    s.answer(a, 1, 1);
    let after = s.kernel.rows();
    s.model_done_of(a, 1, 1, done());
    assert_eq!(s.kernel.ignored(), 10);
    assert_eq!(s.kernel.rows(), after);
}
