//! The file tools, inside their workspace.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::bench::{Bench, read};

#[tokio::test]
async fn files_are_read_in_pages() {
    let bench = Bench::new();
    bench.put("a.txt", "one\r\ntwo\nthree");
    assert_eq!(bench.ok("read_file", json!({"path": "a.txt"})).await, "one\ntwo\nthree\n");
    assert_eq!(
        bench.ok("read_file", json!({"path": "./a.txt", "offset": 2, "limit": 1})).await,
        "two\n[more lines follow; go on with offset 3]"
    );
    let numbered = json!({"path": "a.txt", "offset": 2, "line_numbers": true});
    assert_eq!(bench.ok("read_file", numbered).await, "2\ttwo\n3\tthree\n");
    // An absolute path is fine as long as it is inside.
    let absolute = bench.path("a.txt").display().to_string();
    assert!(bench.ok("read_file", json!({"path": absolute})).await.starts_with("one"));

    let lines: String = (1..=5000).map(|n| format!("line {n}\n")).collect();
    bench.put("long.txt", &lines);
    let mut offset = 1;
    let mut whole = String::new();
    loop {
        let text = bench.ok("read_file", json!({"path": "long.txt", "offset": offset})).await;
        assert!(text.len() <= 16 * 1024);
        let Some((page, next)) = text.split_once("[more lines follow; go on with offset ") else {
            whole.push_str(&text);
            break;
        };
        whole.push_str(page);
        offset = next.trim_end_matches(']').parse().expect("a number");
    }
    assert_eq!(whole, lines);
}

#[tokio::test]
async fn odd_files_are_read_or_refused() {
    let bench = Bench::new();
    bench.put("empty", "");
    assert_eq!(bench.ok("read_file", json!({"path": "empty"})).await, "[the file is empty]");
    bench.put("latin1", b"caf\xe9 \x1b[31mred\n");
    assert_eq!(bench.ok("read_file", json!({"path": "latin1"})).await, "caf\u{fffd} red\n");
    bench.put("one_line", "€".repeat(100_000));
    let text = bench.ok("read_file", json!({"path": "one_line"})).await;
    assert!(text.ends_with("€ [… 298,000 bytes cut …]\n"), "{}", text.len());
    assert!(!text.contains('\u{fffd}'));

    bench.put("binary", b"\x7fELF\0\0\0");
    let text = bench.err("read_file", json!({"path": "binary"})).await;
    assert_eq!(text, "tool.failed: cannot read \"binary\": it is a binary file of 7 bytes");
    let text = bench.err("read_file", json!({"path": "missing"})).await;
    assert_eq!(text, "tool.failed: cannot read \"missing\": no such file or directory");
    let text = bench.err("read_file", json!({"path": "."})).await;
    assert_eq!(text, "tool.failed: cannot read \".\": it is a directory");
    bench.put("short", "a\n");
    let text = bench.err("read_file", json!({"path": "short", "offset": 9})).await;
    assert_eq!(text, "tool.failed: \"short\" has only 1 lines");
    for path in ["", "a\0b"] {
        let text = bench.err("read_file", json!({"path": path})).await;
        assert!(text.starts_with("tool.arguments: "), "{text}");
    }
    let text = bench.err("read_file", json!({"path": "x".repeat(5000)})).await;
    assert!(text.starts_with("tool.arguments: argument `path`"), "{text}");
}

#[tokio::test]
async fn a_named_pipe_does_not_hang_the_reader() {
    let bench = Bench::new();
    bench.ok("run_command", json!({"command": "mkfifo pipe"})).await;
    let text = bench.err("read_file", json!({"path": "pipe"})).await;
    assert_eq!(text, "tool.failed: cannot read \"pipe\": it is not an ordinary file");
    let text = bench.err("write_file", json!({"path": "pipe", "content": "x"})).await;
    assert_eq!(text, "tool.failed: cannot write \"pipe\": it is not an ordinary file");
    let text = bench.err("append_file", json!({"path": "pipe", "content": "x"})).await;
    assert!(text.starts_with("tool.failed: cannot write \"pipe\""), "{text}");
}

#[tokio::test]
async fn files_are_written_in_one_step() {
    let bench = Bench::new();
    let arguments = json!({"path": "new/deep/a.txt", "content": "hello\n"});
    let text = bench.ok("write_file", arguments.clone()).await;
    assert_eq!(text, "created new/deep/a.txt: 6 bytes");
    assert_eq!(read(bench.path("new/deep/a.txt")), "hello\n");

    // A hard link to the old file keeps the old content, and so does whoever has it open.
    std::fs::hard_link(bench.path("new/deep/a.txt"), bench.outside("link")).expect("links");
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(bench.path("new/deep/a.txt"), mode).expect("chmod");
    let text = bench.ok("write_file", json!({"path": "new/deep/a.txt", "content": "x"})).await;
    assert_eq!(text, "replaced new/deep/a.txt: 1 bytes");
    assert_eq!(read(bench.path("new/deep/a.txt")), "x");
    assert_eq!(read(bench.outside("link")), "hello\n");
    let metadata = bench.path("new/deep/a.txt").metadata().expect("is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o750);
    // Nothing temporary stays behind.
    assert_eq!(std::fs::read_dir(bench.path("new/deep")).expect("lists").count(), 1);

    let text = bench.err("write_file", json!({"path": "new", "content": "x"})).await;
    assert_eq!(text, "tool.failed: cannot write \"new\": it is not an ordinary file");
    let text = bench.err("write_file", json!({"path": ".", "content": "x"})).await;
    assert_eq!(text, "tool.failed: cannot write \".\": it is a directory");
    let text = bench.err("write_file", json!({"path": "new/deep/a.txt/b", "content": "x"})).await;
    assert!(text.starts_with("tool.failed: cannot "), "{text}");
}

#[tokio::test]
async fn a_link_inside_is_written_through() {
    let bench = Bench::new();
    bench.put("real.txt", "old");
    std::os::unix::fs::symlink("real.txt", bench.path("link.txt")).expect("links");
    bench.ok("write_file", json!({"path": "link.txt", "content": "new"})).await;
    assert_eq!(read(bench.path("real.txt")), "new");
    assert!(bench.path("link.txt").is_symlink());
    bench.put("dir/a", "");
    std::os::unix::fs::symlink("dir", bench.path("link_dir")).expect("links");
    bench.ok("write_file", json!({"path": "link_dir/b", "content": "b"})).await;
    bench.ok("append_file", json!({"path": "link_dir/b", "content": "c"})).await;
    assert_eq!(read(bench.path("dir/b")), "bc");
}

#[tokio::test]
async fn files_are_appended_to() {
    let bench = Bench::new();
    let text = bench.ok("append_file", json!({"path": "log/a", "content": "1\n"})).await;
    assert_eq!(text, "appended to log/a: 2 bytes");
    bench.ok("append_file", json!({"path": "log/a", "content": "2\n"})).await;
    assert_eq!(read(bench.path("log/a")), "1\n2\n");
    let text = bench.err("append_file", json!({"path": "log", "content": "x"})).await;
    assert!(text.starts_with("tool.failed: cannot write \"log\""), "{text}");
}

#[tokio::test]
async fn directories_are_listed_in_order() {
    let bench = Bench::new();
    assert_eq!(bench.ok("list_files", json!({})).await, "[no files]");
    bench.put("b.rs", "12");
    bench.put("src/main.rs", "123");
    bench.put("src/deep/x.toml", "");
    bench.put(".git/config", "");
    bench.put("evil\nname", "");
    std::os::unix::fs::symlink("/etc", bench.path("etc")).expect("links");
    assert_eq!(
        bench.ok("list_files", json!({})).await,
        ".git/\nb.rs\t2\netc@\nevil␊name\t0\nsrc/\n"
    );
    // Neither .git nor the link is entered.
    assert_eq!(
        bench.ok("list_files", json!({"recursive": true})).await,
        ".git/\nb.rs\t2\netc@\nevil␊name\t0\nsrc/\nsrc/deep/\nsrc/deep/x.toml\t0\nsrc/main.rs\t3\n"
    );
    let globbed = json!({"recursive": true, "glob": "*.{rs,toml}"});
    assert_eq!(
        bench.ok("list_files", globbed).await,
        "b.rs\t2\nsrc/deep/x.toml\t0\nsrc/main.rs\t3\n"
    );
    assert_eq!(bench.ok("list_files", json!({"path": "src/deep"})).await, "src/deep/x.toml\t0\n");
    let text = bench.err("list_files", json!({"path": "b.rs"})).await;
    assert!(text.starts_with("tool.failed: cannot list \"b.rs\""), "{text}");
    let text = bench.err("list_files", json!({"glob": "["})).await;
    assert!(text.starts_with("tool.arguments: argument `glob`"), "{text}");
}

#[tokio::test]
async fn a_long_listing_ends_with_a_hint() {
    let bench = Bench::new();
    for n in 0..1001 {
        bench.put(&format!("{n:04}"), "");
    }
    let text = bench.ok("list_files", json!({})).await;
    assert!(text.starts_with("0000\t0\n"));
    let hint = "[more than these 1000 entries; narrow the listing down with path or glob]";
    assert!(text.ends_with(&format!("0999\t0\n{hint}")), "{text}");
}

#[tokio::test]
async fn files_are_searched() {
    let bench = Bench::new();
    bench.put("a.rs", "fn main() {}\nlet x = 1;\n// FN\n");
    bench.put("src/b.rs", "pub fn other() {}\n");
    bench.put("src/c.txt", "fn in text\n");
    bench.put("binary", b"fn \0");
    bench.put("huge", vec![b'x'; 5 << 20]);
    std::os::unix::fs::symlink("/etc/passwd", bench.path("passwd")).expect("links");
    let skipped = "[2 binary, large or unreadable files were skipped]\n";
    assert_eq!(
        bench.ok("search_files", json!({"pattern": r"\bfn \w+"})).await,
        format!(
            "a.rs:1: fn main() {{}}\nsrc/b.rs:1: pub fn other() {{}}\nsrc/c.txt:1: fn in text\n{skipped}"
        )
    );
    let arguments = json!({"pattern": "^// fn", "ignore_case": true, "glob": "*.rs"});
    assert_eq!(bench.ok("search_files", arguments).await, "a.rs:3: // FN\n");
    let arguments = json!({"pattern": "fn", "path": "src/c.txt"});
    assert_eq!(bench.ok("search_files", arguments).await, "src/c.txt:1: fn in text\n");
    let arguments = json!({"pattern": "nothing", "path": "src"});
    assert_eq!(bench.ok("search_files", arguments).await, "[no match]\n");
    let arguments = json!({"pattern": "fn", "path": "src", "max_matches": 1});
    assert_eq!(
        bench.ok("search_files", arguments).await,
        "src/b.rs:1: pub fn other() {}\n[more matches follow; make the search narrower]\n"
    );
    // A link to the outside is not searched, although what it leads to would match.
    let text = bench.ok("search_files", json!({"pattern": "root:", "glob": "passwd"})).await;
    assert_eq!(text, "[no match]\n");
    assert!(read("/etc/passwd").contains("root:"));
    let text = bench.err("search_files", json!({"pattern": "("})).await;
    assert!(text.starts_with("tool.arguments: argument `pattern`"), "{text}");
    let text = bench.err("search_files", json!({"pattern": r"(\w{500}){500}"})).await;
    assert!(text.starts_with("tool.arguments: argument `pattern`"), "{text}");
    let text = bench.err("search_files", json!({"pattern": "x", "path": "none"})).await;
    assert!(text.starts_with("tool.failed: cannot search \"none\""), "{text}");
}
