//! A kernel with a server and the gateway, in a folder of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use aosk_runtime::abi::{Limits, Message, Millis, Pid, Timestamp};
use aosk_runtime::kernel::memory::{self, Prefer};
use aosk_runtime::kernel::{self, GroupConfig, Route};
use aosk_runtime::model::anthropic::{self, Anthropic, Version};
use aosk_runtime::model::continuing::Continuing;
use aosk_runtime::model::embeddings;
use aosk_runtime::model::endpoint::{Bounds, Endpoint, KeyHeader};
use aosk_runtime::model::openai::{self, Breakpoints, LengthField, OpenAi, ReasoningField, Words};
use aosk_runtime::model::responses::{self, Responses};
use aosk_runtime::store::Memory;
use aosk_runtime::tools::Registry;
use aosk_runtime::{Handle, ModelDevice, Node, NodeConfig, Programs, Snapshot, inspect};
use aosk_server::access::{Role, Tokens as Access};
use aosk_server::{Server, Setup};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::client::Client;
use crate::provider::Provider;

/// The kernel's own key, which nobody may see but providers.
pub(crate) const KEY: &str = "sk-of-the-kernel";

/// What a scene is made of.
pub(crate) struct Plan {
    pub(crate) store: Memory,
    pub(crate) dir: TempDir,
    pub(crate) models: Vec<ModelDevice>,
    pub(crate) routes: BTreeMap<String, Route>,
    pub(crate) groups: BTreeMap<String, GroupConfig>,
}

impl Plan {
    pub(crate) fn of(models: Vec<ModelDevice>) -> Self {
        let dir = TempDir::new().unwrap();
        Self { store: Memory::new(), dir, models, routes: BTreeMap::new(), groups: BTreeMap::new() }
    }

    pub(crate) fn route(mut self, name: &str, route: Route) -> Self {
        self.routes.insert(name.to_owned(), route);
        self
    }

    pub(crate) fn group(mut self, name: &str, limits: Limits) -> Self {
        let config = GroupConfig { limits, ..GroupConfig::default() };
        self.groups.insert(name.to_owned(), config);
        self
    }

    pub(crate) async fn start(self) -> Scene {
        let Self { store, dir, models, routes, groups } = self;
        let node = Node::start(NodeConfig {
            store: Box::new(store.clone()),
            models,
            routes,
            groups,
            slice: None,
            embedder: None,
            tools: Registry::new(),
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
        let setup =
            Setup { handle: node.handle(), model: "test:m".to_owned(), workspace, reload: None };
        let tcp = SocketAddr::from(([127, 0, 0, 1], 0));
        let further = Some(aosk_gateway::further());
        let server = Server::start(setup, dir.path(), Some(tcp), further).await.unwrap();
        Scene { store, dir, node, server }
    }
}

/// A kernel with a server.
pub(crate) struct Scene {
    pub(crate) store: Memory,
    pub(crate) dir: TempDir,
    pub(crate) node: Node,
    pub(crate) server: Server,
}

impl Scene {
    /// With the model `test:m` of this provider, in chat completions.
    pub(crate) async fn chat(provider: &Provider) -> Self {
        Plan::of(vec![chat_model("test:m", provider)]).start().await
    }

    pub(crate) fn handle(&self) -> Handle {
        self.node.handle()
    }

    /// A client on the unix socket.
    pub(crate) async fn client(&self) -> Client {
        Client::socket(&self.server.listening().socket).await
    }

    /// A client over TCP with a token of this role.
    pub(crate) async fn with(&self, name: &str, role: Role, tenant: Option<&str>) -> Client {
        let access = Access::of(self.dir.path());
        let token = access.create((name, Timestamp(0)), role, tenant).unwrap().text;
        Client::tcp(self.server.listening().tcp.unwrap(), Some(&token)).await
    }

    /// A client over TCP without a token.
    pub(crate) async fn nobody(&self) -> Client {
        Client::tcp(self.server.listening().tcp.unwrap(), None).await
    }

    /// What the log of a process has, as role and text.
    pub(crate) fn log(&self, pid: u64) -> Vec<(String, String)> {
        let reader = self.handle().reader();
        let log = inspect::log(reader.as_ref(), Pid(pid)).unwrap();
        let said = |message: &Message| (message.role().to_owned(), message.text());
        log.iter().map(|body| said(body.message())).collect()
    }

    /// The process, when it has ended.
    pub(crate) async fn ended(&self, pid: u64) -> Snapshot {
        self.handle().wait(Pid(pid)).await.unwrap()
    }

    /// Waits until so many processes live.
    pub(crate) async fn until_live(&self, count: usize) {
        let handle = self.handle();
        let mut journal = handle.journal();
        while handle.live_count() != count {
            journal.changed().await.unwrap();
        }
    }
}

fn endpoint(name: &str, provider: &Provider, path: &str, header: KeyHeader) -> Endpoint {
    let key = Some((header, SecretString::from(KEY)));
    Endpoint::new(name, &provider.base_url, path, key, Bounds::default()).unwrap()
}

/// A model that is asked in chat completions, where it is called `its-m`.
pub(crate) fn chat_model(name: &str, provider: &Provider) -> ModelDevice {
    let dialect = openai::Dialect {
        length: LengthField::MaxTokens,
        reasoning: ReasoningField::ReasoningContent,
        stream_usage: true,
        cache_key: false,
        breakpoints: Breakpoints::Nowhere,
        continuing: Continuing::NEVER,
        words: Words::OpenAi,
    };
    let vectors = endpoint(name, provider, embeddings::PATH, KeyHeader::Bearer);
    let chat = endpoint(name, provider, openai::PATH, KeyHeader::Bearer);
    let driver = Arc::new(OpenAi::new(chat, "its-m", dialect).embeddings_at(vectors));
    ModelDevice { slots: 8, stream: true, ..ModelDevice::new(name, driver) }
}

/// A model that is asked in Messages, where it is called `its-a`.
pub(crate) fn messages_model(name: &str, provider: &Provider) -> ModelDevice {
    let dialect = anthropic::Dialect {
        version: Version::V2023,
        cache_marks: true,
        continuing: Continuing::NEVER,
    };
    let endpoint = endpoint(name, provider, anthropic::PATH, KeyHeader::XApiKey);
    let driver = Arc::new(Anthropic::new(endpoint, "its-a", dialect));
    ModelDevice { slots: 8, stream: true, ..ModelDevice::new(name, driver) }
}

/// A model that is asked in Responses, where it is called `its-r`.
pub(crate) fn responses_model(name: &str, provider: &Provider) -> ModelDevice {
    let dialect = responses::Dialect { keeps_reasoning: true, cache_key: false };
    let endpoint = endpoint(name, provider, responses::PATH, KeyHeader::Bearer);
    let driver = Arc::new(Responses::new(endpoint, "its-r", dialect));
    ModelDevice { slots: 8, stream: true, ..ModelDevice::new(name, driver) }
}
