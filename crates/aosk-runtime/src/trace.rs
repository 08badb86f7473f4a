//! The place of work in the traces of others: the header `traceparent` of W3C Trace Context, and how a
//! process keeps the one that it was started under.
//!
//! It is kept in the parameter of the process's program, so it outlives the kernel that took it, and the
//! core never looks at it. <https://www.w3.org/TR/trace-context/>

use std::fmt;

use aosk_abi::ProgramSpec;
use serde_json::{Map, Value};

/// The name of the header, and of the field of a parameter.
pub const TRACEPARENT: &str = "traceparent";

/// The flag that says that somebody records the trace.
const SAMPLED: u8 = 1;

/// A span of somebody else, under which work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: [u8; 16],
    /// The span in it.
    pub span: [u8; 8],
    /// Flags, of which the lowest says that the trace is recorded.
    pub flags: u8,
}

impl TraceParent {
    /// Reads the header. What the standard does not allow is none, and such a header is to be ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let [version] = bytes::<1>(parts.next()?)?;
        let trace = bytes::<16>(parts.next()?)?;
        let span = bytes::<8>(parts.next()?)?;
        let [flags] = bytes::<1>(parts.next()?)?;
        // Later versions may have more behind it.
        let is_whole = version > 0 || parts.next().is_none();
        let is_some = version != 0xff && trace != [0; 16] && span != [0; 8];
        (is_whole && is_some).then_some(Self { trace, span, flags })
    }

    /// Whether the trace is recorded: work under one that is not is not told of.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Has a process that is to be started keep it. A parameter that is no object keeps nothing.
    pub fn keep_in(&self, program: &mut ProgramSpec) {
        if let Ok(mut param) = serde_json::from_str::<Map<String, Value>>(&program.param) {
            param.insert(TRACEPARENT.to_owned(), self.to_string().into());
            program.param = Value::Object(param).to_string().into();
        }
    }

    /// The one that a process keeps.
    #[must_use]
    pub fn kept_in(program: &ProgramSpec) -> Option<Self> {
        // Most processes have none, and parameters may be long.
        if !program.param.contains(TRACEPARENT) {
            return None;
        }
        let param: Map<String, Value> = serde_json::from_str(&program.param).ok()?;
        Self::parse(param.get(TRACEPARENT)?.as_str()?)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

/// Exactly so many bytes, as digits and small letters.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written() {
        let parent = TraceParent::parse(HEADER).unwrap();
        assert_eq!(parent.span, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), HEADER);
        let later = TraceParent::parse(&HEADER.replacen("00", "01", 1).replace("-01", "-00-more"));
        assert!(later.is_none_or(|later| !later.is_sampled()));
    }

    #[test]
    fn what_the_standard_does_not_allow_is_none() {
        let none = |text: &str| assert_eq!(TraceParent::parse(text), None, "{text}");
        none("");
        none("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7");
        none(&HEADER.replacen("00", "ff", 1));
        none(&HEADER.to_uppercase());
        none(&HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)));
        none(&HEADER.replace("00f067aa0ba902b7", &"0".repeat(16)));
        none(&HEADER.replace("4bf9", "4bf"));
        none(&format!("{HEADER}-more"));
        none("00-äbf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01");
    }

    #[test]
    fn a_process_keeps_it() {
        let parent = TraceParent::parse(HEADER).unwrap();
        let mut program =
            ProgramSpec { name: "react".to_owned(), param: r#"{"chat":true}"#.into() };
        assert_eq!(TraceParent::kept_in(&program), None);
        parent.keep_in(&mut program);
        assert_eq!(TraceParent::kept_in(&program), Some(parent));
        assert_eq!(*program.param, *format!(r#"{{"chat":true,"traceparent":"{HEADER}"}}"#));
        let mut other = ProgramSpec { name: "other".to_owned(), param: "[]".into() };
        parent.keep_in(&mut other);
        assert_eq!(*other.param, *"[]");
    }
}
