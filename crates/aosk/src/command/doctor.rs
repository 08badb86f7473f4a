//! `aosk doctor`: what of this machine the kernel needs, what is there, and what to do about the rest.
//! It changes nothing, and it never shows a key.

mod models;

use std::env;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use aosk::abi::{Error, ErrorCode};
use aosk::model::provider::PROVIDERS;
use aosk::model::resolve;
use aosk::store::sqlite::presence::{self, Holder, find_reader, holder};
use aosk::store::{Reader, verify};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cli::{DoctorArgs, EmbedderArgs, Place};
use crate::config::Config;
use crate::fail::Done;
use crate::probe::{self, Probe, on_path};
use crate::setup;
use crate::term::{cut, is_coloured, is_live, json as print_json, line, plural, table};

/// Entries up to which the journal is checked here. That takes a fraction of a second.
const VERIFY_MAX: u64 = 100_000;

/// Free bytes on the disk below which to worry, and below which to stop.
const FREE_LOW: u64 = 1 << 30;
const FREE_MIN: u64 = 16 << 20;

/// Characters of what was found or of a hint.
const TEXT_MAX: usize = 160;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Something is missing that not everyone needs.
    Absent,
    Warning,
    /// It fails, with this code.
    Failure(ErrorCode),
}

/// One check.
#[derive(Debug)]
struct Check {
    name: String,
    verdict: Verdict,
    found: String,
    hint: String,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Absent => "-",
            Self::Warning => "warn",
            Self::Failure(_) => "fail",
        }
    }

    /// The escape sequence of its colour.
    fn colour(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Absent => "\x1b[2m",
            Self::Warning => "\x1b[33m",
            Self::Failure(_) => "\x1b[31m",
        }
    }
}

impl Check {
    fn new(name: impl Into<String>, verdict: Verdict, found: impl AsRef<str>) -> Self {
        let found = cut(found.as_ref(), TEXT_MAX);
        Self { name: name.into(), verdict, found, hint: String::new() }
    }

    fn failure(name: impl Into<String>, error: &Error) -> Self {
        Self::new(name, Verdict::Failure(error.code), error.to_string()).hint(&error.hint)
    }

    fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = cut(hint.as_ref(), TEXT_MAX);
        self
    }
}

pub(crate) async fn run(place: &Place, args: &DoctorArgs) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let mut checks = vec![version()];
    checks.push(directory(&dir));
    checks.extend(store(&dir));
    checks.push(disk(&dir));
    let config = crate::config::read(place.config.as_ref());
    checks.push(configuration(place, config.as_ref()));
    checks.extend(models::checks(config.as_ref().ok()).await);
    checks.push(embedder(config.as_ref().ok()).await);
    checks.extend(keys());
    checks.push(ollama().await);
    checks.extend(programs().await);
    checks.push(file_paths());
    checks.push(terminal());
    // The first that fails decides on the exit status: those after it may follow from it.
    let failed = checks.iter().find_map(|check| match check.verdict {
        Verdict::Failure(code) => Some(code),
        Verdict::Good | Verdict::Absent | Verdict::Warning => None,
    });
    if args.json {
        print_json(
            &json!({ "ok": failed.is_none(), "checks": checks.iter().map(object).collect::<Vec<_>>() }),
        );
    } else {
        print(&checks);
    }
    Ok(failed.map_or(Done::Well, Done::Failed))
}

fn object(check: &Check) -> Value {
    let verdict = if check.verdict == Verdict::Absent { "absent" } else { check.verdict.word() };
    json!({ "check": check.name, "verdict": verdict, "found": check.found, "hint": check.hint })
}

/// A table, with each hint under its check.
fn print(checks: &[Check]) {
    let row = |check: &Check| {
        vec![check.verdict.word().to_owned(), check.name.clone(), check.found.clone()]
    };
    let text = table(&["", "check", "found"], &[], checks.iter().map(row).collect());
    let mut lines = text.lines();
    line(lines.next().unwrap_or_default());
    for (text, check) in lines.zip(checks) {
        let word = check.verdict.word();
        match text.strip_prefix(word) {
            Some(rest) if is_coloured() => {
                line(&format!("{}{word}\x1b[0m{rest}", check.verdict.colour()));
            }
            Some(_) | None => line(text),
        }
        if !check.hint.is_empty() {
            line(&format!("      {}", check.hint));
        }
    }
}

fn version() -> Check {
    let version = env!("CARGO_PKG_VERSION");
    Check::new(
        "version",
        Verdict::Good,
        format!("aosk {version}, {} {}", env::consts::OS, env::consts::ARCH),
    )
}

/// Whether the data directory can be written, or made.
fn directory(dir: &Path) -> Check {
    use rustix::fs::{Access, access};
    let name = "data directory";
    let exists = dir.exists();
    let writable = existing(dir).is_some_and(|place| access(place, Access::WRITE_OK).is_ok());
    let shown = dir.display();
    match (exists, writable) {
        (true, true) => Check::new(name, Verdict::Good, shown.to_string()),
        (false, true) => {
            Check::new(name, Verdict::Good, format!("{shown}, made when it is needed"))
        }
        (_, false) => Check::new(
            name,
            Verdict::Failure(ErrorCode::StoreIo),
            format!("{shown}, cannot be written"),
        )
        .hint("mend its permissions, or choose another place with --data-dir"),
    }
}

/// The path itself or the nearest folder above it that exists.
fn existing(path: &Path) -> Option<&Path> {
    let above = path.ancestors().find(|above| above.exists() || above.as_os_str().is_empty())?;
    Some(if above.as_os_str().is_empty() { Path::new(".") } else { above })
}

fn store(dir: &Path) -> Vec<Check> {
    let kernel = match holder(dir) {
        Holder::Nobody => Check::new("kernel", Verdict::Absent, "none runs on this data directory"),
        Holder::Process(pid) => {
            Check::new("kernel", Verdict::Good, format!("runs as process {pid}"))
        }
        Holder::Unknown => {
            Check::new("kernel", Verdict::Absent, "this machine does not tell whether one runs")
        }
    };
    let (store, reader) = match find_reader(dir) {
        Ok(Some(reader)) => {
            let found =
                format!("{} in a format that this version reads", size(presence::bytes(dir)));
            (Check::new("store", Verdict::Good, found), reader)
        }
        Ok(None) => {
            return vec![kernel, Check::new("store", Verdict::Absent, "nothing is stored yet")];
        }
        Err(error) => return vec![kernel, Check::failure("store", &error.public())],
    };
    vec![kernel, store, journal(reader.as_ref())]
}

fn journal(reader: &dyn Reader) -> Check {
    let name = "journal";
    let head = match reader.head() {
        Ok(head) => head,
        Err(error) => return Check::failure(name, &error.public()),
    };
    let entries = plural(head.length, "entry");
    if head.length > VERIFY_MAX {
        return Check::new(name, Verdict::Good, format!("{entries}, not checked here"))
            .hint("check it with `aosk audit verify`");
    }
    match verify(reader, None) {
        Ok(_) => Check::new(name, Verdict::Good, format!("{entries}, no break")),
        Err(error) => Check::failure(name, &error.public()),
    }
}

fn disk(dir: &Path) -> Check {
    let name = "disk";
    let disk = existing(dir).and_then(|place| rustix::fs::statvfs(place).ok());
    // A file system that is no disk has no blocks.
    let disk = disk.filter(|disk| disk.f_blocks > 0);
    let Some(free) = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)) else {
        return Check::new(name, Verdict::Absent, "this machine does not tell how much is free");
    };
    let verdict = match free {
        ..FREE_MIN => Verdict::Failure(ErrorCode::StoreFull),
        FREE_MIN..FREE_LOW => Verdict::Warning,
        FREE_LOW.. => Verdict::Good,
    };
    let check = Check::new(name, verdict, format!("{} free", size(free)));
    if verdict == Verdict::Good {
        check
    } else {
        check.hint("make room, or choose another disk with --data-dir")
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        1_073_741_824.. => format!("{} GiB", bytes >> 30),
    }
}

fn configuration(place: &Place, config: Result<&Config, &Error>) -> Check {
    let name = "configuration";
    let path = crate::paths::config_file(place.config.as_ref());
    let path = match (config, &path) {
        (Err(error), _) | (Ok(_), Err(error)) => return Check::failure(name, error),
        (Ok(_), Ok(path)) => path,
    };
    if path.exists() {
        Check::new(name, Verdict::Good, path.display().to_string())
    } else {
        Check::new(name, Verdict::Absent, format!("none at {}, and none is needed", path.display()))
    }
}

/// How long the embedder may take to embed a word.
const EMBEDDER_WAIT: Duration = Duration::from_secs(5);

/// The embedder that the configuration names, and whether it embeds: it is asked for one word. Searches
/// go on without it, so that it does not is no failure.
async fn embedder(config: Option<&Config>) -> Check {
    let name = "embedder";
    let Some(config) = config.filter(|config| config.embedder.is_some()) else {
        return Check::new(name, Verdict::Absent, "none: memories are searched by words alone");
    };
    let embedder = match setup::embedder(&EmbedderArgs::default(), config) {
        Ok(Some(embedder)) => embedder,
        Ok(None) => return Check::new(name, Verdict::Absent, "none"),
        Err(error) => return Check::failure(name, &error),
    };
    let device = embedder.name().to_owned();
    let word = ["memory".to_owned()];
    let hint = "until it answers, memories are searched by words alone";
    match timeout(EMBEDDER_WAIT, embedder.embed(&word)).await {
        Ok(Ok(vectors)) => {
            let numbers = vectors.first().map_or(0, Vec::len);
            Check::new(name, Verdict::Good, format!("{device}: vectors of {numbers} numbers"))
        }
        Ok(Err(failure)) => {
            let found = format!("{}: {}", failure.code, failure.message);
            let hint = if failure.hint.is_empty() { hint } else { &failure.hint };
            Check::new(name, Verdict::Warning, found).hint(hint)
        }
        Err(_) => {
            let found = format!("{device} did not answer within {} s", EMBEDDER_WAIT.as_secs());
            Check::new(name, Verdict::Warning, found).hint(hint)
        }
    }
}

/// Whether each provider's key is there. The key itself is only compared with nothing.
fn keys() -> impl Iterator<Item = Check> {
    let sellers = PROVIDERS.iter().filter(|one| one.needs_key && one.models_of() == one.name);
    sellers.map(|provider| {
        let is_set = |name: &&str| env::var(name).is_ok_and(|key| !key.trim().is_empty());
        let set = provider.key_variables().find(is_set);
        let (verdict, is) = match set {
            Some(_) => (Verdict::Good, "is"),
            None => (Verdict::Absent, "is not"),
        };
        let found = format!("{} {is} set", set.unwrap_or(provider.key_variable));
        Check::new(format!("key {}", provider.name), verdict, found)
    })
}

async fn ollama() -> Check {
    match resolve(Some("ollama"), None, &|name| env::var(name).ok()).await {
        Ok(resolved) => Check::new("ollama", Verdict::Good, format!("offers {}", resolved.device)),
        Err(error) => Check::new("ollama", Verdict::Absent, error.message),
    }
}

/// Programs that tools and the demo start, and what for.
const PROGRAMS: [(&str, &str); 4] = [
    ("sh", "the tool run_command starts commands with it"),
    ("git", "agents that work on repositories want it"),
    ("cargo", "`aosk demo` builds a program with it"),
    ("rustc", "`aosk demo` builds a program with it"),
];

async fn programs() -> Vec<Check> {
    let mut checks = Vec::new();
    for (program, needed_for) in PROGRAMS {
        let name = format!("program {program}");
        // A plain shell does not know --version; a path to it is all that can be said.
        let probe = match (program, on_path(program)) {
            ("sh", Some(path)) => Probe::Works(path.display().to_string()),
            _ => probe::version(program).await,
        };
        checks.push(match probe {
            Probe::Works(found) => Check::new(name, Verdict::Good, found),
            Probe::Absent => Check::new(name, Verdict::Warning, "not on the PATH").hint(needed_for),
            Probe::Broken(why) => {
                Check::new(name, Verdict::Warning, format!("does not work: {why}")).hint(needed_for)
            }
        });
    }
    checks
}

/// Whether the operating system itself keeps the paths of file tools inside the workspace.
fn file_paths() -> Check {
    let name = "file paths";
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        if openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok() {
            return Check::new(name, Verdict::Good, "kept inside the workspace by openat2");
        }
    }
    Check::new(name, Verdict::Absent, "resolved step by step: the system has no openat2")
}

fn terminal() -> Check {
    let said = |is: bool| if is { "yes" } else { "no" };
    let (terminal, colours) = (std::io::stdout().is_terminal(), is_coloured());
    let (terminal, colours, live) = (said(terminal), said(colours), said(is_live()));
    let found = format!("stdout is one: {terminal}; colours: {colours}; live progress: {live}");
    Check::new("terminal", Verdict::Good, found)
}

#[cfg(test)]
mod tests;
