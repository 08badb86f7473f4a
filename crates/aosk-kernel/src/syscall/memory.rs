//! Calls on the memory of the process that makes them: pages brought back, kept, and let go.

use aosk_abi::{Error, ErrorCode, Fact, PageId, Pid, Recalled, RowKey, Tokens, Wake, limits};

use crate::kernel::{Ctx, Kernel};
use crate::memory::MemoryError;
use crate::mutant::broken;

impl Kernel {
    /// Finds pages that the model asks for. Those that are not in the window are faults.
    pub(crate) fn recall(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        pages: &[PageId],
    ) -> Result<(), Error> {
        if pages.len() > limits::RECALL_MAX {
            let most = limits::RECALL_MAX;
            let what = format!("recalling {} pages: {most} at a time", pages.len());
            return Err(Error::new(ErrorCode::BadSyscall, what));
        }
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let found =
            process.memory.fault(pages).map_err(|error| no_page("recalling", pid, error))?;
        let memory = &process.memory;
        let place = |(page, entry): &(PageId, crate::memory::Page)| Recalled {
            page: *page,
            source: entry.source,
            text: memory.text_of(*page, entry),
            resident: memory.is_shown(*page, entry),
        };
        let places: Vec<Recalled> = found.iter().map(place).collect();
        let missed = found.iter().zip(&places).filter(|(_, place)| !place.resident);
        let missed: Vec<_> = missed.map(|(found, _)| found).collect();
        process.stats.faults =
            process.stats.faults.saturating_add(u64::try_from(missed.len()).unwrap_or(u64::MAX));
        for (page, entry) in missed {
            cx.fact(pid, Fact::PageFaulted { page: *page, tokens: entry.tokens });
        }
        self.wake(cx, pid, Wake::Recalled { pages: places });
        Ok(())
    }

    /// Keeps a page in the window, or lets it go again.
    pub(crate) fn pin(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        page: PageId,
        pinned: bool,
    ) -> Result<(), Error> {
        let unpinned = broken!(self, PinForgotten);
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        // What stays is what is shown: the page, or what was brought back of it.
        let doing = if pinned { "pinning" } else { "unpinning" };
        let (page, tokens) =
            process.memory.shown_as(page).map_err(|error| no_page(doing, pid, error))?;
        // What is pinned already is counted already.
        let is_pinned = process.memory.space().page(page).is_some_and(|page| page.pinned);
        let tokens = if is_pinned { 0 } else { tokens };
        let (held, most) = process.memory.pins();
        if let Some(most) = most.filter(|_| pinned)
            && held + Tokens(u64::from(tokens)) > most
        {
            let what = format!(
                "pinning page {}: it takes {tokens} tokens, {held} are pinned already, and at most \
                 {most} may be",
                page.0
            );
            return Err(Error::new(ErrorCode::MemoryPinsFull, what).hint("unpin other pages first"));
        }
        if !unpinned {
            process.memory.pin(page, pinned).map_err(|error| no_page(doing, pid, error))?;
        }
        self.page_rows_changed(pid);
        cx.fact(pid, Fact::PagePinned { page, pinned });
        self.wake(cx, pid, Wake::Pinned);
        Ok(())
    }

    /// Takes a page out of the window for good.
    pub(crate) fn forget(&mut self, cx: &mut Ctx<'_>, pid: Pid, page: PageId) -> Result<(), Error> {
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let freed =
            process.memory.forget(page).map_err(|error| no_page("forgetting", pid, error))?;
        self.page_rows_changed(pid);
        cx.fact(pid, Fact::PageForgotten { page, freed });
        self.wake(cx, pid, Wake::Forgotten { freed });
        Ok(())
    }

    pub(super) fn page_rows_changed(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(pid) else {
            return;
        };
        let changed = process.memory.take_changed();
        self.dirty.extend(changed.into_iter().map(|index| RowKey::Message(pid, index)));
    }
}

fn no_page(doing: &str, pid: Pid, error: MemoryError) -> Error {
    let hint = match error {
        MemoryError::NotShown(_) => "recall it first; what comes back is what is kept then",
        MemoryError::Pinned(_) => "unpin it first, if it may go",
        MemoryError::Static(_) => "instructions and tools stay in the window by themselves",
        MemoryError::NoSuchPage(_) | MemoryError::Forgotten(_) => {
            "pages are those that stubs name, and what search_memory finds; each agent has its own"
        }
    };
    let code = ErrorCode::MemoryNoPage;
    Error::new(code, format!("{doing} a page of {pid}: {error}")).hint(hint)
}
