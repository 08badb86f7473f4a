//! `aosk run`: one agent on one task.

mod bound;
mod remote;

use std::path::PathBuf;
use std::time::Duration;

use aosk::abi::{
    Error, ErrorCode, ExitStatus, Fact, Limits, PermissionLevel, Pid, Resource, Signal, SpawnSpec,
    ThinkOptions, Tokens,
};
use aosk::agent::{Agent, Granted};
use aosk::model::provider;
use aosk::program::react;
use aosk::store::{JournalQuery, Reader, Sqlite, Which};
use aosk::{Handle, Snapshot, inspect, lack};

use crate::cli::{BoundArgs, ModelArgs, Place, Preference, RunArgs};
use crate::client::Client;
use crate::config::{self, Config};
use crate::fail::{self, Done};
use crate::grant;
use crate::progress::Progress;
use crate::setup::{self, Home, Models, Parts};
use crate::stop::{Stop, stopped};
use crate::term::{self, count, money, note, plural};

/// How often it is looked whether the agents still get on.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(place: &Place, args: &RunArgs, mut stop: Stop) -> Result<Done, Error> {
    let config = config::read(place.config.as_ref())?;
    let registry = setup::tools()?;
    let tasks = args.tasks || config.tasks.unwrap_or(false);
    let granted = grant::choose(&registry, level(args, &config), args.tools.as_deref(), tasks)?;
    let workspace = workspace(args.workspace.clone())?;
    room(args, &config)?;
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    if let Some(client) = Client::find(&dir).await? {
        let level = level(args, &config);
        return remote::run(client, (&dir, args), (level, tasks, &workspace), stop).await;
    }
    if args.resume {
        // Where nothing is, nothing can be taken up, and nothing is made.
        Sqlite::open_reader(&dir)?;
    }
    let home = setup::home(place, config)?;
    let left = left(&home)?;
    let chosen = if args.resume { resumed(&args.model, &left) } else { args.model.clone() };
    let mut models = stop.or(setup::models(&chosen, &home.config)).await?;
    let mut memory = setup::Memory::of(&chosen, &home.config)?;
    let summaries = models.summaries(&chosen, &home.config, memory.replacement);
    memory.summary_model = stop.or(summaries).await?;
    let embedder = setup::embedder(&args.embedder, &home.config)?;
    let spec = match &args.task {
        Some(task) => Some(agent(task, args, &home, (&models, &memory), granted, &workspace)?),
        None => None,
    };
    let parts = Parts {
        models: models.clone(),
        embedder,
        tools: registry,
        recorded: None,
        policy: None,
        memory,
        workspace: workspace.into(),
    };
    hints(args, &home.config, &models);
    let Home { dir, config, store } = home;
    let mut node = setup::node(&dir, &config, store, parts)?;
    let handle = node.handle();
    let outcome = tokio::select! {
        outcome = work(&handle, spec, left, &models, args) => outcome,
        failed = node.failed() => return Err(failed.err().unwrap_or_else(stopped)),
        () = stop.requested() => {
            note("stopping: calls in flight may end; once more to end at once");
            stop.end_at_once_on_next();
            node.shutdown().await?;
            return Err(stopped().hint("`aosk run --resume` goes on where it was"));
        }
    };
    node.shutdown().await?;
    let ended = outcome?;
    report(handle.reader().as_ref(), &ended, &models.name, args.json)
}

/// The agents without a parent that an earlier run left behind, oldest first. Recorded conversations
/// are not among them: only `trace run` can go on with those.
fn left(home: &Home) -> Result<Vec<Snapshot>, Error> {
    let mut left = inspect::processes(home.store.reader().as_ref(), Which::Live)?;
    left.retain(|process| process.status.is_none() && process.spec.parent.is_none());
    let before = left.len();
    left.retain(|process| !process.spec.label.starts_with("trace/"));
    let recorded = (before - left.len()) as u64;
    if recorded > 0 {
        let (wait, them) = if recorded == 1 { ("waits", "it") } else { ("wait", "them") };
        note(&format!(
            "{} {wait} here; `aosk trace run FILE --resume` goes on with {them}",
            plural(recorded, "recorded conversation")
        ));
    }
    Ok(left)
}

/// The model and its address that the agents left behind think with, and how their windows are kept,
/// unless others are named.
fn resumed(named: &ModelArgs, left: &[Snapshot]) -> ModelArgs {
    let mut chosen = named.clone();
    let mut params = left.iter().rev().filter_map(|process| {
        serde_json::from_str::<react::Param>(&process.spec.program.param).ok()
    });
    let is_meant = |param: &react::Param| {
        named.model.as_ref().is_none_or(|model| *model == param.options.model)
    };
    let Some(param) = params.find(is_meant) else { return chosen };
    if named.model.is_none() {
        chosen.model = Some(param.options.model);
        chosen.base_url = named.base_url.clone().or(param.base_url);
    }
    chosen.replacement = named.replacement.clone().or(param.replacement);
    chosen.prefer = named.prefer.or_else(|| param.prefer.map(Preference::from));
    chosen
}

/// The model that a process asks; nothing if it is none of ours.
fn thinks_with(process: &Snapshot) -> String {
    let param = serde_json::from_str::<react::Param>(&process.spec.program.param);
    param.map(|param| param.options.model).unwrap_or_default()
}

/// Starts the agent, or takes up those that are there, and waits until all of them have ended.
async fn work(
    handle: &Handle,
    spec: Option<SpawnSpec>,
    left: Vec<Snapshot>,
    models: &Models,
    args: &RunArgs,
) -> Result<Vec<Snapshot>, Error> {
    let mut progress = Progress::new(handle);
    let (left, other): (Vec<_>, Vec<_>) =
        left.into_iter().partition(|process| models.answers(&thinks_with(process)));
    if !left.is_empty() {
        note(&format!("going on with {} of an earlier run", plural(left.len() as u64, "agent")));
    }
    for process in &other {
        let (pid, name, needed) = (process.pid, &process.spec.name, thinks_with(process));
        note(&format!(
            "{pid} ({name}) of an earlier run waits for {needed}; \
             `aosk run --resume --model {needed}` goes on with it"
        ));
    }
    let roots: Vec<Pid> = match spec {
        Some(spec) => vec![handle.spawn(spec).await?],
        None if left.is_empty() && !other.is_empty() => {
            let text = format!("resuming: no agent that is left thinks with {}", models.name);
            return Err(Error::new(ErrorCode::ModelUnknown, text)
                .hint("name their model with --model; `aosk ps` lists them"));
        }
        None => left.iter().map(|process| process.pid).collect(),
    };
    if args.resume {
        for process in &left {
            bound::anew(handle, process, &args.bounds).await?;
        }
    }
    if roots.is_empty() {
        note("nothing to resume: no agent of an earlier run is left");
    }
    let all = async {
        let mut ended = Vec::new();
        for pid in &roots {
            ended.push(handle.wait(*pid).await?);
        }
        Ok(ended)
    };
    let ended = tokio::select! {
        ended = all => ended,
        () = progress.watch(handle) => Ok(Vec::new()),
        asked = bound::asked(handle) => Err(asked),
        stuck = deadlock(handle) => {
            for pid in &roots {
                // One that has ended meanwhile needs no signal.
                drop(handle.signal(*pid, Signal::Term).await);
            }
            Err(stuck)
        }
    };
    progress.show(&handle.processes());
    ended
}

/// Waits until every agent waits for another one, with no time limit. Nobody else can send to them:
/// this kernel lives as long as this command.
async fn deadlock(handle: &Handle) -> Error {
    let mut looks = tokio::time::interval(LOOK);
    let mut before = Vec::new();
    loop {
        looks.tick().await;
        let live: Vec<_> =
            handle.processes().into_iter().filter(|process| !process.has_ended).collect();
        let waiting = !live.is_empty() && live.iter().all(|process| process.waits_for_others);
        let now: Vec<_> = live.iter().map(|p| (p.pid, p.stats, p.mail_count)).collect();
        if waiting && now == before {
            let who: Vec<_> = live
                .iter()
                .map(|p| format!("{} ({}) for a {}", p.pid, p.spec.name, p.state))
                .collect();
            let text = format!("running: every agent waits for another: {}", who.join(", "));
            return Error::new(ErrorCode::Deadlock, text)
                .hint("agents that wait should give receive_message and wait_agent a time limit");
        }
        before = now;
    }
}

/// The directory that agents work in, as it is found from anywhere; the current one if none is named.
pub(crate) fn workspace(named: Option<PathBuf>) -> Result<String, Error> {
    let wanted = named.unwrap_or_else(|| ".".into());
    let shown = wanted.display();
    let failed = |what: String| {
        Error::new(ErrorCode::Io, format!("opening the workspace {shown}: {what}"))
            .hint("give a directory that can be read and written with --workspace")
    };
    let path = wanted.canonicalize().map_err(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            return failed(error.to_string());
        }
        // A slip of the hand must not become a directory in which an agent works.
        failed("it does not exist".to_owned())
            .hint(format!("make it with `mkdir -p {shown}`, or name another with --workspace"))
    })?;
    if !path.is_dir() {
        return Err(failed("it is not a directory".to_owned()));
    }
    path.into_os_string().into_string().map_err(|_| failed("its path is not UTF-8".to_owned()))
}

/// Says of bounds that will not hold what is meant why they do not.
fn hints(args: &RunArgs, config: &Config, models: &Models) {
    let BoundArgs { budget_usd, usd_per_day, max_call_usd, .. } = &args.bounds;
    if [budget_usd, usd_per_day, max_call_usd].into_iter().any(Option::is_some) {
        for name in models.unpriced() {
            note(&format!(
                "the price of {name} is not known, so its calls count as free and no bound in dollars \
                 holds them; --budget-tokens does"
            ));
        }
    }
    let Some(group) = args.group.as_deref().filter(|_| !config.groups.is_empty()) else { return };
    let tenant = group.split('/').next().unwrap_or(group);
    if ![group, tenant].into_iter().any(|name| config.groups.contains_key(name)) {
        let known: Vec<_> = config.groups.keys().map(String::as_str).collect();
        let known = known.join(", ");
        note(&format!("the configuration bounds {known}, and not {group}, which is not bounded"));
    }
}

/// What the agent may touch: as the command line says, or the configuration, or the usual.
fn level(args: &RunArgs, config: &Config) -> PermissionLevel {
    let named = args.permission.map(PermissionLevel::from);
    named.or(config.permission).unwrap_or(PermissionLevel::Standard)
}

/// What a model may be shown beside its answer; none if as much as it takes.
fn room(args: &RunArgs, config: &Config) -> Result<Option<Tokens>, Error> {
    let Some(window) = args.model.window.or(config.window) else { return Ok(None) };
    match window.checked_sub(args.max_output).filter(|room| *room > 0) {
        Some(room) => Ok(Some(Tokens(room))),
        None => {
            let output = args.max_output;
            let what = format!(
                "choosing the window: {window} tokens have no room beside an answer of {output}"
            );
            Err(Error::new(ErrorCode::Usage, what)
                .hint("allow a larger window, or shorter answers with --max-output"))
        }
    }
}

fn agent(
    task: &str,
    args: &RunArgs,
    home: &Home,
    (models, memory): (&Models, &setup::Memory),
    granted: Granted,
    workspace: &str,
) -> Result<SpawnSpec, Error> {
    let Granted { tools, capabilities } = granted;
    let param = react::Param {
        options: ThinkOptions {
            model: models.name.clone(),
            output_max: Tokens(args.max_output),
            tools,
            temperature_milli: None,
            // It stands in the process, so that it holds also when the run is taken up again.
            window: room(args, &home.config)?,
        },
        workspace: Some(workspace.to_owned()),
        base_url: args.model.base_url.clone().or_else(|| home.config.base_url.clone()),
        // What holds for the run stands there for the same reason.
        replacement: Some(memory.replacement.name().to_owned()),
        prefer: Some(memory.prefer),
        chat: false,
    };
    let agent = Agent {
        name: "agent".to_owned(),
        label: "run".to_owned(),
        task: task.to_owned(),
        system: args.system.clone(),
        param,
        capabilities,
        priority: args.priority,
        limits: args.bounds.over(Limits::default()),
        group: args.group.clone().unwrap_or_default(),
    };
    Ok(agent.spec())
}

/// Prints what the agents left and what they used, then why those failed that did.
fn report(reader: &dyn Reader, ended: &[Snapshot], model: &str, json: bool) -> Result<Done, Error> {
    let mut failures = Vec::new();
    let mut objects = Vec::new();
    for process in ended {
        let result = match process.result {
            Some(hash) => Some(inspect::body(reader, hash)?.message().text()),
            None => None,
        };
        let finished = process.status.is_some_and(|status| status.is_finished());
        let out = exceeded(reader, process)?;
        // Whom the kernel ended for it had no last word.
        let said = match (&result, process.status) {
            (None, Some(ExitStatus::Failed(ErrorCode::Runaway))) => ran_away(reader, process)?,
            (result, _) => result.clone(),
        };
        let failed = failure(process, model, said.as_deref(), out);
        let code = failed.as_ref().map(|error| error.code);
        failures.extend(failed);
        let status = process.status.map(|status| status.to_string()).unwrap_or_default();
        let stats = &process.stats;
        if json {
            objects.push(serde_json::json!({
                "pid": process.pid, "status": status, "finished": finished, "result": result,
                "steps": stats.spend.steps, "model_calls": stats.model_calls,
                "tool_calls": stats.tool_calls, "input_tokens": stats.input,
                "cached_tokens": stats.cached, "output_tokens": stats.output,
                "cost_micro_usd": stats.spend.micro_usd, "code": code,
            }));
            continue;
        }
        if finished {
            term::text(result.as_deref().unwrap_or("(no result)"));
        }
        note(&format!(
            "{}: {status}; {}, {}, {} in, {} out, {}; `aosk logs {}` shows what it did",
            process.pid,
            plural(stats.spend.steps, "step"),
            plural(stats.tool_calls, "tool call"),
            plural(stats.input.0, "token"),
            count(stats.output.0),
            money(stats.spend.micro_usd),
            process.pid,
        ));
    }
    if json {
        let one = if objects.len() == 1 { objects.pop() } else { None };
        term::json(&one.unwrap_or(serde_json::Value::Array(objects)));
    }
    for failure in &failures {
        note(&fail::line(failure));
    }
    Ok(failures.first().map_or(Done::Well, |failure| Done::AgentFailed(failure.code)))
}

/// What a process did without end, as it would have said it.
fn ran_away(reader: &dyn Reader, process: &Snapshot) -> Result<Option<String>, Error> {
    let mut found = None;
    let query = JournalQuery { pid: Some(process.pid), ..JournalQuery::default() };
    inspect::journal(reader, &query, |entry| {
        if let Some(Fact::RunawayFound { what, times, .. }) = Fact::read(&entry.kind, &entry.data) {
            found = Some((what, times));
        }
        true
    })?;
    let pid = process.pid;
    Ok(found.map(|(what, times)| {
        let what = what.word();
        format!("it was ended for {what}, {times} times\nhint: `aosk logs {pid}` shows them")
    }))
}

/// What a budget had no room for when it ended a process, and how to allow it; nothing if none did.
fn exceeded(reader: &dyn Reader, process: &Snapshot) -> Result<(String, String), Error> {
    let Some(lack) = process.lack else { return Ok(<(String, String)>::default()) };
    let node = bound::node(reader, lack.budget)?;
    let bounded = node.as_ref().map_or_else(String::new, |node| lack::bound(&lack, node));
    let what = match lack.resource {
        Resource::Wall => String::new(),
        Resource::Tokens
        | Resource::Calls
        | Resource::MicroUsd
        | Resource::Steps
        | Resource::Children => {
            format!(
                ": {} has no room for {}{bounded}",
                lack::whose(&lack, node.as_ref()),
                lack::need(&lack)
            )
        }
    };
    Ok((what, lack::allow(&lack, node.as_ref())))
}

/// Why an agent did not finish; none if it did. `result` is what it left, `out` what a budget had no
/// room for and how to allow it.
fn failure(
    process: &Snapshot,
    model: &str,
    result: Option<&str>,
    out: (String, String),
) -> Option<Error> {
    let attempted = format!("running {} ({})", process.pid, process.spec.name);
    let status = process.status?;
    Some(match status {
        ExitStatus::Finished => return None,
        ExitStatus::Failed(code) => {
            // A program that gives up leaves the error as its result, the code first.
            let text = result.unwrap_or("its program gave up");
            let (text, hint) = text.split_once("\nhint: ").unwrap_or((text, ""));
            let text = text.strip_prefix(&format!("{code}: ")).unwrap_or(text);
            let provider = model.split_once(':').and_then(|(name, _)| provider::find(name));
            let hint = match provider {
                Some(provider) if code == ErrorCode::ModelUnauthorized => {
                    format!("{hint}; the key is in {}", provider.key_names())
                }
                Some(_) | None => hint.to_owned(),
            };
            Error::new(code, format!("{attempted}: {text}")).hint(hint)
        }
        ExitStatus::OutOfBudget(_) => {
            let (what, allow) = out;
            Error::new(ErrorCode::BudgetExceeded, format!("{attempted}: {status}{what}"))
                .hint(allow)
        }
        ExitStatus::Signalled(_) => {
            Error::new(ErrorCode::ProgramFailed, format!("{attempted}: {status}"))
        }
    })
}
