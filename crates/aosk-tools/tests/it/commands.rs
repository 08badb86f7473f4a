//! Commands: their output, their environment, their end.

use std::ffi::OsString;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use aosk_abi::unit::Millis;
use aosk_tools::Registry;
use aosk_tools::builtin::{self, CommandTimes, Launcher, RunCommand};
use serde_json::json;
use tokio::task::JoinSet;

use crate::bench::{Bench, read};

/// How often a test looks, two milliseconds apart, for something that must happen.
const LOOKS_MAX: u32 = 15_000;

/// Looks until `done`, at most [`LOOKS_MAX`] times.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let happened = (0..LOOKS_MAX).any(|_| {
        done() || {
            std::thread::park_timeout(Duration::from_millis(2));
            false
        }
    });
    assert!(happened, "{what} did not happen");
}

/// Whether the process runs; one that only waits to be reaped does not.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Waits until the file holds a process id and a line feed.
fn wait_for_pid(path: &std::path::Path) -> i32 {
    let mut pid = None;
    wait_until("the writing of a pid", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        pid = text.strip_suffix('\n').and_then(|pid| pid.parse().ok());
        pid.is_some()
    });
    pid.expect("has been found")
}

fn bench_with(launcher: Launcher, times: CommandTimes) -> Bench {
    let mut registry = Registry::new();
    registry.add(Arc::new(RunCommand::new(launcher, times, 15 * 1024))).expect("registers");
    Bench::with(registry)
}

async fn run(bench: &Bench, command: &str) -> String {
    bench.ok("run_command", json!({"command": command})).await
}

#[tokio::test]
async fn a_command_returns_its_exit_code_and_both_streams() {
    let bench = Bench::new();
    assert_eq!(
        run(&bench, "echo out; echo err >&2; exit 3").await,
        "exit code 3\n--- stdout ---\nout\n--- stderr ---\nerr\n"
    );
    assert_eq!(run(&bench, "true").await, "exit code 0\n[no output]\n");
    assert_eq!(run(&bench, "kill -9 $$").await, "killed by signal 9\n[no output]\n");
    // Nothing to read: a command that asks is answered at once.
    assert_eq!(run(&bench, "cat").await, "exit code 0\n[no output]\n");
    for wrong in [json!({"command": ""}), json!({"command": "x", "timeout_s": 0}), json!({})] {
        let text = bench.err("run_command", wrong).await;
        assert!(text.starts_with("tool.arguments: "), "{text}");
    }
    let text = bench.err("run_command", json!({"command": "echo \0"})).await;
    assert_eq!(text, "tool.arguments: argument `command`: a zero byte");
}

#[tokio::test]
async fn a_command_runs_in_the_workspace() {
    let bench = Bench::new();
    let root = bench.workspace.root().display();
    assert_eq!(run(&bench, "pwd -P").await, format!("exit code 0\n--- stdout ---\n{root}\n"));
    run(&bench, "echo made > here").await;
    assert_eq!(read(bench.path("here")), "made\n");
}

#[tokio::test]
async fn a_flood_of_output_keeps_both_ends() {
    let bench = Bench::new();
    let flood = "echo first; head -c 104857600 /dev/zero | tr '\\0' '\\n'; echo last; echo err >&2";
    let text = run(&bench, flood).await;
    assert!(text.len() < 17 * 1024, "{}", text.len());
    assert!(text.starts_with("exit code 0\n--- stdout ---\nfirst\n"), "{text:.60}");
    assert!(text.contains("lines …]\n") && text.contains("\nlast\n--- stderr ---\nerr\n"));
    let (_, marker) = text.split_once("[… ").expect("a marker");
    assert!(marker.starts_with("104,84"), "{marker:.60}");
}

#[tokio::test]
async fn an_endless_line_and_bytes_that_are_no_text_are_bounded() {
    let bench = Bench::new();
    let text = run(&bench, "head -c 1000000 /dev/zero | tr '\\0' x").await;
    assert!(text.len() < 17 * 1024 && text.contains("bytes cut: 0 lines …]"));
    let text = run(&bench, "printf 'a\\377b\\033[31mc\\033]0;t\\007'").await;
    assert_eq!(text, "exit code 0\n--- stdout ---\na\u{fffd}bc␛]0;t␇\n");
    // Neither stream can push the other out.
    let both = "head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2";
    let text = run(&bench, both).await;
    assert!(text.matches('x').count() > 7000 && text.matches('y').count() > 7000);
}

/// Runs this very test again in a process that has secrets in its environment.
#[test]
#[expect(clippy::disallowed_methods, reason = "the control starts a program the ordinary way")]
fn secrets_of_the_environment_stay_out() {
    let secrets = [("OPENAI_API_KEY", "sk-canary"), ("AWS_SECRET_ACCESS_KEY", "aws-canary")];
    if std::env::var_os("AOSK_TEST_REENTERED").is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let text = runtime
            .expect("starts")
            .block_on(run(&Bench::new(), "env; tr '\\0' '\\n' </proc/$$/environ"));
        // The control: an ordinary child of this process does get them.
        let open = std::process::Command::new("env").output().expect("runs").stdout;
        let open = String::from_utf8_lossy(&open).into_owned();
        for (_, secret) in secrets {
            assert!(open.contains(secret));
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("\nTERM=dumb\n") && text.contains("\nPATH="), "{text}");
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().expect("is known"))
        .args(["--exact", "commands::secrets_of_the_environment_stay_out"])
        .env("AOSK_TEST_REENTERED", "1")
        .envs(secrets)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn the_environment_is_an_allow_list() {
    let names: Vec<&str> =
        builtin::environment(|_| Some(OsString::from("x"))).iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "LANG",
            "LC_ALL",
            "TZ",
            "TMPDIR",
            "CARGO_HOME",
            "RUSTUP_HOME",
            "TERM",
            "PAGER"
        ]
    );
    assert_eq!(builtin::environment(|_| None).len(), 2);
}

/// Keeps a paused clock from jumping to the next deadline when the runtime is idle, until dropped.
///
/// The runtime does not move its clock by itself while blocking work runs.
struct HeldClock(#[expect(dead_code, reason = "held for its drop")] mpsc::Sender<()>);

impl HeldClock {
    fn new() -> Self {
        let (release, held) = mpsc::channel();
        tokio::task::spawn_blocking(move || held.recv().is_ok());
        Self(release)
    }
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("does not panic")
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_the_whole_group_and_returns_the_output_so_far() {
    let _held = HeldClock::new();
    let bench = Bench::new();
    let (pid_file, told) = (bench.path("pid"), bench.path("told"));
    let clock = async {
        let pid = in_background(move || wait_for_pid(&pid_file)).await;
        tokio::time::advance(Duration::from_secs(7)).await;
        // The shell was told and stays; the grandchild does not even listen.
        in_background(move || wait_until("the TERM", || told.exists())).await;
        assert!(is_running(pid));
        tokio::time::advance(Duration::from_secs(2)).await;
        pid
    };
    let command = "trap 'echo > told' TERM; echo begun; \
        sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 60; done' & \
        while :; do wait; sleep 0.01; done";
    let arguments = json!({"command": command, "timeout_s": 7});
    let (text, pid) = tokio::join!(bench.err("run_command", arguments), clock);
    assert!(
        text.starts_with("tool.timeout: did not finish within 7.0 s\n--- stdout ---\nbegun\n"),
        "{text}"
    );
    wait_until("the end of the grandchild", || !is_running(pid));
}

#[tokio::test(start_paused = true)]
async fn a_command_may_tidy_up_after_term() {
    let _held = HeldClock::new();
    let bench = Bench::new();
    let (ready, tidied) = (bench.path("ready"), bench.path("tidied"));
    let clock = async {
        in_background(move || wait_until("the start", || ready.exists())).await;
        // Past the timeout, but never past the grace.
        tokio::time::advance(Duration::from_secs(7)).await;
        in_background(move || wait_until("the tidying", || tidied.exists())).await;
    };
    let command =
        "trap 'echo bye; echo > tidied; exit 0' TERM; echo > ready; while :; do sleep 0.01; done";
    let arguments = json!({"command": command, "timeout_s": 7});
    let (text, ()) = tokio::join!(bench.err("run_command", arguments), clock);
    // The shell may add that its own child was terminated.
    assert!(text.starts_with("tool.timeout: did not finish within 7.0 s\n--- stdout ---\nbye\n"));
}

#[tokio::test]
async fn dropping_the_call_kills_the_whole_group() {
    let bench = Arc::new(Bench::new());
    let running = Arc::clone(&bench);
    let command =
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 60; done' & wait";
    let mut calls = JoinSet::new();
    calls.spawn(async move { run(&running, command).await });
    let pid_file = bench.path("pid");
    let pid = tokio::task::spawn_blocking(move || wait_for_pid(&pid_file)).await.expect("was seen");
    assert!(is_running(pid));
    calls.abort_all();
    let ended = calls.join_next().await.expect("there is one");
    assert!(ended.is_err_and(|error| error.is_cancelled()));
    wait_until("the end of the grandchild", || !is_running(pid));
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it() {
    let times = CommandTimes { drain: Millis(50), ..CommandTimes::default() };
    let bench = bench_with(Launcher::default(), times);
    // The child holds the pipes; without the drain the call would last as long as the child.
    let text = run(
        &bench,
        "sh -c 'echo $$ > pid; exec sleep 1000' & while ! [ -s pid ]; do :; done; echo done",
    )
    .await;
    assert_eq!(text, "exit code 0\n--- stdout ---\ndone\n");
    let pid = wait_for_pid(&bench.path("pid"));
    wait_until("the end of the child", || !is_running(pid));
}

#[tokio::test]
async fn late_output_of_a_background_child_is_read() {
    let bench = Bench::new();
    let text = run(&bench, "mkfifo go; (read x < go; echo late) & echo early; (echo > go) &").await;
    assert_eq!(text, "exit code 0\n--- stdout ---\nearly\nlate\n");
}

#[tokio::test]
async fn a_launcher_stands_before_the_shell() {
    let prefix = ["/usr/bin/env", "LAUNCHED=yes"].map(OsString::from).to_vec();
    let bench = bench_with(Launcher { prefix, ..Launcher::default() }, CommandTimes::default());
    assert_eq!(run(&bench, "echo $LAUNCHED").await, "exit code 0\n--- stdout ---\nyes\n");
    let missing = Launcher { prefix: vec!["/no/such/launcher".into()], ..Launcher::default() };
    let bench = bench_with(missing, CommandTimes::default());
    let text = bench.err("run_command", json!({"command": "true"})).await;
    assert!(text.starts_with("tool.failed: cannot run the command: "), "{text}");
}
