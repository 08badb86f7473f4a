//! The event-stream format (`text/event-stream`), decoded from chunks of any size.
//!
//! Works on bytes, so a chunk may end inside a line ending or a UTF-8 character. An event is
//! bounded, however many lines it has; the whole stream is bounded by the one who reads it.

/// One event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event's type; empty if the stream gave none.
    pub(crate) name: Vec<u8>,
    /// The data lines, joined by line feeds.
    pub(crate) data: Vec<u8>,
}

/// An event is longer than the decoder may keep.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {max} bytes")]
pub(crate) struct EventTooLong {
    max: usize,
}

/// Turns chunks into events.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The line that has begun.
    line: Vec<u8>,
    /// The event that has begun.
    event: Event,
    /// Whether the event has a data line, which may be empty.
    has_data: bool,
    /// The last byte was a carriage return: a line feed belongs to the same line ending.
    after_return: bool,
    /// No line has ended yet, so a byte-order mark may still come.
    at_start: bool,
    bytes_max: usize,
}

impl Decoder {
    /// A decoder that keeps at most `bytes_max` bytes of one event.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            event: Event::default(),
            has_data: false,
            after_return: false,
            at_start: true,
            bytes_max,
        }
    }

    /// Takes a chunk and appends the events that it completes to `events`.
    pub(crate) fn push(
        &mut self,
        mut chunk: &[u8],
        events: &mut impl Extend<Event>,
    ) -> Result<(), EventTooLong> {
        while let Some(&first) = chunk.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                chunk = chunk.get(1..).unwrap_or_default();
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let text = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            if self.line.len() + self.event.data.len() + text.len() > self.bytes_max {
                return Err(EventTooLong { max: self.bytes_max });
            }
            self.line.extend_from_slice(text);
            let Some(end) = end else { break };
            self.after_return = chunk.get(end) == Some(&b'\r');
            events.extend(self.end_line());
            chunk = chunk.get(end + 1..).unwrap_or_default();
        }
        Ok(())
    }

    /// The event that the end of the stream left without its blank line.
    ///
    /// The standard drops it; some servers leave out the blank line after their last event, and a
    /// cut event is found out by its JSON.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        if !self.line.is_empty() {
            self.field();
        }
        self.end_event()
    }

    fn end_line(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.at_start)
            && let Some(rest) = self.line.strip_prefix(b"\xef\xbb\xbf")
        {
            self.line = rest.to_vec();
        }
        if self.line.is_empty() {
            return self.end_event();
        }
        self.field();
        None
    }

    /// Takes the line as a field. Comments (lines that begin with a colon) and `id` and `retry`
    /// have no meaning here.
    fn field(&mut self) {
        let colon = self.line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(at) => {
                let value = self.line.get(at + 1..).unwrap_or_default();
                (self.line.get(..at).unwrap_or_default(), value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (self.line.as_slice(), [].as_slice()),
        };
        match name {
            b"data" => {
                if self.has_data {
                    self.event.data.push(b'\n');
                }
                self.has_data = true;
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = value.to_vec(),
            _ => {}
        }
        self.line.clear();
    }

    fn end_event(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests;
