//! Killed at random moments and resumed as often as it takes, a run comes to what an uninterrupted
//! one comes to: the same totals, the same facts of every process, nothing lost and nothing twice.

use crate::conversation;
use crate::machine::Machine;
use crate::rng::Rng;
use crate::store;
use crate::trace::{sums, totals};

/// Kills that fall into work, over all runs together, at least.
const KILLS_MIN: u32 = 50;

/// Entries that the journal may grow by between two kills. By entries and not by time, so that a
/// fast machine sees as many kills as a slow one.
const GROWTH_MAX: u64 = 220;

/// Runs to kill, at least, each with so many processes at once.
const RUNS: [&str; 5] = ["8", "1", "60", "3", "100"];

#[test]
fn a_run_that_is_killed_again_and_again_comes_to_the_same() {
    let seed = std::env::var("AOSK_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) ^ 0x00c0_ffee);
    eprintln!("AOSK_TEST_SEED={seed}");
    let mut rng = Rng(seed);
    let (lines, expected) = conversation::usual(/*seed*/ 42, 60);

    let calm = Machine::new();
    let file = calm.write("sixty.jsonl", &lines);
    let ran = calm.aosk(&["trace", "run", &file, "--concurrency", "8", "--json"]).expect(0);
    assert_eq!(sums(&ran), expected);
    let (totals_of_calm, facts_of_calm) = (totals(&ran), store::facts(&calm.data_dir()));
    store::check_calls(&facts_of_calm);

    let mut kills = 0;
    for (run, concurrency) in RUNS.iter().cycle().take(4 * RUNS.len()).enumerate() {
        let machine = Machine::new();
        let file = machine.write("sixty.jsonl", &lines);
        let (ran, killed) = run_under_fire(&machine, &file, concurrency, &mut rng);
        kills += killed;
        eprintln!("concurrency {concurrency}: {killed} kills");
        assert_eq!(totals(&ran), totals_of_calm, "seed {seed}");
        let facts = store::facts(&machine.data_dir());
        store::check_calls(&facts);
        for (label, facts_of_one) in &facts_of_calm {
            assert_eq!(facts.get(label), Some(facts_of_one), "seed {seed}, process {label}");
        }
        assert_eq!(facts.len(), facts_of_calm.len(), "seed {seed}");
        machine.aosk(&["audit", "verify"]).expect(0);
        if kills >= KILLS_MIN && run + 1 >= RUNS.len() {
            return;
        }
    }
    panic!("only {kills} kills fell into work: seed {seed}");
}

/// Runs the file with `--resume`, killing it whenever the journal has grown by a random number of
/// entries, until a life of it reaches the end. Returns that life and the number of kills.
fn run_under_fire(
    machine: &Machine,
    file: &str,
    concurrency: &str,
    rng: &mut Rng,
) -> (crate::machine::Ran, u32) {
    let resume = ["trace", "run", file, "--concurrency", concurrency, "--resume", "--json"];
    let mut kills = 0;
    loop {
        let mut running = machine.start(&resume);
        let reader = store::reader(&machine.data_dir());
        let from = store::journal_length(reader.as_ref());
        // Now and then before it has committed anything.
        let target = from + if rng.once_in(8) { 0 } else { 1 + rng.below(GROWTH_MAX) };
        let has_ended = crate::machine::until("growth of the journal", || {
            let is_there = store::journal_length(reader.as_ref()) >= target;
            if running.has_ended() { Some(true) } else { is_there.then_some(false) }
        });
        if has_ended {
            return (running.finish().expect(0), kills);
        }
        let ran = running.kill();
        if !ran.was_killed() {
            // It came to its end in the same moment.
            return (ran.expect(0), kills);
        }
        kills += 1;
    }
}
