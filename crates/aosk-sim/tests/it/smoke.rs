//! Many seeds, and proof that they reach what they should.

use aosk_sim::{Case, Report, run};

#[test]
fn two_hundred_seeds_break_no_rule_and_reach_everything() {
    let mut total = Report::default();
    for seed in 0..200 {
        match run(&Case::of_seed(seed)) {
            Ok(report) => total.add(&report),
            Err(failure) => panic!("{failure}"),
        }
    }
    let expected = [
        "budget.expired",
        "cache.missed",
        "cancel",
        "cut Emergency",
        "cut Pressure",
        "cut Price",
        "cut Refused",
        "closed with its task",
        "cut off before it left",
        "decided in flight",
        "dies after hand-over",
        "dies before hand-over",
        "dies deciding",
        "dies draining",
        "dies in flight",
        "dies not kept",
        "dies releasing",
        "dies unconfirmed",
        "given up before it left",
        "gone before its call left",
        "in flight, kept",
        "in flight, lost",
        "memory.cut",
        "message.received",
        "message.sent",
        "missed Model",
        "missed Provider",
        "missed Tools",
        "model.answered",
        "model.called",
        "model.failed",
        "model.retried",
        "node.booted",
        "page.faulted",
        "page.forgotten",
        "page.pinned",
        "page.recalled",
        "process.exited",
        "process.reniced",
        "process.signalled",
        "process.spawned",
        "refused end_task memory.task",
        "refused forget memory.no_page",
        "refused pin memory.no_page",
        "refused recall kernel.bad_syscall",
        "refused recall memory.no_page",
        "refused think kernel.bad_syscall",
        "refused think model.context_length",
        "scheduler.policy",
        "shutdown cut off",
        "shutdown in order",
        "signal Cont",
        "signal Kill",
        "signal Stop",
        "signal Term",
        "state backoff",
        "state child",
        "state exiting",
        "state message",
        "state program",
        "state quota",
        "state ready",
        "state running",
        "state stopped",
        "state timer",
        "state tool",
        "state zombie",
        "stopped backoff",
        "stopped message",
        "stopped program",
        "stopped ready",
        "stopped running",
        "stopped timer",
        "stopped tool",
        "summary.answered",
        "summary.called",
        "summary.failed",
        "task.begun",
        "task.ended",
        "syscall.refused",
        "tool.called",
        "tool.returned",
        "wake answered",
        "wake child_exited",
        "wake forgotten",
        "wake model_failed",
        "wake out_of_budget",
        "wake pinned",
        "wake recalled",
        "wake received",
        "wake refused",
        "wake sent",
        "wake slept",
        "wake spawned",
        "wake started",
        "wake terminated",
        "wake timed_out",
        "wake tools_returned",
    ];
    let missed: Vec<_> = expected.iter().filter(|what| !total.seen.contains(**what)).collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
    assert!(total.crashes > 100, "{} crashes", total.crashes);
    assert!(total.shutdowns > 100, "{} shutdowns", total.shutdowns);
    assert!(total.virtual_time.duration().as_secs() > 10 * 3600, "{}", total.virtual_time);
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 0..20 {
        let case = Case::of_seed(seed);
        assert_eq!(run(&case), run(&case), "seed {seed}");
    }
}
