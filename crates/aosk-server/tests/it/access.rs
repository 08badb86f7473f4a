//! Who may ask what.

use std::os::unix::fs::PermissionsExt;

use aosk_runtime::abi::Timestamp;
use aosk_server::access::Role;
use serde_json::{Value, json};

use crate::scene::Scene;

/// Requests that change something, the role that each needs, and one role below.
const CHANGES: [(&str, &str, &str, Role); 8] = [
    ("post", "/api/v1/processes", r#"{"task":"say hello"}"#, Role::Operator),
    ("post", "/api/v1/processes/{pid}/signal", r#"{"signal":"TERM"}"#, Role::Operator),
    ("post", "/api/v1/processes/{pid}/messages", r#"{"text":"hello"}"#, Role::Operator),
    ("put", "/api/v1/processes/{pid}/priority", r#"{"priority":1}"#, Role::Operator),
    ("post", "/api/v1/approvals/{id}", r#"{"verdict":"deny"}"#, Role::Operator),
    ("put", "/api/v1/budgets/{budget}/limits", "{}", Role::Admin),
    ("put", "/api/v1/policies/scheduler", r#"{"policy":"fifo"}"#, Role::Admin),
    ("post", "/api/v1/config/reload", "{}", Role::Admin),
];

#[tokio::test]
async fn the_socket_belongs_to_its_owner_and_needs_no_token() {
    let scene = Scene::new().await;
    let socket = &scene.server.listening().socket;
    let mode = std::fs::metadata(socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(scene.client().await.get("/api/v1/health").await.status, 200);
}

#[tokio::test]
async fn over_tcp_nothing_is_answered_without_a_token() {
    let scene = Scene::new().await;
    let document = aosk_server::api::openapi();
    let document = serde_json::to_value(&document).unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let answer = scene.over_tcp(None).await.raw((&method, path), &[], "").await;
            answer.is_problem(401, "api.unauthorized");
            // The place is for others.
            assert_eq!(answer.header("connection"), "close");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
    scene.over_tcp(None).await.get("/nowhere").await.is_problem(401, "api.unauthorized");
}

#[tokio::test]
async fn a_token_that_is_wrong_counts_also_on_the_socket() {
    let scene = Scene::new().await;
    for says in ["Bearer aosk_0", "Bearer ", "Basic YTpi", "Bearer"] {
        let mut client = scene.client().await.says(says);
        client.get("/api/v1/health").await.is_problem(401, "api.unauthorized");
    }
    let token = scene.access().create(("n", Timestamp(1)), Role::Viewer, None).unwrap().text;
    let mut client = scene.over_tcp(None).await;
    let key = [("x-api-key", token.as_str())];
    assert_eq!(client.raw(("GET", "/api/v1/health"), &key, "").await.status, 200);
    client
        .raw(("GET", "/api/v1/health"), &[("x-api-key", "aosk_1")], "")
        .await
        .is_problem(401, "api.unauthorized");
}

#[tokio::test]
async fn tokens_are_kept_as_hashes_and_a_change_counts_at_once() {
    let scene = Scene::new().await;
    let access = scene.access();
    let made = access.create(("one", Timestamp(7)), Role::Viewer, Some("acme")).unwrap();
    assert_eq!(format!("{made:?}").matches(&made.text).count(), 0, "it does not print");
    let file = scene.dir.path().join("tokens.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = made.text.strip_prefix("aosk_").unwrap();
    assert_eq!(secret.len(), 64, "256 bits");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(secret));

    let mut client = scene.over_tcp(Some(&made.text)).await;
    assert_eq!(client.get("/api/v1/health").await.status, 200);
    assert_eq!(access.list().unwrap(), [made.kept]);
    access.revoke("one").unwrap();
    client.get("/api/v1/health").await.is_problem(401, "api.unauthorized");
    assert!(access.revoke("one").is_err());
    // One of the same name is another.
    let again = access.create(("one", Timestamp(8)), Role::Viewer, None).unwrap();
    assert_ne!(again.text, made.text);
    let mut client = scene.over_tcp(Some(&made.text)).await;
    client.get("/api/v1/health").await.is_problem(401, "api.unauthorized");
    assert!(access.create(("one", Timestamp(9)), Role::Viewer, None).is_err(), "the name is taken");
    for bad in ["", "..", ".a", "a/b", "a b", &"a".repeat(65)] {
        assert!(access.create((bad, Timestamp(9)), Role::Viewer, None).is_err(), "{bad:?}");
        assert!(access.create(("two", Timestamp(9)), Role::Viewer, Some(bad)).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn every_change_needs_its_role() {
    let scene = Scene::new().await;
    let pid = scene.spawn("hold").await;
    let mut viewer = scene.with(Role::Viewer, None).await;
    let mut operator = scene.with(Role::Operator, None).await;
    let document = serde_json::to_value(aosk_server::api::openapi()).unwrap();
    let mut known = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "get") {
            let change = CHANGES.iter().find(|change| (change.0, change.1) == (method, path));
            let (_, _, body, role) = change.unwrap_or_else(|| panic!("{method} {path} is new"));
            known += 1;
            let path = path.replace("{pid}", &pid.to_string()).replace("{budget}", "2");
            let path = path.replace("{id}", &format!("p{pid}.c1"));
            let body: Value = serde_json::from_str(body).unwrap();
            let below = if *role == Role::Admin { &mut operator } else { &mut viewer };
            // Nobody learns what is wrong with what they may not ask.
            let nonsense = ("content-type", "application/json");
            let answer = below.raw((&method.to_uppercase(), &path), &[nonsense], "{").await;
            answer.is_problem(403, "kernel.forbidden");
            let answer = if method == "post" {
                below.post(&path, &body).await
            } else {
                below.put(&path, &body).await
            };
            answer.is_problem(403, "kernel.forbidden");
        }
    }
    assert_eq!(known, CHANGES.len());
    assert_eq!(viewer.get("/api/v1/processes").await.body["processes"][0]["state"], "running");
    assert_eq!(viewer.get("/api/v1/policies").await.body["scheduler"]["current"], "fair");
}

#[tokio::test]
async fn commands_and_other_folders_are_for_the_admin() {
    let scene = Scene::new().await;
    let mut operator = scene.with(Role::Operator, None).await;
    for more in [
        json!({ "task": "say a", "permission": "advanced" }),
        json!({ "task": "say a", "permission": "full" }),
        json!({ "task": "say a", "workspace": "/" }),
    ] {
        operator.post("/api/v1/processes", &more).await.is_problem(403, "kernel.forbidden");
    }
    let mut tenant = scene.with(Role::Admin, Some("acme")).await;
    let wanted = json!({ "task": "say a", "permission": "advanced" });
    tenant.post("/api/v1/processes", &wanted).await.is_problem(403, "kernel.forbidden");
    let mut admin = scene.with(Role::Admin, None).await;
    assert_eq!(admin.post("/api/v1/processes", &wanted).await.status, 201);
}

#[tokio::test]
async fn what_is_wrong_with_the_tokens_is_told_to_nobody() {
    let scene = Scene::new().await;
    let access = scene.access();
    let token = access.create(("n", Timestamp(1)), Role::Viewer, None).unwrap().text;
    let file = scene.dir.path().join("tokens.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let tenant = good.replace("\"role\"", "\"tenant\": \"../x\", \"role\"");
    let own = good.replace("\"role\"", "\"tenant\": \"default\", \"role\"");
    let name = good.replace("\"n\"", "\"n\\n\"");
    for bad in ["{\"secret", &tenant, &own, &name, &"x".repeat(2 << 20)] {
        assert_ne!(bad, good);
        std::fs::write(&file, bad).unwrap();
        let answer = scene.over_tcp(Some(&token)).await.get("/api/v1/health").await;
        answer.is_problem(500, "io.failed");
        let told = answer.body.to_string();
        assert!(!told.contains("tokens.json") && !told.contains("line"), "{told}");
        assert!(access.list().is_err() || bad.len() > 10);
    }
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, 0o600.into()).unwrap();
    let answer = scene.over_tcp(Some(&token)).await.get("/api/v1/health").await;
    answer.is_problem(500, "io.failed");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, good).unwrap();
    assert_eq!(scene.over_tcp(Some(&token)).await.get("/api/v1/health").await.status, 200);
}

#[tokio::test]
async fn a_link_in_the_way_of_the_tokens_is_not_followed() {
    let scene = Scene::new().await;
    let other = tempfile::TempDir::new().unwrap();
    let precious = other.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    let at = |name: &str| scene.dir.path().join(name);
    std::os::unix::fs::symlink(&precious, at("tokens.json.new")).unwrap();
    scene.access().create(("n", Timestamp(1)), Role::Viewer, None).unwrap();
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    assert!(std::fs::symlink_metadata(at("tokens.json")).unwrap().is_file());
    std::fs::remove_file(at("tokens.lock")).unwrap();
    std::os::unix::fs::symlink(other.path().join("made"), at("tokens.lock")).unwrap();
    assert!(scene.access().revoke("n").is_err());
    assert!(!other.path().join("made").exists());
}
