//! The page table of a process as its rows show it. It plans nothing and decides nothing: where a page
//! is was decided by the kernel that wrote the row.

use aosk_abi::{Body, Error, ErrorCode, Hash, MessageIndex, PageId, Pid, RowKey};
use aosk_kernel::{Entry, Kernel};
use aosk_store::Reader;

use super::log_rows;

/// What is kept of the pages of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageTable {
    /// The messages of its log.
    pub messages: MessageIndex,
    /// The messages that are pages already. The others came after the process last asked the model.
    pub taken: MessageIndex,
    /// In order. The first has the number 1: 0 is what the tools take, and of no message.
    pub pages: Vec<KeptPage>,
}

/// A page, and where its content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptPage {
    /// Its number.
    pub page: PageId,
    /// The message that holds it.
    pub source: MessageIndex,
    /// The address of that message's body.
    pub body: Hash,
    /// Where it begins and ends in the text of the message, in bytes.
    pub text: (u32, u32),
    /// What else is kept of it.
    pub entry: Entry,
}

/// The page table of a process, whether it runs, waits or has ended; an empty one if it has no log.
///
/// # Errors
/// If the store cannot be read, or the log or what is kept of its pages is not what was written.
pub fn page_table(reader: &dyn Reader, pid: Pid) -> Result<PageTable, Error> {
    let corrupt = |what: String| {
        Error::new(ErrorCode::StoreCorrupt, format!("reading the pages of {pid}: {what}"))
            .hint("`aosk audit verify` says what else is damaged")
    };
    let (rows, flaw) = log_rows(reader, pid)?;
    if let Some(flaw) = flaw {
        return Err(corrupt(flaw));
    }
    let mut table =
        PageTable { messages: MessageIndex(0), taken: MessageIndex(0), pages: Vec::new() };
    for (source, (body, text)) in (0..).map(MessageIndex).zip(rows) {
        table.messages = MessageIndex(source.0.saturating_add(1));
        let entries = Kernel::read_entries(RowKey::Message(pid, source), &text)?;
        if entries.is_empty() {
            continue;
        }
        if table.taken != source {
            return Err(corrupt(format!("message {} has no pages", table.taken.0)));
        }
        table.taken = table.messages;
        Entry::check(&entries).map_err(|what| corrupt(format!("message {}: {what}", source.0)))?;
        let mut from = 0;
        for entry in entries {
            let number = u32::try_from(table.pages.len().saturating_add(1)).unwrap_or(u32::MAX);
            let (page, text) = (PageId(number), (from, entry.end));
            from = entry.end;
            table.pages.push(KeptPage { page, source, body, text, entry });
        }
    }
    Ok(table)
}

/// The text of a page in the message that holds it, tool calls among it; none if the page does not
/// begin and end between characters.
#[must_use]
pub fn page_text(body: &Body, page: &KeptPage) -> Option<String> {
    crate::memory::text_of(body.message(), page.text)
}
