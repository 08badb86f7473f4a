//! Commands with their supervisor, which is the program itself: nothing of a command outlives the
//! call or the kernel, however either ends, and nothing of the kernel's environment is to be seen.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use aosk::abi::{CallId, Millis, Pid};
use aosk::tools::builtin::{CommandTimes, Launcher, RunCommand};
use aosk::tools::{Invocation, Registry, Workspace};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::machine::{Machine, Running, is_alive, skip, until};
use crate::model_server::{KEY, Reply};
use crate::run::Scene;

/// A script that says who it is and then writes for ever, so that `out` shows whether it lives.
const WRITER: &str = "trap '' TERM HUP INT; echo $$ > pid.part; mv pid.part pid; \
    while :; do echo more >> out; sleep 0.01; done";

/// Waits in a script until the writer writes.
const AT_WORK: &str = "until [ -s out ]; do sleep 0.01; done";

/// Ways of a command to be more than one process that may be signalled.
const SHAPES: [&str; 6] = [
    "(sh writer; true); true",
    "sh writer 2>&1 | cat",
    "sh writer & wait",
    "setsid sh writer & wait",
    "(setsid sh -c 'setsid sh writer & wait' &); while :; do sleep 1; done",
    "sh writer & until [ -s out ]; do sleep 0.01; done; kill -STOP 0",
];

/// A kernel whose agent runs the command, and the process id of its writer, which is at work.
fn at_work(command: &str) -> (Scene, Running, String) {
    let call = json!({"command": command, "timeout_s": 600});
    let scene = Scene::script(vec![Reply::call("a", "run_command", &call), Reply::say("done")]);
    scene.machine.write("work/writer", WRITER);
    let running = scene.start(&["run", "--permission", "advanced"]);
    let work = scene.machine.path("work");
    let pid = until("the writer's process id", || std::fs::read_to_string(work.join("pid")).ok());
    until("something written", || work.join("out").exists().then_some(()));
    (scene, running, pid)
}

/// Waits for the end of the writer, the only one that writes.
#[track_caller]
fn expect_end(pid: &str, command: &str) {
    until(&format!("the end of the writer of {command}"), || (!is_alive(pid)).then_some(()));
}

#[test]
fn all_of_a_command_dies_with_a_kernel_that_is_killed() {
    for command in SHAPES {
        let (_scene, running, pid) = at_work(command);
        assert!(running.kill().was_killed());
        expect_end(&pid, command);
    }
}

#[test]
fn all_of_a_command_dies_with_a_kernel_that_is_interrupted_twice() {
    for command in SHAPES {
        let (_scene, running, pid) = at_work(command);
        running.signal(Signal::INT);
        running.says("stopping");
        running.signal(Signal::INT);
        running.finish().expect(130);
        expect_end(&pid, command);
    }
}

#[test]
fn asked_to_stop_before_it_has_begun_it_says_so() {
    for signal in [Signal::TERM, Signal::INT] {
        for arguments in [&["run", "hello"][..], &["trace", "run", "pipe"], &["doctor"]] {
            let machine = Machine::new();
            // Reading its configuration or its input it waits for somebody who writes.
            let pipe = machine.path("work/pipe");
            make_pipe(&pipe);
            let mut command = machine.command(arguments);
            if arguments[0] != "trace" {
                command.env("AOSK_CONFIG", &pipe);
            }
            let running = Running::start(command);
            until("a program that listens", || catches(running.id(), signal).then_some(()));
            running.signal(signal);
            if arguments[0] != "trace" {
                drop(std::fs::File::options().write(true).open(&pipe).expect("opens"));
            }
            let ran = running.finish().expect(130);
            ran.error("cli.interrupted");
        }
    }
}

fn make_pipe(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("makes a pipe");
}

/// Whether a process has a handler for this signal.
fn catches(id: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
    let caught = caught.and_then(|caught| u64::from_str_radix(caught, 16).ok());
    caught.unwrap_or_default() & (1 << (signal.as_raw() - 1)) != 0
}

/// A bench for `run_command` with the program as its supervisor.
struct Bench {
    registry: Registry,
    workspace: Arc<Workspace>,
    outer: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(&["__exec", "--"])
    }

    /// The program with these arguments is the supervisor; with none there is no supervisor.
    fn with(arguments: &[&str]) -> Self {
        let mut supervisor: Vec<_> = arguments.iter().map(OsString::from).collect();
        if !supervisor.is_empty() {
            supervisor.insert(0, env!("CARGO_BIN_EXE_aosk").into());
        }
        let launcher = Launcher { supervisor, ..Launcher::default() };
        let times = CommandTimes { grace: Millis(500), drain: Millis(100), ..Default::default() };
        let mut registry = Registry::new();
        registry.add(Arc::new(RunCommand::new(launcher, times, 15 * 1024))).expect("registers");
        let outer = tempfile::tempdir().expect("makes a directory");
        let workspace = Workspace::create(outer.path().join("ws")).expect("a workspace");
        std::fs::write(outer.path().join("ws/writer"), WRITER).expect("writes");
        Self { registry, workspace: Arc::new(workspace), outer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.outer.path().join("ws").join(name)
    }

    /// What a model sees of the command.
    fn run(&self, command: &str) -> String {
        let invocation = Invocation {
            call: CallId { pid: Pid(1), number: 1 },
            attempt: 1,
            process: "tester".into(),
            label: String::new(),
            use_id: "use_1".into(),
            tool: "run_command".into(),
            arguments: json!({"command": command, "timeout_s": 1}).to_string().into(),
            ordinal: 0,
            workspace: Arc::clone(&self.workspace),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let body = runtime.expect("starts").block_on(self.registry.call(&invocation));
        body.message().text()
    }
}

#[test]
fn a_supervised_command_ends_as_it_would_alone() {
    let bench = Bench::new();
    for (command, seen) in [
        (
            "echo out; echo err >&2; exit 3",
            "exit code 3\n--- stdout ---\nout\n--- stderr ---\nerr\n",
        ),
        ("true", "exit code 0\n[no output]\n"),
        ("exit 143", "exit code 143\n[no output]\n"),
        ("kill -9 $$", "killed by signal 9\n[no output]\n"),
        ("kill -TERM $$", "killed by signal 15\n[no output]\n"),
        ("kill -SEGV $$", "killed by signal 11\n[no output]\n"),
        ("kill -TERM 0", "killed by signal 15\n[no output]\n"),
        ("kill -KILL 0", "killed by signal 9\n[no output]\n"),
        ("cat", "exit code 0\n[no output]\n"),
        ("yes | head -n 1", "exit code 0\n--- stdout ---\ny\n"),
        (
            "mkfifo go; (read x < go; echo late) & echo early; (echo > go) &",
            "exit code 0\n--- stdout ---\nearly\nlate\n",
        ),
        // Nobody's terminal, also when a person started the kernel from one.
        ("(true < /dev/tty) 2> /dev/null || echo none", "exit code 0\n--- stdout ---\nnone\n"),
    ] {
        assert_eq!(bench.run(command), seen, "{command}");
    }
}

#[test]
fn a_supervised_command_finds_what_it_would_find_alone() {
    let (bench, alone) = (Bench::new(), Bench::with(&[]));
    for command in [
        "for fd in /proc/self/fd/*; do echo ${fd##*/}; done",
        "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status",
        "env | grep -v ^PWD= | sort; umask; ulimit -a",
        "ls -l /proc/self/fd/0 | sed 's/.*-> //'",
    ] {
        let seen = bench.run(command);
        assert!(seen.starts_with("exit code 0\n--- stdout ---\n"), "{seen}");
        assert_eq!(seen, alone.run(command), "{command}");
    }
}

#[test]
fn what_cannot_be_started_is_told() {
    let text = Bench::with(&["__exec", "--", "/no/such/program"]).run("true");
    assert!(text.starts_with("tool.failed: cannot run the command: No such file"), "{text}");
    // A supervisor that is none.
    let text = Bench::with(&["version"]).run("true");
    assert!(text.starts_with("tool.failed: cannot run the command: its supervisor"), "{text}");
}

#[test]
fn a_command_without_its_supervisor_is_told_of() {
    let text = Bench::new().run("kill -9 $PPID");
    assert!(text.starts_with("tool.failed: cannot run the command: its supervisor was killed"));
}

/// The state letter of a process that is not there any more.
fn gone(path: &Path) -> bool {
    let pid = std::fs::read_to_string(path).expect("was written");
    !is_alive(&pid)
}

#[test]
fn what_a_command_leaves_running_is_gone_when_the_call_is_over() {
    for leave in ["", "setsid ", "nohup setsid "] {
        let bench = Bench::new();
        let command = format!("{leave}sh writer > /dev/null 2>&1 & {AT_WORK}");
        assert_eq!(bench.run(&command), "exit code 0\n[no output]\n");
        assert!(gone(&bench.path("pid")), "{leave}");
    }
}

#[test]
fn after_a_timeout_nothing_is_left_of_what_stops_itself_or_will_not_listen() {
    for command in [
        "trap '' TERM; sh writer; true".to_owned(),
        format!("setsid sh writer & {AT_WORK}; kill -STOP $$"),
        format!("sh writer & {AT_WORK}; kill -STOP 0"),
    ] {
        let bench = Bench::new();
        let text = bench.run(&format!("echo begun; {command}"));
        let seen = "tool.timeout: did not finish within 1.0 s\n--- stdout ---\nbegun\n";
        assert!(text.starts_with(seen), "{command}: {text}");
        assert!(gone(&bench.path("pid")), "{command}");
    }
}

#[test]
fn a_supervised_command_may_tidy_up_after_term() {
    let text = Bench::new().run("trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done");
    assert!(text.starts_with("tool.timeout: did not finish within 1.0 s\n--- stdout ---\nbye\n"));
}

#[test]
fn daemons_are_reaped_while_the_command_runs() {
    let command = "for i in 1 2 3 4 5; do (setsid true &); done; \
        until ! grep -l \"^PPid:.$PPID$\" /proc/[0-9]*/status 2>/dev/null | \
            grep -v \"/$$/\" | grep -q .; do :; done; echo reaped";
    assert_eq!(Bench::new().run(command), "exit code 0\n--- stdout ---\nreaped\n");
}

/// What a command sees of the environments of the two processes above it. `restrict` may change how
/// the kernel is started.
fn environments_above(restrict: impl Fn(Command) -> Option<Command>) -> Option<String> {
    let look = "p=$$; for i in 1 2; do p=$(sed 's/.*) . //; s/ .*//' /proc/$p/stat); \
        echo \"above: $(sed 's/.*(//; s/).*//' /proc/$p/stat)\"; \
        cat /proc/$p/environ | tr '\\0' '\\n'; done";
    let call = json!({"command": look});
    let scene = Scene::script(vec![Reply::call("a", "run_command", &call), Reply::say("done")]);
    let command = restrict(scene.command(&["look", "--permission", "advanced"]))?;
    Running::start(command).finish().expect(0);
    let requests = scene.server.requests();
    let result = requests[1].messages().last().expect("a result")["content"].clone();
    Some(result.as_str().expect("a text").to_owned())
}

#[test]
fn no_environment_above_a_command_shows_a_key() {
    let Some(seen) = environments_above(unprivileged) else {
        skip("environ", "this account may read everything, and there is no setpriv to change that");
        return;
    };
    assert!(seen.contains("above: agent-command\nabove: aosk\n--- stderr ---\n"), "{seen}");
    assert_eq!(seen.matches("Permission denied").count(), 2, "{seen}");
    assert!(!seen.contains(KEY), "{seen}");
}

#[test]
fn the_supervisor_has_the_environment_of_its_command() {
    let seen = environments_above(Some).expect("a command");
    let (_, above) = seen.split_once("above: agent-command\n").expect("a supervisor");
    let (supervisor, kernel) = above.split_once("above: aosk\n").expect("a kernel");
    assert!(!supervisor.contains(KEY), "{seen}");
    if rustix::process::geteuid().is_root() {
        // The control: whoever may read everything reads it.
        assert!(supervisor.contains("TERM=dumb\n") && kernel.contains(KEY), "{seen}");
    }
}

/// The same command without the capabilities that open the memory of any process.
fn unprivileged(plain: Command) -> Option<Command> {
    if !rustix::process::geteuid().is_root() {
        return Some(plain);
    }
    let without = "-sys_ptrace,-perfmon,-sys_admin";
    let without = ["--bounding-set", without, "--inh-caps", without];
    let probe = Command::new("setpriv").args(without).arg("true").output();
    probe.ok().filter(|probe| probe.status.success())?;
    let mut command = Command::new("setpriv");
    command.args(without).arg(plain.get_program()).args(plain.get_args()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir()?);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}
