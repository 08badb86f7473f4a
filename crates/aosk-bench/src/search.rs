//! `search`: how long an agent with a long log waits for what it looks for in it, and how long the event
//! loop, which all agents share, answers nobody meanwhile.
//!
//! An agent is given a log, and is told four things: one that may call pages back, two that make it
//! search, and after a restart one that makes it search again, for which the log is read anew. All the
//! while requests are made of the kernel that it must refuse at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aosk_runtime::abi::{
    Body, Content, Failure, FinishReason, Limits, Message, Millis, ModelReply, PermissionLevel,
    Pid, ProgramSpec, Signal, SpawnSpec, ThinkOptions, Tokens, ToolUse, Usage,
};
use aosk_runtime::kernel::{memory, policy};
use aosk_runtime::model::{Driver, OnDelta, Request};
use aosk_runtime::program::react;
use aosk_runtime::store::Sqlite;
use aosk_runtime::tools::Registry;
use aosk_runtime::{Handle, ModelDevice, Node, NodeConfig, Programs};
use async_trait::async_trait;

use crate::measure::Stopwatch;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pages of the log.
    #[arg(long, default_value_t = 10_000)]
    pages: u32,
}

/// The window of the model, in tokens.
const WINDOW: u64 = 32_000;

/// A message of more bytes calls nothing back by itself.
const LONG: usize = 5_000;

/// Nobody.
const NOBODY: Pid = Pid(u64::MAX);

/// A model that searches its memory when it is told to, and is content otherwise.
struct Searcher;

#[async_trait]
impl Driver for Searcher {
    async fn complete(&self, request: Request, _: OnDelta<'_>) -> Result<ModelReply, Failure> {
        let last = request.messages.last().map(|body| body.message().clone());
        let searches = matches!(last.as_deref(), Some(Message::User { content, .. })
            if content.text().starts_with("search"));
        let tool_calls = if searches {
            vec![ToolUse {
                id: "use".to_owned(),
                name: "search_memory".to_owned(),
                arguments: r#"{"query":"which module holds the parser of entry 4321?"}"#.to_owned(),
            }]
        } else {
            Vec::new()
        };
        let message = Message::Assistant {
            content: (!searches).then(|| Content::Text("all right".to_owned())),
            reasoning: None,
            tool_calls,
        };
        let usage = Usage { estimated: true, ..Usage::default() };
        Ok(ModelReply { body: Body::new(message), usage, finish: FinishReason::Stop })
    }
}

#[expect(clippy::print_stdout, reason = "the figures")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let node = node(dir.path())?;
    let handle = node.handle();
    let pid = handle.spawn(agent(args.pages)).await?;
    answered(&handle, pid, 1).await;
    println!("{} pages", args.pages);
    measure(&handle, pid, 2, "the first message that may call pages back", "which module is 77?")
        .await?;
    let search = format!("search {}", "and take your time ".repeat(LONG / 19 + 1));
    measure(&handle, pid, 4, "a search", &search).await?;
    measure(&handle, pid, 6, "another", &search).await?;
    node.shutdown().await?;
    let node = self::node(dir.path())?;
    measure(&node.handle(), pid, 8, "the first search after a restart", &search).await?;
    Ok(node.shutdown().await?)
}

/// Sends a message and waits until the model has answered so often in all.
#[expect(clippy::print_stdout, reason = "the figures")]
async fn measure(
    handle: &Handle,
    pid: Pid,
    answers: u64,
    what: &str,
    said: &str,
) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let mut longest = Duration::ZERO;
    let asking = async {
        handle.send(pid, Message::user(said)).await?;
        answered(handle, pid, answers).await;
        anyhow::Ok(())
    };
    tokio::pin!(asking);
    loop {
        let ping = async {
            let watch = Stopwatch::start();
            let refused = handle.signal(NOBODY, Signal::Cont).await.is_err();
            (refused, watch.read().wall)
        };
        tokio::select! { biased;
            (refused, took) = ping => {
                anyhow::ensure!(refused, "there is such a process");
                longest = longest.max(took);
            }
            done = &mut asking => {
                done?;
                break;
            }
        }
    }
    println!("{what}: {:.1?}; the loop was silent for {longest:.1?} at most", watch.read().wall);
    Ok(())
}

/// Waits until the model has answered so often and the agent waits for a message.
async fn answered(handle: &Handle, pid: Pid, answers: u64) {
    loop {
        let changed = handle.changed(pid);
        let is_there = handle.process(pid).is_some_and(|process| {
            process.stats.model_calls >= answers && process.state == "message"
        });
        if is_there {
            return;
        }
        changed.await;
    }
}

fn node(dir: &Path) -> anyhow::Result<Node> {
    Ok(Node::start(NodeConfig {
        store: Box::new(Sqlite::open(&dir.join("data"))?),
        models: vec![ModelDevice {
            context: Some(Tokens(WINDOW)),
            ..ModelDevice::new("m", Arc::new(Searcher))
        }],
        routes: std::collections::BTreeMap::new(),
        groups: std::collections::BTreeMap::new(),
        slice: None,
        embedder: None,
        tools: Registry::new(),
        recorded: None,
        programs: Programs::default(),
        policy: policy("priority")?,
        replacement: memory::DEFAULT,
        prefer: memory::Prefer::Cost,
        summary_model: None,
        needs: memory::NeedTable::seeded(),
        limits: Limits::default(),
        tool_slots: 64,
        workspace: dir.join("workspace"),
        reports: None,
        drain: Millis::from_secs(5),
        linger: Millis(2),
    })?)
}

/// An agent that waits for messages and has a log of so many pages.
fn agent(pages: u32) -> SpawnSpec {
    let options = ThinkOptions {
        model: "m".to_owned(),
        output_max: Tokens(256),
        tools: vec!["search_memory".to_owned()],
        temperature_milli: None,
        window: None,
    };
    let param = react::Param {
        options,
        workspace: None,
        base_url: None,
        replacement: None,
        prefer: None,
        chat: true,
    };
    let page = |number: u32| {
        let module = number % 97;
        let text = format!(
            "entry {number}: module_{module} holds the parser of entry {number}, written in line {}",
            number * 7
        );
        let text = format!("{text}\n{}", "some words about what else was seen there\n".repeat(8));
        Body::new(if number.is_multiple_of(2) {
            Message::user(text)
        } else {
            Message::assistant(text)
        })
    };
    SpawnSpec {
        name: "reader".to_owned(),
        label: String::new(),
        group: String::new(),
        program: ProgramSpec {
            name: "react".to_owned(),
            param: serde_json::to_string(&param).unwrap_or_default().into(),
        },
        priority: 50,
        capabilities: PermissionLevel::Full.capabilities(),
        limits: Limits::default(),
        fork: false,
        pages: (0..pages).map(page).collect(),
    }
}
