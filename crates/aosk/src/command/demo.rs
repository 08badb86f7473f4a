//! `aosk demo`: four agents really build, test and document a small program, and survive a `kill -9`
//! of the kernel in the middle.
//!
//! Only the model's answers are a script. This process directs: it starts a kernel in a process of its
//! own, reads the journal, kills the kernel when the work is half done, starts another one on the same
//! directory, and in the end checks what is left.
//!
//! | room | what it holds |
//! |---|---|
//! | `stage` | the directory, and how commands are started in it |
//! | `team` | the agents, their model's answers, the files they write |
//! | `life` | one life of the kernel |
//! | `record` | what the journal says |
//! | `story` | the journal told as it grows |
//! | `verdict` | the checks, the table, what to try next |

mod life;
mod record;
mod stage;
mod story;
mod team;
mod verdict;

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aosk::Clock;
use aosk::abi::{Error, ErrorCode};
use aosk::store::Reader;
use aosk::store::sqlite::presence::find_reader;
use tokio::process::{Child, Command};

use crate::cli::{DemoArgs, Place};
use crate::fail::Done;
use crate::probe::{self, Probe};
use crate::stop::Stop;
use crate::term::note;

use record::{Call, Record};
use stage::Stage;
use story::Story;
use verdict::{Course, Verdict};

/// How often the journal is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How long one life of the kernel may take, on a machine that does much else.
const LIFE_MAX: Duration = Duration::from_secs(120);

/// How long a kernel may take to stop in order: a little more than it gives the calls in flight.
const STOP_MAX: Duration = Duration::from_secs(8);

/// How long processes that the dead kernel's commands left behind are waited for.
const ORPHANS_MAX: Duration = Duration::from_secs(5);

pub(crate) async fn run(place: &Place, args: &DemoArgs, stop: Stop) -> Result<Done, Error> {
    match (&args.dir, args.life) {
        (Some(dir), true) => life::run(&Stage::at(dir)?, stop).await,
        (None, true) => Err(Error::new(ErrorCode::Usage, "running the demo: --life needs --dir")),
        (dir, false) => direct(dir.as_deref(), place.data_dir.as_deref(), args.json, stop).await,
    }
}

/// Directs the demo from the first start of the kernel to the verdict, in `dir` or in a new directory
/// in `above`.
async fn direct(
    dir: Option<&Path>,
    above: Option<&Path>,
    json: bool,
    stop: Stop,
) -> Result<Done, Error> {
    let clock = Clock::start();
    let began = clock.now();
    find_cargo().await?;
    let stage = Stage::make(dir, above)?;
    note(
        "Four agents build, test and document a small program. The model is scripted: its answers come",
    );
    note(
        "from a file, so no key is needed. All else is real: kernel, journal, files, compiler, tests, crash.",
    );
    note(&format!("Everything is in {}", stage.dir().display()));
    note("");
    adopt_orphans()?;
    let mut director = Director {
        stage: &stage,
        reader: None,
        record: Record::default(),
        story: Story::new(),
        stop,
    };
    let mut first = director.start()?;
    if let End::Exited(status) =
        director.follow(&mut first, |record| is_half_done(&stage, record)).await?
    {
        let text =
            format!("running the demo: the kernel ended before it could be killed: {status}");
        return Err(Error::new(ErrorCode::ProgramFailed, text).hint("try again"));
    }
    let killed_at = director.kill(first).await?;
    orphans_gone().await;
    let mut second = director.start()?;
    match director.follow(&mut second, |_| Ok(false)).await? {
        End::Exited(status) if status.success() => {}
        End::Exited(status) => {
            let text = format!("running the demo: the second kernel failed: {status}");
            return Err(Error::new(ErrorCode::ProgramFailed, text));
        }
        End::Reached => {}
    }
    note("");
    let wall = clock.now().since(began);
    Verdict::reach(&stage)?.report(&stage, Course { killed_at, wall }, json)
}

/// Why following a life stopped.
enum End {
    /// What was waited for has come.
    Reached,
    /// The kernel's process has ended.
    Exited(ExitStatus),
}

/// Starts kernels, watches them and kills one.
struct Director<'a> {
    stage: &'a Stage,
    /// Set when there is a store to read.
    reader: Option<Arc<dyn Reader>>,
    record: Record,
    story: Story,
    stop: Stop,
}

impl Director<'_> {
    /// Starts a kernel. It does not outlive what is returned.
    fn start(&self) -> Result<Child, Error> {
        let wrong =
            |error| Error::new(ErrorCode::Io, format!("starting the demo's kernel: {error}"));
        let program = std::env::current_exe().map_err(wrong)?;
        Command::new(program)
            .args(["demo", "--life", "--dir"])
            .arg(self.stage.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Ctrl-C is for this process, which passes it on.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(wrong)
    }

    /// Tells what the journal says until `until` holds of it or the kernel ends.
    async fn follow(
        &mut self,
        life: &mut Child,
        until: impl Fn(&Record) -> Result<bool, Error>,
    ) -> Result<End, Error> {
        let mut ticks = tokio::time::interval(POLL);
        let mut late = std::pin::pin!(tokio::time::sleep(LIFE_MAX));
        loop {
            let exited = tokio::select! {
                biased;
                () = self.stop.requested() => {
                    note("stopping; once more to end at once");
                    end(life, &mut self.stop).await;
                    return Err(Error::new(ErrorCode::Interrupted, "running the demo: interrupted"));
                }
                () = &mut late => {
                    let text = format!("running the demo: not done after {} s", LIFE_MAX.as_secs());
                    return Err(Error::new(ErrorCode::ProgramFailed, text));
                }
                status = life.wait() => Some(status.map_err(|error| {
                    Error::new(ErrorCode::Io, format!("waiting for the demo's kernel: {error}"))
                })?),
                _ = ticks.tick() => None,
            };
            self.catch_up()?;
            match exited {
                Some(status) => return Ok(End::Exited(status)),
                None if until(&self.record)? => return Ok(End::Reached),
                None => {}
            }
        }
    }

    fn catch_up(&mut self) -> Result<(), Error> {
        if self.reader.is_none() {
            self.reader = find_reader(&self.stage.data())?;
        }
        // The kernel may not have come to it yet.
        let Some(reader) = &self.reader else { return Ok(()) };
        let story = &mut self.story;
        self.record
            .catch_up(reader.as_ref(), |record, entry, news| story.tell(record, entry, &news))
    }

    /// Kills a kernel as `kill -9` does, and says what was in flight.
    async fn kill(&mut self, mut life: Child) -> Result<u64, Error> {
        let pid = life.id().map_or_else(String::new, |pid| format!(" {pid}"));
        life.kill().await.map_err(|error| {
            Error::new(ErrorCode::Io, format!("killing the demo's kernel: {error}"))
        })?;
        self.catch_up()?;
        self.story.announce(&format!(
            "kill -9{pid}: the kernel is dead after entry {}",
            self.record.entries
        ));
        let flights = self.record.in_flight().map(|(id, call)| {
            let name = self.record.name(Some(id.pid));
            let Call { device, object, .. } = call;
            if device == team::MODEL {
                format!("{name}: model call")
            } else {
                format!("{name}: {device} {object}")
            }
        });
        let flights: Vec<_> = flights.collect();
        let flights = if flights.is_empty() { "nothing".to_owned() } else { flights.join("; ") };
        self.story.announce(&format!("in flight: {flights}"));
        self.story.announce("another kernel starts on the same directory");
        Ok(self.record.entries)
    }
}

/// Whether it is time for the crash: the program is built, and the command that tests it runs.
fn is_half_done(stage: &Stage, record: &Record) -> Result<bool, Error> {
    // Tests of the demo set the moment themselves.
    #[cfg(debug_assertions)]
    if let Some(entry) =
        std::env::var("AOSK_DEMO_KILL_AT").ok().and_then(|at| at.parse::<u64>().ok())
    {
        return Ok(record.entries >= entry);
    }
    let asked = record.tool_calls.values().any(|call| call.object == team::TEST_COMMAND);
    Ok(asked && stage.commands()?.contains_key(team::TEST_COMMAND))
}

/// Stops a kernel in order; at once if it takes too long or is asked for once more.
async fn end(life: &mut Child, stop: &mut Stop) {
    let pid = life.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        // It may just have ended by itself.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let in_order = tokio::select! {
        _ = life.wait() => true,
        () = stop.requested() => false,
        () = tokio::time::sleep(STOP_MAX) => false,
    };
    if !in_order {
        // Nothing more can be done about it.
        let _gone = life.kill().await;
    }
}

/// The agents need a compiler that works; it is better to say so before anything is done.
async fn find_cargo() -> Result<(), Error> {
    let wrong = |what: String| {
        let text = format!("running the demo: its agents build a Rust program, and {what}");
        Error::new(ErrorCode::ToolFailed, text)
    };
    match probe::version("cargo").await {
        Probe::Works(_) => Ok(()),
        Probe::Absent => Err(wrong("there is no cargo in PATH".to_owned())
            .hint("install Rust from https://rustup.rs")),
        Probe::Broken(why) => Err(wrong(format!("cargo does not work: {why}"))
            .hint("make `cargo --version` work, for example with `rustup default stable`")),
    }
}

/// Makes processes whose parents die with the kernel children of this one, so that they can be waited
/// for: the supervisors of its commands, which are there until everything that they started has ended.
fn adopt_orphans() -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|error| {
        Error::new(ErrorCode::Io, format!("preparing the demo: adopting orphans: {error}"))
    })?;
    Ok(())
}

/// Waits for the orphans: a compiler that is still at work would write what the next one writes.
async fn orphans_gone() {
    let gone = async {
        // The kernel that was killed has been waited for, so every child there is, is an orphan.
        while let Ok(ended) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            if ended.is_none() {
                tokio::time::sleep(POLL).await;
            }
        }
    };
    // One that takes longer is no compiler of these few lines; cargo's own lock must do then.
    let _late = tokio::time::timeout(ORPHANS_MAX, gone).await;
}
