//! The one source of chance. A generator is made from the seed of the run and the names of what is
//! decided, so a decision depends on nothing but those: taking one event out of a run leaves the
//! chances of all others as they were, which is what makes a failing run shrinkable.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// What a decision is about; the first of the parts that name it.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum About {
    /// Which features a seed has.
    Features = 1,
    /// The configuration of the kernel.
    Config,
    /// How many actions the operator takes.
    Workload,
    /// One action of the operator.
    Action,
    /// One step of a program.
    Step,
    /// One attempt of a model call.
    Model,
    /// One attempt of a tool call.
    Tool,
    /// What a device does when a call is cancelled.
    Cancel,
    /// What goes wrong with one batch.
    Batch,
    /// The restart after a crash.
    Restart,
    /// How long one commit takes, and what becomes of it when the kernel dies meanwhile.
    Commit,
    /// When the kernel is stopped in order, and how long that may take.
    Shutdown,
    /// What one step of a program does with its memory.
    Memory,
    /// How large one message is, and of how many pieces.
    Content,
    /// A run of many agents on scarce models.
    Traffic,
    /// What the operator does there.
    Operator,
    /// An agent of it, or a call of one.
    Agent,
    /// What one token of an answer says.
    Token,
    /// When a provider refuses, is gone, or lies.
    Provider,
    /// Whether a call is one that somebody outside asks.
    Relay,
}

impl Rng {
    /// The generator of one decision.
    #[must_use]
    pub fn of(seed: u64, about: About, parts: &[u64]) -> Self {
        let mut rng = Self(seed);
        for part in std::iter::once(about as u64).chain(parts.iter().copied()) {
            rng.0 = rng.next().wrapping_add(part);
        }
        rng
    }

    /// 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "a generator of numbers never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; zero if the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True in `per_mille` of a thousand cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of several, if there is one.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(u64::try_from(from.len()).unwrap_or(0))).ok()?;
        from.get(at)
    }
}
