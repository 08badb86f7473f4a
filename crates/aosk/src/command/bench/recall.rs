//! `aosk bench recall`: how much of the evidence for questions retrieval finds.

use std::path::Path;
use std::time::Instant;

use aosk::abi::{Error, ErrorCode};
use aosk::model::Tokenizer;
use aosk::search::Ranker;
use aosk::search::evaluate::{self, Conversation, Recall, Report};
use serde_json::json;

use super::vectors::Vectors;
use crate::cli::BenchRecallArgs;
use crate::config::Config;
use crate::fail::Done;
use crate::setup;
use crate::term::{json as print_json, line, plural, table};

/// What counts the tokens of the turns: the vocabulary of OpenAI's models.
const COUNTED_AS: &str = "gpt-4o";

pub(super) fn run(args: &BenchRecallArgs) -> Result<Done, Error> {
    let embedder = setup::embedder(&args.embedder, &Config::default())?;
    let vectors = embedder.map(Vectors::new).transpose()?;
    let (mut report, mut waits) = (Report::default(), Vec::new());
    for file in &args.files {
        for mut conversation in read(file)? {
            if let Some(vectors) = &vectors {
                waits.extend(vectors.embed(&mut conversation)?);
            }
            report = report.and(&ask(&conversation));
        }
    }
    waits.sort_unstable();
    let embedded = vectors.as_ref().map(|vectors| Embedded {
        by: vectors.name().to_owned(),
        ms: waits.get(waits.len() / 2).map_or(0.0, |wait| wait.as_secs_f64() * 1e3),
    });
    if report.all.questions == 0 {
        let what = "asking the questions: none has evidence among its turns";
        return Err(Error::new(ErrorCode::TraceInvalid, what).hint(FORM));
    }
    if args.json {
        print_json(&object(&report, embedded.as_ref()));
    } else {
        line(&lines(&report, embedded.as_ref()));
    }
    Ok(Done::Well)
}

/// What embedded the turns and questions, and how long a question took in the median.
struct Embedded {
    by: String,
    ms: f64,
}

/// What a line of a file looks like.
const FORM: &str = "each line is {\"id\", \"turns\": [{\"id\", \"session\", \"time\", \"speaker\", \
                    \"text\"}], \"questions\": [{\"question\", \"evidence\", \"category\"}]}";

fn read(file: &Path) -> Result<Vec<Conversation>, Error> {
    let text = super::read_text(file)?;
    evaluate::read(&text).map_err(|error| {
        let what = format!("reading {}: {error}", file.display());
        Error::new(ErrorCode::TraceInvalid, what).hint(FORM)
    })
}

#[expect(clippy::disallowed_methods, reason = "what a query takes is measured")]
fn ask(conversation: &Conversation) -> Report {
    let count = Tokenizer::of_model(COUNTED_AS);
    let tokens = |text: &str| u32::try_from(count.of_text(text).0).unwrap_or(u32::MAX);
    let start = Instant::now();
    let mut clock = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    evaluate::evaluate(conversation, &Ranker::fitted(), &tokens, &mut clock)
}

/// The last line of stdout.
fn object(report: &Report, embedded: Option<&Embedded>) -> serde_json::Value {
    let Report { all, answerable, skipped, .. } = report;
    json!({
        "questions": all.questions,
        "recall_at_1": rounded(all.at_1),
        "recall_at_10": rounded(all.at_10),
        "recall_at_4000_tokens": rounded(all.at_4000_tokens),
        "query_ms_p50": rounded(median_ms(report)),
        "embedder": embedded.map(|embedded| &embedded.by),
        "embed_ms_p50": embedded.map(|embedded| rounded(embedded.ms)),
        "skipped": skipped,
        "categories_1_to_4": {
            "questions": answerable.questions,
            "recall_at_1": rounded(answerable.at_1),
            "recall_at_10": rounded(answerable.at_10),
            "recall_at_4000_tokens": rounded(answerable.at_4000_tokens),
        },
    })
}

/// The same for people.
fn lines(report: &Report, embedded: Option<&Embedded>) -> String {
    let row = |name: &str, recall: &Recall| {
        let figures = [recall.at_1, recall.at_10, recall.at_4000_tokens];
        let mut row = vec![name.to_owned(), recall.questions.to_string()];
        row.extend(figures.map(|figure| format!("{figure:.3}")));
        row
    };
    let rows = vec![row("all", &report.all), row("categories 1 to 4", &report.answerable)];
    let figures = ["asked", "recall at 1", "at 10", "in 4,000 tokens"];
    let head = ["questions", "asked", "recall at 1", "at 10", "in 4,000 tokens"];
    let with = embedded.map_or_else(
        || "no embedder".to_owned(),
        |embedded| format!("embedder {}, {:.1} ms a question", embedded.by, embedded.ms),
    );
    let skipped = plural(report.skipped as u64, "question");
    format!(
        "{}\na query takes {:.2} ms in the median; {skipped} without evidence left out; {with}",
        table(&head, &figures, rows),
        median_ms(report),
    )
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn median_ms(report: &Report) -> f64 {
    report.median_time() as f64 / 1e6
}

fn rounded(figure: f64) -> f64 {
    (figure * 1e4).round() / 1e4
}
