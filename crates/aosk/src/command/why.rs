//! `aosk why`: why a process is not running now, in one sentence, while another kernel runs or after.

use std::os::unix::net::UnixStream;

use aosk::abi::Error;
use aosk::inspect::why::{Around, why};
use aosk::store::Sqlite;
use aosk::store::sqlite::presence::{Holder, holder};
use aosk::{Clock, inspect};
use aosk_server::SOCKET;
use serde_json::json;

use crate::cli::{Place, WhyArgs};
use crate::config;
use crate::fail::Done;
use crate::term::{json as print_json, text};

pub(crate) fn run(place: &Place, args: &WhyArgs) -> Result<Done, Error> {
    let config = config::read(place.config.as_ref())?;
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let reader = Sqlite::open_reader(&dir)?;
    let snapshot = inspect::process(reader.as_ref(), args.pid)?;
    let around = Around {
        routes: config.routes,
        policy: config.policy.unwrap_or_else(|| "fair".to_owned()),
        runs: holder(&dir) != Holder::Nobody,
        served: UnixStream::connect(dir.join(SOCKET)).is_ok(),
        now: Clock::start().now(),
        sees: &|_| true,
    };
    let found = why(reader.as_ref(), &around, args.pid)?;
    if args.json {
        print_json(&json!({
            "pid": snapshot.pid,
            "name": snapshot.spec.name,
            "state": snapshot.state,
            "status": snapshot.status.map(|status| status.to_string()),
            "reason": found.reason,
            "why": found.says,
            "until_ms": found.until,
            "device": found.device,
            "ahead": found.ahead,
            "budget": found.budget,
            "kernel_runs": around.runs,
        }));
    } else {
        text(&found.sentence(&snapshot));
    }
    Ok(Done::Well)
}
