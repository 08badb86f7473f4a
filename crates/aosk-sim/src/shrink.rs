//! Makes a failing run smaller as long as it breaks the same rule.

use crate::case::Case;
use crate::faults::Feature;
use crate::report::Failure;
use crate::world::run;

/// Runs tried before the smallest one found so far is good enough.
const TRIES_MAX: u32 = 400;

/// The smallest run found that breaks the same rule as `failure`.
#[must_use]
pub fn shrink(failure: Failure) -> Failure {
    let mut shrinker = Shrinker { best: failure, tries: 0 };
    // One kind of cut makes room for another, so all are tried until none helps.
    while shrinker.actions() | shrinker.features() | shrinker.steps() {}
    shrinker.best
}

struct Shrinker {
    best: Failure,
    tries: u32,
}

impl Shrinker {
    /// Whether the case breaks the same rule; if so it is the best one.
    fn attempt(&mut self, case: &Case) -> bool {
        if self.tries >= TRIES_MAX {
            return false;
        }
        self.tries += 1;
        match run(case) {
            Err(failure) if failure.rule == self.best.rule => {
                self.best = *failure;
                true
            }
            Err(_) | Ok(_) => false,
        }
    }

    /// Leaves out actions of the operator: first many at a time, then single ones.
    fn actions(&mut self) -> bool {
        let mut helped = false;
        let mut chunk = self.best.case.actions.len().div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < self.best.case.actions.len() {
                let mut case = self.best.case.clone();
                let to = case.actions.len().min(from.saturating_add(chunk));
                case.actions.drain(from..to);
                if self.attempt(&case) {
                    helped = true;
                } else {
                    from = from.saturating_add(chunk);
                }
            }
            chunk /= 2;
        }
        helped
    }

    fn features(&mut self) -> bool {
        let mut helped = false;
        for feature in Feature::ALL {
            let features = self.best.case.features;
            if features.has(*feature) {
                let case = Case { features: features.without(*feature), ..self.best.case.clone() };
                helped |= self.attempt(&case);
            }
        }
        helped
    }

    fn steps(&mut self) -> bool {
        let mut helped = false;
        while self.best.case.steps_max > 1 {
            let fewer = self.best.case.steps_max - self.best.case.steps_max.div_ceil(4);
            let case = Case { steps_max: fewer, ..self.best.case.clone() };
            if !self.attempt(&case) {
                break;
            }
            helped = true;
        }
        helped
    }
}
