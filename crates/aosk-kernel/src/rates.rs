//! The rates of devices: what providers say of them, and what people bound.

use aosk_abi::{
    Bounds, BudgetId, Gauge, Limits, MicroUsd, RateReport, RowKey, Spend, Tokens, limits,
};

use crate::config::Rates;
use crate::kernel::{Ctx, Kernel};

impl Kernel {
    /// Gives each device whose rates are bounded its node, and bounds those there are as the
    /// configuration says.
    pub(crate) fn set_rates(&mut self, cx: &Ctx<'_>) {
        let told: Vec<(String, Rates)> =
            self.config.models.iter().map(|(name, model)| (name.clone(), model.rates)).collect();
        for (name, rates) in told {
            let node = self.budgets.device(&name).and_then(|id| self.budgets.get(id));
            if rates != Rates::default() || node.is_some() {
                // What the provider said holds until it says something else.
                let said = node.map(|node| node.said).unwrap_or_default();
                let per_minute = rates.per_minute.tighter(&said);
                self.bound_device(cx, &name, Limits { per_minute, ..rates.limits() });
            }
        }
    }

    fn bound_device(&mut self, cx: &Ctx<'_>, name: &str, limits: Limits) -> BudgetId {
        if let Some(id) = self.budgets.device(name) {
            if let Some(node) = self.budgets.get_mut(id)
                && node.limits != limits
            {
                let before = std::mem::replace(&mut node.limits, limits);
                self.count_in_flight(id, &before);
            }
            return id;
        }
        let id = BudgetId(self.counters.next_budget);
        self.counters.next_budget = self.counters.next_budget.saturating_add(1);
        self.dirty.insert(RowKey::Kernel);
        self.budgets.add_device(id, name, limits, cx.now);
        for (started, held) in self.in_flight_under(id) {
            self.budgets.hold(id, &held, started);
        }
        id
    }

    /// A provider said how much more it takes. It is believed where it says less than is known here:
    /// others may use the same account. More than the configuration allows is never taken, nor is a
    /// rate waited for longer than rates last.
    pub(crate) fn rate_reported(&mut self, cx: &Ctx<'_>, name: &str, report: &RateReport) {
        let Some(device) = self.devices.find(name) else {
            self.ignore();
            return;
        };
        let rates = self.config.models.get(name).map_or_else(Rates::default, |model| model.rates);
        let limit = |gauge: Option<Gauge>| gauge.and_then(|gauge| gauge.limit);
        let said = Bounds {
            // A provider that takes nothing at all would say so with a refusal.
            calls: limit(report.requests).filter(|limit| *limit > 0),
            tokens: limit(report.tokens).filter(|limit| *limit > 0).map(Tokens),
            micro_usd: None,
        };
        let per_minute = rates.per_minute.tighter(&said);
        if per_minute.is_unbounded() {
            return;
        }
        let id = self.bound_device(cx, name, Limits { per_minute, ..rates.limits() });
        let Some(node) = self.budgets.get_mut(id) else {
            return;
        };
        node.said = said;
        let used = node.windows.minute.sum(cx.now);
        let beyond = |limit: Option<u64>, used: u64, gauge: Option<Gauge>| {
            let (limit, gauge) = limit.zip(gauge)?;
            let there = limit.saturating_sub(used);
            let foreign = there.saturating_sub(gauge.remaining);
            (foreign > 0).then_some((foreign, gauge.reset.min(limits::RATE_RESET_MAX)))
        };
        let calls = beyond(per_minute.calls, used.calls, report.requests);
        if let Some((calls, reset)) = calls {
            let foreign = Spend { calls, ..Spend::default() };
            node.windows.add_foreign(cx.now, cx.now.after(reset), &foreign);
        }
        let tokens = beyond(per_minute.tokens.map(|t| t.0), used.tokens.0, report.tokens);
        if let Some((tokens, reset)) = tokens {
            let foreign =
                Spend { tokens: Tokens(tokens), micro_usd: MicroUsd(0), ..Spend::default() };
            node.windows.add_foreign(cx.now, cx.now.after(reset), &foreign);
        }
        self.look_again(cx.now, device);
    }
}
