//! The log of a process as content: what is shown of it, and what comes back of it.

use aosk_abi::{Body, Error, ErrorCode, Frame, Hash, MessageIndex, PageId, Recalled};
use aosk_kernel::Process;

use super::paging::text_of;
use super::render::Source;
use crate::bodies::Bodies;

/// The log of a process, for what is shown of it.
pub(crate) struct Log<'a> {
    pub(crate) bodies: &'a mut Bodies,
    pub(crate) process: Option<&'a Process>,
}

impl Source for Log<'_> {
    fn body(&mut self, hash: Hash) -> Result<Body, Error> {
        self.bodies.get(hash)
    }

    fn behind(&mut self, frame: &Frame) -> Vec<Frame> {
        self.process.map(|process| process.memory.behind(frame, &process.pages)).unwrap_or_default()
    }
}

/// The message at a place of a log.
pub(crate) fn at(process: &Process, at: MessageIndex) -> Result<Hash, Error> {
    let index = usize::try_from(at.0).unwrap_or(usize::MAX);
    process.pages.get(index).map(|page| page.hash).ok_or_else(|| {
        Error::new(ErrorCode::StoreCorrupt, format!("reading page {at}: the log ends before it"))
    })
}

/// Pages that were asked for, with their text; none for those that are in the window.
pub(crate) fn brought_back(
    bodies: &mut Bodies,
    process: &Process,
    pages: Vec<Recalled>,
) -> Result<Vec<(PageId, Option<String>)>, Error> {
    let mut back = Vec::with_capacity(pages.len());
    for place in pages {
        let Recalled { page: id, source, text, resident } = place;
        let body = bodies.get(at(process, source)?)?;
        let text = text_of(body.message(), text).filter(|_| !resident);
        back.push((id, text));
    }
    Ok(back)
}
