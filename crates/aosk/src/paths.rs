//! Where things are, by the XDG base directory specification.

use std::path::PathBuf;

use aosk::abi::{Error, ErrorCode};

/// The data directory: as given, or `$XDG_DATA_HOME/aosk`, or `~/.local/share/aosk`.
pub(crate) fn data_dir(given: Option<&PathBuf>) -> Result<PathBuf, Error> {
    if let Some(dir) = given {
        return Ok(dir.clone());
    }
    under(
        "XDG_DATA_HOME",
        ".local/share",
        "choosing the data directory",
        "give one with --data-dir",
    )
}

/// The configuration file: as given, or `$XDG_CONFIG_HOME/aosk/config.yaml`, or
/// `~/.config/aosk/config.yaml`.
pub(crate) fn config_file(given: Option<&PathBuf>) -> Result<PathBuf, Error> {
    if let Some(file) = given {
        return Ok(file.clone());
    }
    under("XDG_CONFIG_HOME", ".config", "choosing the configuration file", "give one with --config")
        .map(|dir| dir.join("config.yaml"))
}

fn under(variable: &str, fallback: &str, attempted: &str, hint: &str) -> Result<PathBuf, Error> {
    // The specification says that a relative path is to be ignored.
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base =
        set.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(fallback)));
    base.map(|base| base.join("aosk")).ok_or_else(|| {
        Error::new(ErrorCode::Usage, format!("{attempted}: neither {variable} nor HOME is set"))
            .hint(hint)
    })
}
