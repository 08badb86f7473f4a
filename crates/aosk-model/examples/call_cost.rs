//! Measures what one model call costs the client in CPU time: `cargo run --release --example
//! call_cost [CALLS [CONCURRENCY]]`. The server runs in a process of its own, so that its time does
//! not count. Linux only: the CPU time is read from `/proc/self/stat`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use aosk_abi::{Body, CallId, Message, Pid, ThinkOptions, Tokens, ToolSpec};
use aosk_model::endpoint::{Bounds, Endpoint, KeyHeader};
use aosk_model::openai::{Breakpoints, Dialect, LengthField, OpenAi, PATH, ReasoningField, Words};
use aosk_model::{Driver, Request};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"calculator","arguments":"{\"expression\":\"1+1\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":200,"completion_tokens":20,"total_tokens":220,"prompt_tokens_details":{"cached_tokens":128}}}"#;

#[expect(clippy::print_stdout, reason = "the figures are what the example is for")]
fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "serve") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(serve());
    }
    let number = |index: usize, default: u32| {
        arguments.get(index).map_or(Ok(default), |argument| argument.parse())
    };
    let (calls, concurrency) = (number(0, 50_000)?, number(1, 64)?.max(1));

    #[expect(clippy::disallowed_methods, reason = "the server is this program again")]
    let mut server =
        Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let mut port = String::new();
    BufReader::new(server.stdout.take().ok_or("no stdout")?).read_line(&mut port)?;
    let driver = Arc::new(driver(&format!("http://127.0.0.1:{}/v1", port.trim()))?);

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        run(&driver, calls / 10, concurrency).await?;
        #[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
        let (cpu_before, began) = (cpu_micros()?, std::time::Instant::now());
        run(&driver, calls, concurrency).await?;
        let wall = began.elapsed().as_secs_f64();
        let cpu = (cpu_micros()? - cpu_before) / f64::from(calls);
        let rate = f64::from(calls) / wall;
        println!(
            "{calls} calls, {concurrency} at a time: {cpu:.1} us of CPU each, {rate:.0} a second"
        );
        Ok(())
    });
    server.kill()?;
    server.wait()?;
    outcome
}

/// Makes `calls` calls, `concurrency` at a time.
async fn run(driver: &Arc<OpenAi>, calls: u32, concurrency: u32) -> Outcome<()> {
    let request = request();
    let mut tasks = JoinSet::new();
    for _ in 0..concurrency {
        let (driver, request) = (Arc::clone(driver), request.clone());
        tasks.spawn(async move {
            for _ in 0..calls / concurrency {
                driver.complete(request.clone(), None).await.map_err(|failure| failure.message)?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn driver(base_url: &str) -> Outcome<OpenAi> {
    let key = Some((KeyHeader::Bearer, SecretString::from("key")));
    let endpoint = Endpoint::new("bench:m", base_url, PATH, key, Bounds::default())?;
    let dialect = Dialect {
        length: LengthField::MaxTokens,
        reasoning: ReasoningField::Nowhere,
        stream_usage: true,
        cache_key: false,
        breakpoints: Breakpoints::Nowhere,
        continuing: aosk_model::continuing::Continuing::NEVER,
        words: Words::Common,
    };
    Ok(OpenAi::new(endpoint, "m", dialect))
}

/// A small conversation with one tool.
fn request() -> Request {
    let messages = [
        Message::system("You work out sums. Use the calculator and answer with the number alone."),
        Message::user("What is 1+1? Then double it, and double it again, and say what you have."),
    ];
    let tool = ToolSpec {
        name: "calculator".into(),
        description: "Works out an expression.".into(),
        parameters: serde_json::json!({
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"]
        }),
    };
    Request {
        call: CallId { pid: Pid(1), number: 1 },
        attempt: 1,
        process: "bench".into(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: "bench:m".into(),
            output_max: Tokens(256),
            tools: vec!["calculator".into()],
            temperature_milli: None,
            window: None,
        }),
        messages: messages.into_iter().map(Body::new).collect(),
        begun: None,
        tools: Arc::new([tool]),
        cache: aosk_model::CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: aosk_model::OnRates::default(),
    }
}

/// User and system time of this process. A tick is a hundredth of a second.
fn cpu_micros() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no process name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? * 10_000.0)
}

/// Answers every request on every connection at once.
#[expect(clippy::print_stdout, reason = "the parent reads the port")]
async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        connections.spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let length = ANSWER.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{ANSWER}"
    );
    let mut request = Vec::with_capacity(16 * 1024);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        // The client does not send the next request before it has the answer.
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.and_then(|digits| digits.parse().ok()) == Some(body.len()) {
            request.clear();
            stream.write_all(answer.as_bytes()).await?;
        }
    }
}
