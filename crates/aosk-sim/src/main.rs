//! `aosk-sim`: runs seeds, shrinks what fails, proves that broken kernels are found.

use std::io::{self, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aosk_kernel::Mutant;
use aosk_sim::bench::{Crowd, Mix, quantile};
use aosk_sim::traffic::{self, Traffic};
use aosk_sim::{Case, Defect, Failure, Report, run, shrink};
use clap::{Parser, ValueEnum};

/// The kernel core in a simulated world: runs seeds, shrinks what fails, proves that broken kernels
/// are found.
#[derive(Debug, Parser)]
#[command(name = "aosk-sim")]
struct Options {
    /// Run the seeds from A up to B; a single number stands for that many.
    #[arg(long, value_name = "A..B", default_value = "0..200", value_parser = range)]
    seeds: Range<u64>,
    /// Run one seed.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Let no program take more than so many steps.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Break the kernel, or the loop around it, in this way; `all` tries every way.
    #[arg(long, value_name = "NAME", value_parser = Broken::parse)]
    mutant: Option<Broken>,
    /// Make a failing run as small as possible.
    #[arg(long)]
    shrink: bool,
    /// Run every seed twice and compare what is stored.
    #[arg(long)]
    twice: bool,
    /// Print one line of JSON at the end.
    #[arg(long)]
    json: bool,
    /// Run many agents on scarce models, some dozen a seed; `crowd` runs ten thousand.
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "small")]
    traffic: Option<Size>,
    /// Measure one input with so many live processes; 0 means 100 to 100,000.
    #[arg(long, value_name = "N")]
    bench_apply: Option<u32>,
}

/// Which ways to break what runs.
#[derive(Debug, Clone)]
enum Broken {
    All,
    One(Defect),
}

/// How many agents there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Size {
    /// Some dozen.
    Small,
    /// Ten thousand.
    Crowd,
}

impl Broken {
    fn parse(name: &str) -> Result<Self, String> {
        if name == "all" {
            return Ok(Self::All);
        }
        Defect::all().find(|defect| defect.to_string() == name).map(Self::One).ok_or_else(|| {
            let names: Vec<_> = Defect::all().map(|defect| defect.to_string()).collect();
            format!("no such mutant; there are {}", names.join(", "))
        })
    }
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => Ok(0..number(text)?),
    }
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if let Some(seed) = options.seed {
        options.seeds = seed..seed.saturating_add(1);
    }
    let out = &mut io::stdout().lock();
    match options.bench_apply {
        Some(processes) => match bench(out, &options, processes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        None if options.traffic.is_some() => match traffics(out, &options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) | Err(_) => ExitCode::FAILURE,
        },
        None => match seeds(out, &options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) | Err(_) => ExitCode::FAILURE,
        },
    }
}

/// Runs what was asked for. Returns whether all was as it should be: nothing found in the real
/// kernel, something in everything broken.
fn seeds(out: &mut impl Write, options: &Options) -> io::Result<bool> {
    let mut good = true;
    let defects = match &options.mutant {
        None => vec![None],
        Some(Broken::One(defect)) => vec![Some(*defect)],
        Some(Broken::All) => Defect::all().map(Some).collect(),
    };
    for defect in defects {
        let begun = now();
        let mut total = Report::default();
        let mut runs = 0_u32;
        let mut failure = None;
        for seed in options.seeds.clone() {
            runs += 1;
            match one(seed, defect, options) {
                Ok(report) => total.add(&report),
                Err(found) => {
                    failure = Some(found);
                    break;
                }
            }
        }
        let found = failure.is_some();
        good &= found == defect.is_some();
        if let Some(failure) = failure {
            let failure = if options.shrink { shrink(*failure) } else { *failure };
            writeln!(out, "{failure}")?;
        }
        summary(out, options, defect, runs, &total, begun.elapsed(), found)?;
    }
    Ok(good)
}

/// Runs many agents on scarce models. Returns whether all was as it should be.
fn traffics(out: &mut impl Write, options: &Options) -> io::Result<bool> {
    let mutants = match &options.mutant {
        None => vec![None],
        Some(Broken::One(defect)) => vec![defect.of_kernel()],
        Some(Broken::All) => Mutant::ALL.iter().copied().map(Some).collect(),
    };
    let mut good = true;
    for mutant in mutants {
        let begun = now();
        let (mut inputs, mut cut, mut found) = (0, 0, None);
        let mut runs = 0_u32;
        for seed in options.seeds.clone() {
            let case = match options.traffic {
                Some(Size::Crowd) => Traffic::crowd(seed),
                Some(Size::Small) | None => Traffic::of_seed(seed),
            };
            runs += 1;
            match traffic::run(&case.with_mutant(mutant)) {
                Ok(figures) => {
                    inputs += figures.inputs;
                    cut += figures.cut;
                    if options.traffic == Some(Size::Crowd) {
                        writeln!(out, "{seed}: {figures:?}")?;
                    }
                }
                Err(broken) => {
                    found = Some(broken);
                    break;
                }
            }
        }
        good &= found.is_some() == mutant.is_some();
        if let Some(broken) = &found {
            writeln!(out, "{broken}")?;
        }
        let verdict = if found.is_some() { "found" } else { "nothing found" };
        let (seconds, name) = (begun.elapsed().as_secs_f64(), mutant.map(|m| format!("{m:?}: ")));
        let name = name.unwrap_or_default();
        writeln!(
            out,
            "{name}{verdict} with {runs} seeds in {seconds:.1} s, {inputs} inputs, {cut} calls cut off"
        )?;
    }
    Ok(good)
}

/// Runs one seed, twice if asked to.
fn one(seed: u64, defect: Option<Defect>, options: &Options) -> Result<Report, Box<Failure>> {
    let mut case = Case::of_seed(seed).with_defect(defect);
    case.steps_max = case.steps_max.min(options.steps.unwrap_or(u32::MAX));
    let report = run(&case)?;
    if options.twice && run(&case)? != report {
        let rule = "the same seed gives the same run";
        let (what, at, inputs) = (String::new(), report.virtual_time, report.inputs);
        return Err(Box::new(Failure { case, rule, what, at, inputs }));
    }
    Ok(report)
}

fn summary(
    out: &mut impl Write,
    options: &Options,
    defect: Option<Defect>,
    runs: u32,
    total: &Report,
    took: Duration,
    failed: bool,
) -> io::Result<()> {
    let Report { inputs, commits, crashes, shutdowns, processes, model_calls, .. } = total;
    let Report { tool_calls, state, .. } = total;
    let seconds = took.as_secs_f64();
    let hours = total.virtual_time.duration().as_secs_f64() / 3600.0;
    let per_second = f64::from(runs) / seconds;
    if options.json {
        let figures = serde_json::json!({
            "mutant": defect.map(|defect| defect.to_string()), "failed": failed, "seeds": runs,
            "seconds": seconds, "seeds_per_second": per_second, "virtual_hours": hours,
            "inputs": inputs, "commits": commits, "crashes": crashes,
            "shutdowns": shutdowns, "processes": processes, "model_calls": model_calls, "tool_calls": tool_calls, "state": state.to_string(),
        });
        return writeln!(out, "{figures}");
    }
    if let Some(defect) = defect {
        let verdict = if failed { "found" } else { "NOT found" };
        return writeln!(out, "{defect}: {verdict} with {runs} seeds\n");
    }
    let verdict = if failed { "FAILED" } else { "nothing found" };
    writeln!(
        out,
        "{verdict}: {runs} seeds in {seconds:.1} s ({per_second:.1} seeds/s), {hours:.1} simulated \
         hours, {inputs} inputs, {commits} commits, {crashes} crashes, {shutdowns} shutdowns, \
         {processes} processes, {model_calls} model calls, {tool_calls} tool calls, state {state}"
    )
}

/// Measures what one input costs.
fn bench(out: &mut impl Write, options: &Options, processes: u32) -> io::Result<()> {
    let sizes = if processes == 0 { vec![100, 1_000, 10_000, 100_000] } else { vec![processes] };
    let origin = now();
    let clock = || u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    for (size, mix) in sizes.iter().flat_map(|size| [(*size, Mix::Equal), (*size, Mix::Groups)]) {
        let mut crowd = Crowd::new(size, mix);
        // Once round, so that every process has begun to work.
        crowd.work(size, &clock);
        let costs = crowd.work(20_000, &clock);
        let at = |values: &[u64]| [500, 990].map(|part| micros(quantile(values, part)));
        let ([decided_50, decided_99], [queued_50, queued_99]) =
            (at(&costs.decided), at(&costs.queued));
        if options.json {
            let figures = serde_json::json!({
                "processes": crowd.processes(), "mix": format!("{mix:?}"),
                "inputs": costs.inputs(), "decided_p50_us": decided_50,
                "decided_p99_us": decided_99, "queued_p50_us": queued_50,
                "queued_p99_us": queued_99,
            });
            writeln!(out, "{figures}")?;
        } else {
            writeln!(
                out,
                "{:6} processes, {mix:?}: a call ends and the next starts in {decided_50:.1} us \
                 (p99 {decided_99:.1}), one is queued in {queued_50:.1} us (p99 {queued_99:.1}), \
                 {} inputs",
                crowd.processes(),
                costs.inputs()
            )?;
        }
    }
    Ok(())
}

fn micros(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

#[expect(clippy::disallowed_methods, reason = "the speed of the simulator is real time")]
fn now() -> Instant {
    Instant::now()
}
