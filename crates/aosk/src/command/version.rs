//! `aosk version`.

use aosk::abi::Error;

use crate::fail::Done;
use crate::term;

pub(crate) fn run(json: bool) -> Result<Done, Error> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        term::json(&serde_json::json!({ "name": "aosk", "version": version }));
    } else {
        term::line(&format!("aosk {version}"));
    }
    Ok(Done::Well)
}
