//! Runs a shell command in the workspace.

use std::os::unix::process::ExitStatusExt;

use aosk_abi::tool::{Risk, ToolSpec, ToolTraits};
use aosk_abi::unit::Millis;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::command::{CommandTimes, End, Finished, Job, Launcher};
use super::seconds;
use crate::arguments::typed;
use crate::error::ToolError;
use crate::limits;
use crate::tool::{Invocation, Need, Output, Tool};

const NEEDS: &[Need] = &[Need::Workspace, Need::Subprocess];

/// Runs a shell command in the workspace, with the rights of the user who runs the kernel.
#[derive(Debug)]
pub struct RunCommand {
    spec: ToolSpec,
    traits: ToolTraits,
    launcher: Launcher,
    times: CommandTimes,
    page_bytes_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    command: String,
    #[serde(default)]
    timeout_s: Option<u64>,
}

impl RunCommand {
    /// The tool `run_command`, which shows about `page_bytes_max` bytes of both streams together.
    #[must_use]
    pub fn new(launcher: Launcher, times: CommandTimes, page_bytes_max: usize) -> Self {
        let spec = ToolSpec {
            name: "run_command".into(),
            description: format!(
                "Runs a command with /bin/sh in the workspace directory and returns its exit code, \
                 standard output and standard error. Use it to build, test and inspect; use the \
                 file tools to read and write files. Every call is a new shell: directories and \
                 variables do not carry over. There is no terminal and no input, so pass flags \
                 such as --yes. Long output keeps its beginning and its end. After the timeout \
                 ({} s unless you say) the command is stopped; whatever it left running in the \
                 background is stopped when it exits.",
                seconds(times.timeout_default)
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "command": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": limits::COMMAND_CHARS_MAX,
                        "description": "The command line, for example `cargo test 2>&1 | tail -n 50`."
                    },
                    "timeout_s": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": seconds(times.timeout_max),
                        "description": "Seconds after which the command is stopped."
                    }
                },
                "required": ["command"],
                "additionalProperties": false
            }),
        };
        let traits = ToolTraits {
            risk: Risk::High,
            idempotent: false,
            inline: false,
            parallel: false,
            // So late that the command's own timeout always comes first, with the output so far.
            timeout: times.timeout_max + times.grace + times.drain + Millis::from_secs(1),
        };
        Self { spec, traits, launcher, times, page_bytes_max }
    }
}

#[async_trait]
impl Tool for RunCommand {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn traits(&self) -> &ToolTraits {
        &self.traits
    }

    fn needs(&self) -> &[Need] {
        NEEDS
    }

    async fn call(&self, invocation: &Invocation, arguments: Value) -> Result<Output, ToolError> {
        let Arguments { command, timeout_s } = typed(arguments)?;
        if command.contains('\0') {
            return Err(ToolError::Arguments("argument `command`: a zero byte".into()));
        }
        let limit = timeout_s.map_or(self.times.timeout_default, Millis::from_secs);
        let limit = limit.min(self.times.timeout_max);
        let wrong = |error| ToolError::Failed(format!("cannot run the command: {error}"));
        let directory = invocation.workspace.root();
        let job = Job::start(&self.launcher, &command, directory, self.page_bytes_max);
        let finished = job.map_err(wrong)?.finish(limit, &self.times).await.map_err(wrong)?;
        let output = render(&finished, self.page_bytes_max);
        match finished.end {
            End::Exited(status) => {
                let how = match (status.code(), status.signal()) {
                    (Some(code), _) => format!("exit code {code}"),
                    (None, Some(signal)) => format!("killed by signal {signal}"),
                    (None, None) => "ended".into(),
                };
                Ok(Output::text(format!("{how}\n{output}")))
            }
            End::TimedOut => Err(ToolError::Timeout { after: limit, output }),
        }
    }
}

/// Both streams within `bytes_max`; neither pushes the other below a half.
fn render(finished: &Finished, bytes_max: usize) -> String {
    let length = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let (stdout, stderr) = (&finished.stdout, &finished.stderr);
    let half = bytes_max / 2;
    let stderr_max =
        length(stderr.bytes()).min(half.max(bytes_max.saturating_sub(length(stdout.bytes()))));
    let mut text = String::new();
    for (name, stream, max) in
        [("stdout", stdout, bytes_max - stderr_max), ("stderr", stderr, stderr_max)]
    {
        if stream.bytes() > 0 {
            let shown = stream.render(max);
            text.push_str(&format!("--- {name} ---\n{}\n", shown.trim_end_matches('\n')));
        }
    }
    if text.is_empty() {
        text.push_str("[no output]\n");
    }
    text
}
