//! A machine of a test's own, and the program running on it.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for anything. Far beyond what a slow machine needs; a test that gets here
/// has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Looks again and again until there is something to see. The one place where tests wait by looking.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Says that something was not tested here, where those who count can see it.
pub(crate) fn skip(feature: &str, reason: &str) {
    use std::io::Write;
    let line = format!("SKIP {feature}: {reason}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("AOSK_SKIP_LOG") {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(path).expect("opens");
        writeln!(log, "{line}").expect("writes");
    }
}

/// A home, a data directory and a workspace that nobody else has.
pub(crate) struct Machine {
    root: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let root =
            tempfile::Builder::new().prefix("aosk-it-").tempdir().expect("makes a directory");
        for dir in ["home", "work"] {
            fs::create_dir(root.path().join(dir)).expect("makes a directory");
        }
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Puts a file there.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("reads")
    }

    /// The program with these arguments, with nothing of this process's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aosk"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("AOSK_DATA_DIR", self.data_dir())
            .env("TZ", "UTC")
            // Where nobody listens: a real Ollama of this machine is not to be found.
            .env("OLLAMA_HOST", "127.0.0.1:1")
            .current_dir(self.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn aosk(&self, args: &[&str]) -> Ran {
        self.start(args).finish()
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// The text with everything taken out that differs from run to run.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.replace(self.root.path().to_str().expect("UTF-8"), "[MACHINE]");
        for (pattern, with) in [
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "[TIME]"),
            (r"\b[0-9a-f]{64}\b", "[HASH]"),
            (r"127\.0\.0\.1:\d{2,}", "127.0.0.1:[PORT]"),
            (r"\b\d+s ago", "[AGE] ago"),
            (r" +\d+s  finished", "  [AGE]  finished"),
            // Depends on the words in which tools are described.
            (r"about [\d,]+ tokens", "about [COUNT] tokens"),
            (r#""(at_ms|spawned_ms|waited_ms|ran_ms|throttled_ms)":\d+"#, r#""$1":[MS]"#),
            (r"(waited|answered for|held back for) [\d.]+ m?s", "$1 [SPAN]"),
        ] {
            text = Regex::new(pattern).expect("a pattern").replace_all(&text, with).into_owned();
        }
        text
    }
}

/// The program, running. Killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Reading,
    stderr: Reading,
}

/// A pipe that is read as it is written.
struct Reading {
    so_far: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Self {
        let so_far = Arc::new(Mutex::new(Vec::new()));
        let into = so_far.clone();
        let thread = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = pipe.read(&mut piece) {
                    let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                    into.extend_from_slice(&piece[..read]);
                }
            })
        });
        Self { so_far, thread }
    }

    fn text(&self) -> String {
        let so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(so_far.clone()).expect("the program writes UTF-8")
    }

    fn end(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("reads to the end");
        }
        self.text()
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Self { child, stdout: Reading::start(stdout), stderr: Reading::start(stderr) }
    }

    /// The process id that the operating system gave it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("can be asked").is_some()
    }

    /// Waits until it has said something on stderr.
    pub(crate) fn says(&self, what: &str) {
        until(&format!("{what:?} on stderr"), || self.stderr.text().contains(what).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        rustix::process::kill_process(pid, signal).expect("can be signalled");
    }

    /// Kills it with no chance to say good-bye.
    pub(crate) fn kill(mut self) -> Ran {
        self.child.kill().expect("can be killed");
        self.finish()
    }

    pub(crate) fn finish(mut self) -> Ran {
        let status =
            until("the end of the program", || self.child.try_wait().expect("can be asked"));
        Ran { status, stdout: self.stdout.end(), stderr: self.stderr.end() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What came of a run of the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The same, if the program exited with this status.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// The last line of stdout, which is JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The one line of stderr that is an error; checks that there is one and that it is whole.
    #[track_caller]
    pub(crate) fn error(&self, code: &str) -> &str {
        let errors: Vec<&str> =
            self.stderr.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(errors.len(), 1, "one error line: {self:#?}");
        assert!(errors[0].starts_with(&format!("error[{code}]: ")), "{code}: {self:#?}");
        assert!(self.stderr.trim_end().ends_with(errors[0]), "the error comes last: {self:#?}");
        errors[0]
    }
}

/// Whether a process of this id is there and not a corpse.
pub(crate) fn is_alive(id: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(id.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
