//! Simulated tools: hanging, answering late, twice, after they were cancelled. They count how often
//! each call was carried out, which outlives every crash of the kernel, as a file written does.

use std::collections::BTreeMap;

use aosk_abi::{Body, CallId, ErrorCode, Message, Millis, ToolOutcome, ToolStart};

use crate::case::{Case, SimTool, TOOLS};
use crate::faults::Feature;
use crate::rng::{About, Rng};

/// What tools did to the world.
#[derive(Debug, Default, Clone)]
pub struct Tools {
    carried_out: BTreeMap<CallId, u32>,
}

impl Tools {
    /// Carries out a call and says what will be reported of it and how long after.
    pub fn start(
        &mut self,
        case: &Case,
        start: &ToolStart,
        healthy: bool,
    ) -> Vec<(Millis, ToolOutcome)> {
        let count = self.carried_out.entry(start.call).or_default();
        *count = count.saturating_add(1);
        let CallId { pid, number } = start.call;
        let parts = [pid.0, u64::from(number), u64::from(start.attempt)];
        let mut rng = Rng::of(case.seed, About::Tool, &parts);
        let may = |feature| !healthy && case.has(feature);
        if may(Feature::Hangs) && rng.chance(60) {
            return Vec::new();
        }
        let mut delay = Millis(rng.between(1, 5_000));
        if may(Feature::LateAnswers) && rng.chance(80) {
            delay = Millis(rng.between(11_000, 40_000));
        }
        let outcome = ToolOutcome::Returned(result(start));
        let mut reports = vec![(delay, outcome.clone())];
        if may(Feature::Duplicates) && rng.chance(150) {
            reports.push((delay + Millis(rng.below(10_000)), outcome));
        }
        reports
    }

    /// How often the call was carried out.
    #[must_use]
    pub fn carried_out(&self, call: CallId) -> u32 {
        self.carried_out.get(&call).copied().unwrap_or(0)
    }
}

/// The tool of this name.
#[must_use]
pub fn tool(name: &str) -> Option<&'static SimTool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// The result of a call. A function of the call alone, as of a tool that is idempotent.
#[must_use]
pub fn result(start: &ToolStart) -> Body {
    let (use_id, name) = (&start.use_id, &start.tool);
    let text = format!("{name} says {} to {}", start.arguments, start.call);
    Body::new(match tool(name) {
        Some(_) => Message::returned(use_id, name, text),
        None => Message::failed(use_id, name, ErrorCode::ToolUnknown, text),
    })
}
