//! The files that tools of a process touched, and what stands in its workspace.

use std::os::unix::fs::symlink;

use aosk_server::access::Role;
use aosk_server::limits::FILE_PART_BYTES_MAX;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::scene::{Scene, pid};

/// An agent that has made these calls in this directory, and its path in the interface.
async fn worked(client: &mut Client, dir: Option<&TempDir>, calls: &[(&str, Value)]) -> String {
    let calls: Vec<_> = calls.iter().map(|(tool, given)| format!("{tool} {given}")).collect();
    let mut wanted = json!({ "task": format!("use\n{}", calls.join("\n")) });
    if let Some(dir) = dir {
        wanted["workspace"] = json!(dir.path());
    }
    let pid = pid(&client.post("/api/v1/processes", &wanted).await);
    let at = format!("/api/v1/processes/{pid}");
    let ended = client.get(&format!("{at}/wait")).await.body;
    assert_eq!(ended["result"], "done", "{ended}");
    at
}

#[tokio::test]
async fn files_that_tools_touched_are_listed_with_what_was_done() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("given"), "here\n").unwrap();
    let absolute = dir.path().canonicalize().unwrap().join("a/new.txt");
    let at = worked(
        &mut client,
        Some(&dir),
        &[
            ("write_file", json!({ "path": "a/new.txt", "content": "one" })),
            ("append_file", json!({ "path": "./a/new.txt", "content": " two" })),
            ("read_file", json!({ "path": absolute })),
            ("read_file", json!({ "path": "given" })),
            ("read_file", json!({ "path": "given", "limit": 1 })),
            ("read_file", json!({ "path": "absent" })),
            ("read_file", json!({ "path": "../outside" })),
            ("list_files", json!({})),
        ],
    )
    .await;
    let found = client.get(&format!("{at}/files")).await;
    assert_eq!((found.status, &found.body["complete"]), (200, &json!(true)), "{found:?}");
    let files = found.body["files"].as_array().unwrap();
    let told: Vec<_> = files
        .iter()
        .map(|file| {
            (file["path"].as_str().unwrap(), file["reads"].as_u64(), file["writes"].as_u64())
        })
        .collect();
    // Neither what failed nor what lists.
    assert_eq!(told, [("a/new.txt", Some(1), Some(2)), ("given", Some(2), Some(0))]);
    assert!(files[0]["written_ms"].as_u64() <= files[0]["read_ms"].as_u64(), "{found:?}");
    assert!(files[0]["written_ms"].as_u64().unwrap() > 0);
    assert_eq!(files[1]["written_ms"], Value::Null);
    let part = client.get(&format!("{at}/file?path=a/new.txt")).await.body;
    let expected = json!({
        "path": "a/new.txt", "size": 7, "from": 0, "next": null, "encoding": "utf-8",
        "content": "one two",
    });
    assert_eq!(part, expected);
}

#[tokio::test]
async fn a_file_comes_in_parts_and_bytes_that_are_no_text_in_base64() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let dir = TempDir::new().unwrap();
    let at = worked(&mut client, Some(&dir), &[]).await;
    let text = "é".repeat(FILE_PART_BYTES_MAX);
    std::fs::write(dir.path().join("long"), format!("x{text}")).unwrap();
    let (mut read, mut from, mut parts) = (String::new(), Some(0), 0);
    while let Some(first) = from {
        let part = client.get(&format!("{at}/file?path=long&from={first}")).await.body;
        assert_eq!((&part["encoding"], &part["size"]), (&json!("utf-8"), &json!(text.len() + 1)));
        read.push_str(part["content"].as_str().unwrap());
        (from, parts) = (part["next"].as_u64(), parts + 1);
    }
    assert!(read == format!("x{text}"), "the parts are the whole");
    assert_eq!(parts, 3);
    std::fs::write(dir.path().join("bytes"), [0xff, 0, 1, 2]).unwrap();
    let part = client.get(&format!("{at}/file?path=bytes&limit=100")).await.body;
    assert_eq!((&part["encoding"], &part["content"]), (&json!("base64"), &json!("/wABAg==")));
    let beyond = client.get(&format!("{at}/file?path=bytes&from=9000000000")).await.body;
    assert_eq!((&beyond["content"], &beyond["next"]), (&json!(""), &Value::Null));
}

#[tokio::test]
async fn no_path_leads_out_of_the_workspace_or_through_a_link() {
    let scene = Scene::new().await;
    let mut client = scene.client().await;
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    std::fs::write(other.path().join("secret"), "secret").unwrap();
    std::fs::create_dir(dir.path().join("inner")).unwrap();
    std::fs::write(dir.path().join("inner/plain"), "plain").unwrap();
    symlink(other.path().join("secret"), dir.path().join("out")).unwrap();
    symlink(other.path(), dir.path().join("outer")).unwrap();
    symlink("inner/plain", dir.path().join("alias")).unwrap();
    symlink("inner", dir.path().join("inside")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), 0o600.into()).unwrap();
    let at = worked(&mut client, Some(&dir), &[]).await;
    let secret = other.path().join("secret");
    for path in [
        "../secret",
        "inner/../../x",
        "inner/../inner/plain",
        "out",
        "outer/secret",
        "alias",
        "inside/plain",
        secret.to_str().unwrap(),
        "/etc/passwd",
        "%2e%2e/secret",
    ] {
        let answer = client.get(&format!("{at}/file?path={path}")).await;
        answer.is_problem(400, "tool.path_escape");
        assert!(!answer.body.to_string().contains("secret\n"));
    }
    for path in ["inner", "pipe", "", "a%00b", "."] {
        let answer = client.get(&format!("{at}/file?path={path}")).await;
        answer.is_problem(400, "api.bad_request");
    }
    for path in ["absent", "inner/plain/x", "no/such"] {
        client.get(&format!("{at}/file?path={path}")).await.is_problem(404, "api.not_found");
    }
    client.get(&format!("{at}/file")).await.is_problem(400, "api.bad_request");
    assert_eq!(client.get(&format!("{at}/file?path=inner/plain")).await.body["content"], "plain");
}

#[tokio::test]
async fn who_reads_files_needs_a_role_and_an_agent_that_could() {
    let scene = Scene::new().await;
    let mut acme = scene.with(Role::Operator, Some("acme")).await;
    let mut viewer = scene.with(Role::Viewer, Some("acme")).await;
    let mut other = scene.with(Role::Admin, Some("zeta")).await;
    let write = ("write_file", json!({ "path": "mine", "content": "of acme" }));
    let at = worked(&mut acme, None, &[write]).await;
    let file = format!("{at}/file?path=mine");
    assert_eq!(acme.get(&file).await.body["content"], "of acme");
    viewer.get(&file).await.is_problem(403, "kernel.forbidden");
    assert_eq!(viewer.get(&format!("{at}/files")).await.body["files"][0]["path"], "mine");
    other.get(&file).await.is_problem(404, "kernel.no_such_process");
    other.get(&format!("{at}/files")).await.is_problem(404, "kernel.no_such_process");
    // One that may not read files tells nobody of them; the owner needs nobody to.
    let wanted = json!({ "task": "say x", "tools": ["calculator"] });
    let blind = pid(&acme.post("/api/v1/processes", &wanted).await);
    let file = format!("/api/v1/processes/{blind}/file?path=mine");
    acme.get(&file).await.is_problem(403, "kernel.forbidden");
    assert_eq!(scene.client().await.get(&file).await.body["content"], "of acme");
}
