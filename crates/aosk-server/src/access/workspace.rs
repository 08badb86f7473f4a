//! Which directories agents may be given to work in.

use std::path::{Path, PathBuf};

use aosk_abi::{Error, ErrorCode};

/// The directory in the data directory that has those of tenants and of the server itself.
pub const WORKSPACES: &str = "workspaces";

/// The directory of agents that belong to no tenant, if none is named. No tenant has this name.
pub const DEFAULT: &str = "default";

/// Checks that no agent who works in `workspace` reaches what is kept in the data directory: tokens,
/// and the state of all others. Both are as `Path::canonicalize` gives them.
///
/// # Errors
/// If one lies in the other, but for the directories that are made for agents there.
pub fn check(data: &Path, workspace: &Path) -> Result<(), Error> {
    let made = data.join(WORKSPACES);
    let own = workspace.starts_with(&made) && workspace != made;
    if own || !(data.starts_with(workspace) || workspace.starts_with(data)) {
        return Ok(());
    }
    let text = format!(
        "giving agents the workspace {}: they could change the tokens in the data directory {}",
        workspace.display(),
        data.display()
    );
    let hint =
        "name another directory with --workspace, or keep the data elsewhere with --data-dir";
    Err(Error::new(ErrorCode::ConfigInvalid, text).hint(hint))
}

/// The directory of the server's own agents, or of a tenant's, in the data directory.
#[must_use]
pub fn of(data: &Path, name: &str) -> PathBuf {
    data.join(WORKSPACES).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_agent_is_given_what_holds_the_tokens() {
        let data = Path::new("/var/a/.local/share/aosk");
        for bad in ["/", "/var/a", "/var/a/.local/share/aosk", "/var/a/.local/share/aosk/reports"] {
            assert!(check(data, Path::new(bad)).is_err(), "{bad}");
        }
        assert!(check(data, &data.join(WORKSPACES)).is_err(), "tenants' directories are in it");
        for good in ["/var/a/project", "/var/ab", "/var/a/.local/share/aosk-2"] {
            assert!(check(data, Path::new(good)).is_ok(), "{good}");
        }
        assert!(check(data, &of(data, DEFAULT)).is_ok());
    }
}
