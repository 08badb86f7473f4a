//! A conversation in the context of a live process: the core takes it in, plans, shows, recalls and
//! learns as it does in a node, and what is counted is what a driver would be handed. Nothing of what
//! the kernel decides may be decided here.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use aosk::abi::{Error, Form, Frame, Hash, PageId, Tokens};
use aosk::kernel::Memory;
use aosk::model::Tokenizer;
use aosk::rehearsal::{Asked, Conditions, Decision, Question, Rehearsal};
use aosk::search::identifier::identifiers;

use super::keeper::{Entry, Keeper, Planned, TIMINGS, timestamp};
use super::pages::{History, Role, Talk, TracePage};
use super::provider::Sent;
use super::replay::FAULT_PAGES_MAX;

/// The content block of the tools, unlike that of any message.
const TOOLS_BLOCK: u32 = u32::MAX;

/// The process, and what its last question holds.
pub(crate) struct Live<'a> {
    talk: &'a Talk,
    rehearsal: Rehearsal,
    count: Tokenizer,
    /// Whether each task is a process of its own.
    tasks: bool,
    task: Option<u32>,
    /// Whether a process began since the last plan.
    anew: bool,
    /// The message whose pages were appended last.
    message: Option<u32>,
    /// What is asked.
    entries: Vec<Entry>,
    breakpoints: Vec<usize>,
    unchanged: usize,
    /// Its tokens.
    input: u64,
    /// The identifiers of contents: what entries carry are places in it.
    carried: Vec<Vec<u32>>,
    /// The place in `carried` of a part of a message.
    known: HashMap<(Hash, (u32, u32)), usize>,
    /// For each identifier, the newest page of the process with it that is no copy.
    newest: HashMap<u32, PageId>,
    /// Pages of the process that were looked at for it.
    looked: u32,
    /// The tokens of messages as they are sent.
    counted: HashMap<Hash, u64>,
}

impl<'a> Live<'a> {
    pub(crate) fn new(talk: &'a Talk, conditions: &Conditions, tasks: bool) -> Result<Self, Error> {
        Ok(Self {
            talk,
            rehearsal: Rehearsal::new(conditions, talk.instructions.clone())?,
            count: conditions.count,
            tasks,
            task: None,
            anew: false,
            message: None,
            entries: Vec::new(),
            breakpoints: Vec::new(),
            unchanged: 0,
            input: 0,
            carried: Vec::new(),
            known: HashMap::new(),
            newest: HashMap::new(),
            looked: 0,
            counted: HashMap::new(),
        })
    }

    /// Notes which identifiers the pages carry that are new in the table.
    fn look(&mut self) -> Result<(), Error> {
        let Some(memory) = self.rehearsal.memory() else { return Ok(()) };
        let places = |memory: &Memory, id: PageId| {
            let page = memory.space().page(id).filter(|page| page.original == id)?;
            Some((id, page.source, memory.text_of(id, page)))
        };
        let new = (self.looked.max(1)..memory.space().pages_u32()).map(PageId);
        let new: Vec<_> = new.filter_map(|id| places(memory, id)).collect();
        self.looked = memory.space().pages_u32();
        for (id, source, range) in new {
            let text = self.rehearsal.text(source, range)?;
            for number in numbers(self.talk, &text) {
                self.newest.insert(number, id);
            }
        }
        Ok(())
    }

    /// Takes over what the model is sent.
    fn take(&mut self, question: &Question) -> Result<(), Error> {
        self.entries.clear();
        self.breakpoints.clear();
        // They stand before all else and do not change.
        let tools = self.talk.tools.0;
        self.input = tools;
        if tools > 0 {
            let sent = Sent { key: key(&"tools"), tokens: short(tools), block: TOOLS_BLOCK };
            self.entries.push(Entry { sent, carries: None, handle: 0 });
        }
        self.unchanged = 0;
        for (at, asked) in question.messages.iter().enumerate() {
            self.enter(at, asked)?;
            if asked.breakpoint {
                self.breakpoints.push(self.entries.len().saturating_sub(1));
            }
            if at < question.unchanged {
                self.unchanged = self.entries.len();
            }
        }
        Ok(())
    }

    /// The entries of a message: one for each page, or one if it stands for none.
    fn enter(&mut self, at: usize, asked: &Asked) -> Result<(), Error> {
        let (body, count) = (&asked.body, self.count);
        let whole =
            *self.counted.entry(body.hash()).or_insert_with(|| count.of_message(body.message()).0);
        self.input += whole;
        let block = number(at);
        let role = body.message().role();
        let Some((last, first)) = asked.frames.split_last() else {
            let sent = Sent { key: key(&body.hash()), tokens: short(whole), block };
            self.entries.push(Entry { sent, carries: None, handle: 0 });
            return Ok(());
        };
        let mut left = whole;
        for frame in first {
            let tokens = self.tokens(frame).min(left);
            left -= tokens;
            let key = key(&(role, frame.body, frame.text, form(frame.form)));
            self.push(frame, asked, Sent { key, tokens: short(tokens), block })?;
        }
        // What stands around the pages of a message counts with the last of them.
        self.push(last, asked, Sent { key: key(&body.hash()), tokens: short(left), block })
    }

    fn push(&mut self, frame: &Frame, asked: &Asked, sent: Sent) -> Result<(), Error> {
        let carries = match frame.form {
            Form::Content => Some(self.carrier((frame.body, frame.text), frame)?),
            Form::Summary { .. } => Some(self.quoted(asked)),
            Form::Stub { .. } => None,
        };
        self.entries.push(Entry { sent, carries, handle: frame.page.0 });
        Ok(())
    }

    /// What a frame takes by the page table.
    fn tokens(&self, frame: &Frame) -> u64 {
        let page = self.rehearsal.memory().and_then(|memory| memory.space().page(frame.page));
        page.map_or(0, |page| match frame.form {
            Form::Content => page.tokens.into(),
            Form::Stub { .. } | Form::Summary { .. } => page.stand_in.into(),
        })
    }

    /// Where the identifiers of a page are.
    fn carrier(&mut self, part: (Hash, (u32, u32)), frame: &Frame) -> Result<usize, Error> {
        if let Some(at) = self.known.get(&part) {
            return Ok(*at);
        }
        let text = self.rehearsal.text(frame.source, frame.text)?;
        Ok(self.carry(part, &text))
    }

    /// The same of a message with a summary, which quotes.
    fn quoted(&mut self, asked: &Asked) -> usize {
        let part = (asked.body.hash(), (0, 0));
        let known = self.known.get(&part).copied();
        known.unwrap_or_else(|| self.carry(part, &asked.body.message().text()))
    }

    fn carry(&mut self, part: (Hash, (u32, u32)), text: &str) -> usize {
        let at = self.carried.len();
        self.carried.push(numbers(self.talk, text));
        self.known.insert(part, at);
        at
    }
}

impl Keeper for Live<'_> {
    fn append(&mut self, _: usize, page: &TracePage) -> Result<(), Error> {
        if self.message.replace(page.message) == Some(page.message) {
            return Ok(());
        }
        let before = self.task.replace(page.task);
        if self.tasks && before.is_some_and(|before| before != page.task) {
            self.rehearsal.begin(self.talk.instructions.clone())?;
            self.newest.clear();
            self.looked = 0;
            self.anew = true;
        }
        if let Some(message) = self.talk.messages.get(&page.message).cloned() {
            match page.role {
                Role::Assistant => self.rehearsal.answer(message, Tokens(self.input))?,
                Role::User | Role::Tool => self.rehearsal.append(message),
            }
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "what is measured is the time of planning")]
    fn plan(&mut self, now: f64) -> Result<Planned, Error> {
        let told = self.rehearsal.tell(timestamp(now))?;
        // The core is pure, so the same comes of it; being interrupted is not taken for thinking.
        let mut thought = Duration::MAX;
        for _ in 0..TIMINGS {
            let decide = self.rehearsal.dry_run(&told);
            let began = Instant::now();
            let decided = decide();
            thought = thought.min(began.elapsed());
            drop(decided);
        }
        let decision = self.rehearsal.decide(told)?;
        self.look()?;
        let anew = std::mem::take(&mut self.anew);
        let Decision::Asked { window, left } = decision else {
            return Ok(Planned { anew, thought, refused: true, ..Planned::default() });
        };
        let question = self.rehearsal.question(&window)?;
        self.take(&question)?;
        let evicted = left.len() as u64;
        Ok(Planned { evicted, cut: evicted > 0, anew, thought, ..Planned::default() })
    }

    fn entries(&self) -> Vec<Entry> {
        self.entries.clone()
    }

    fn breakpoints(&self) -> Vec<usize> {
        self.breakpoints.clone()
    }

    fn unchanged(&self) -> Option<usize> {
        Some(self.unchanged)
    }

    /// The kernel noted it when the call left.
    fn sent(&mut self, _: f64) {}

    /// The kernel finds by itself what an answer uses.
    fn touch(&mut self, _: &Entry) {}

    fn ids<'a>(&'a self, _: &'a History, entry: &Entry) -> &'a [u32] {
        let ids = entry.carries.and_then(|at| self.carried.get(at));
        ids.map_or(&[], Vec::as_slice)
    }

    fn recall(&mut self, _: &[usize], ids: &[u32]) -> Result<(), Error> {
        let mut pages: Vec<PageId> = Vec::new();
        for id in ids {
            pages.extend(self.newest.get(id).filter(|page| !pages.contains(page)));
        }
        pages.truncate(FAULT_PAGES_MAX);
        self.rehearsal.recall(&pages, Tokens(self.input))
    }
}

/// The numbers of the identifiers in a text, in order.
fn numbers(talk: &Talk, text: &str) -> Vec<u32> {
    let found = identifiers(text).filter_map(|word| talk.numbers.get(word).copied());
    let mut numbers: Vec<u32> = found.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn key(of: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What tells one way of showing a page from another.
fn form(form: Form) -> (u8, u32) {
    match form {
        Form::Content => (0, 0),
        Form::Stub { pages, .. } => (1, pages),
        Form::Summary { pages, .. } => (2, pages),
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn short(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
