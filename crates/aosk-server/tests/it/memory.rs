//! The pages of a process, searched and one by one.

use aosk_server::access::Role;
use serde_json::{Value, json};

use crate::scene::{Scene, field, pid};

#[tokio::test]
async fn pages_are_found_by_their_words_and_read_one_by_one() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let wanted = json!({ "task": "say the harbour master keeps a parrot", "chat": true });
    let pid = pid(&client.post("/api/v1/processes", &wanted).await);
    let at = format!("/api/v1/processes/{pid}");
    let mut events = scene.client().await.events(&format!("{at}/events"), None).await;
    for text in ["say weather report", "say second weather report"] {
        while events.next().await.unwrap().data["kind"] != "model.answered" {}
        client.post(&format!("{at}/messages"), &json!({ "text": text })).await;
    }
    while events.next().await.unwrap().data["kind"] != "model.answered" {}
    let search = async |query: &str| {
        let answer = scene.client().await.get(&format!("{at}/memory?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let found = search("query=parrot").await;
    assert_eq!(found["complete"], true);
    let begins = field(&found["found"], "begins");
    assert!(begins.iter().all(|text| text.as_str().unwrap().contains("parrot")), "{found}");
    assert_eq!(begins.len(), 2, "what was said, and the answer: {found}");
    assert_eq!(search("query=zebra").await["found"], json!([]));
    assert_eq!(search("query=weather&limit=1").await["found"].as_array().unwrap().len(), 1);
    assert!(search("query=weather&limit=9999").await["found"].as_array().unwrap().len() >= 3);

    let whole = client.get(&format!("{at}/pages")).await.body["pages"].clone();
    let page = &found["found"][0];
    let number = page["page"].as_u64().unwrap();
    let of_table = whole.as_array().unwrap().iter().find(|one| one["page"] == number).unwrap();
    let one = client.get(&format!("{at}/pages/{number}")).await.body;
    assert!(one["text"].as_str().unwrap().contains("parrot"), "{one}");
    for (name, value) in of_table.as_object().unwrap() {
        assert_eq!((&one[name], &page[name]), (value, value), "{name}");
    }
    client.get(&format!("{at}/pages/999")).await.is_problem(404, "memory.no_page");
    client.get(&format!("{at}/pages/0")).await.is_problem(404, "memory.no_page");
    client.get(&format!("{at}/pages/x")).await.is_problem(400, "api.bad_request");
}

#[tokio::test]
async fn a_search_must_ask_for_something_and_is_for_those_who_see_the_process() {
    let scene = Scene::new().await;
    let mut acme = scene.with(Role::Viewer, Some("acme")).await;
    let mut owner = scene.client().await;
    let pid = pid(&owner.post("/api/v1/processes", &json!({ "task": "say a" })).await);
    for query in ["", "query=", "query=%20", "query=a&limit=x", "q=a"] {
        let answer = owner.get(&format!("/api/v1/processes/{pid}/memory?{query}")).await;
        answer.is_problem(400, "api.bad_request");
    }
    let long = "a".repeat(2_000);
    let answer = owner.get(&format!("/api/v1/processes/{pid}/memory?query={long}")).await;
    answer.is_problem(400, "api.bad_request");
    for path in ["memory?query=a", "pages/1", "why"] {
        let answer = acme.get(&format!("/api/v1/processes/{pid}/{path}")).await;
        answer.is_problem(404, "kernel.no_such_process");
    }
    assert_ne!(owner.get(&format!("/api/v1/processes/{pid}/why")).await.body, Value::Null);
}
