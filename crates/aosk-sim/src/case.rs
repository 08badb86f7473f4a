//! One run, as little data: the seed and what is left of it after shrinking. The same case gives
//! the same run, bit by bit.

use std::collections::BTreeMap;
use std::fmt;

use aosk_abi::{
    Limits, MicroUsd, Millis, Price, Rates, Risk, Timestamp, Tokens, ToolTraits, WhenOver,
};
use aosk_kernel::memory::{CacheRules, Prefer, replacement, rules};
use aosk_kernel::{Config, GroupConfig, ModelConfig, policy};

use crate::defect::Defect;
use crate::faults::{Feature, Features};
use crate::rng::{About, Rng};

/// The moment at which every run begins.
pub const BEGIN: Timestamp = Timestamp(1_000_000);

/// How long the operator acts and the world is unhealthy.
pub const HORIZON: Millis = Millis::from_secs(240);

/// The models of every run.
pub const MODELS: [&str; 2] = ["sim:fast", "sim:slow"];

/// The tenants and groups of runs that have them.
pub const GROUPS: [&str; 3] = ["t1", "t1/a", "t2"];

/// A tool of the simulated world: one of each sort that the kernel tells apart.
#[derive(Debug, Clone, Copy)]
pub struct SimTool {
    /// Its name.
    pub name: &'static str,
    /// Its risk.
    pub risk: Risk,
    /// Whether it may be called again.
    pub idempotent: bool,
    /// Whether it runs before the commit.
    pub inline: bool,
    /// Whether its calls run beside others of the same turn.
    pub parallel: bool,
}

/// The tools of every run. Programs also call `ghost`, which nobody has.
pub const TOOLS: [SimTool; 4] = [
    SimTool {
        name: "calculator",
        risk: Risk::Safe,
        idempotent: true,
        inline: true,
        parallel: true,
    },
    SimTool { name: "read_file", risk: Risk::Low, idempotent: true, inline: false, parallel: true },
    SimTool {
        name: "write_file",
        risk: Risk::Medium,
        idempotent: false,
        inline: false,
        parallel: false,
    },
    SimTool {
        name: "run_command",
        risk: Risk::High,
        idempotent: false,
        inline: false,
        parallel: false,
    },
];

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Where all chance comes from.
    pub seed: u64,
    /// What it does and suffers.
    pub features: Features,
    /// The numbers of the operator's actions that are carried out.
    pub actions: Vec<u32>,
    /// The most steps a program takes.
    pub steps_max: u32,
    /// The deliberate defect of the kernel or of the loop around it.
    pub defect: Option<Defect>,
}

impl Case {
    /// The whole run of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::of(seed, About::Workload, &[]);
        // Most runs are small and fast; some are crowded.
        let most = if rng.chance(80) { 120 } else { 30 };
        let actions = u32::try_from(rng.between(4, most)).unwrap_or(4);
        let steps_max = u32::try_from(rng.between(4, 24)).unwrap_or(4);
        Self {
            seed,
            features: Features::swarm(seed),
            actions: (0..actions).collect(),
            steps_max,
            defect: None,
        }
    }

    /// The same run with something broken.
    #[must_use]
    pub fn with_defect(self, defect: Option<Defect>) -> Self {
        Self { defect, ..self }
    }

    /// Whether the run has the feature.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// What the kernel is told in its first life, and in every other one unless the case
    /// reconfigures it.
    #[must_use]
    pub fn config(&self, life: u64) -> Config {
        let mut config = self.first_config();
        if life == 0 || !self.has(Feature::Reconfigured) {
            return config;
        }
        let mut rng = Rng::of(self.seed, About::Config, &[life]);
        for model in config.models.values_mut() {
            model.slots = u32::try_from(rng.between(1, 6)).unwrap_or(1);
        }
        config.tool_slots = u32::try_from(rng.between(1, 4)).unwrap_or(1);
        self.windows(&mut rng, &mut config);
        if rng.chance(200) {
            config.models.remove("sim:slow");
        }
        if rng.chance(200) {
            config.tools.remove("read_file");
        }
        if self.has(Feature::RootLimits) {
            config.limits.tokens = rng.chance(700).then(|| Tokens(rng.between(0, 60_000)));
        }
        config
    }

    /// What leaves the windows of models, and how large they are.
    fn windows(&self, rng: &mut Rng, config: &mut Config) {
        let policies = ["priced", "fifo-batch", "lru", "sliding", "summarise"];
        let chosen = rng.pick(&policies).and_then(|name| replacement(name).ok());
        if let Some(chosen) = chosen {
            config.replacement = chosen;
        }
        let prefers = [Prefer::Cost, Prefer::Quality, Prefer::Utilisation];
        config.prefer = rng.pick(&prefers).copied().unwrap_or_default();
        // A draw beside the others, so that it changes nothing else of a run.
        let summaries = rng.clone().below(1_000);
        if self.has(Feature::SmallWindows) && summaries < 600 {
            config.summary_model = Some("sim:fast".to_owned());
        }
        let names: Vec<_> = CacheRules::names().chain(["none"]).collect();
        for model in config.models.values_mut() {
            let cache = rng.pick(&names).and_then(|name| rules(name));
            model.cache = cache.unwrap_or_else(CacheRules::free);
            let has_longer = model.cache.name == "anthropic5m" && rng.chance(700);
            model.long_cache = if has_longer { rules("anthropic1h") } else { None };
            let most = if rng.chance(700) { 2_000 } else { 12_000 };
            let context = Tokens(rng.between(700, most));
            model.context = (self.has(Feature::SmallWindows) && rng.chance(850)).then_some(context);
        }
    }

    fn first_config(&self) -> Config {
        let mut rng = Rng::of(self.seed, About::Config, &[]);
        let models = MODELS.iter().enumerate().map(|(at, name)| {
            let price = Price::flat(Rates {
                input: MicroUsd(rng.between(1, 3) * 1_000_000),
                cache_read: MicroUsd(100_000),
                cache_write: MicroUsd(rng.between(1, 4) * 1_000_000),
                output: MicroUsd(rng.between(1, 10) * 1_000_000),
            });
            let most = if self.has(Feature::Storm) { 20 } else { 4 };
            let slots = u32::try_from(rng.between(1, most)).unwrap_or(1);
            let timeout = Millis::from_secs(if at == 0 { 8 } else { 40 });
            ((*name).to_owned(), ModelConfig { slots, price, timeout, ..ModelConfig::default() })
        });
        let models: BTreeMap<_, _> = models.collect();
        let tools = TOOLS.iter().map(|tool| {
            let traits = ToolTraits {
                risk: tool.risk,
                idempotent: tool.idempotent,
                inline: tool.inline,
                parallel: tool.parallel,
                timeout: Millis::from_secs(6),
            };
            (tool.name.to_owned(), traits)
        });
        let mut limits = Limits::default();
        if self.has(Feature::RootLimits) {
            limits.tokens = Some(Tokens(rng.between(4_000, 60_000)));
            limits.calls = rng.chance(500).then(|| rng.between(20, 300));
            limits.children = rng.chance(300).then(|| rng.between(3, 40));
        }
        if self.has(Feature::Wall) && rng.chance(300) {
            limits.wall = Some(Millis::from_secs(rng.between(60, 200)));
        }
        let names = ["fair", "priority", "fifo", "round-robin"];
        let chosen = rng.pick(&names).and_then(|name| policy(name).ok());
        let mut config = Config {
            models,
            tools: tools.collect(),
            tool_slots: u32::try_from(rng.between(1, 4)).unwrap_or(1),
            limits,
            mutant: self.defect.and_then(Defect::of_kernel),
            ..Config::default()
        };
        if let Some(chosen) = chosen {
            config.policy = chosen;
        }
        self.windows(&mut rng, &mut config);
        self.scarce(&mut config);
        config
    }

    /// Tenants and their bounds in time, and models that go on from what was begun.
    /// Chance of its own, so that what else a seed does is not changed by it.
    fn scarce(&self, config: &mut Config) {
        let mut rng = Rng::of(self.seed, About::Traffic, &[1]);
        for model in config.models.values_mut() {
            model.continues = self.has(Feature::Continues);
        }
        if self.has(Feature::Continues) {
            config.slice = Some(Millis(rng.between(500, 3_000)));
        }
        for name in GROUPS.iter().filter(|_| self.has(Feature::Groups)) {
            let priority = u8::try_from(rng.between(30, 70)).unwrap_or(50);
            let mut limits = Limits::default();
            if self.has(Feature::Spans) {
                limits.per_minute.calls = rng.chance(500).then(|| rng.between(2, 30));
                limits.per_hour.tokens =
                    rng.chance(300).then(|| Tokens(rng.between(5_000, 90_000)));
                limits.when_over = if rng.chance(300) { WhenOver::Stop } else { WhenOver::Wait };
            }
            config.groups.insert((*name).to_owned(), GroupConfig { priority, limits });
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<_> = self.actions.iter().map(u32::to_string).collect();
        write!(
            f,
            "seed {}, programs of {} steps, actions {}, features {}",
            self.seed,
            self.steps_max,
            actions.join(","),
            self.features
        )?;
        self.defect.map_or(Ok(()), |defect| write!(f, ", mutant {defect}"))
    }
}
