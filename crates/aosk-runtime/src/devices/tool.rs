//! Tool calls: made at once, as tasks, or played from a record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aosk_abi::{Body, CallId, Error, ErrorCode, Input, Message, ToolOutcome, ToolStart};
use aosk_tools::{Invocation, Workspace};

use crate::memory::Searched;
use crate::meter::ToolEnd;

use super::{Asker, Devices, Ended, Kind};

/// Workspaces kept open between calls. Each holds a file descriptor, and every process may name its
/// own.
pub(super) const WORKSPACES_MAX: usize = 64;

impl Devices {
    /// Starts a tool call.
    pub(crate) fn call_tool(&mut self, start: &ToolStart, asker: Asker) {
        let (call, attempt) = (start.call, start.attempt);
        let kind = Kind::Tool(start.tool.clone());
        if let Some(body) = self.recorded_result(start, &asker) {
            self.spawn((call, attempt), kind, async move { returned(call, attempt, body) });
            return;
        }
        match self.invocation(start.clone(), asker) {
            Ok(invocation) => {
                let tools = self.tools.clone();
                self.spawn((call, attempt), kind, async move {
                    returned(call, attempt, tools.call(&invocation).await)
                });
            }
            Err(error) => {
                let body = tool_error(start, error.code, &error.message);
                self.spawn((call, attempt), kind, async move { returned(call, attempt, body) });
            }
        }
    }

    /// Makes an inline tool call at once.
    pub(crate) fn call_inline(&mut self, start: &ToolStart, asker: Asker) -> Input {
        let (call, attempt, began) = (start.call, start.attempt, self.meter.now());
        let body = match self.recorded_result(start, &asker) {
            Some(body) => body,
            None => match self.invocation(start.clone(), asker) {
                Ok(invocation) => self.tools.call_inline(&invocation).unwrap_or_else(|| {
                    // The kernel has unknown tools called inline; the registry knows near names.
                    let text = match self.tools.specs(&[&start.tool]) {
                        Err(unknown) => unknown.to_string(),
                        Ok(_) => format!("no tool is named {:?}", start.tool),
                    };
                    tool_error(start, ErrorCode::ToolUnknown, &text)
                }),
                Err(error) => tool_error(start, error.code, &error.message),
            },
        };
        let took = self.meter.now().saturating_sub(began);
        self.meter.tool_ended(&start.tool, end_of(&body), took);
        returned(call, attempt, body)
    }

    /// Starts a search of a log, which is a tool call to the kernel.
    pub(crate) fn search(
        &mut self,
        start: ToolStart,
        search: Result<impl Future<Output = Searched> + Send + 'static, Error>,
    ) {
        let key = (start.call, start.attempt);
        let kind = Kind::Tool(start.tool.clone());
        match search {
            Ok(search) => {
                self.enter(key, kind, async move {
                    let searched = search.await;
                    Ended::Searched(start, searched)
                });
            }
            Err(error) => {
                let body = tool_error(&start, error.code, &error.message);
                self.spawn(key, kind, async move { returned(key.0, key.1, body) });
            }
        }
    }

    /// What the record of the process has for the call, if the process plays one.
    fn recorded_result(&self, start: &ToolStart, asker: &Asker) -> Option<Body> {
        let recorded = self.recorded.as_ref()?;
        recorded.record(&asker.label)?;
        Some(match recorded.tool_result(&asker.label, start.ordinal as usize) {
            Some((wanted, result)) if wanted.name == start.tool => Body::new(result.clone()),
            Some((wanted, _)) => {
                let text = format!("the record calls {} here, not {}", wanted.name, start.tool);
                tool_error(start, ErrorCode::ReplayDiffers, &text)
            }
            None => tool_error(start, ErrorCode::ReplayDiffers, "the record has no such call"),
        })
    }

    fn invocation(&mut self, start: ToolStart, asker: Asker) -> Result<Invocation, Error> {
        let workspace = self.workspace_of(&asker.param)?;
        Ok(Invocation {
            call: start.call,
            attempt: start.attempt,
            process: asker.name,
            label: asker.label,
            use_id: start.use_id,
            tool: start.tool,
            arguments: start.arguments,
            ordinal: start.ordinal,
            workspace,
        })
    }

    pub(super) fn workspace_of(&mut self, param: &str) -> Result<Arc<Workspace>, Error> {
        #[derive(serde::Deserialize)]
        struct Wanted {
            workspace: Option<PathBuf>,
        }
        let wanted = serde_json::from_str::<Wanted>(param).ok().and_then(|wanted| wanted.workspace);
        let root: &Path = wanted.as_deref().unwrap_or(&self.workspace);
        if let Some(workspace) = self.workspaces.get(root) {
            return Ok(workspace.clone());
        }
        let workspace = Arc::new(Workspace::create(root).map_err(|error| {
            let text = format!("opening the workspace {}: {error}", root.display());
            Error::new(ErrorCode::Io, text)
        })?);
        if self.workspaces.len() >= WORKSPACES_MAX {
            // Calls that use one keep it open.
            self.workspaces.clear();
        }
        self.workspaces.insert(root.to_owned(), workspace.clone());
        Ok(workspace)
    }
}

fn returned(call: CallId, attempt: u32, body: Body) -> Input {
    Input::ToolDone { call, attempt, outcome: ToolOutcome::Returned(body) }
}

fn tool_error(start: &ToolStart, code: ErrorCode, text: &str) -> Body {
    Body::new(Message::failed(&start.use_id, &start.tool, code, text))
}

/// How a tool call ended that brought this message.
pub(super) fn end_of(body: &Body) -> ToolEnd {
    match body.message().as_ref() {
        Message::Tool { is_error: true, .. } => ToolEnd::Failed,
        Message::Tool { .. }
        | Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. } => ToolEnd::Returned,
    }
}
