//! The seam between a program and its state as text.

use aosk_abi::PermissionLevel;
use serde::{Deserialize, Serializer};

use super::*;

fn view(capabilities: &aosk_abi::Capabilities) -> ProcessView<'_> {
    ProcessView {
        pid: Pid(3),
        name: "n",
        label: "",
        param: "null",
        priority: 50,
        parent: None,
        capabilities,
        answer: None,
    }
}

fn step(program: impl Program, state: &str, event: Event) -> Result<Stepped, Error> {
    let name = program.name().to_owned();
    let mut programs = Programs::default();
    programs.add(program);
    let may = PermissionLevel::Standard.capabilities();
    programs.step(&name, state, &view(&may), event)
}

fn code(stepped: Result<Stepped, Error>) -> Option<ErrorCode> {
    stepped.err().map(|error| error.code)
}

struct Counter;

impl Program for Counter {
    type State = u32;

    fn name(&self) -> &'static str {
        "counter"
    }

    fn next(&self, state: &mut u32, _: &ProcessView<'_>, event: Event) -> Action {
        assert!(event != Event::Terminated, "it cannot end");
        *state += 1;
        Action::call(Call::Sleep(Millis(u64::from(*state))))
    }
}

#[test]
fn the_state_is_read_and_written_at_every_step() {
    let stepped = step(Counter, "41", Event::Slept).unwrap();
    assert_eq!(&*stepped.state, "42");
    assert_eq!(stepped.call, Call::Sleep(Millis(42)));
}

#[test]
fn a_program_begins_with_its_default_state() {
    assert_eq!(&*step(Counter, "not a number", Event::Started).unwrap().state, "1");
}

/// A kernel keeps `null` until a program has taken its first step.
#[test]
fn a_first_step_that_was_refused_is_told_to_a_program_without_a_state() {
    let refused = Event::Refused(Error::new(ErrorCode::BadSyscall, "too long"));
    assert_eq!(&*step(Counter, "null", refused).unwrap().state, "1");
}

#[test]
fn a_state_that_does_not_parse_is_an_error() {
    assert_eq!(code(step(Counter, "[]", Event::Slept)), Some(ErrorCode::ProgramInvalid));
    assert_eq!(code(step(Counter, "{", Event::Slept)), Some(ErrorCode::ProgramInvalid));
}

#[test]
fn a_panic_is_an_error_of_the_program() {
    let error = step(Counter, "1", Event::Terminated).err().unwrap();
    assert_eq!(error.code, ErrorCode::ProgramFailed);
    assert_eq!(error.message, "running counter of p3: the program panicked");
}

/// A state that has no JSON form.
#[derive(Default, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it has no form"))
    }
}

struct Mute;

impl Program for Mute {
    type State = Unwritable;

    fn name(&self) -> &'static str {
        "mute"
    }

    fn next(&self, _: &mut Unwritable, _: &ProcessView<'_>, _: Event) -> Action {
        Action::call(Call::Sleep(Millis(1)))
    }
}

#[test]
fn a_state_that_cannot_be_written_is_an_error() {
    assert_eq!(code(step(Mute, "null", Event::Started)), Some(ErrorCode::ProgramInvalid));
}

#[test]
fn an_unknown_program_is_an_error_that_names_the_known_ones() {
    let may = PermissionLevel::Standard.capabilities();
    let stepped = Programs::default().step("nope", "null", &view(&may), Event::Started);
    let error = stepped.err().unwrap();
    assert_eq!(error.code, ErrorCode::ProgramInvalid);
    assert_eq!(error.hint, "programs: react, replay");
}

#[test]
fn giving_up_says_why() {
    let status = |event: &Event| {
        let call = Action::give_up(event).call;
        let Call::Exit { status, result } = call else { panic!("no exit: {call:?}") };
        (status, result.map(|message| message.text()))
    };
    let refused = Event::Refused(Error::new(ErrorCode::Forbidden, "no"));
    let said = Some("kernel.forbidden: no".to_owned());
    assert_eq!(status(&refused), (ExitStatus::Failed(ErrorCode::Forbidden), said));
    let wall = Event::OutOfBudget(Resource::Wall);
    assert_eq!(status(&wall), (ExitStatus::OutOfBudget(Resource::Wall), None));
    let terminated = ExitStatus::Signalled(aosk_abi::Signal::Term);
    assert_eq!(status(&Event::Terminated), (terminated, None));
}
