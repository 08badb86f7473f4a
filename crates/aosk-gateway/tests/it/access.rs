//! Who may ask what, and how those hear it who may not.

use aosk_runtime::abi::Pid;
use aosk_server::access::Role;

use crate::provider::{Provider, chat, message};
use crate::scene::{KEY, Plan, Scene, chat_model, messages_model};

const CHAT: &str = r#"{"model":"test:m","messages":[{"role":"user","content":"a"}]}"#;
const MESSAGE: &str =
    r#"{"model":"test:m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;

#[tokio::test]
async fn without_a_token_each_format_says_so_in_its_own_words() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let answer = scene.nobody().await.chat(CHAT).await;
    assert_eq!((answer.status, answer.header("content-type")), (401, "application/json"));
    assert_eq!(answer.json()["error"]["code"], "invalid_api_key", "{answer:?}");
    let answer = scene.nobody().await.messages(MESSAGE).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["type"], "error", "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "authentication_error", "{answer:?}");
    let answer = scene.nobody().await.get("/v1/models").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["error"]["type"], "authentication_error", "{answer:?}");
    let answer = scene.nobody().await.post("/query", "{}").await;
    assert_eq!(answer.status, 401);
    assert!(provider.all().is_empty());
}

#[tokio::test]
async fn a_viewer_sees_models_and_asks_none() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let mut viewer = scene.with("v", Role::Viewer, None).await;
    assert_eq!(viewer.get("/v1/models").await.status, 200);
    let answer = viewer.chat(CHAT).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "permission_error");
    let answer = viewer.messages(MESSAGE).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "permission_error");
    let query = r#"{"query_type":"llm","agent_name":"a","query_data":{"messages":[{"role":"user","content":"a"}]}}"#;
    assert_eq!(viewer.post("/query", query).await.status, 403);
    assert!(provider.all().is_empty());
    assert_eq!(scene.handle().live_count(), 0);
}

/// The official SDKs of Anthropic send the token in a header of its own.
#[tokio::test]
async fn the_token_may_stand_where_anthropic_has_it() {
    let provider = Provider::start().await;
    let scene = Plan::of(vec![messages_model("test:m", &provider)]).start().await;
    let access = aosk_server::access::Tokens::of(scene.dir.path());
    let made = access.create(("t", aosk_runtime::abi::Timestamp(0)), Role::Operator, None);
    let mut client = scene.nobody().await.with("x-api-key", &made.unwrap().text);
    provider.json(200, &message("b"));
    let answer = client.messages(MESSAGE).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, message("b").as_str()));
    assert_eq!(provider.all()[0].header("x-api-key"), [KEY]);
}

#[tokio::test]
async fn a_token_of_a_tenant_asks_for_its_tenant_alone() {
    let provider = Provider::start().await;
    let scene = Scene::chat(&provider).await;
    let group = |pid: u64| scene.handle().process(Pid(pid)).unwrap().spec.group.clone();
    let acme = || scene.with("one", Role::Operator, Some("acme"));
    provider.json(200, &chat("b"));
    let mut client = acme().await;
    assert_eq!(&*group(client.chat(CHAT).await.pid()), "acme");
    provider.json(200, &chat("b"));
    let mut client = client.with("x-aosk-group", "acme/research");
    assert_eq!(&*group(client.chat(CHAT).await.pid()), "acme/research");
    for (at, other) in ["other", "acmes", "other/acme", ""].into_iter().enumerate() {
        let client = scene.with(&format!("t{at}"), Role::Operator, Some("acme")).await;
        let answer = client.with("x-aosk-group", other).chat(CHAT).await;
        assert_eq!(answer.status, 403, "{other}: {answer:?}");
        assert_eq!(answer.json()["error"]["kernel_code"], "kernel.forbidden", "{other}");
    }
    assert_eq!(provider.all().len(), 2);
}

#[tokio::test]
async fn nothing_that_is_answered_has_the_kernels_key_in_it() {
    let provider = Provider::start().await;
    let models = vec![chat_model("test:m", &provider), messages_model("test:a", &provider)];
    let scene = Plan::of(models).start().await;
    let mut client = scene.client().await;
    provider.json(200, &chat("b")).json(401, &format!("{{\"error\":\"{KEY}\"}}"));
    let answers = [
        client.chat(CHAT).await,
        client.chat(&CHAT.replace("\"a\"", "\"z\"")).await,
        client.get("/v1/models").await,
        client.get("/v1/models/test:m").await,
        client.get("/core/llms/list").await,
        client.get("/api/v1/models").await,
        client.get("/metrics").await,
        client.chat("{}").await,
    ];
    assert_eq!(provider.all()[0].header("authorization"), [format!("Bearer {KEY}")]);
    for answer in answers {
        assert!(!format!("{answer:?}").contains(KEY), "{answer:?}");
    }
}
