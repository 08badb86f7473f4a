//! The measures on a conversation that can be reckoned by hand.

use super::*;
use crate::rank::Weights;

const TWO: &str = r#"{"id":"a","turns":[
 {"id":"D1:1","session":1,"time":"1 pm on 8 May, 2023","speaker":"Ann","text":"plums"},
 {"id":"D1:2","session":1,"time":"1 pm on 8 May, 2023","speaker":"Bo","text":"plums and pears"},
 {"id":"D2:1","session":2,"time":"1 pm on 9 May, 2023","speaker":"Bo","text":"stones"}],
"questions":[
 {"question":"plums?","evidence":["D1:1","D2:1"],"category":1},
 {"question":"stones?","evidence":["D2:1"],"category":5},
 {"question":"why?","evidence":[],"category":4},
 {"question":"who?","evidence":["D9:9"],"category":4}]}"#;

fn conversation() -> Conversation {
    read(&TWO.replace('\n', "")).expect("sound").remove(0)
}

#[test]
fn recall_is_the_mean_share_of_evidence() {
    let mut now = 0;
    let mut clock = || {
        now += 5;
        now
    };
    let ranker = Ranker::of(Weights::only("bm25"));
    let tokens = |text: &str| if text == "stones" { 4_000 } else { 10 };
    let report = evaluate(&conversation(), &ranker, &tokens, &mut clock);
    // The stones fit the budget only where they come first.
    let all = Recall { questions: 2, at_1: 0.75, at_10: 1.0, at_4000_tokens: 0.75 };
    let answerable = Recall { questions: 1, at_1: 0.5, at_10: 1.0, at_4000_tokens: 0.5 };
    assert_eq!(report, Report { all, answerable, skipped: 2, times: vec![5, 5] });
    assert_eq!(report.median_time(), 5);
}

#[test]
fn two_reports_are_one_over_all_their_questions() {
    let one = |at_1, questions| Report {
        all: Recall { questions, at_1, ..Recall::default() },
        skipped: 1,
        times: vec![questions as u64],
        ..Report::default()
    };
    let both = Report::default().and(&one(1.0, 3)).and(&one(0.0, 1));
    assert_eq!((both.all.questions, both.all.at_1), (4, 0.75));
    assert_eq!((both.skipped, both.times), (2, vec![1, 3]));
}

#[test]
fn what_is_no_conversation_is_refused_with_its_line() {
    let text = format!("\n{}\n{{\"id\":1}}", TWO.replace('\n', ""));
    assert_eq!(read(&text).expect_err("refused").line, 3);
}

#[test]
fn names_may_be_numbers_and_what_is_not_known_may_be_missing() {
    let text = r#"{"id":7,"turns":[{"id":1,"session":"session_3","speaker":null,"text":"plums"},
        {"id":"b","text":"stones"}],"questions":[{"question":"plums?","evidence":1,"category":"single"},
        {"question":"stones?","evidence":["b",null]},{"question":"nothing?"}]}"#;
    let read = read(&text.replace('\n', "")).expect("reads");
    let [conversation] = &read[..] else { panic!("one conversation") };
    let turns: Vec<_> = conversation.turns.iter().map(|turn| (&*turn.id, turn.session)).collect();
    assert_eq!((&*conversation.id, &turns[..]), ("7", &[("1", 3), ("b", 0)][..]));
    assert_eq!(conversation.asked(), [(0, vec![0]), (1, vec![1])]);
    let categories: Vec<u32> = conversation.questions.iter().map(|one| one.category).collect();
    assert_eq!(categories, [0, 0, 0]);
    for wrong in [r#"{"id":"1","turns":[{"text":"x"}],"questions":[]}"#, r#"{"id":"1","turns":[]}"#]
    {
        assert_eq!(super::read(wrong).expect_err("refused").line, 1, "{wrong}");
    }
}
