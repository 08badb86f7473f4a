//! `aosk budget`: who may spend what, and what was used and is held; from the store, while another
//! kernel runs on it or after.

mod bar;
mod remote;
mod tree;

use aosk::abi::{BudgetId, Error, ErrorCode, Pid, Timestamp};
use aosk::kernel::{BudgetView, Span};
use aosk::store::{Sqlite, Which};
use aosk::{Clock, Snapshot, at_rest, inspect};
use serde_json::{Value, json};

use crate::cli::{BudgetArgs, BudgetCommand, BudgetSetArgs, Place, Target};
use crate::fail::Done;
use crate::term::{count, cut, json as print_json, line, money, note, plural, time};

use self::bar::bars;
use self::tree::{Sum, Tree};

/// Characters of a name on a line.
const NAME_MAX: usize = 48;

/// Levels of the tree that are shown by indentation.
const INDENT_MAX: usize = 8;

pub(crate) fn run(place: &Place, args: &BudgetArgs) -> Result<Done, Error> {
    if let Some(BudgetCommand::Set(set_args)) = &args.command {
        return set(place, set_args, args.json);
    }
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let reader = Sqlite::open_reader(&dir)?;
    let budgets = inspect::budgets(reader.as_ref())?;
    let processes = inspect::processes(reader.as_ref(), Which::All)?;
    let tree = Tree::new(budgets, &processes);
    let now = Clock::start().now();
    if args.json {
        print_json(&object(&tree, now));
    } else {
        print(&tree, now);
    }
    if tree.gone.processes > 0 {
        let Sum { processes, tokens, micro_usd } = tree.gone;
        note(&format!(
            "{} had budgets of their own that are gone, and used {}, {}; `aosk ps --all` lists them",
            plural(processes, "ended process"),
            plural(tokens, "token"),
            money(micro_usd),
        ));
    }
    Ok(Done::Well)
}

fn print(tree: &Tree<'_>, now: Timestamp) {
    for (depth, node) in &tree.order {
        let indent = "  ".repeat((*depth).min(INDENT_MAX));
        let view = &node.view;
        let mut used = format!(
            "{}, {}, {}",
            plural(view.used.tokens.0, "token"),
            plural(view.used.calls, "call"),
            money(view.used.micro_usd)
        );
        if view.reserved.tokens.0 > 0 {
            used.push_str(&format!("; {} held", plural(view.reserved.tokens.0, "token")));
        }
        // A device has no whole, only rates.
        let used = if view.device.is_some() { String::new() } else { format!(": {used}") };
        line(&format!("{indent}{:<4} {}{used}", node.id.to_string(), node.title()));
        for bar in bars(view, now) {
            line(&format!("{indent}     {}", bar.line()));
        }
        if let Some(expires) = view.expires {
            let (word, at) = if expires > now { ("ends", expires) } else { ("ended", expires) };
            line(&format!("{indent}     wall time {word} at {}", time(at)));
        }
        if let Some(at) = view.room_at.filter(|at| *at > now) {
            line(&format!("{indent}     room for the first that waits in {}", at.since(now)));
        }
        for process in &node.live {
            line(&format!("{indent}     - {}", spender(process)));
        }
        if node.ended.processes > 0 {
            let Sum { processes, tokens, micro_usd } = node.ended;
            let (tokens, micro_usd) = (plural(tokens, "token"), money(micro_usd));
            let who = plural(processes, "ended process");
            line(&format!("{indent}     - {who}: {tokens}, {micro_usd}"));
        }
    }
}

fn spender(process: &Snapshot) -> String {
    let stats = &process.stats;
    let asks = if process.asks.is_some() { ", asks a person" } else { "" };
    format!(
        "{} {} ({}{asks}): {}, {}, {}",
        process.pid,
        cut(&process.spec.name, NAME_MAX),
        process.state,
        plural(stats.spend.tokens.0, "token"),
        plural(stats.spend.calls, "call"),
        money(stats.spend.micro_usd)
    )
}

fn object(tree: &Tree<'_>, now: Timestamp) -> Value {
    let nodes = tree.order.iter().map(|(_, node)| {
        let view = &node.view;
        let spent = |span| {
            let spend = view.used_in(span, now);
            json!({ "calls": spend.calls, "tokens": spend.tokens, "micro_usd": spend.micro_usd })
        };
        let processes: Value = node
            .live
            .iter()
            .map(|process| {
                json!({
                    "pid": process.pid, "name": process.spec.name, "state": process.state,
                    "asks": process.asks.is_some(), "used": process.stats.spend,
                })
            })
            .collect();
        json!({
            "budget": node.id,
            "parent": view.parent,
            "kind": node.kind(),
            "name": node.name,
            "priority": view.group.as_ref().map(|group| group.priority),
            "limits": view.limits,
            "used": view.used,
            "reserved": view.reserved,
            "overdraft": view.overdraft,
            "minute": spent(Span::Minute),
            "hour": spent(Span::Hour),
            "day": spent(Span::Day),
            "expires_ms": view.expires,
            "room_at_ms": view.room_at,
            "processes": processes,
            "ended": {
                "processes": node.ended.processes, "tokens": node.ended.tokens,
                "micro_usd": node.ended.micro_usd,
            },
        })
    });
    json!({ "at_ms": now, "nodes": nodes.collect::<Value>() })
}

/// Bounds a process or a node anew: itself while no kernel runs, or by asking the one that does.
fn set(place: &Place, args: &BudgetSetArgs, json: bool) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    // Where nothing is, nothing is made.
    let reader = Sqlite::open_reader(&dir)?;
    let mut store: Box<dyn aosk::store::Store> = match Sqlite::open(&dir).map_err(Error::from) {
        Ok(store) => Box::new(store),
        Err(locked) if locked.code == ErrorCode::StoreLocked => {
            return crate::asking(remote::set(&dir, args, json, locked));
        }
        Err(error) => return Err(error),
    };
    let budgets = inspect::budgets(reader.as_ref())?;
    let id = match args.target {
        Target::Process(pid) => node_of(&inspect::process(reader.as_ref(), pid)?, pid)?,
        Target::Node(id) => id,
    };
    let refused = |what: &str, hint: &str| {
        Err(Error::new(ErrorCode::Usage, format!("bounding {id}: {what}")).hint(hint))
    };
    let Some(view) = budgets.get(&id) else {
        return refused("there is no such budget", "`aosk budget` lists them");
    };
    if !is_own(view) {
        let what =
            "it is not a process's own; bounds of groups and devices are the configuration's";
        return refused(what, "write them under groups or devices in the configuration");
    }
    let limits = args.bounds.over(view.limits);
    if limits == view.limits {
        return refused("no other bounds are given", "give some, such as --budget-tokens 200000");
    }
    at_rest::set_limits(store.as_mut(), id, limits)?;
    if json {
        print_json(&json!({ "budget": id, "limits": limits }));
    } else {
        note(&format!("{id} is bounded anew; `aosk run --resume` goes on"));
    }
    Ok(Done::Well)
}

fn node_of(process: &Snapshot, pid: Pid) -> Result<BudgetId, Error> {
    if process.has_ended {
        return Err(Error::new(ErrorCode::Usage, format!("bounding {pid}: it has ended"))
            .hint("`aosk budget` lists who still spends"));
    }
    Ok(process.spec.budget)
}

/// Whether the node is that of a process and those under it, not of a group, a device or everything.
pub(crate) fn is_own(node: &BudgetView) -> bool {
    node.parent.is_some() && node.group.is_none() && node.device.is_none()
}

/// A figure as the resource is counted.
pub(super) fn figure(is_money: bool, amount: u64) -> String {
    if is_money { money(aosk::abi::MicroUsd(amount)) } else { count(amount) }
}

#[cfg(test)]
mod tests;
