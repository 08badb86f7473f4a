//! Tests of conversations as histories.

use aosk::model::parse_line;

use super::*;

fn record(text: &str) -> Record {
    parse_line(text).unwrap()
}

fn small() -> Record {
    record(
        r#"{"id": "a", "messages": [
            {"role": "system", "content": "Work in /srv/app always."},
            {"role": "user", "content": "Look at /srv/data.csv and build_index, please."},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function",
                "function": {"name": "bash", "arguments": "{\"command\": \"wc /srv/data.csv\"}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "90125 lines"}
        ]}"#
        .replace('\n', " ")
        .as_str(),
    )
}

#[test]
fn messages_become_pages_and_calls_keep_their_results() {
    let [history] = &histories(&[small()], false)[..] else { panic!("one history") };
    let roles: Vec<Role> = history.pages.iter().map(|page| page.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
    let groups: Vec<u32> = history.pages.iter().map(|page| page.group).collect();
    assert_eq!(groups, [1, 2, 2]);
    assert!(history.fixed > 0 && history.pages.iter().all(|page| page.tokens > 0));
    // What the call names is what the user named.
    let [user, call, result] = &history.pages[..] else { panic!("three pages") };
    assert!(call.ids.iter().any(|id| user.ids.contains(id)));
    assert!(result.ids.iter().all(|id| !user.ids.contains(id)) && !result.ids.is_empty());
}

#[test]
fn a_chain_is_one_history_with_a_task_for_each() {
    let records = [small(), small()];
    assert_eq!(histories(&records, false).len(), 2);
    let [chain] = &histories(&records, true)[..] else { panic!("one history") };
    let tasks: Vec<u32> = chain.pages.iter().map(|page| page.task).collect();
    assert_eq!(tasks, [0, 0, 0, 1, 1, 1]);
    assert_eq!(chain.messages().count(), 6);
}

#[test]
fn words_are_those_that_name_things() {
    let found = words("see `src/main.rs`, foo_bar; a@b.org x=12345 (HTTPServer). ok");
    let expected = ["src/main.rs", "foo_bar", "a@b.org", "12345", "HTTPServer"];
    assert_eq!(found, expected.map(str::to_owned).into());
    assert!(is_plain("Hello") && is_plain("word"));
    assert!(!is_plain("camelCase") && !is_plain("a_b_c") && !is_plain("12345"));
}

#[test]
fn long_texts_are_cut_at_lines_and_nothing_is_lost() {
    let lines = "some words of one line of a log\n".repeat(400);
    let wide = "x".repeat(50_000) + &"宽".repeat(5_000);
    for text in [lines.as_str(), wide.as_str(), "", "\n"] {
        let pieces = pieces(text);
        assert_eq!(pieces.concat(), text);
        let most = pieces.iter().map(|piece| count(piece)).max().unwrap();
        assert!(most <= PAGE_TOKENS_MAX * 5 / 2, "{most}");
    }
    assert!(pieces(&lines).iter().all(|piece| piece.ends_with('\n')));
}

#[test]
fn times_and_tools_are_as_the_recording_says() {
    let line = r#"{"id": "a", "tools": [{"type": "function", "function": {"name": "read_file",
        "description": "Reads /srv/known.txt.", "parameters": {"type": "object"}}}], "messages": [
        {"role": "user", "content": "Read /srv/known.txt and key_77.", "timestamp": 1000},
        {"role": "assistant", "content": "It says key_77 of /srv/known.txt.", "timestamp": 1400.5}]}"#;
    let with = histories(&[record(&line.replace('\n', " "))], false).remove(0);
    let talk = with.talk.as_ref().unwrap();
    assert!(talk.tools.0 > 400, "{:?}", talk.tools);
    assert_eq!(u64::from(with.fixed), talk.tools.0);
    let times: Vec<_> = with.pages.iter().map(|page| page.time).collect();
    assert_eq!(times, [Some(1000.0), Some(1400.5)]);
    // What the description names stands before all else, so it is no need.
    assert!(talk.numbers.contains_key("key_77") && !talk.numbers.contains_key("/srv/known.txt"));
    // A chain goes on with the tools of its first conversation that has some.
    let chain = histories(&[small(), record(&line.replace('\n', " "))], true).remove(0);
    assert_eq!(chain.talk.unwrap().tools, talk.tools);
}
