//! What the headers of a request say beside who asks.

use aosk_abi::{Error, ErrorCode, Tokens};
use aosk_runtime::agent;
use aosk_runtime::model::client::Asked;
use aosk_server::access::{Caller, Role};
use axum::http::HeaderMap;

use crate::limits::SESSION_BYTES_MAX;

/// The session that a request belongs to: a name of the client's own choice.
const SESSION: &str = "x-aosk-session";
/// The tenant or group that pays.
const GROUP: &str = "x-aosk-group";
/// How urgent it is: 0 (most) to 100.
const PRIORITY: &str = "x-aosk-priority";
/// `paged` if the kernel is to keep the conversation within a window, else nothing.
const CONTEXT: &str = "x-aosk-context";
/// The most tokens that a model is shown of a paged conversation.
const WINDOW: &str = "x-aosk-window";

/// For whom a request is, and how it is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Tells sessions apart: no client can name that of another token.
    pub(crate) key: String,
    /// What its processes are called.
    pub(crate) name: String,
    /// The tenant or group that pays; empty if none.
    pub(crate) group: String,
    pub(crate) priority: u8,
    /// Whether the kernel keeps the conversation within the window.
    pub(crate) paged: bool,
    /// The most tokens that a model is shown then; as much as it takes if none.
    pub(crate) window: Option<Tokens>,
}

impl Session {
    /// The session of a request.
    ///
    /// # Errors
    /// If the caller may not ask, or a header makes no sense.
    pub(crate) fn of(caller: &Caller, headers: &HeaderMap, asked: &Asked) -> Result<Self, Error> {
        caller.must(Role::Operator)?;
        let named = text(headers, SESSION)?.map(str::to_owned).or_else(|| asked.user.clone());
        let name = named.as_deref().map(plain).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| plain(&caller.name));
        let tenant = caller.tenant.clone().unwrap_or_default();
        let group = match text(headers, GROUP)? {
            None => tenant.clone(),
            Some(group) if caller.sees(group) => group.to_owned(),
            Some(group) => {
                let text = format!("asking: a token of another tenant may not choose {group:?}");
                return Err(Error::new(ErrorCode::Forbidden, text));
            }
        };
        let priority = number(headers, PRIORITY)?.unwrap_or_else(|| u64::from(agent::PRIORITY));
        let priority = u8::try_from(priority).ok().filter(|priority| *priority <= 100);
        let priority = priority.ok_or_else(|| wrong(PRIORITY, "is not a number from 0 to 100"))?;
        let paged = match text(headers, CONTEXT)? {
            None => false,
            Some("paged") => true,
            Some(_) => return Err(wrong(CONTEXT, "is not `paged`")),
        };
        let window = number(headers, WINDOW)?.map(Tokens);
        if window.is_some() && !paged {
            return Err(wrong(WINDOW, "is for conversations that are paged")
                .hint(format!("send `{CONTEXT}: paged` with it")));
        }
        // What stands in the key cannot stand in a name, so that no two are the same.
        let key = [tenant.as_str(), &caller.name, &group, named.as_deref().unwrap_or_default()]
            .join("\n");
        Ok(Self { key, name, group, priority, paged, window })
    }
}

fn wrong(header: &str, what: &str) -> Error {
    Error::new(ErrorCode::ApiBadRequest, format!("reading the request: the header {header} {what}"))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Error> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map(str::trim).ok().filter(|text| text.len() <= SESSION_BYTES_MAX);
    text.map(Some).ok_or_else(|| wrong(name, "is too long, or no plain text"))
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Error> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| wrong(name, "is no number"))
}

/// A name for tables: short, and without what a terminal would obey.
fn plain(name: &str) -> String {
    let plain = name.chars().filter(|one| !one.is_control()).take(SESSION_BYTES_MAX / 4);
    plain.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
