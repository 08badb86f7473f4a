//! The neutral form of a conversation, and the address of content.
//!
//! Every wire format is read into these types and written from them. Text and tool arguments are
//! kept as the model wrote them, byte for byte: arguments that are not valid JSON stay visible.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ErrorCode;
use crate::id::ParseIdError;
use crate::memory::PageId;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum Message {
    /// Instructions that stand above the conversation.
    System {
        /// What it says.
        content: Content,
    },
    /// Something said to the model: by a person, the operator or another process.
    User {
        /// What it says.
        content: Content,
        /// Who says it, where the wire format can carry that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Something the model said.
    Assistant {
        /// The text; a turn that only calls tools may have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
        /// Reasoning that the provider wants back on the next call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reasoning: Option<String>,
        /// The tools it wants called, in its order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolUse>,
    },
    /// What a tool returned.
    Tool {
        /// The [`ToolUse::id`] this answers.
        tool_call_id: String,
        /// The tool's name, where the record has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The output.
        content: Content,
        /// The call failed and `content` says why.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

/// The content of a message: plain text, or parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Several parts in order.
    Parts(Vec<Part>),
}

/// One part of a message's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// A copy of a page of the process's memory, brought back. To a model it is text.
    Page {
        /// The page.
        page: PageId,
        /// What it holds.
        text: String,
    },
    /// A picture. Every wire format has a form of its own for it.
    Image {
        /// The kind of its bytes, such as `image/png`.
        media_type: String,
        /// Its bytes in base64, in the alphabet with `+` and `/`.
        data: String,
    },
    /// A part of another kind, in the wire form it came in.
    Other {
        /// The part's JSON.
        json: serde_json::Value,
    },
}

/// A model's wish to call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolUse {
    /// The id the model gave the call; the result is sent back under it.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON text, if it wrote JSON.
    pub arguments: String,
}

impl Message {
    /// A system message of plain text.
    pub fn system(text: impl Into<String>) -> Self {
        Self::System { content: Content::Text(text.into()) }
    }

    /// A user message of plain text.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { content: Content::Text(text.into()), name: None }
    }

    /// An assistant message of plain text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant {
            content: Some(Content::Text(text.into())),
            reasoning: None,
            tool_calls: Vec::new(),
        }
    }

    /// A tool's answer of plain text.
    pub fn tool(tool_call_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Tool {
            tool_call_id: tool_call_id.into(),
            name: None,
            content: Content::Text(text.into()),
            is_error: false,
        }
    }

    /// What a tool returned to a call.
    pub fn returned(
        tool_call_id: impl Into<String>,
        tool: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self::Tool {
            tool_call_id: tool_call_id.into(),
            name: Some(tool.into()),
            content: Content::Text(text.into()),
            is_error: false,
        }
    }

    /// What came of a call that failed, in the form that all failures of tools have.
    pub fn failed(
        tool_call_id: impl Into<String>,
        tool: impl Into<String>,
        code: ErrorCode,
        what: impl fmt::Display,
    ) -> Self {
        Self::Tool {
            tool_call_id: tool_call_id.into(),
            name: Some(tool.into()),
            content: Content::Text(format!("{code}: {what}")),
            is_error: true,
        }
    }

    /// The role's name as every wire format knows it.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match self {
            Self::System { .. } => "system",
            Self::User { .. } => "user",
            Self::Assistant { .. } => "assistant",
            Self::Tool { .. } => "tool",
        }
    }

    /// The text of the message, parts joined; empty if it has none.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::System { content } | Self::User { content, .. } | Self::Tool { content, .. } => {
                content.text()
            }
            Self::Assistant { content, .. } => {
                content.as_ref().map(Content::text).unwrap_or_default()
            }
        }
    }

    /// Whether a picture is in it.
    #[must_use]
    pub fn has_image(&self) -> bool {
        let content = match self {
            Self::System { content } | Self::User { content, .. } | Self::Tool { content, .. } => {
                Some(content)
            }
            Self::Assistant { content, .. } => content.as_ref(),
        };
        match content {
            Some(Content::Parts(parts)) => {
                parts.iter().any(|part| matches!(part, Part::Image { .. }))
            }
            Some(Content::Text(_)) | None => false,
        }
    }

    /// The tool calls of the message; none unless it is the model's.
    #[must_use]
    pub fn tool_calls(&self) -> &[ToolUse] {
        match self {
            Self::Assistant { tool_calls, .. } => tool_calls,
            Self::System { .. } | Self::User { .. } | Self::Tool { .. } => &[],
        }
    }
}

impl Content {
    /// The text of the content, parts joined by nothing.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Text { text } | Part::Page { text, .. } => Some(text.as_str()),
                    Part::Image { .. } | Part::Other { .. } => None,
                })
                .collect(),
        }
    }
}

/// The address of content: the BLAKE3 hash of its canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of no bytes before the first: where every chain begins.
    pub const ZERO: Self = Self([0; 32]);

    /// The address of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = blake3::Hash::from_bytes(self.0).to_hex();
        f.write_str(hex.as_str().get(..12).unwrap_or_default())
    }
}

impl FromStr for Hash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| ParseIdError { expected: "64 hexadecimal digits" })
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A message together with its canonical bytes and their address.
///
/// The three always belong together: a `Body` can only be made from a message or from stored bytes.
/// Cloning is cheap.
#[derive(Clone)]
pub struct Body {
    hash: Hash,
    bytes: Arc<str>,
    message: Arc<Message>,
}

impl Body {
    /// The body of `message`.
    #[must_use]
    pub fn new(message: Message) -> Self {
        // A message is plain data with string keys, so it always has a JSON form.
        let bytes: Arc<str> = serde_json::to_string(&message).unwrap_or_default().into();
        Self { hash: Hash::of(bytes.as_bytes()), bytes, message: Arc::new(message) }
    }

    /// The body whose canonical bytes are `bytes`.
    ///
    /// # Errors
    /// If the bytes are not a message.
    pub fn from_bytes(bytes: &str) -> Result<Self, serde_json::Error> {
        let message = serde_json::from_str(bytes)?;
        Ok(Self {
            hash: Hash::of(bytes.as_bytes()),
            bytes: bytes.into(),
            message: Arc::new(message),
        })
    }

    /// The address of the content.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The canonical bytes: JSON text.
    #[must_use]
    pub fn bytes(&self) -> &Arc<str> {
        &self.bytes
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Arc<Message> {
        &self.message
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} {:?}, {} bytes)", self.message.role(), self.hash, self.bytes.len())
    }
}

/// Two bodies are equal when their content is.
impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Body {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_from_its_bytes() {
        let message = Message::Assistant {
            content: None,
            reasoning: None,
            tool_calls: vec![ToolUse {
                id: "call_1".into(),
                name: "calculator".into(),
                arguments: "{not json".into(),
            }],
        };
        let body = Body::new(message.clone());
        let again = Body::from_bytes(body.bytes()).expect("canonical bytes parse");
        assert_eq!(*again.message().as_ref(), message);
        assert_eq!(again.hash(), body.hash());
        assert_eq!(body.hash().to_string().parse(), Ok(body.hash()));
    }

    #[test]
    fn content_parts_keep_what_they_do_not_know() {
        let json = r#"{"role":"user","content":[{"type":"text","text":"see "},{"type":"other","json":{"type":"image_url"}}]}"#;
        let body = Body::from_bytes(json).expect("parses");
        assert_eq!(body.message().text(), "see ");
        assert_eq!(Body::new(body.message().as_ref().clone()).hash(), body.hash());
    }
}
