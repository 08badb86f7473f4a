//! What can go wrong, and what a run does at all: one switch for each. Every seed has a random part
//! of them on (swarm testing): a run with everything on hides what happens when most is quiet.

use std::fmt;

use crate::rng::{About, Rng};

macro_rules! features {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One thing that a run may do or suffer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Feature {
            $($(#[$doc])* $variant,)*
        }

        impl Feature {
            /// Every feature.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

features! {
    /// The kernel dies at any point.
    Crashes = "crashes",
    /// Commits fail, with and without being kept.
    CommitFaults = "commit-faults",
    /// A kernel that begins again has other slots and limits, and may lack a model or a tool.
    Reconfigured = "reconfigured",
    /// Several inputs are applied before one commit.
    Batching = "batching",
    /// Timers come late.
    LateTimers = "late-timers",
    /// Programs start children.
    Children = "children",
    /// Programs and the operator send messages.
    Mail = "mail",
    /// Programs call tools.
    Tools = "tools",
    /// Processes have tight limits of their own.
    Limits = "limits",
    /// Programs reserve far more than they use, so calls wait for room in budgets.
    Greedy = "greedy",
    /// Much begins at once and mostly thinks.
    Storm = "storm",
    /// Budgets have wall time.
    Wall = "wall",
    /// The root of the budget tree is bounded.
    RootLimits = "root-limits",
    /// Processes may only some things.
    Capabilities = "capabilities",
    /// The operator sends TERM.
    Term = "term",
    /// The operator sends KILL.
    Kill = "kill",
    /// The operator sends STOP and CONT.
    Stop = "stop",
    /// The operator changes priorities and the policy.
    Renice = "renice",
    /// Some programs do not obey TERM.
    Stubborn = "stubborn",
    /// Models fail in ways that are tried again.
    ModelTransient = "model-transient",
    /// Models fail for good.
    ModelFinal = "model-final",
    /// Models ask to be left alone.
    RateLimits = "rate-limits",
    /// Models and tools never answer.
    Hangs = "hangs",
    /// Models and tools answer after they were given up.
    LateAnswers = "late-answers",
    /// Models and tools answer twice.
    Duplicates = "duplicates",
    /// Models use more than was reserved.
    Overuse = "overuse",
    /// Cancelled calls answer all the same, or never confirm.
    CancelIgnored = "cancel-ignored",
    /// A model is down for a while.
    Outages = "outages",
    /// A commit takes time, and the kernel goes on deciding while it is in flight.
    InFlight = "in-flight",
    /// The kernel is stopped in order and begins again.
    Shutdowns = "shutdowns",
    /// Models have windows that a few dozen messages fill, and messages have all sorts of sizes.
    SmallWindows = "small-windows",
    /// Models say that what they are sent is too long.
    TooLong = "too-long",
    /// Devices have rates, and say what is left of them.
    Rates = "rates",
    /// What they say of their rates is not true.
    Liars = "liars",
    /// A name leads to two devices.
    Routes = "routes",
    /// Processes belong to tenants and groups.
    Groups = "groups",
    /// Budgets are bounded in a minute, an hour or a day, and when they are spent calls wait, stop, or
    /// ask a person, who raises them.
    Spans = "spans",
    /// Models go on from what was begun, and calls have time slices.
    Continues = "continues",
    /// The clock jumps forward by hours.
    Jumps = "jumps",
    /// Answers have heavy-tailed lengths.
    HeavyTail = "heavy-tail",
    /// Some agents sleep between calls.
    Lazy = "lazy",
    /// Agents have all sorts of priorities.
    Weights = "weights",
    /// The configuration changes while the kernel runs.
    Reload = "reload",
}

/// The features of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Feature::ALL.iter().fold(Self(0), |set, feature| set.with(*feature))
    }

    /// Those of a seed.
    #[must_use]
    pub fn swarm(seed: u64) -> Self {
        let mut rng = Rng::of(seed, About::Features, &[]);
        let per_mille = rng.between(300, 1000);
        let chosen = Feature::ALL.iter().filter(|_| rng.chance(per_mille));
        chosen.fold(Self(0), |set, feature| set.with(*feature))
    }

    /// Whether the feature is on.
    #[must_use]
    pub fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u64) != 0
    }

    /// The same with the feature on.
    #[must_use]
    pub fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u64)
    }

    /// The same with the feature off.
    #[must_use]
    pub fn without(self, feature: Feature) -> Self {
        Self(self.0 & !(1 << feature as u64))
    }

    /// The set as a number, to be stored.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The set that has this number.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The features that are on.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.iter().copied().filter(move |feature| self.has(*feature))
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Feature::name).collect();
        f.write_str(&if names.is_empty() { "none".to_owned() } else { names.join(",") })
    }
}
