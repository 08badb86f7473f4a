//! Every answer says which request it is of.

use crate::scene::Scene;

#[tokio::test]
async fn an_answer_carries_the_id_that_the_client_gave() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let given = [("x-request-id", "order-17:a.B_c")];
    let answer = client.raw(("GET", "/api/v1/health"), &given, "").await;
    assert_eq!(answer.header("x-request-id"), given[0].1);
    for (path, status) in [("/nowhere", 404), ("/api/v1/processes/99", 404)] {
        let answer = client.raw(("GET", path), &given, "").await;
        assert_eq!((answer.status, answer.header("x-request-id")), (status, given[0].1));
        assert_eq!(answer.body["request_id"], given[0].1, "{answer:?}");
    }
    let refused = scene.over_tcp(None).await.raw(("GET", "/metrics"), &given, "").await;
    assert_eq!((refused.status, &refused.body["request_id"]), (401, &given[0].1.into()));
}

#[tokio::test]
async fn without_one_or_with_one_that_is_none_it_is_made() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let mut seen = std::collections::BTreeSet::new();
    let long = "a".repeat(129);
    for given in ["", "a b", "{\"a\":1}", &long] {
        let headers = [("x-request-id", given)];
        let answer = client.raw(("GET", "/nowhere"), &headers, "").await;
        let id = answer.header("x-request-id").to_owned();
        assert_ne!(id, given);
        assert_eq!(answer.body["request_id"], id);
        assert!(!id.is_empty() && seen.insert(id), "{answer:?}");
    }
    let answer = client.get("/api/v1/health").await;
    assert!(seen.insert(answer.header("x-request-id").to_owned()));
    let stream = client.send(("GET", "/api/v1/journal/follow"), &[], "").await;
    assert!(seen.insert(stream.headers()["x-request-id"].to_str().unwrap().to_owned()));
}
