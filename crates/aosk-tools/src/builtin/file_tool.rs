//! What tools that work on the files of the workspace have in common. What differs is the work.

use std::fmt;
use std::sync::Arc;

use aosk_abi::id::CallId;
use aosk_abi::tool::{Risk, ToolSpec, ToolTraits};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arguments::typed;
use crate::blocking::{Cancel, blocking};
use crate::error::ToolError;
use crate::limits;
use crate::tool::{Invocation, Need, Output, Tool};
use crate::workspace::Workspace;

/// A tool that stays inside the workspace. Its work is done off the event loop.
#[derive(Debug)]
pub(super) struct FileTool<A> {
    spec: ToolSpec,
    traits: ToolTraits,
    page_bytes_max: usize,
    work: Work<A>,
}

/// What a tool does with its arguments.
pub(super) type Work<A> = fn(&A, &FileCall<'_>) -> Result<Output, ToolError>;

/// What a call works with, besides its arguments.
#[derive(Debug)]
pub(super) struct FileCall<'a> {
    pub(super) call: CallId,
    pub(super) workspace: &'a Workspace,
    pub(super) cancel: &'a Cancel,
    page_bytes_max: usize,
}

impl FileCall<'_> {
    /// An empty page for what the call shows.
    pub(super) fn page(&self) -> Page {
        Page { text: String::new(), bytes_max: self.page_bytes_max }
    }
}

impl<A> FileTool<A> {
    /// The tool that does `work`. It may be made again after a crash if it is idempotent.
    pub(super) fn new(spec: ToolSpec, risk: Risk, idempotent: bool, work: Work<A>) -> Self {
        // What only reads may run beside others that do.
        let parallel = risk <= Risk::Low;
        let timeout = limits::FILE_TIMEOUT;
        let traits = ToolTraits { risk, idempotent, inline: false, parallel, timeout };
        Self { spec, traits, page_bytes_max: limits::LINE_BYTES_MAX, work }
    }

    /// The same tool, of which one call shows about `page_bytes_max` bytes and not a line.
    pub(super) fn with_page(self, page_bytes_max: usize) -> Self {
        Self { page_bytes_max, ..self }
    }
}

#[async_trait]
impl<A: DeserializeOwned + fmt::Debug + Send + 'static> Tool for FileTool<A> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn traits(&self) -> &ToolTraits {
        &self.traits
    }

    fn needs(&self) -> &[Need] {
        &[Need::Workspace]
    }

    async fn call(&self, invocation: &Invocation, arguments: Value) -> Result<Output, ToolError> {
        let arguments = typed(arguments)?;
        let (call, workspace) = (invocation.call, Arc::clone(&invocation.workspace));
        let (work, page_bytes_max) = (self.work, self.page_bytes_max);
        blocking(move |cancel| {
            work(&arguments, &FileCall { call, workspace: &workspace, cancel, page_bytes_max })
        })
        .await
    }
}

/// Lines of output up to a number of bytes.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: String,
    bytes_max: usize,
}

impl Page {
    /// Adds `line`, unless it does not fit any more. The first one always fits.
    pub(super) fn push(&mut self, line: &str) -> bool {
        let full = self.text.len() + line.len() + 1 > self.bytes_max;
        if full && !self.text.is_empty() {
            return false;
        }
        self.text.push_str(line);
        self.text.push('\n');
        true
    }
}
