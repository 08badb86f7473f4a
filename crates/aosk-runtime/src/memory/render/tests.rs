//! Tests of rendering: whole messages stay byte for byte, stubs keep conversations well-formed, and a
//! prefix of frames is a prefix of messages.

use aosk_abi::{PageId, PageKind, Tokens, ToolUse};
use aosk_model::Tokenizer;

use super::*;
use crate::memory::paging::{PAGE_TOKENS_MAX, pieces};

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("few")
}

/// A log of its own.
#[derive(Default)]
struct Log {
    bodies: Vec<Body>,
}

impl Source for Log {
    fn body(&mut self, hash: Hash) -> Result<Body, Error> {
        let found = self.bodies.iter().find(|body| body.hash() == hash);
        found.cloned().ok_or_else(|| Error::new(ErrorCode::StoreCorrupt, "no such body"))
    }

    fn behind(&mut self, frame: &Frame) -> Vec<Frame> {
        let Form::Summary { pages, .. } = frame.form else { return Vec::new() };
        let all = self.frames();
        let after = all.into_iter().skip_while(|one| one.page != frame.page);
        after.take(pages as usize).collect()
    }
}

impl Log {
    fn of(messages: &[Message]) -> Self {
        Self { bodies: messages.iter().cloned().map(Body::new).collect() }
    }

    /// Every page, shown with its content.
    fn frames(&self) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        for (source, body) in (0..).map(MessageIndex).zip(&self.bodies) {
            let mut from = 0;
            for piece in pieces(body.message(), source, Tokenizer::ESTIMATE, PAGE_TOKENS_MAX) {
                frames.push(Frame {
                    page: PageId(number(frames.len()) + 1),
                    body: body.hash(),
                    source,
                    kind: piece.kind,
                    text: (from, piece.end),
                    form: Form::Content,
                });
                from = piece.end;
            }
        }
        frames
    }

    fn render(&mut self, frames: Vec<Frame>, breakpoints: &[usize]) -> Shown {
        let window = Window { frames, breakpoints: breakpoints.to_vec(), ..Window::default() };
        render(&window, self).expect("renders")
    }
}

fn called(id: &str) -> Message {
    Message::Assistant {
        content: None,
        reasoning: None,
        tool_calls: vec![ToolUse { id: id.into(), name: "read".into(), arguments: "{}".into() }],
    }
}

fn conversation() -> Vec<Message> {
    vec![
        Message::system("be brief"),
        Message::user("the task"),
        called("a"),
        Message::returned("a", "read", "long ".repeat(8_000)),
        called("b"),
        Message::returned("b", "read", "short"),
        Message::assistant("done"),
    ]
}

fn lines(shown: &Shown) -> Vec<String> {
    let line = |body: &Body| {
        let message = body.message();
        let text: String = message.text().chars().take(60).collect();
        match message.as_ref() {
            Message::Tool { tool_call_id, .. } => format!("tool {tool_call_id}: {text}"),
            Message::System { .. } | Message::User { .. } | Message::Assistant { .. } => {
                format!("{}: {text}", message.role())
            }
        }
    };
    shown.messages.iter().map(line).collect()
}

fn stub_of(frame: &mut Frame, pages: u32) {
    frame.form = Form::Stub { pages, tokens: 100 };
}

#[test]
fn whole_messages_are_the_very_bodies() {
    let mut log = Log::of(&conversation());
    let shown = log.render(log.frames(), &[]);
    assert_eq!(shown.messages, log.bodies);
}

#[test]
fn a_result_that_left_goes_on_answering_its_call() {
    let mut log = Log::of(&conversation());
    let mut frames = log.frames();
    let pages_of_result = frames.iter().filter(|frame| frame.source == MessageIndex(3)).count();
    assert!(pages_of_result > 1, "it is several pages");
    let first = frames.iter().position(|frame| frame.source == MessageIndex(3)).unwrap();
    stub_of(&mut frames[first], number(pages_of_result));
    frames.drain(first + 1..first + pages_of_result);
    let shown = lines(&log.render(frames, &[]));
    assert_eq!(shown.len(), 7);
    assert!(shown[3].starts_with("tool a: [page 4 and "), "{shown:#?}");
}

#[test]
fn part_of_a_result_is_a_stub_in_its_place() {
    let mut log = Log::of(&conversation());
    let mut frames = log.frames();
    let first = frames.iter().position(|frame| frame.source == MessageIndex(3)).unwrap();
    stub_of(&mut frames[first + 1], 1);
    let shown = log.render(frames, &[]);
    let text = shown.messages[3].message().text();
    assert!(text.starts_with("long long") && text.trim_end().ends_with("long"), "{text}");
    assert!(text.contains("\n[page 5 left out: tool result, 100 tokens"), "the stub is a line");
}

#[test]
fn what_stands_for_a_call_and_its_result_is_told_by_the_user() {
    let mut log = Log::of(&conversation());
    let mut frames = log.frames();
    stub_of(&mut frames[2], 5);
    frames.retain(|frame| frame.source.0 != 3 && frame.source.0 != 4);
    // The result of the second call stays, although its call has left: it tells nobody's call.
    let shown = lines(&log.render(frames, &[]));
    assert_eq!(shown[2].split(" left out").next(), Some("user: [page 3 and 4 more"));
    assert_eq!(shown[3], "tool b: short", "a message that is whole stays as it is");
}

#[test]
fn a_summary_tells_of_the_pages_behind_it() {
    let mut log = Log::of(&conversation());
    let mut frames = log.frames();
    let last = frames.len();
    frames[1].form = Form::Summary { pages: number(last) - 2, tokens: 500, body: None };
    frames.drain(2..last - 1);
    let shown = log.render(frames, &[]);
    assert_eq!(shown.messages.len(), 3);
    let text = shown.messages[1].message().text();
    assert!(text.contains("2 user: “the task”") && text.contains("read({})"), "{text}");
}

#[test]
fn a_prefix_of_frames_gives_a_prefix_of_messages() {
    let mut log = Log::of(&conversation());
    let mut frames = log.frames();
    stub_of(&mut frames[4], 1);
    let all = log.render(frames.clone(), &[]).messages;
    for length in 0..=frames.len() {
        let whole = length == 0
            || frames.get(length).is_none_or(|next| next.source != frames[length - 1].source);
        if whole {
            let part = log.render(frames[..length].to_vec(), &[]).messages;
            assert_eq!(part, all[..part.len()]);
        }
    }
}

#[test]
fn breakpoints_stand_behind_the_message_of_their_page() {
    let mut log = Log::of(&conversation());
    let frames = log.frames();
    let last_of_result = frames.iter().rposition(|frame| frame.source == MessageIndex(3)).unwrap();
    let last = frames.len() - 1;
    let shown = log.render(frames, &[0, last_of_result, last]);
    assert_eq!(shown.breakpoints, [0, 3, 6]);
}

#[test]
fn a_page_that_is_not_in_its_message_is_damage() {
    let mut log = Log::of(&[Message::user("é")]);
    let mut frames = log.frames();
    frames[0].text = (0, 1);
    frames[0].kind = PageKind::User;
    let window = Window { frames, ..Window::default() };
    let error = render(&window, &mut log).expect_err("half a character");
    assert_eq!(error.code, ErrorCode::StoreCorrupt);
}

#[test]
fn who_makes_a_summary_is_asked_with_all_that_leaves() {
    let mut log = Log::of(&conversation());
    let frames = log.frames();
    let window = Window { frames, summarise: Some(Tokens(200)), ..Window::default() };
    let shown = render(&window, &mut log).unwrap();
    assert!(shown.summarises && shown.breakpoints.is_empty());
    let [instruction, pages] = &shown.messages[..] else { panic!("{:?}", shown.messages) };
    assert_eq!(instruction.message().role(), "system");
    assert!(pages.message().text().starts_with("In at most 100 words"), "{pages:?}");
    for frame in &window.frames {
        let head = format!("[page {}, {}]", frame.page.0, frame.kind.word());
        assert!(pages.message().text().contains(&head), "{head}");
    }
}

#[test]
fn a_message_that_lost_its_last_page_has_changed() {
    let text = "some words of a result\n".repeat(4_000);
    let mut log = Log::of(&[Message::user("read it"), Message::user(text)]);
    let mut frames = log.frames();
    assert!(frames.len() > 3);
    let whole = Window { unchanged: frames.len(), frames: frames.clone(), ..Window::default() };
    assert_eq!(render(&whole, &mut log).expect("renders").unchanged, 2);
    // What is left of it is as it was, and yet the message is another.
    frames.pop();
    let torn = Window { unchanged: frames.len(), frames, ..Window::default() };
    assert_eq!(render(&torn, &mut log).expect("renders").unchanged, 1);
}
