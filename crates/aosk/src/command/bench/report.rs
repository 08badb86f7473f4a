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

/// The last line of stdout, after so many lines of the files were left out.
pub(crate) fn object(
    window: u64,
    calls: usize,
    skipped: usize,
    policies: &[(String, Account)],
) -> Value {
    let policies: Map<String, Value> =
        policies.iter().map(|(name, account)| (name.clone(), policy(account))).collect();
    json!({ "window": window, "calls": calls, "lines_skipped": skipped, "policies": policies })
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
        "occupancy": account.occupancy().map(rounded),
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

/// The same for people: a line for each figure, a column for each policy.
pub(crate) fn lines(policies: &[(String, Account)]) -> String {
    let caches: Vec<&str> = policies
        .first()
        .map(|(_, account)| account.providers.iter().map(|one| one.rules.name).collect())
        .unwrap_or_default();
    let names: Vec<&str> = policies.iter().map(|(name, _)| name.as_str()).collect();
    let head: Vec<&str> = std::iter::once("").chain(names.iter().copied()).collect();
    let mut rows = Vec::new();
    let mut add = |name: String, figure: &dyn Fn(&Account) -> String| {
        let figures = policies.iter().map(|(_, account)| figure(account));
        rows.push(std::iter::once(name).chain(figures).collect());
    };
    for (at, cache) in caches.iter().enumerate() {
        add(format!("hit {cache}"), &|account| format!("{:.3}", account.hit_rate(at)));
    }
    for (at, cache) in caches.iter().enumerate() {
        add(format!("cost {cache}"), &|account| format!("{:.3}", account.cost_ratio(at)));
    }
    add("occupancy".to_owned(), &|account| {
        account.occupancy().map_or_else(|| "-".to_owned(), |part| format!("{part:.3}"))
    });
    add("ncr".to_owned(), &|account| format!("{:.4}", account.resident()));
    add("faults".to_owned(), &|account| count(account.faults));
    add("cuts".to_owned(), &|account| count(account.cuts));
    add("breaks".to_owned(), &|account| count(account.breaks));
    add("evicted".to_owned(), &|account| count(account.evicted));
    if policies.iter().any(|(_, account)| account.overruns > 0) {
        add("too large".to_owned(), &|account| count(account.overruns));
    }
    add("plan p99".to_owned(), &|account| format!("{:.0} µs", account.thought(99)));
    table(&head, &names, rows)
}
