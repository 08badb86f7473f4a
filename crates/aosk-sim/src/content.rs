//! What the messages of a simulated log hold, as programs tell the page table of it: pieces of all
//! sorts of sizes, and what is asked of the memory.
//!
//! It depends on the process and the place of the message alone, so that a program that begins again
//! after a crash says the same.

use aosk_abi::{
    Body, Message, MessageIndex, PageId, PageKind, Pid, Piece, Syscall, TEXT_END, ThinkOptions,
    Tokens,
};
use serde::{Deserialize, Serialize};

use crate::rng::{About, Rng};

/// Tokens that a message is taken to have where windows do not matter.
pub const PAGE_TOKENS: u64 = 20;

/// What a message holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// Instructions.
    System,
    /// Something a person might have said.
    User,
    /// What the model said.
    Assistant,
    /// What a tool returned.
    Result {
        /// Whether the model asked for it in its last message.
        answers: bool,
    },
    /// Pages that were brought back.
    Recalled {
        /// Which.
        pages: Vec<PageId>,
        /// Whether the model asked for them in its last message.
        answers: bool,
    },
}

/// Whose log it is, and where in it.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The seed of the program.
    pub seed: u64,
    /// The process.
    pub pid: Pid,
    /// The first message.
    pub first: u32,
}

/// The pieces of messages. Without `small` windows each is one piece of the same size.
#[must_use]
pub fn pieces(source: &Source, said: &[Said], small: bool) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(said.len());
    for (at, said) in (source.first..).zip(said) {
        let mut rng = Rng::of(source.seed, About::Content, &[source.pid.0, u64::from(at)]);
        let (kind, answers) = match said {
            Said::System => (PageKind::System, false),
            Said::User => (PageKind::User, false),
            Said::Assistant => (PageKind::Assistant, false),
            Said::Result { answers } => (PageKind::ToolResult, *answers),
            Said::Recalled { answers, .. } => (PageKind::Recalled, *answers),
        };
        let copies: &[PageId] = if let Said::Recalled { pages, .. } = said { pages } else { &[] };
        let count = match copies.len() {
            0 if small && rng.chance(200) => rng.between(2, 6),
            0 => 1,
            copies => u64::try_from(copies).unwrap_or(1),
        };
        let mut end = 0_u32;
        for part in 0..count {
            end = end.saturating_add(u32::try_from(rng.between(1, 4_000)).unwrap_or(1));
            let is_last = part.saturating_add(1) == count;
            pieces.push(Piece {
                source: MessageIndex(at),
                kind,
                tokens: if small { tokens(&mut rng) } else { 20 },
                end: if is_last { TEXT_END } else { end },
                answers,
                copy_of: usize::try_from(part).ok().and_then(|part| copies.get(part)).copied(),
            });
        }
    }
    pieces
}

/// Most messages are short, some are long, a few are longer than the window.
fn tokens(rng: &mut Rng) -> u32 {
    let tokens = match rng.below(100) {
        0..2 => 0,
        2..92 => rng.between(10, 200),
        92..97 => rng.between(200, 1_500),
        _ => rng.between(1_500, 9_000),
    };
    u32::try_from(tokens).unwrap_or(0)
}

/// Makes pieces wrong: one is missing, one too many, or one does not end where it should.
pub fn spoil(rng: &mut Rng, pieces: &mut Vec<Piece>) {
    let at = usize::try_from(rng.below(u64::try_from(pieces.len()).unwrap_or(0))).unwrap_or(0);
    let Some(piece) = pieces.get_mut(at) else {
        let (kind, source) = (PageKind::User, MessageIndex(0));
        let end = TEXT_END;
        pieces.push(Piece { source, kind, tokens: 1, end, answers: false, copy_of: None });
        return;
    };
    match rng.below(4) {
        0 => piece.source = MessageIndex(piece.source.0.saturating_add(1)),
        1 => piece.end = if piece.end == TEXT_END { 7 } else { TEXT_END },
        2 => {
            let again = *piece;
            pieces.insert(at, again);
        }
        _ => {
            pieces.remove(at);
        }
    }
}

/// The page table of a process as its program sees it.
#[derive(Debug, Clone, Copy)]
pub struct Pages {
    /// How many pages there ever were.
    pub table: u32,
    /// Whether windows are small.
    pub small: bool,
}

impl Pages {
    /// A page, older ones and newer ones alike; now and then one that there is not.
    fn any(self, rng: &mut Rng) -> PageId {
        let most = u64::from(self.table).saturating_add(u64::from(rng.chance(100)));
        PageId(u32::try_from(rng.below(most)).unwrap_or(0))
    }

    fn some(self, rng: &mut Rng, count: u64) -> Vec<PageId> {
        (0..count).map(|_| self.any(rng)).collect()
    }

    /// What a call to the model says of the memory beside what is new.
    pub fn ask(
        self,
        rng: &mut Rng,
        options: &mut ThinkOptions,
        tools: &mut Tokens,
        uses: &mut Vec<PageId>,
    ) {
        let used = rng.below(4);
        *uses = self.some(rng, used);
        if !self.small {
            return;
        }
        if rng.chance(800) {
            options.output_max = Tokens(rng.between(10, 200));
        }
        if rng.chance(100) {
            options.window = Some(Tokens(rng.between(300, 3_000)));
        }
        if rng.chance(400) {
            options.tools = vec!["calculator".to_owned()];
            *tools = Tokens(if rng.chance(900) { 90 } else { rng.between(0, 400) });
        }
    }

    /// A call on the memory.
    #[must_use]
    pub fn call(self, rng: &mut Rng) -> Syscall {
        match rng.below(16) {
            0..4 => {
                // Now and then more than may be asked for at once.
                let count = if rng.chance(30) { 17 } else { rng.between(1, 4) };
                Syscall::Recall { pages: self.some(rng, count) }
            }
            4..6 => Syscall::Pin { page: self.any(rng), pinned: true },
            6 => Syscall::Pin { page: self.any(rng), pinned: false },
            7..10 => Syscall::Forget { page: self.any(rng) },
            10..14 => Syscall::BeginTask { goal: Body::new(Message::assistant("a goal")) },
            // Now and then one with nothing to show for it.
            _ => {
                let result = if rng.chance(50) { " " } else { "a result" };
                Syscall::EndTask { result: Body::new(Message::assistant(result)) }
            }
        }
    }
}
