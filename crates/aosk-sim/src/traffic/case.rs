//! One run of many agents, as little data: the same case gives the same run.

use std::collections::BTreeMap;
use std::fmt;

use aosk_abi::{
    Bounds, Hours, Limits, MicroUsd, Millis, OffPeak, PermissionLevel, Price, ProgramSpec, Quality,
    Rates as Prices, SpawnSpec, Tokens, WhenOver,
};
use aosk_kernel::memory::{CacheRules, rules};
use aosk_kernel::{Choice, Config, GroupConfig, ModelConfig, Mutant, Policy, Rates, Route, policy};

use crate::faults::{Feature, Features};
use crate::rng::{About, Rng};

/// The devices.
pub(super) const DEVICES: [&str; 2] = ["sim:a", "sim:b"];

/// What agents ask for.
pub(super) const NAME: &str = "sim:a";

/// What they ask for where a name leads to several devices.
pub(super) const ROUTE: &str = "sim";

/// Tenants and groups; the empty name is none.
const GROUPS: [&str; 6] = ["", "t1", "t1/a", "t1/b", "t2", "t2/a"];

/// The most tokens of an answer.
pub(super) const OUTPUT_MAX: Tokens = Tokens(2_000);

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Where all chance comes from.
    pub seed: u64,
    /// What the run does and suffers.
    pub features: Features,
    /// How many agents there are.
    pub agents: u32,
    /// After how many calls they end.
    pub calls: u32,
    /// What is broken in the kernel.
    pub mutant: Option<Mutant>,
}

impl Traffic {
    /// The features that mean something here.
    pub const FEATURES: &'static [Feature] = &[
        Feature::Rates,
        Feature::Liars,
        Feature::Routes,
        Feature::Groups,
        Feature::Spans,
        Feature::Continues,
        Feature::Jumps,
        Feature::HeavyTail,
        Feature::Lazy,
        Feature::Weights,
        Feature::Renice,
        Feature::Kill,
        Feature::RateLimits,
        Feature::Outages,
        Feature::Overuse,
        Feature::Reload,
    ];

    /// A run of some dozen agents.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::of(seed, About::Traffic, &[0]);
        let per_mille = rng.between(100, 600);
        // The last came later, and has chance of its own so that earlier seeds give earlier runs.
        let (later, earlier) = (Feature::Reload, Self::FEATURES);
        let chosen = earlier.iter().filter(|one| **one != later && rng.chance(per_mille));
        let features = chosen.fold(Features::from_bits(0), |set, one| set.with(*one));
        let reloads = Rng::of(seed, About::Traffic, &[1]).chance(400);
        let features = if reloads { features.with(later) } else { features };
        let agents = u32::try_from(rng.between(4, 40)).unwrap_or(4);
        let calls = u32::try_from(rng.between(100, 500)).unwrap_or(100);
        Self { seed, features, agents, calls, mutant: None }
    }

    /// A run of ten thousand agents.
    #[must_use]
    pub fn crowd(seed: u64) -> Self {
        Self { agents: 10_000, calls: 30_000, ..Self::of_seed(seed) }
    }

    /// The same run with something broken.
    #[must_use]
    pub fn with_mutant(self, mutant: Option<Mutant>) -> Self {
        Self { mutant, ..self }
    }

    /// Whether the run has the feature.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// The name that all agents ask for.
    pub(super) fn name(&self) -> &'static str {
        if self.has(Feature::Routes) { ROUTE } else { NAME }
    }

    /// Chance about one thing.
    pub(super) fn rng(&self, about: About, parts: &[u64]) -> Rng {
        Rng::of(self.seed, about, parts)
    }

    /// What the kernel is told.
    pub(super) fn config(&self) -> Config {
        let mut rng = self.rng(About::Config, &[1]);
        let chosen = if rng.chance(800) || !self.has(Feature::Renice) {
            "fair"
        } else {
            rng.pick(&["priority", "fifo", "round-robin"]).unwrap_or(&"fair")
        };
        let chosen: Result<&'static dyn Policy, _> = policy(chosen);
        let models = DEVICES.iter().map(|name| ((*name).to_owned(), self.model(&mut rng)));
        let mut config =
            Config { models: models.collect(), mutant: self.mutant, ..Config::default() };
        if let Ok(chosen) = chosen {
            config.policy = chosen;
        }
        config.slice = rng.chance(700).then(|| Millis(rng.between(2_000, 10_000)));
        if self.has(Feature::Routes) {
            let backends = DEVICES
                .iter()
                .map(|name| ((*name).to_owned(), u32::try_from(rng.between(1, 4)).unwrap_or(1)));
            let backends = backends.collect();
            let choice = if rng.chance(500) { Choice::InOrder } else { Choice::ByWeight };
            let route = Route { backends, choice, ..Route::default() };
            config.routes.insert(ROUTE.to_owned(), route);
            self.rule(&mut config);
        }
        if self.has(Feature::Groups) {
            config.groups = self.groups(&mut rng);
        }
        config
    }

    /// What the kernel is told anew in the place of `before`: bounds become smaller and larger, and
    /// models are weighed otherwise.
    pub(super) fn reconfigured(&self, before: &Config, rng: &mut Rng) -> Config {
        let mut config = before.clone();
        let other = |bound: u64, rng: &mut Rng| (bound * rng.between(40, 250) / 100).max(1);
        for model in config.models.values_mut() {
            if rng.chance(700) {
                model.slots = rng.pick(&[1, 1, 2, 3, 8, 32]).copied().unwrap_or(1);
            }
            let Rates { per_minute, per_day } = &mut model.rates;
            per_minute.calls = per_minute.calls.map(|calls| other(calls, rng));
            per_minute.tokens = per_minute.tokens.map(|tokens| Tokens(other(tokens.0, rng)));
            *per_day = per_day.map(|money| MicroUsd(other(money.0, rng)));
        }
        for route in config.routes.values_mut() {
            for (_, weight) in &mut route.backends {
                *weight = u32::try_from(rng.between(1, 4)).unwrap_or(1);
            }
        }
        for group in config.groups.values_mut() {
            let Limits { tokens, per_minute, .. } = &mut group.limits;
            *tokens = tokens.map(|tokens| Tokens(other(tokens.0, rng)));
            per_minute.calls = per_minute.calls.map(|calls| other(calls, rng));
        }
        config
    }

    /// By what rule the route chooses, and what of its devices matters to one. A draw beside the others.
    fn rule(&self, config: &mut Config) {
        let mut rng = self.rng(About::Config, &[2]);
        let ruled = [Choice::ByCost, Choice::ByCost, Choice::ByQuality, Choice::ByLatency];
        let chosen = rng.pick(&ruled).copied().filter(|_| rng.chance(700));
        let (Some(choice), Some(route)) = (chosen, config.routes.get_mut(ROUTE)) else { return };
        route.choice = choice;
        route.wait = Millis(rng.pick(&[0, 0, 500, 3_000, 20_000]).copied().unwrap_or(0));
        let same_class = rng.chance(300);
        for model in config.models.values_mut() {
            let class = rng.pick(&Quality::ALL).copied();
            model.quality = if same_class { Some(Quality::High) } else { class };
            let million = 1_000_000;
            let input = rng.between(1, 6) * million;
            let rates = |input: u64, output: u64| Prices {
                input: MicroUsd(input),
                cache_read: MicroUsd(input / 10),
                cache_write: MicroUsd(input),
                output: MicroUsd(output),
            };
            let output = rng.between(1, 6) * million;
            model.price = Price::flat(rates(input, output));
            if rng.chance(400) {
                let (from, long) = (rng.below(40), rng.between(1, 8));
                let from = u32::try_from(from).unwrap_or(0);
                let until = from + u32::try_from(long).unwrap_or(1);
                let peak = Hours::default().and((0, 6), (from, until));
                model.price.off_peak = Some(OffPeak { rates: rates(input / 2, output / 2), peak });
            }
            let cache = if rng.chance(700) { rules("deepseek") } else { rules("none") };
            model.cache = cache.unwrap_or_else(CacheRules::free);
        }
        if rng.chance(300)
            && let Some(small) = config.models.get_mut(DEVICES[1])
        {
            small.context = Some(OUTPUT_MAX + Tokens(rng.between(101, 160)));
            if let Some(large) = config.models.get_mut(DEVICES[0]) {
                large.context = Some(Tokens(1_000_000));
            }
        }
    }

    fn model(&self, rng: &mut Rng) -> ModelConfig {
        let slots = rng.pick(&[1, 1, 2, 4, 8, 16, 64]).copied().unwrap_or(1);
        let input = MicroUsd(1_000_000);
        let output = MicroUsd(rng.between(1, 6) * 1_000_000);
        let price = Prices { input, cache_read: input, cache_write: input, output };
        let priced = rng.chance(500);
        let per_minute = Bounds {
            calls: rng.chance(700).then(|| rng.between(5, 60)),
            tokens: rng.chance(500).then(|| Tokens(rng.between(3_000, 60_000))),
            micro_usd: None,
        };
        let per_day = rng.chance(200).then(|| MicroUsd(rng.between(200_000, 2_000_000)));
        let rates = Rates { per_minute, per_day };
        ModelConfig {
            slots,
            price: if priced { Price::flat(price) } else { Price::default() },
            rates: if self.has(Feature::Rates) { rates } else { Rates::default() },
            continues: rng.chance(600) && self.has(Feature::Continues),
            timeout: Millis::from_secs(600),
            ..ModelConfig::default()
        }
    }

    fn groups(&self, rng: &mut Rng) -> BTreeMap<String, GroupConfig> {
        let named = GROUPS.iter().filter(|name| !name.is_empty());
        named
            .map(|name| {
                let priority = rng.pick(&[30, 40, 50, 50, 60]).copied().unwrap_or(50);
                let limits = if rng.chance(400) { self.limits(rng) } else { Limits::default() };
                ((*name).to_owned(), GroupConfig { priority, limits })
            })
            .collect()
    }

    /// Bounds, if the run has any.
    fn limits(&self, rng: &mut Rng) -> Limits {
        let mut limits = Limits::default();
        if !self.has(Feature::Spans) {
            return limits;
        }
        let bounds = |rng: &mut Rng, scale: u64| Bounds {
            calls: rng.chance(400).then(|| scale * rng.between(2, 20)),
            tokens: rng.chance(400).then(|| Tokens(scale * rng.between(3_000, 20_000))),
            micro_usd: rng.chance(200).then(|| MicroUsd(scale * rng.between(10_000, 60_000))),
        };
        if rng.chance(600) {
            limits.per_minute = bounds(rng, 1);
        }
        if rng.chance(400) {
            limits.per_hour = bounds(rng, 4);
        }
        if rng.chance(200) {
            limits.per_day = bounds(rng, 10);
        }
        if rng.chance(300) {
            limits.per_call.tokens = Some(Tokens(rng.between(1_500, 4_000)));
        }
        if rng.chance(400) {
            limits.tokens = Some(Tokens(rng.between(5_000, 60_000)));
            limits.calls = rng.chance(300).then(|| rng.between(5, 60));
        }
        let kinds = [WhenOver::Wait, WhenOver::Stop, WhenOver::Ask];
        limits.when_over = rng.pick(&kinds).copied().unwrap_or_default();
        limits
    }

    /// How an agent is started.
    pub(super) fn spec(&self, number: u32) -> SpawnSpec {
        let mut rng = self.rng(About::Agent, &[u64::from(number)]);
        let all = self.rng(About::Agent, &[u64::MAX]).chance(500);
        let priority = match (self.has(Feature::Weights), all) {
            (false, _) => 50,
            (true, true) => rng.pick(&[20, 50, 80]).copied().unwrap_or(50),
            (true, false) => u8::try_from(rng.between(0, 100)).unwrap_or(50),
        };
        let group = if self.has(Feature::Groups) { rng.pick(&GROUPS) } else { None };
        let limits = if rng.chance(200) { self.limits(&mut rng) } else { Limits::default() };
        SpawnSpec {
            name: format!("agent-{number}"),
            label: String::new(),
            program: ProgramSpec { name: "traffic".to_owned(), param: "0".into() },
            priority,
            capabilities: PermissionLevel::Full.capabilities(),
            limits,
            group: group.copied().unwrap_or_default().to_owned(),
            fork: false,
            pages: Vec::new(),
        }
    }

    /// How many tokens the answer to a call has. That is as nature has it: who asks again in the
    /// middle gets no other answer.
    pub(super) fn length(&self, pid: u64, call: u32) -> u64 {
        let mut rng = self.rng(About::Agent, &[pid, u64::from(call), 1]);
        if self.has(Feature::HeavyTail) {
            let doublings = rng.next().trailing_ones().min(7);
            let least = 8_u64 << doublings;
            return rng.between(least, 2 * least - 1).min(OUTPUT_MAX.0);
        }
        rng.between(50, 150)
    }

    /// How long a token takes on a device, in microseconds.
    pub(super) fn pace(&self, device: &str) -> u64 {
        let at = u64::from(device == DEVICES[0]);
        self.rng(About::Provider, &[at]).between(1_000, 40_000)
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, features, agents, calls, mutant } = self;
        write!(f, "traffic of seed {seed}, {agents} agents, {calls} calls, features {features}")?;
        mutant.map_or(Ok(()), |mutant| write!(f, ", mutant {mutant:?}"))
    }
}
