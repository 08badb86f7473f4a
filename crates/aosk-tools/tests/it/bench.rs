//! A registry of the built-in tools over a fresh workspace.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aosk_abi::message::{Body, Message};
use aosk_abi::{CallId, Pid};
use aosk_tools::builtin::{self, Launcher};
use aosk_tools::{Invocation, Registry, Workspace};
use serde_json::Value;
use tempfile::TempDir;

/// `ws` is the workspace, in a temporary directory together with its neighbours.
pub(crate) struct Bench {
    pub(crate) registry: Registry,
    pub(crate) workspace: Arc<Workspace>,
    outer: TempDir,
}

/// What a model gets to see of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let registry = builtin::registry(16 * 1024, Launcher::default());
        Self::with(registry.expect("the built-in tools are sound"))
    }

    pub(crate) fn with(registry: Registry) -> Self {
        let outer = tempfile::tempdir().expect("a temporary directory");
        let workspace = Workspace::create(outer.path().join("ws")).expect("a workspace");
        Self { registry, workspace: Arc::new(workspace), outer }
    }

    /// A path inside the workspace, for looking at it from outside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.workspace.root().join(name)
    }

    /// A path beside the workspace.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.outer.path().canonicalize().expect("it is there").join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("has a parent")).expect("makes directories");
        std::fs::write(path, content).expect("writes");
    }

    pub(crate) fn invocation(&self, tool: &str, arguments: &str) -> Invocation {
        Invocation {
            call: CallId { pid: Pid(1), number: 1 },
            attempt: 1,
            process: "tester".into(),
            label: String::new(),
            use_id: "use_1".into(),
            tool: tool.into(),
            arguments: arguments.into(),
            ordinal: 0,
            workspace: Arc::clone(&self.workspace),
        }
    }

    pub(crate) async fn call_text(&self, tool: &str, arguments: &str) -> Seen {
        seen(&self.registry.call(&self.invocation(tool, arguments)).await)
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Seen {
        self.call_text(tool, &arguments.to_string()).await
    }

    /// The text of a call that must succeed.
    pub(crate) async fn ok(&self, tool: &str, arguments: Value) -> String {
        let seen = self.call(tool, arguments).await;
        assert!(!seen.is_error, "{tool} failed: {}", seen.text);
        seen.text
    }

    /// The text of a call that must fail.
    pub(crate) async fn err(&self, tool: &str, arguments: Value) -> String {
        let seen = self.call(tool, arguments).await;
        assert!(seen.is_error, "{tool} succeeded: {}", seen.text);
        seen.text
    }
}

pub(crate) fn seen(body: &Body) -> Seen {
    let Message::Tool { tool_call_id, name, content, is_error } = body.message().as_ref() else {
        panic!("not a tool's result: {:?}", body.message());
    };
    assert_eq!(tool_call_id, "use_1");
    assert!(name.is_some());
    Seen { text: content.text(), is_error: *is_error }
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).expect("reads")
}
