//! The files that the tools of a process read and wrote, and what stands in one of its workspace.

use std::path::{Path as FilePath, PathBuf};

use aosk_abi::{Error, ErrorCode};
use aosk_runtime::Snapshot;
use aosk_runtime::inspect::files;
use aosk_runtime::tools::{ToolError, Workspace};
use axum::extract::State;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::process::find;
use crate::access::{Caller, Operator, Role};
use crate::app::App;
use crate::extract::{Json, Path, Query};
use crate::limits::FILE_PART_BYTES_MAX;
use crate::problem::Problem;

/// The files that a process touched.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileList {
    /// Each, in order of their paths.
    files: Vec<File>,
    /// Whether these are all. Of a process that did very much, what is oldest or newest may be missing.
    complete: bool,
}

/// A file that a process touched by a tool for files. What commands do is not known.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct File {
    /// Its path, from the workspace if it lies there.
    path: String,
    /// How often it was read.
    reads: u64,
    /// When it was read last, in milliseconds since 1970.
    read_ms: Option<u64>,
    /// How often it was written.
    writes: u64,
    /// When it was written last, in milliseconds since 1970.
    written_ms: Option<u64>,
}

impl From<files::TouchedFile> for File {
    fn from(file: files::TouchedFile) -> Self {
        Self {
            path: file.path,
            reads: file.reads,
            read_ms: file.read.map(|at| at.0),
            writes: file.writes,
            written_ms: file.written.map(|at| at.0),
        }
    }
}

/// The files that the tools of a process read and wrote.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/files",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id")),
    responses(
        (status = 200, description = "The files", body = FileList),
        (status = 400, description = "This is no id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(pid): Path<String>,
) -> Result<Json<FileList>, Problem> {
    let process = find(&app, &caller, &pid).await?;
    let (pid, workspace) = (process.pid, workspace(&app, &process));
    let found = app.search(move |reader| files::files(reader, pid, &workspace)).await?;
    let files = found.files.into_iter().map(File::from).collect();
    Ok(Json(FileList { files, complete: found.complete }))
}

/// Which part of which file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PartQuery {
    /// The file, from the workspace of the process.
    #[param(min_length = 1)]
    path: String,
    /// The first byte, counted from 0.
    #[serde(default)]
    from: u64,
    /// At most so many bytes: 1 MiB if nothing is said, and at most.
    limit: Option<u32>,
}

/// A part of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FilePart {
    /// The file, from the workspace.
    path: String,
    /// The bytes of the whole file.
    size: u64,
    /// The first byte of the part, counted from 0.
    from: u64,
    /// The `from` of the next part, if there is more.
    next: Option<u64>,
    /// How `content` is to be read.
    encoding: Encoding,
    /// What stands there.
    content: String,
}

/// How the content of a file is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum Encoding {
    /// As it is: it is text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// As RFC 4648 has it: it is no text.
    #[serde(rename = "base64")]
    Base64,
}

/// A part of a file in the workspace of a process. Links are not followed.
///
/// Whoever may not have every process run commands sees the workspace only of one that may read files
/// there itself.
#[utoipa::path(
    get,
    path = "/api/v1/processes/{pid}/file",
    tag = "processes",
    params(("pid" = String, Path, pattern = "^p?[0-9]{1,19}$", description = "Its id"), PartQuery),
    responses(
        (status = 200, description = "The part", body = FilePart),
        (status = 400, description = "A parameter is wrong, or the path leads elsewhere", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not do this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such process, or no such file", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn part(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(pid): Path<String>,
    Query(wanted): Query<PartQuery>,
) -> Result<Json<FilePart>, Problem> {
    let process = find(&app, &caller, &pid).await?;
    may_read(&caller, &process)?;
    let root = workspace(&app, &process);
    let limit = wanted.limit.map_or(FILE_PART_BYTES_MAX, |limit| limit.max(4) as usize);
    let part = (wanted.from, limit.min(FILE_PART_BYTES_MAX));
    let read = app.read(move |_| read(&root, &wanted.path, part));
    Ok(Json(read.await?))
}

/// Checks that the caller learns nothing that the process could not tell them.
fn may_read(caller: &Caller, process: &Snapshot) -> Result<(), Error> {
    let is_owner = caller.role == Role::Admin && caller.tenant.is_none();
    if is_owner || process.spec.capabilities.tools.allows("read_file") {
        return Ok(());
    }
    let text = format!("reading a file of {}: it may not read files itself", process.pid);
    Err(Error::new(ErrorCode::Forbidden, text).hint("use a token of an admin of all tenants"))
}

/// Where a process works.
fn workspace(app: &App, process: &Snapshot) -> PathBuf {
    #[derive(Deserialize)]
    struct Named {
        workspace: Option<PathBuf>,
    }
    let named = serde_json::from_str::<Named>(&process.spec.program.param).ok();
    let named = named.and_then(|named| named.workspace);
    named.unwrap_or_else(|| PathBuf::from(&app.setup().workspace))
}

fn read(root: &FilePath, path: &str, (from, limit): (u64, usize)) -> Result<FilePart, Error> {
    let none = || {
        Error::new(ErrorCode::ApiNotFound, format!("reading {path:?}: there is no such file"))
            .hint("GET /api/v1/processes/PID/files lists what the process touched")
    };
    // One whose directory was removed has no files.
    let Ok(workspace) = Workspace::open(root) else { return Err(none()) };
    let part = workspace.part(path, (from, limit)).map_err(|error| refused(path, &error))?;
    let part = part.ok_or_else(none)?;
    let (content, encoding, taken) = shown(part.bytes);
    let end = from.saturating_add(taken as u64);
    let next = (end < part.size && taken > 0).then_some(end);
    Ok(FilePart { path: part.path, size: part.size, from, next, encoding, content })
}

fn refused(path: &str, error: &ToolError) -> Error {
    let text = format!("reading {path:?}: {error}");
    match error {
        ToolError::PathEscape { .. } => Error::new(ErrorCode::ToolPathEscape, text)
            .hint("name an ordinary file by its path from the workspace, without links and `..`"),
        ToolError::Unknown { .. }
        | ToolError::Arguments(_)
        | ToolError::Timeout { .. }
        | ToolError::Failed(_) => Error::new(ErrorCode::ApiBadRequest, text)
            .hint("name an ordinary file that the kernel may read"),
    }
}

/// The bytes as text, without a last character that is cut; or in base64 if they are none. And how many
/// bytes that are.
fn shown(bytes: Vec<u8>) -> (String, Encoding, usize) {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => {
            let taken = text.len();
            return (text, Encoding::Utf8, taken);
        }
        Err(error) => {
            let (whole, is_cut) =
                (error.utf8_error().valid_up_to(), error.utf8_error().error_len().is_none());
            let mut bytes = error.into_bytes();
            if is_cut && whole > 0 {
                bytes.truncate(whole);
                let taken = bytes.len();
                return (String::from_utf8(bytes).unwrap_or_default(), Encoding::Utf8, taken);
            }
            bytes
        }
    };
    (BASE64_STANDARD.encode(&bytes), Encoding::Base64, bytes.len())
}
