//! Data directories that someone or something changed: every command that meets the damage says so
//! and comes to an end.

use serde_json::Value;

use crate::machine::{Machine, Ran};

/// A data directory with two agents that have ended, after `sql` was run on its database.
fn changed(sql: &str) -> Machine {
    let machine = Machine::new();
    for task in ["one", "two"] {
        machine.aosk(&["run", task, "--model", "scripted"]).expect(0);
    }
    let path = machine.data_dir().join("aosk.db");
    let database = rusqlite::Connection::open(path).expect("opens");
    database.execute_batch(sql).expect("changes");
    machine
}

fn verify(machine: &Machine) -> Ran {
    machine.aosk(&["audit", "verify", "--json"]).expect(5)
}

/// The damage that `audit verify` names, each finding with its process.
fn findings(machine: &Machine) -> Vec<(Value, String)> {
    let ran = verify(machine);
    let line = ran.error("store.corrupt");
    assert!(line.contains("; hint: "), "{line}");
    let object = ran.json();
    assert_eq!(object["ok"], false);
    assert_eq!(object["error"]["code"], "store.corrupt");
    let damage = object["damage"].as_array().expect("a list").iter();
    damage
        .map(|one| (one["pid"].clone(), one["what"].as_str().expect("a text").to_owned()))
        .collect()
}

fn corrupt(machine: &Machine, args: &[&str]) -> String {
    let ran = machine.aosk(args).expect(5);
    let line = ran.error("store.corrupt").to_owned();
    assert!(!line.contains("SELECT") && !line.contains("CREATE"), "{line}");
    line
}

#[test]
fn an_entry_far_beyond_the_end_does_not_hold_anybody_up() {
    let machine = changed(
        "INSERT INTO journal VALUES (9223372036854775807, 0, 2, 'x', '{}', zeroblob(32));
         INSERT INTO journal_block VALUES (2, 36028797018963967)",
    );
    let place = "an entry stands out of place, the end being";
    for args in [&["audit", "show"][..], &["audit", "show", "--pid", "2"], &["logs", "2"]] {
        let line = corrupt(&machine, args);
        assert!(line.contains(place), "{line}");
    }
    let line = verify(&machine).error("journal.broken").to_owned();
    assert!(line.contains("after the recorded end: 9223372036854775807"), "{line}");
    for place in ["0", "-5"] {
        let sql = format!("INSERT INTO journal VALUES ({place}, 0, 1, 'x', '{{}}', zeroblob(32))");
        let line = verify(&changed(&sql)).error("journal.broken").to_owned();
        assert!(line.contains(&format!("an entry stands before the first: {place}")), "{line}");
    }
}

#[test]
fn a_trace_on_a_planted_entry_ends() {
    let machine = changed("");
    let trace = machine.write(
        "one.jsonl",
        r#"{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#,
    );
    machine.aosk(&["trace", "run", &trace]).expect(0);
    let path = machine.data_dir().join("aosk.db");
    let database = rusqlite::Connection::open(path).expect("opens");
    let plant = "INSERT INTO journal VALUES (9223372036854775807, 0, 1, 'x', '{}', zeroblob(32))";
    database.execute_batch(plant).expect("changes");
    drop(database);
    corrupt(&machine, &["trace", "run", &trace, "--resume"]);
}

#[test]
fn a_journal_that_was_cut_short_is_missed() {
    let machine = changed("DELETE FROM journal WHERE pid = 2 AND kind = 'process.exited'");
    for command in ["logs", "mem"] {
        let line = corrupt(&machine, &[command, "2"]);
        let what = "reading what p2 did: the journal does not lead to its end";
        assert!(line.contains(what), "{line}");
        machine.aosk(&[command, "1"]).expect(0);
    }
}

#[test]
fn a_log_without_its_index_is_missed() {
    let machine = changed("DELETE FROM journal_block WHERE pid = 2");
    for command in ["logs", "mem"] {
        let line = corrupt(&machine, &[command, "2"]);
        let what = "reading what p2 did: the journal does not lead to its beginning";
        assert!(line.contains(what), "{line}");
    }
    let found = findings(&machine);
    assert_eq!((found.len(), &found[0].0), (1, &Value::from(2)), "{found:?}");
    assert!(found[0].1.starts_with("the index of the journal does not lead"), "{found:?}");
    machine.aosk(&["logs", "1"]).expect(0);
    let ran = machine.aosk(&["audit", "verify"]).expect(5);
    assert!(ran.stdout.contains("damaged: p2: the index of the journal"), "{ran:#?}");

    let machine = changed("DELETE FROM page_block WHERE pid = 2");
    let missing = "its log should have 5 pages and has 0";
    for (command, what) in [("show", "log"), ("mem", "pages")] {
        let line = corrupt(&machine, &[command, "2"]);
        assert!(line.contains(&format!("reading the {what} of p2: {missing}")), "{line}");
    }
    let found = findings(&machine);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].1.starts_with("the index of pages does not lead"), "{found:?}");
    assert_eq!(found[1], (Value::from(2), missing.to_owned()));
}

/// A model that is shown another conversation, or none, would go on from there.
#[test]
fn a_kernel_does_not_start_on_a_log_that_is_not_the_one_that_was_written() {
    // An agent that has ended, made to live again with the budget of the root.
    let live = "UPDATE process SET live = 1 WHERE pid = 2;
                UPDATE spec SET body = replace(body, '\"budget\":3', '\"budget\":1');
                UPDATE node SET body = replace(body, '\"members\":0', '\"members\":1')";
    let machine = changed(live);
    machine.aosk(&["run", "more", "--model", "scripted"]).expect(0);
    let replaced = "UPDATE page SET body = (SELECT body FROM page WHERE pid = 2 AND idx = 0)
                    WHERE pid = 2 AND idx = 1";
    let other = "its log has a page that was not written";
    let missing = "its log should have 5 pages and has 0";
    for (damage, what) in [(replaced, other), ("DELETE FROM page_block WHERE pid = 2", missing)] {
        let machine = changed(&format!("{live}; {damage}"));
        let line = corrupt(&machine, &["run", "more", "--model", "scripted"]);
        assert!(line.contains(&format!("Process(p2): {what}")), "{line}");
        let found = findings(&machine);
        assert_eq!(found.last(), Some(&(Value::from(2), what.to_owned())), "{found:?}");
    }
}

#[test]
fn a_message_that_is_gone_is_told_with_a_process_that_needs_it() {
    let gone = "DELETE FROM blob WHERE bytes LIKE '%two%'";
    let found = findings(&changed(gone));
    assert!(!found.is_empty() && found.iter().all(|(pid, _)| *pid == 2), "{found:?}");
    assert!(found[0].1.contains(" names a message that is damaged: "), "{found:?}");
}

#[test]
fn an_agent_that_is_its_own_parent_is_shown_and_called_damaged() {
    let machine = changed(
        "UPDATE spec SET body = replace(body, '\"parent\":null', '\"parent\":2') WHERE pid = 2",
    );
    let ran = machine.aosk(&["ps", "--all"]).expect(0);
    assert_eq!(ran.stdout.lines().count(), 3, "a head and two agents: {ran:#?}");
    let note = "damaged: p2 has a parent that is not older than it, p2";
    assert!(ran.stderr.contains(note), "{ran:#?}");
    let found = findings(&machine);
    assert_eq!(found, [(Value::from(2), "its parent p2 is not older than it".to_owned())]);
}

#[test]
fn a_database_that_lost_its_format_or_a_table_is_damaged() {
    let lost = [
        ("PRAGMA user_version = 0", "the database has tables and no format number"),
        ("DROP TABLE page", "the database lacks a table: page"),
        ("DROP TABLE journal_block", "the database lacks a table: journal_block"),
    ];
    for (sql, what) in lost {
        let machine = changed(sql);
        for args in [&["ps"][..], &["logs", "1"], &["audit", "verify"], &["run", "more"]] {
            let line = corrupt(&machine, args);
            assert!(line.contains(what), "{line}");
        }
    }
}
