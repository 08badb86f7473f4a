//! Names of things. An id is a type, prints with a prefix and parses back.
//!
//! Process ids are never used twice in the life of a data directory, which gives what a generation
//! gives elsewhere: a stale id can name nothing new. A call is numbered within its process, so the
//! ids in a process's history do not depend on what other processes did.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An id that did not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIdError {
    /// What was expected, for example `p7`.
    pub expected: &'static str,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an id like {}", self.expected)
    }
}

impl std::error::Error for ParseIdError {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $prefix:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Accepts the printed form and the bare number.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let digits = text.strip_prefix($prefix).unwrap_or(text);
                let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
                match digits.parse() {
                    Ok(number) if all_digits => Ok(Self(number)),
                    _ => Err(ParseIdError { expected: $example }),
                }
            }
        }
    };
}

id!(
    /// A process. Counted from 1, never reused within a data directory.
    Pid, u64, "p", "p7"
);
id!(
    /// A node of the budget tree. Counted from 1, never reused within a data directory.
    BudgetId, u64, "b", "b3"
);
id!(
    /// One operator request that waits for a reply. Chosen by the shell; never stored.
    RequestId, u64, "r", "r9"
);
id!(
    /// The place of a message in the log of one process, counted from 0.
    MessageIndex, u32, "@", "@12"
);

/// One call to a device (a model or a tool), numbered from 1 within its process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// The process that asked.
    pub pid: Pid,
    /// The how-manieth call of that process this is.
    pub number: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.c{}", self.pid, self.number)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CallId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong = ParseIdError { expected: "p7.c12" };
        let Some((pid, number)) = text.split_once(".c") else {
            return Err(wrong);
        };
        match (pid.parse(), number.parse()) {
            (Ok(pid), Ok(number)) => Ok(Self { pid, number }),
            _ => Err(wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse_back() {
        assert_eq!(Pid(7).to_string(), "p7");
        assert_eq!("p7".parse(), Ok(Pid(7)));
        assert_eq!("7".parse(), Ok(Pid(7)));
        let call = CallId { pid: Pid(7), number: 12 };
        assert_eq!(call.to_string(), "p7.c12");
        assert_eq!("p7.c12".parse(), Ok(call));
    }

    #[test]
    fn ids_refuse_what_is_not_theirs() {
        for wrong in ["", "p", "q7", "p-7", "p+7", "p7x", " 7", "p99999999999999999999"] {
            assert!(wrong.parse::<Pid>().is_err(), "{wrong:?}");
        }
        assert!("p7.12".parse::<CallId>().is_err());
    }
}
