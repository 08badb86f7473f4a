//! A kernel with a server, in a folder of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use aosk_runtime::abi::{
    Body, ErrorCode, Failure, FailureClass, FinishReason, Limits, Message, Millis, ModelReply,
    Timestamp, Tokens, ToolUse, Usage,
};
use aosk_runtime::kernel::memory::{self, Prefer};
use aosk_runtime::model::{Delta, Driver, OnDelta, Request};
use aosk_runtime::store::Memory;
use aosk_runtime::tools::builtin::{self, Launcher};
use aosk_runtime::{Handle, ModelDevice, Node, NodeConfig, Programs, kernel};
use aosk_server::access::{Role, Tokens as Access};
use aosk_server::{Server, Setup};
use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::client::{Answer, Client};

/// The model. What it does stands in the task: `say TEXT`, `stream N`, `calculate N` times and then
/// `done`, `invent TOOL` that is not there and then `done`, `use` with a tool and its arguments on each
/// further line and then `done`, `hold` until it is let go, `break`.
struct Model {
    gate: watch::Receiver<bool>,
}

#[async_trait]
impl Driver for Model {
    async fn complete(&self, asked: Request, on: OnDelta<'_>) -> Result<ModelReply, Failure> {
        // What the kernel says of itself is no task.
        let is_task = |body: &&Body| {
            body.message().role() == "user" && !body.message().text().starts_with("[kernel]")
        };
        let task = asked.messages.iter().rfind(is_task).unwrap().message().text();
        let (verb, rest) = task.split_once([' ', '\n']).unwrap_or((&task, ""));
        let message = match verb {
            "say" => Message::assistant(rest),
            "stream" => {
                let pieces: Vec<String> =
                    (0..rest.parse().unwrap()).map(|piece: u32| format!("{piece} ")).collect();
                for piece in &pieces {
                    on.unwrap()(Delta::Text(piece.clone()));
                }
                Message::assistant(pieces.concat())
            }
            "calculate" if asked.answers < rest.parse().unwrap() => Message::Assistant {
                content: None,
                reasoning: None,
                tool_calls: vec![ToolUse {
                    id: asked.use_id(0),
                    name: "calculator".to_owned(),
                    arguments: format!("{{\"expression\":\"1 + {}\"}}", asked.answers),
                }],
            },
            "calculate" => Message::assistant("done"),
            "invent" if asked.answers == 0 => Message::Assistant {
                content: None,
                reasoning: None,
                tool_calls: vec![ToolUse {
                    id: asked.use_id(0),
                    name: rest.to_owned(),
                    arguments: "{}".to_owned(),
                }],
            },
            "invent" => Message::assistant("done"),
            "use" => match rest.lines().nth(usize::try_from(asked.answers).unwrap()) {
                Some(line) => {
                    let (name, arguments) = line.split_once(' ').unwrap();
                    let (name, arguments) = (name.to_owned(), arguments.to_owned());
                    let tool_calls = vec![ToolUse { id: asked.use_id(0), name, arguments }];
                    Message::Assistant { content: None, reasoning: None, tool_calls }
                }
                None => Message::assistant("done"),
            },
            "break" => {
                return Err(Failure {
                    class: FailureClass::Transient,
                    code: ErrorCode::ModelServer,
                    message: "as the task says".to_owned(),
                    hint: String::new(),
                    retry_after: None,
                    usage: None,
                });
            }
            "hold" => {
                self.gate.clone().wait_for(|open| *open).await.unwrap();
                Message::assistant("let go")
            }
            other => panic!("the task is none of the tests': {other}"),
        };
        let usage = Usage { input_uncached: Tokens(10), output: Tokens(5), ..Usage::default() };
        Ok(ModelReply { body: Body::new(message), usage, finish: FinishReason::Stop })
    }
}

/// A kernel with a server.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
    pub(crate) node: Node,
    pub(crate) server: Server,
    gate: watch::Sender<bool>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::on(Memory::new(), TempDir::new().unwrap()).await
    }

    /// On a store and in a folder that may have been used before.
    pub(crate) async fn on(store: Memory, dir: TempDir) -> Self {
        Self::with_device(store, dir, |device| device).await
    }

    /// The same with the model's device as the test wants it.
    pub(crate) async fn with_device(
        store: Memory,
        dir: TempDir,
        change: impl FnOnce(ModelDevice) -> ModelDevice,
    ) -> Self {
        let (gate, opened) = watch::channel(false);
        let driver = Arc::new(Model { gate: opened });
        let device = ModelDevice { slots: 64, stream: true, ..ModelDevice::new("m", driver) };
        let tools = builtin::registry(64 * 1024, Launcher::default()).unwrap();
        let node = Node::start(NodeConfig {
            store: Box::new(store),
            models: vec![change(device)],
            routes: std::collections::BTreeMap::new(),
            groups: std::collections::BTreeMap::new(),
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
        // That it has begun is a fact too, and the root of the budget tree comes with it.
        drop(node.handle().journal().wait_for(|length| *length > 0).await.unwrap());
        let workspace = dir.path().to_str().unwrap().to_owned();
        let setup = Setup { handle: node.handle(), model: "m".to_owned(), workspace, reload: None };
        let tcp = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(setup, dir.path(), Some(tcp), None).await.unwrap();
        Self { dir, node, server, gate }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.node.handle()
    }

    /// Lets the model answer those that it holds.
    pub(crate) fn let_go(&self) {
        self.gate.send_replace(true);
    }

    /// A client on the unix socket.
    pub(crate) async fn client(&self) -> Client {
        Client::socket(&self.server.listening().socket).await
    }

    /// A client over TCP with this token, if one.
    pub(crate) async fn over_tcp(&self, token: Option<&str>) -> Client {
        Client::tcp(self.server.listening().tcp.unwrap(), token).await
    }

    /// A client over TCP with a token of this role.
    pub(crate) async fn with(&self, role: Role, tenant: Option<&str>) -> Client {
        let name = format!("{}-{}", role.word(), tenant.unwrap_or("all"));
        let token = self.access().create((&name, Timestamp(0)), role, tenant).unwrap().text;
        self.over_tcp(Some(&token)).await
    }

    pub(crate) fn access(&self) -> Access {
        Access::of(self.dir.path())
    }

    /// Starts an agent as the owner; answers with its id.
    pub(crate) async fn spawn(&self, task: &str) -> u64 {
        let answer = self.client().await.post("/api/v1/processes", &json!({ "task": task })).await;
        pid(&answer)
    }
}

/// The id of the agent that was started.
pub(crate) fn pid(started: &Answer) -> u64 {
    assert_eq!(started.status, 201, "{started:?}");
    started.body["pid"].as_u64().unwrap()
}

/// A field of each item of a list.
pub(crate) fn field(list: &Value, name: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().map(|item| item[name].clone()).collect()
}
