//! Ways out of the workspace. Each is first shown to work for an unconfined reader.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aosk_tools::Workspace;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use crate::bench::{Bench, read};

/// A workspace with a secret beside it, and links in it that lead there.
fn surrounded() -> Bench {
    let bench = Bench::new();
    std::fs::write(bench.outside("secret"), "secret").expect("writes");
    std::fs::create_dir(bench.outside("ws-evil")).expect("makes");
    std::fs::write(bench.outside("ws-evil/secret"), "secret").expect("writes");
    bench.put("dir/inner", "inner");
    symlink("../secret", bench.path("leaf")).expect("links");
    symlink(bench.outside("secret"), bench.path("absolute_leaf")).expect("links");
    symlink("..", bench.path("up")).expect("links");
    symlink("../secret", bench.path("link0")).expect("links");
    for n in 1..40 {
        symlink(format!("link{}", n - 1), bench.path(&format!("link{n}"))).expect("links");
    }
    bench
}

fn ways_out(bench: &Bench) -> Vec<String> {
    let ways = [
        "../secret",
        "dir/../../secret",
        "../ws-evil/secret",
        "leaf",
        "absolute_leaf",
        "up/secret",
        "dir/../up/ws-evil/secret",
        "link39",
    ];
    let absolute =
        ["secret", "ws-evil/secret"].map(|name| bench.outside(name).display().to_string());
    ways.into_iter().map(String::from).chain(absolute).collect()
}

#[tokio::test]
async fn no_path_leads_out() {
    let bench = surrounded();
    for path in ways_out(&bench) {
        // The control: the path leads to the secret. (The kernel itself gives up on 40 links.)
        let open = std::fs::read_to_string(bench.workspace.root().join(&path));
        assert!(path == "link39" || open.is_ok_and(|text| text == "secret"), "{path}");
        let arguments = [
            ("read_file", json!({"path": path})),
            ("write_file", json!({"path": path, "content": "owned"})),
            ("append_file", json!({"path": path, "content": "owned"})),
            ("list_files", json!({"path": path})),
            ("search_files", json!({"pattern": "secret", "path": path})),
        ];
        for (tool, arguments) in arguments {
            let text = bench.err(tool, arguments).await;
            assert!(text.starts_with("tool.path_escape: "), "{tool} {path}: {text}");
            assert!(!text.contains("owned"));
        }
    }
    assert_eq!(read(bench.outside("secret")), "secret");
    assert_eq!(read(bench.outside("ws-evil/secret")), "secret");
    // The other control: what is inside stays reachable, also by a detour.
    assert_eq!(bench.ok("read_file", json!({"path": "dir/../dir/inner"})).await, "inner\n");
}

#[tokio::test]
async fn nothing_new_is_made_outside() {
    let bench = surrounded();
    symlink("../new_by_link", bench.path("dangling")).expect("links");
    let new = bench.outside("new").display().to_string();
    for path in
        ["../new", "up/new", "../deep/new", "up/deep/new", "dangling", "dir/../../new", &new]
    {
        for tool in ["write_file", "append_file"] {
            let text = bench.err(tool, json!({"path": path, "content": "x"})).await;
            assert!(text.starts_with("tool.path_escape: "), "{tool} {path}: {text}");
        }
    }
    for name in ["new", "deep", "new_by_link"] {
        assert!(!bench.outside(name).exists(), "{name}");
    }
    // The control: the same path through the link does make a file for an unconfined writer.
    std::fs::write(bench.path("up/new"), "x").expect("writes through the link");
    assert!(bench.outside("new").exists());
}

#[tokio::test]
async fn listing_a_link_to_the_outside_is_refused() {
    let bench = surrounded();
    for (tool, arguments) in [
        ("list_files", json!({"path": "up", "recursive": true})),
        ("search_files", json!({"path": "up", "pattern": "secret"})),
    ] {
        let text = bench.err(tool, arguments).await;
        assert!(text.starts_with("tool.path_escape: "), "{text}");
    }
    let found = bench.ok("search_files", json!({"pattern": "^secret$"})).await;
    assert_eq!(found, "[no match]\n");
}

/// Links in /proc lead to objects, not to paths, so no check of text or of link targets sees them.
#[tokio::test]
async fn magic_links_are_not_followed() {
    let mut bench = Bench::new();
    bench.workspace = Arc::new(Workspace::open("/proc/self").expect("proc is mounted"));
    assert!(read("/proc/self/root/etc/passwd").contains("root:"));
    for path in ["root/etc/passwd", "cwd/Cargo.toml", "exe", "fd/0"] {
        let text = bench.err("read_file", json!({"path": path})).await;
        assert!(text.starts_with("tool.path_escape: "), "{path}: {text}");
    }
}

/// A directory and a link to the outside change places again and again while tools use the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_between_directory_and_link_is_never_won() {
    let bench = surrounded();
    std::fs::create_dir(bench.outside("target")).expect("makes");
    std::fs::write(bench.outside("target/file"), "outside").expect("writes");
    bench.put("place/file", "inside");
    symlink("../target", bench.path("trap")).expect("links");
    let (place, trap) = (bench.path("place"), bench.path("trap"));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let flipper = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            renameat_with(CWD, &place, CWD, &trap, RenameFlags::EXCHANGE).expect("exchanges");
        }
    });
    let (mut inside, mut refused) = (0, 0);
    for round in 0..100_000 {
        let text = bench.call("read_file", json!({"path": "place/file"})).await.text;
        assert!(!text.starts_with("outside"), "read outside");
        inside += u32::from(text.starts_with("inside"));
        refused += u32::from(text.starts_with("tool.path_escape: "));
        let append = json!({"path": "place/file", "content": "\nmore"});
        bench.call("append_file", append).await;
        if round % 20 == 0 {
            bench.call("write_file", json!({"path": "place/file", "content": "inside"})).await;
        }
        // The control: both states were met, so the race was on.
        if round > 1000 && inside > 0 && refused > 0 {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    flipper.join().expect("the places were changed to the end");
    assert!(inside > 0 && refused > 0, "inside {inside}, refused {refused}");
    assert_eq!(read(bench.outside("target/file")), "outside");
    assert_eq!(std::fs::read_dir(bench.outside("target")).expect("lists").count(), 1);
}
