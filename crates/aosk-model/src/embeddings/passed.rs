//! Answers of embedders that are passed on to clients: how many vectors there are, and what they took.

use aosk_abi::{Failure, Tokens, Usage};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::counted::Counted;
use crate::exchange::{self, Context, Ending, Progress, Said};

/// An answer, once it has come.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    vectors: Option<usize>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Wire {
    data: Option<Vec<IgnoredAny>>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl exchange::Assembly for Assembly {
    fn take_whole(&mut self, json: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        let Wire { data, usage } = cx.parse(json)?;
        let Some(data) = data else {
            return Err(cx.lacking(json, "it has no vectors"));
        };
        self.vectors = Some(data.len());
        let counted = usage.and_then(|usage| usage.prompt_tokens.or(usage.total_tokens));
        self.usage =
            counted.map(|input| Usage { input_uncached: Tokens(input), ..Usage::default() });
        Ok(())
    }

    fn take_event(&mut self, data: &[u8], cx: &Context<'_>) -> Result<(), Failure> {
        // Nobody streams vectors.
        self.take_whole(data, cx)
    }

    fn progress(&self) -> Progress {
        if self.vectors.is_some() { Progress::Over } else { Progress::Nothing }
    }

    fn into_said(self) -> Said {
        Said {
            text: format!("[{} vectors]", self.vectors.unwrap_or_default()),
            reasoning: None,
            calls: Vec::new(),
            ending: Ending::Done,
            counted: self.usage.map(|usage| Counted { usage, output_is_final: true }),
        }
    }
}
