//! In which order an answer came, and what of it only its own provider reads.
//!
//! A message has its text, its calls and its reasoning apart. Some providers sign what a model thought,
//! and take it back only as it was and where it stood: between the texts and calls of the answer, or on
//! them. So reasoning that is signed is kept as a JSON list of blocks. Some are the provider's own and go
//! back byte for byte; the others say that so many bytes of the text, or the next call, stood there, and
//! what was signed of them. What has no block comes behind, the text first.

use aosk_abi::ToolUse;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How every list of blocks begins, and no reasoning in plain words does.
const BEGINNING: &str = "[{\"type\":";

/// A block that says what stood in its place.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Stood<'a> {
    Said {
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    Called {
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
}

/// A block of either kind, as far as it is read here.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    bytes: Option<usize>,
    signature: Option<String>,
}

/// The blocks of an answer, written down as it comes.
#[derive(Debug, Default)]
pub(crate) struct Order {
    blocks: Vec<String>,
    /// How many of them are needed: behind the last that is signed, order says nothing.
    needed: usize,
    /// Bytes of text that have no block yet.
    said: usize,
}

impl Order {
    /// A block of the provider's own came, which is to go back as it is.
    pub(crate) fn own(&mut self, json: String) {
        self.close_text();
        self.blocks.push(json);
        self.needed = self.blocks.len();
    }

    /// So many bytes of text came.
    pub(crate) fn said(&mut self, bytes: usize, signature: Option<&str>) {
        if signature.is_none() {
            self.said += bytes;
            return;
        }
        self.close_text();
        self.push(&Stood::Said { bytes, signature });
        self.needed = self.blocks.len();
    }

    /// A call came.
    pub(crate) fn called(&mut self, signature: Option<&str>) {
        self.close_text();
        self.push(&Stood::Called { signature });
        if signature.is_some() {
            self.needed = self.blocks.len();
        }
    }

    /// Whether a block of the provider's own, or anything signed, has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.needed > 0
    }

    /// The list; none if nothing was signed.
    pub(crate) fn finish(mut self) -> Option<String> {
        self.blocks.truncate(self.needed);
        (!self.blocks.is_empty()).then(|| format!("[{}]", self.blocks.join(",")))
    }

    fn close_text(&mut self) {
        let bytes = std::mem::take(&mut self.said);
        if bytes > 0 {
            self.push(&Stood::Said { bytes, signature: None });
        }
    }

    fn push(&mut self, block: &Stood<'_>) {
        // A block has no map with odd keys, so it always has a JSON form.
        self.blocks.extend(serde_json::to_string(block));
    }
}

/// What an answer says, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A block of the provider's own.
    Own(&'a str),
    /// A piece of the text, and what was signed of it.
    Text(&'a str, Option<String>),
    /// A call, and what was signed of it.
    Call(&'a ToolUse, Option<String>),
}

/// Whether reasoning is a list of blocks, which means nothing to another provider.
pub(crate) fn is_blocks(reasoning: &str) -> bool {
    reasoning.starts_with(BEGINNING)
}

/// What an answer says, in its order. `is_own` tells by their type which blocks the format knows;
/// others were signed by another provider and are left out.
pub(crate) fn of<'a>(
    reasoning: Option<&'a str>,
    text: &'a str,
    calls: &'a [ToolUse],
    is_own: impl Fn(&str) -> bool,
) -> Vec<Item<'a>> {
    let blocks = reasoning.filter(|reasoning| is_blocks(reasoning));
    let blocks: Vec<&RawValue> =
        blocks.and_then(|blocks| serde_json::from_str(blocks).ok()).unwrap_or_default();
    let (mut rest, mut calls) = (text, calls.iter());
    let mut items = Vec::with_capacity(blocks.len() + calls.len() + 1);
    for json in blocks {
        let Ok(block) = serde_json::from_str::<Block>(json.get()) else { continue };
        match block.kind.as_str() {
            "said" => {
                // A text that was cut since has lost what was signed of it.
                let cut = block.bytes.and_then(|bytes| rest.split_at_checked(bytes));
                let Some((said, after)) = cut else { continue };
                items.push(Item::Text(said, block.signature));
                rest = after;
            }
            "called" => items.extend(calls.next().map(|call| Item::Call(call, block.signature))),
            kind if is_own(kind) => items.push(Item::Own(json.get())),
            _ => {}
        }
    }
    if !rest.is_empty() {
        items.push(Item::Text(rest, None));
    }
    items.extend(calls.map(|call| Item::Call(call, None)));
    items
}

#[cfg(test)]
mod tests;
