//! `cargo xtask test`: what the tests need, and the tests.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, bail};

use crate::sdk;
use crate::skip::{self, SkipLog};
use crate::step::{self, Report, Step};

/// Runs the whole suite. False means that something failed.
pub(crate) fn run(root: &Path, fast: bool) -> Result<bool> {
    println!(
        "Builds the workspace, runs every test, the simulator and then the SDKs of tests/sdk."
    );
    println!(
        "Needs rustc {} or later and a C compiler for SQLite.",
        env!("CARGO_PKG_RUST_VERSION")
    );
    println!("Tests that need more than this machine has are skipped and counted at the end.");
    let passed = steps(root, fast)?;
    println!("{}", if passed { "all tests passed" } else { "there are failures" });
    Ok(passed)
}

/// Runs the steps, sums them up, and says whether all passed.
fn steps(root: &Path, fast: bool) -> Result<bool> {
    // Cargo refuses an older compiler by itself; this is for whoever reads the output later.
    let version = step::output_of(root, &["rustc".into(), "--version".into()])?;
    println!("{}", String::from_utf8_lossy(&version).trim_end());
    compiler()?;
    let seeds = if fast { 20 } else { 300 };
    let build = Step::cargo("build", "test --workspace --no-run");
    let steps = [
        Step::cargo("tests", "test --workspace --no-fail-fast"),
        Step::cargo("simulator", &format!("run --package aosk-sim -- --twice --seeds {seeds}")),
        Step::cargo("traffic", &format!("run --package aosk-sim -- --traffic --seeds {seeds}")),
    ];
    let log = SkipLog::create(root)?;
    let mut reports = vec![build.run(root)];
    let built = reports.iter().all(Report::passed);
    for step in steps {
        reports.push(if built {
            step.with(skip::VARIABLE, log.path()).run(root)
        } else {
            Report::not_run(step.name)
        });
    }
    // The tests of the binary have built it.
    reports.push(if built { sdk::run(root, &log, &[])? } else { Report::not_run("sdks") });
    let passed = step::sum_up(&reports);
    log.sum_up()?;
    Ok(passed)
}

/// Finds a C compiler; where there is none and apt-get is, installs one.
fn compiler() -> Result<()> {
    let named = std::env::var_os("CC");
    let names = named.into_iter().chain(["cc", "gcc", "clang"].map(OsString::from));
    for name in names {
        if step::answers(&[name.clone(), "--version".into()]) {
            println!("C compiler: {}", name.display());
            return Ok(());
        }
    }
    if !step::answers(&["apt-get".into(), "--version".into()]) {
        bail!("there is no C compiler: install gcc or clang, then run this again");
    }
    println!("There is no C compiler: installing build-essential through apt-get.");
    let root = step::output_of(Path::new("/"), &["id".into(), "-u".into()])?.trim_ascii() == b"0";
    for arguments in ["update", "install --yes --no-install-recommends build-essential"] {
        let line = if root { "apt-get " } else { "sudo apt-get " }.to_owned() + arguments;
        println!("+ {line}");
        let words: Vec<_> = line.split(' ').map(OsString::from).collect();
        step::output_of(Path::new("/"), &words)?;
    }
    Ok(())
}
