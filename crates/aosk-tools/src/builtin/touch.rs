//! Which file a call of a built-in tool is about, for those who look back at what was called.

use serde::Deserialize;

/// What a call does with its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It reads it.
    Read,
    /// It writes it, whole or at its end.
    Written,
}

/// What a call of this tool with these arguments does with which file, as it was named; none if it is
/// about no one file. Listings and searches are about none.
#[must_use]
pub fn touched(tool: &str, arguments: &str) -> Option<(Touch, String)> {
    #[derive(Deserialize)]
    struct Named {
        path: String,
    }
    let touch = match tool {
        "read_file" => Touch::Read,
        "write_file" | "append_file" => Touch::Written,
        _ => return None,
    };
    let Named { path } = serde_json::from_str(arguments).ok()?;
    Some((touch, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_its_file() {
        let path = || "a/b.txt".to_owned();
        let arguments = r#"{"path":"a/b.txt","content":"x"}"#;
        assert_eq!(touched("read_file", r#"{"path":"a/b.txt"}"#), Some((Touch::Read, path())));
        assert_eq!(touched("write_file", arguments), Some((Touch::Written, path())));
        assert_eq!(touched("append_file", arguments), Some((Touch::Written, path())));
        for (tool, arguments) in [
            ("list_files", arguments),
            ("read_file", "{"),
            ("read_file", "{}"),
            ("other", arguments),
        ] {
            assert_eq!(touched(tool, arguments), None, "{tool} {arguments}");
        }
    }
}
