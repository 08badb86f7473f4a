//! A kernel with a model that does what its task says.

use std::collections::BTreeMap;
use std::sync::Arc;

use aosk_otel::{Said, Settings, Telemetry};
use aosk_runtime::abi::{
    Body, ErrorCode, Failure, FailureClass, FinishReason, Limits, Message, Millis, ModelReply,
    PermissionLevel, Pid, ThinkOptions, Tokens, ToolUse, Usage,
};
use aosk_runtime::agent::{self, Agent};
use aosk_runtime::kernel::memory::{self, Prefer};
use aosk_runtime::model::{Delta, Driver, OnDelta, Request};
use aosk_runtime::program::react;
use aosk_runtime::store::Memory;
use aosk_runtime::tools::Registry;
use aosk_runtime::tools::builtin::Calculator;
use aosk_runtime::{ModelDevice, Node, NodeConfig, Programs, TraceParent, kernel};
use async_trait::async_trait;
use tempfile::TempDir;

/// A model that says `TEXT` for the task `say TEXT`, calculates for `calculate`, fails for `break`, and has
/// another agent do the rest of `delegate TASK`.
struct Model;

fn calls(id: String, name: &str, arguments: String) -> Message {
    let call = ToolUse { id, name: name.to_owned(), arguments };
    Message::Assistant { content: None, reasoning: None, tool_calls: vec![call] }
}

#[async_trait]
impl Driver for Model {
    async fn complete(&self, asked: Request, on: OnDelta<'_>) -> Result<ModelReply, Failure> {
        let is_task = |body: &&Body| body.message().role() == "user";
        let task = asked.messages.iter().find(is_task).unwrap().message().text();
        let (verb, rest) = task.split_once(' ').unwrap_or((&task, ""));
        let message = match (verb, asked.answers) {
            ("say", _) => {
                on.unwrap()(Delta::Text(rest.to_owned()));
                Message::assistant(rest)
            }
            ("calculate", 0) => {
                calls(asked.use_id(0), "calculator", r#"{"expression":"1 + 1"}"#.to_owned())
            }
            ("delegate", 0) => {
                let arguments = format!(r#"{{"name":"helper","task":"{rest}"}}"#);
                calls(asked.use_id(0), "spawn_agent", arguments)
            }
            ("delegate", 1) => calls(asked.use_id(0), "wait_agent", "{}".to_owned()),
            ("calculate" | "delegate", _) => Message::assistant("done"),
            _ => {
                return Err(Failure {
                    class: FailureClass::Final,
                    code: ErrorCode::ModelBadRequest,
                    message: "as the task says".to_owned(),
                    hint: String::new(),
                    retry_after: None,
                    usage: None,
                });
            }
        };
        let usage = Usage {
            input_uncached: Tokens(10),
            cache_read: Tokens(30),
            output: Tokens(5),
            ..Usage::default()
        };
        Ok(ModelReply { body: Body::new(message), usage, finish: FinishReason::Stop })
    }
}

/// A kernel that tells a collector what it does.
pub(crate) struct Scene {
    pub(crate) node: Node,
    pub(crate) telemetry: Telemetry,
    _dir: TempDir,
}

impl Scene {
    pub(crate) fn telling(endpoint: &str, content: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let mut tools = Registry::new();
        tools.add(Arc::new(Calculator::new())).unwrap();
        let device = ModelDevice {
            stream: true,
            slots: 8,
            ..ModelDevice::new("mistral:m", Arc::new(Model))
        };
        let node = Node::start(NodeConfig {
            store: Box::new(Memory::new()),
            models: vec![device],
            routes: BTreeMap::new(),
            groups: BTreeMap::new(),
            slice: None,
            embedder: None,
            tools,
            recorded: None,
            programs: Programs::default(),
            policy: kernel::policy("fair").unwrap(),
            replacement: memory::DEFAULT,
            prefer: Prefer::default(),
            summary_model: None,
            needs: memory::NeedTable::seeded(),
            limits: Limits::default(),
            tool_slots: 4,
            workspace: dir.path().to_owned(),
            reports: None,
            drain: Millis::ZERO,
            linger: Millis(2),
        })
        .unwrap();
        let headers = BTreeMap::from([("api-key".to_owned(), "secret".to_owned())]);
        let said = Said { endpoint: Some(endpoint.to_owned()), headers, content };
        let settings = Settings::read(&said, &|_| None).unwrap().unwrap();
        let telemetry = Telemetry::start(&node.handle(), settings).unwrap();
        Self { node, telemetry, _dir: dir }
    }

    /// Starts an agent, and waits until it has ended.
    pub(crate) async fn does(&self, task: &str, parent: Option<TraceParent>) -> Pid {
        let granted = agent::choose(
            &self.node.handle().equipment().tools,
            PermissionLevel::Standard,
            None,
            /*tasks*/ false,
        );
        let granted = granted.unwrap();
        let param = react::Param {
            options: ThinkOptions {
                model: "mistral:m".to_owned(),
                output_max: Tokens(100),
                tools: granted.tools,
                temperature_milli: None,
                window: None,
            },
            workspace: None,
            base_url: None,
            replacement: None,
            prefer: None,
            chat: false,
        };
        let agent = Agent {
            name: "one".to_owned(),
            label: String::new(),
            task: task.to_owned(),
            system: None,
            param,
            capabilities: granted.capabilities,
            priority: 50,
            limits: Limits::default(),
            group: String::new(),
        };
        let mut spec = agent.spec();
        if let Some(parent) = parent {
            parent.keep_in(&mut spec.program);
        }
        let pid = self.node.handle().spawn(spec).await.unwrap();
        self.node.handle().wait(pid).await.unwrap();
        pid
    }

    /// What is counted under this name.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        counted(&self.node.handle(), name)
    }

    /// Ends in order.
    pub(crate) async fn end(self) {
        self.node.shutdown().await.unwrap();
        self.telemetry.finish().await;
    }
}

/// What a kernel counts under a name.
pub(crate) fn counted(handle: &aosk_runtime::Handle, name: &str) -> u64 {
    let mut registry = prometheus_client::registry::Registry::default();
    handle.meter().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
}
