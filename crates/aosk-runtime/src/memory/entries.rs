//! A log as it is read off the event loop: which pages there are, and their texts from the store.

use aosk_abi::{Body, Error, ErrorCode, Hash, Message, PageId, PageKind};
use aosk_kernel::Process;
use aosk_store::Reader;
use aosk_tools::kernel_calls::SEARCH_MEMORY;

use super::paging::{part, spoken};

/// A page of a log, for those who read it without the page table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: PageId,
    pub(crate) kind: PageKind,
    /// The message that holds it.
    pub(crate) message: Hash,
    /// Where it stands in the text of the message, in bytes.
    pub(crate) range: (u32, u32),
}

/// The pages of a log from this one on that say something of their own: copies are found by what they
/// are copies of, and nobody searches for descriptions of tools.
pub(crate) fn entries(process: &Process, from: PageId) -> Vec<Entry> {
    let space = process.memory.space();
    let entry = |id: PageId| {
        let page = space.page(id)?;
        let at = usize::try_from(page.source.0).ok()?;
        let message = process.pages.get(at)?.hash;
        let own = page.original == id && page.kind != PageKind::Tools;
        let range = process.memory.text_of(id, page);
        own.then_some(Entry { id, kind: page.kind, message, range })
    };
    (from.0..space.pages_u32()).map(PageId).filter_map(entry).collect()
}

/// Reads texts of pages one after the other. The message that was read last is kept: it may have
/// megabytes, and its pages follow each other.
pub(crate) struct Texts<'a> {
    reader: &'a dyn Reader,
    /// The text of a message in which its pages stand.
    text: fn(&Message) -> String,
    last: Option<(Hash, String)>,
}

impl<'a> Texts<'a> {
    /// All that was said.
    pub(crate) fn said(reader: &'a dyn Reader) -> Self {
        Self { reader, text: spoken, last: None }
    }

    /// What is worth finding: not the searches themselves, which hold the words of each query, nor what
    /// they found, which stands elsewhere.
    pub(crate) fn found(reader: &'a dyn Reader) -> Self {
        Self { reader, text: findable, last: None }
    }

    /// The text of a page.
    pub(crate) fn of(&mut self, entry: &Entry) -> Result<&str, Error> {
        if self.last.as_ref().is_none_or(|(hash, _)| *hash != entry.message) {
            self.last = Some((entry.message, self.read(entry)?));
        }
        let said = self.last.as_ref().map(|(_, said)| said.as_str()).unwrap_or_default();
        Ok(part(said, entry.range).unwrap_or_default())
    }

    fn read(&self, entry: &Entry) -> Result<String, Error> {
        let lost = |what: &str| {
            let text = format!("reading page {}: {what}", entry.id.0);
            Error::new(ErrorCode::StoreCorrupt, text)
                .hint("`aosk audit verify` says whether the journal is whole")
        };
        let bytes = self.reader.body(entry.message)?;
        let bytes = bytes.ok_or_else(|| lost("its message is not in the store"))?;
        let body = Body::from_bytes(&bytes).map_err(|error| lost(&error.to_string()))?;
        Ok((self.text)(body.message()))
    }
}

/// What [`spoken`] gives, without searches of the log. A message that makes any is one page.
fn findable(message: &Message) -> String {
    match message {
        Message::Tool { name: Some(name), .. } if name == SEARCH_MEMORY => String::new(),
        Message::Assistant { tool_calls, .. }
            if tool_calls.iter().any(|call| call.name == SEARCH_MEMORY) =>
        {
            let mut message = message.clone();
            if let Message::Assistant { tool_calls, .. } = &mut message {
                tool_calls.retain(|call| call.name != SEARCH_MEMORY);
            }
            spoken(&message)
        }
        Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. }
        | Message::Tool { .. } => spoken(message),
    }
}
