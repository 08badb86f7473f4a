//! What a bench of contexts says at the end.

use serde_json::{Map, Value, json};

use super::replay::Account;
use crate::term::{count, table};

/// The accounts of a policy over all histories, as one.
pub(crate) fn joined(accounts: Vec<Account>) -> Account {
    let mut accounts = accounts.into_iter();
    let mut all = accounts.next().unwrap_or_default();
    for one in accounts {
        all.add(one);
    }
    all
}

/// The last line of stdout.
pub(crate) fn object(window: u64, calls: usize, policies: &[(String, Account)]) -> Value {
    let policies: Map<String, Value> =
        policies.iter().map(|(name, account)| (name.clone(), policy(account))).collect();
    json!({ "window": window, "calls": calls, "policies": policies })
}

fn policy(account: &Account) -> Value {
    let by_cache = |figure: &dyn Fn(usize) -> f64| {
        let each = account.providers.iter().enumerate();
        let each = each.map(|(at, one)| (one.rules.name.to_owned(), json!(rounded(figure(at)))));
        Value::Object(each.collect())
    };
    json!({
        "hit_rate": by_cache(&|at| account.hit_rate(at)),
        "cost_ratio": by_cache(&|at| account.cost_ratio(at)),
        "occupancy": rounded(account.occupancy()),
        "ncr": rounded(account.resident()),
        "faults": account.faults,
        "evictions": account.evicted,
        "plan_us_p50": rounded(account.thought(50)),
        "plan_us_p99": rounded(account.thought(99)),
        "needs": account.needs,
        "ncr_across_tasks": rounded(account.resident_anywhere()),
        "prefill_amplification": by_cache(&|at| account.amplification(at)),
        "cuts": account.cuts,
        "requests": account.requests,
        "unplanned_breaks": account.breaks,
        "overruns": account.overruns,
    })
}

fn rounded(figure: f64) -> f64 {
    (figure * 1e5).round() / 1e5
}

/// The same for people.
pub(crate) fn lines(policies: &[(String, Account)]) -> String {
    let caches: Vec<&str> = policies
        .first()
        .map(|(_, account)| account.providers.iter().map(|one| one.rules.name).collect())
        .unwrap_or_default();
    let hits = caches.iter().map(|name| format!("hit {name}"));
    let costs = caches.iter().map(|name| format!("cost {name}"));
    let rest = ["occupancy", "ncr", "faults", "cuts", "evicted", "plan p99"].map(str::to_owned);
    let head: Vec<String> = hits.chain(costs).chain(rest).collect();
    let figures: Vec<&str> = head.iter().map(String::as_str).collect();
    let all: Vec<&str> = std::iter::once("policy").chain(figures.iter().copied()).collect();
    let rows = policies.iter().map(|(name, account)| row(name, account, caches.len())).collect();
    table(&all, &figures, rows)
}

fn row(name: &str, account: &Account, caches: usize) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    row.extend((0..caches).map(|at| format!("{:.3}", account.hit_rate(at))));
    row.extend((0..caches).map(|at| format!("{:.3}", account.cost_ratio(at))));
    row.push(format!("{:.3}", account.occupancy()));
    row.push(format!("{:.4}", account.resident()));
    row.extend([account.faults, account.cuts, account.evicted].map(count));
    row.push(format!("{:.0} µs", account.thought(99)));
    row
}
