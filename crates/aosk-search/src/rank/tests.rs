//! Weights as text.

use super::*;

#[test]
fn the_weights_that_come_along_are_read_and_written() {
    let ranker = Ranker::parse(FITTED).expect("the file is sound");
    assert_eq!(ranker, Ranker::fitted());
    assert_eq!(Ranker::parse(&ranker.print()), Ok(ranker.clone()));
    assert!(ranker.words.0.iter().filter(|weight| **weight != 0.0).count() > 20);
    let vector = FEATURES.iter().position(|name| *name == "vector").expect("a feature");
    assert_eq!(ranker.weights(false).0[vector], 0.0);
    assert!(ranker.weights(true).0[vector] > 0.0);
}

#[test]
fn unsound_weights_are_refused() {
    assert_eq!(Ranker::parse("# none\n\nbm25 1"), Err(WeightsError::Line { line: 3 }));
    assert_eq!(Ranker::parse("bm25 1 x"), Err(WeightsError::Line { line: 1 }));
    assert_eq!(Ranker::parse("bm25 1 inf"), Err(WeightsError::Line { line: 1 }));
    let unknown = WeightsError::Unknown { name: "luck".into() };
    assert_eq!(Ranker::parse("luck 1 1"), Err(unknown));
}
