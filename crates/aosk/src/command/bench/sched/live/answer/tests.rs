//! What a model server of the benchmark answers.

use std::sync::Arc;

use super::super::account::Account;
use super::*;

/// All that an answer sends, with the time going by itself.
async fn sent(request: &str, account: &Arc<Account>) -> (String, Duration) {
    let asked = Asked::parse(request.as_bytes()).unwrap();
    let mut answer = Answer::to(&asked, Serving::begin(account.clone()));
    let exact = answer.size_hint().exact();
    let began = tokio::time::Instant::now();
    let mut text = String::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut answer).poll_frame(cx)).await {
        let data = frame.unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    assert!(answer.is_end_stream());
    assert!(exact.is_none_or(|bytes| bytes == text.len() as u64), "{exact:?}");
    (text, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_says_and_is_charged_what_it_has() {
    let account = Arc::new(Account::default());
    let request = r#"{"messages":[{"role":"user","content":"two words"}],"max_tokens":10}"#;
    let mut lengths = Vec::new();
    for _ in 0..20 {
        let (text, _) = sent(request, &account).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let words = answer["choices"][0]["message"]["content"].as_str().unwrap();
        let words = words.split_whitespace().count() as u64;
        assert_eq!(answer["usage"]["prompt_tokens"], 5);
        assert_eq!(answer["usage"]["completion_tokens"], words);
        assert_eq!(account.take().tokens, 5 + words);
        lengths.push(words);
    }
    assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&1), Some(&10)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_a_token_every_20_ms() {
    let account = Arc::new(Account::default());
    let request = r#"{"messages":[{"role":"user","content":"go"}],"max_tokens":40,"stream":true}"#;
    let (text, took) = sent(request, &account).await;
    let words = text.matches(WORD).count() as u64;
    assert!((20..=40).contains(&words), "{words}");
    assert_eq!(took, PACE * (u32::try_from(words).unwrap() - 1));
    assert_eq!(account.take().tokens, 4 + words);
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_gone_on_with() {
    let account = Arc::new(Account::default());
    let begun = WORD.repeat(15);
    let request = format!(
        r#"{{"messages":[{{"role":"user","content":"go"}},{{"role":"assistant","content":"{begun}"}}],"max_tokens":16,"stream":true}}"#
    );
    let (text, _) = sent(&request, &account).await;
    assert_eq!(text.matches(WORD).count(), 1);
}
