//! `aosk-sim`: runs seeds, shrinks what fails, proves that broken kernels are found.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aosk_kernel::Mutant;
use aosk_sim::bench::Crowd;
use aosk_sim::{Case, Failure, Report, run, shrink};

const USAGE: &str = "\
aosk-sim: the kernel core in a simulated world

  --seeds A..B      run the seeds from A up to B (default 0..200)
  --seed N          run one seed
  --steps N         let no program take more than N steps
  --mutant NAME     break the kernel in this way; `all` tries every way
  --shrink          make a failing run as small as possible
  --twice           run every seed twice and compare what is stored
  --json            print one line of JSON at the end
  --bench-apply N   measure one input with N live processes; 0 means 100, 1000 and 10000
";

/// What was asked for.
#[derive(Debug)]
struct Options {
    seeds: std::ops::Range<u64>,
    steps_max: Option<u32>,
    mutants: Vec<Option<Mutant>>,
    shrink: bool,
    twice: bool,
    json: bool,
    bench: Option<u32>,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            let text =
                if wrong.is_empty() { USAGE.to_owned() } else { format!("{wrong}\n{USAGE}") };
            return finish(io::stderr().write_all(text.as_bytes()), ExitCode::from(2));
        }
    };
    let out = &mut io::stdout().lock();
    match options.bench {
        Some(processes) => finish(bench(out, processes), ExitCode::SUCCESS),
        None => match seeds(out, &options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) | Err(_) => ExitCode::FAILURE,
        },
    }
}

/// A reader of the output that went away is no failure of the run.
fn finish(written: io::Result<()>, code: ExitCode) -> ExitCode {
    if written.is_err() { ExitCode::FAILURE } else { code }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        seeds: 0..200,
        steps_max: None,
        mutants: vec![None],
        shrink: false,
        twice: false,
        json: false,
        bench: None,
    };
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--seeds" => options.seeds = range(&value()?)?,
            "--seed" => {
                let seed = number(&value()?)?;
                options.seeds = seed..seed.saturating_add(1);
            }
            "--steps" => options.steps_max = Some(number(&value()?)?),
            "--mutant" => options.mutants = mutants(&value()?)?,
            "--shrink" => options.shrink = true,
            "--twice" => options.twice = true,
            "--json" => options.json = true,
            "--bench-apply" => options.bench = Some(number(&value()?)?),
            "--help" | "-h" => return Err(String::new()),
            _ => return Err(format!("no such flag: {flag}")),
        }
    }
    Ok(options)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("not a range: {text}"))?;
    Ok(number(from)?..number(to)?)
}

fn mutants(name: &str) -> Result<Vec<Option<Mutant>>, String> {
    let all = Mutant::ALL.iter().copied();
    if name == "all" {
        return Ok(all.map(Some).collect());
    }
    let found: Vec<_> = all.filter(|mutant| format!("{mutant:?}") == name).map(Some).collect();
    if found.is_empty() {
        return Err(format!("no such mutant: {name}; there are {:?}", Mutant::ALL));
    }
    Ok(found)
}

/// Runs what was asked for. Returns whether all was as it should be: nothing found in the real
/// kernel, something in every broken one.
fn seeds(out: &mut impl Write, options: &Options) -> io::Result<bool> {
    let mut good = true;
    for mutant in &options.mutants {
        let begun = now();
        let mut total = Report::default();
        let mut runs = 0_u32;
        let mut failure = None;
        for seed in options.seeds.clone() {
            runs += 1;
            match one(seed, *mutant, options) {
                Ok(report) => total.add(&report),
                Err(found) => {
                    failure = Some(found);
                    break;
                }
            }
        }
        let found = failure.is_some();
        good &= found == mutant.is_some();
        if let Some(failure) = failure {
            let failure = if options.shrink { shrink(*failure) } else { *failure };
            writeln!(out, "{failure}")?;
        }
        summary(out, options, *mutant, runs, &total, begun.elapsed(), found)?;
    }
    Ok(good)
}

/// Runs one seed, twice if asked to.
fn one(seed: u64, mutant: Option<Mutant>, options: &Options) -> Result<Report, Box<Failure>> {
    let mut case = Case::of_seed(seed).with_mutant(mutant);
    case.steps_max = case.steps_max.min(options.steps_max.unwrap_or(u32::MAX));
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
    mutant: Option<Mutant>,
    runs: u32,
    total: &Report,
    took: Duration,
    failed: bool,
) -> io::Result<()> {
    let Report { inputs, commits, crashes, processes, model_calls, tool_calls, state, .. } = total;
    let seconds = took.as_secs_f64();
    let hours = total.virtual_time.duration().as_secs_f64() / 3600.0;
    let per_second = f64::from(runs) / seconds;
    if options.json {
        let mutant = mutant.map_or("null".to_owned(), |mutant| format!("\"{mutant:?}\""));
        return writeln!(
            out,
            "{{\"mutant\":{mutant},\"failed\":{failed},\"seeds\":{runs},\"seconds\":{seconds:.3},\
             \"seeds_per_second\":{per_second:.1},\"virtual_hours\":{hours:.1},\"inputs\":{inputs},\
             \"commits\":{commits},\"crashes\":{crashes},\"processes\":{processes},\
             \"model_calls\":{model_calls},\"tool_calls\":{tool_calls},\"state\":\"{state}\"}}"
        );
    }
    if let Some(mutant) = mutant {
        let verdict = if failed { "found" } else { "NOT found" };
        return writeln!(out, "{mutant:?}: {verdict} with {runs} seeds\n");
    }
    let verdict = if failed { "FAILED" } else { "nothing found" };
    writeln!(
        out,
        "{verdict}: {runs} seeds in {seconds:.1} s ({per_second:.1} seeds/s), {hours:.1} simulated \
         hours, {inputs} inputs, {commits} commits, {crashes} crashes, {processes} processes, \
         {model_calls} model calls, {tool_calls} tool calls, state {state}"
    )
}

/// Measures what one input costs.
fn bench(out: &mut impl Write, processes: u32) -> io::Result<()> {
    let sizes = if processes == 0 { vec![100, 1_000, 10_000] } else { vec![processes] };
    for size in sizes {
        let mut crowd = Crowd::new(size);
        // Once round, so that every process has begun to work.
        crowd.work(size);
        let begun = now();
        let applied = crowd.work(20_000);
        let micros = begun.elapsed().as_secs_f64() * 1e6
            / f64::from(u32::try_from(applied).unwrap_or(u32::MAX));
        writeln!(
            out,
            "{:6} processes: {micros:.1} us per input, {applied} inputs",
            crowd.processes()
        )?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the speed of the simulator is real time")]
fn now() -> Instant {
    Instant::now()
}
