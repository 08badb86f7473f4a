//! What becomes of requests whose turns cross.

use aosk_abi::{FinishReason, MessageIndex, Usage};
use aosk_model::client::Format;
use aosk_model::{OnPassed, Passage};

use super::*;

const PID: Pid = Pid(7);

fn live() -> (Live, Answers) {
    let (outlet, answers) = Outlet::new();
    let options = ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(1),
        tools: Vec::new(),
        temperature_milli: None,
        window: None,
    };
    let passage = Passage {
        format: Format::Chat,
        body: "{}".into(),
        headers: Default::default(),
        stream: false,
        stream_usage: false,
        on_passed: OnPassed::new(|_| {}),
    };
    let ask = Ask {
        options,
        input: Tokens(1),
        needs: Abilities::NONE,
        tool_tokens: Tokens::ZERO,
        append: Vec::new(),
        messages: Vec::new(),
        tools: Arc::new([]),
        wishes: Arc::default(),
        passage,
        cache_key: String::new(),
        passes: true,
        own_format_only: false,
        parent: None,
        paged: false,
    };
    (Live { ask, outlet }, answers)
}

/// One whose first request is under way.
fn asking() -> (Foreign, Answers) {
    let (mut all, (live, answers)) = (Foreign::default(), live());
    all.open(PID, live);
    assert!(matches!(all.woken(PID, 1, Wake::Started), Woken::Asks(_)));
    (all, answers)
}

/// One whose client has the answer that the kernel has not.
fn answered() -> (Foreign, Answers) {
    let (all, answers) = asking();
    let body = Body::new(Message::assistant("b"));
    let reply = ModelReply { body, usage: Usage::default(), finish: FinishReason::Stop };
    let asked = all.live(PID).expect("it asks");
    asked.outlet.tell(Said::Answered(Box::new(reply)));
    (all, answers)
}

fn taken() -> Wake {
    Wake::Answered { page: MessageIndex(1), finish: FinishReason::Stop }
}

fn lost() -> Wake {
    Wake::Refused { error: Error::new(ErrorCode::BadSyscall, "lost") }
}

/// The codes of the failures that were told.
fn failures(answers: &mut Answers) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    while let Some(said) = answers.try_next() {
        if let Said::Failed { error, .. } = said {
            codes.push(error.code);
        }
    }
    codes
}

#[test]
fn the_next_request_waits_for_the_answer_before_it() {
    let (mut all, _first) = answered();
    let ((next, _second), (third, mut told)) = (live(), live());
    assert!(matches!(all.ask(PID, next), Some(Asking::Later)));
    assert!(all.ask(PID, third).is_none());
    assert_eq!(failures(&mut told), [ErrorCode::Busy]);
    assert!(matches!(all.woken(PID, 2, taken()), Woken::Asks(_)));
    assert!(matches!(all.woken(PID, 3, taken()), Woken::Waits));
    assert!(matches!(all.ask(PID, live().0), Some(Asking::Now(3, _))));
}

#[test]
fn a_request_before_the_answer_is_refused() {
    let (mut all, _first) = asking();
    let (next, mut told) = live();
    assert!(all.ask(PID, next).is_none());
    assert_eq!(failures(&mut told), [ErrorCode::Busy]);
}

#[test]
fn who_leaves_before_the_answer_is_taken_ends_with_it() {
    let (mut all, _first) = answered();
    assert_eq!(all.leave(PID), None);
    let Woken::Ends(Syscall::Exit { status, .. }) = all.woken(PID, 2, taken()) else {
        panic!("it goes on");
    };
    assert_eq!(status, ExitStatus::Finished);
}

/// The log lacks what the client was told, so nothing can go on from it.
#[test]
fn an_answer_that_the_kernel_does_not_take_is_the_last() {
    let (mut all, _first) = answered();
    let (next, mut told) = live();
    assert!(matches!(all.ask(PID, next), Some(Asking::Later)));
    assert!(matches!(all.woken(PID, 2, lost()), Woken::Ends(_)));
    assert_eq!(failures(&mut told), [ErrorCode::ModelCancelled]);
}

#[test]
fn a_failure_that_nobody_hears_ends_the_process() {
    let (mut all, first) = asking();
    drop(first);
    assert!(matches!(all.woken(PID, 2, lost()), Woken::Ends(_)));
    let (mut all, mut first) = asking();
    assert!(matches!(all.woken(PID, 2, lost()), Woken::Waits));
    assert_eq!(failures(&mut first), [ErrorCode::BadSyscall]);
}

#[test]
fn everyone_who_waits_for_a_process_that_is_gone_hears_so() {
    let (mut all, mut first) = answered();
    let (next, mut second) = live();
    assert!(matches!(all.ask(PID, next), Some(Asking::Later)));
    all.forget(PID);
    assert_eq!(failures(&mut first), [ErrorCode::ModelCancelled]);
    assert_eq!(failures(&mut second), [ErrorCode::ModelCancelled]);
}

#[test]
fn only_who_waits_for_its_client_ends_at_once_when_asked_to() {
    let (mut all, _first) = answered();
    assert_eq!(all.terminate(PID), None);
    assert!(matches!(all.woken(PID, 2, taken()), Woken::Waits));
    let Some((turn, Syscall::Exit { status, .. })) = all.terminate(PID) else {
        panic!("it goes on");
    };
    assert_eq!((turn, status), (2, ExitStatus::Signalled(Signal::Term)));
}

#[test]
fn what_was_told_of_an_answer_is_known_until_its_end() {
    let event = || Passed::Event { name: String::new(), data: "{}".to_owned() };
    let refused = Passed::Refused { status: 429, body: "{}".into() };
    for (said, told) in [
        (Said::Process(PID), false),
        (Said::Passed(refused), false),
        (Said::Passed(event()), true),
        (Said::Delta(Delta::Reasoning("hm".to_owned())), true),
    ] {
        let (outlet, _answers) = Outlet::new();
        outlet.tell(said);
        assert_eq!(outlet.is_told(), told);
    }
}
