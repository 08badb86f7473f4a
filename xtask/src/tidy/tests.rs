//! Tests of the rules: for each, text that must pass and text that must not.

use super::*;
use crate::metadata::Package;

/// What a rule says of a file: `line: what`, warnings marked with `?`.
fn found(rule: SourceRule, path: &str, text: &str) -> Vec<String> {
    lines(rule(&Source::new(path, text)))
}

fn lines(findings: Vec<Finding>) -> Vec<String> {
    let mark = |finding: &Finding| if finding.warning { "?" } else { "" };
    findings.into_iter().map(|f| format!("{}{}: {}", f.line, mark(&f), f.what)).collect()
}

/// Asserts that each of the texts has a finding whose text contains the word beside it.
fn refuses(rule: SourceRule, path: &str, cases: &[(&str, &str)]) {
    for (text, word) in cases {
        let findings = found(rule, path, text);
        assert!(findings.iter().any(|f| f.contains(word)), "{text:?} gives {findings:?}");
    }
}

fn accepts(rule: SourceRule, path: &str, cases: &[&str]) {
    for text in cases {
        assert_eq!(found(rule, path, text), Vec::<String>::new(), "{text:?}");
    }
}

#[test]
fn strings_and_comments_are_not_code() {
    let text = r####"a "b // \" c" d // e "f
g /* h /* i */ j */ 'k' l '\'' m 'static n b"o" r#"p " q"# r#type br##"s"# t"## "u
v" w"####;
    let (code, comments) = lexer::split(text);
    let words: Vec<_> = lexer::tokens(&code).iter().map(|t| (t.line, t.text)).collect();
    let letters: String = words.iter().map(|(_, word)| *word).filter(|w| *w != "\"").collect();
    assert_eq!(letters, "adgl m'staticnbr#r#typebr##w".replace(' ', ""));
    assert_eq!(words.last(), Some(&(3, "w")));
    assert_eq!(comments.split_whitespace().collect::<String>(), "//e\"f/*h/*i*/j*/");
}

#[test]
fn unfinished_source_does_not_hang_or_panic() {
    for text in
        ["\"", "'", "r#\"", "/* /*", "b'", "'\\", "r", "// \u{e9}", "\u{e9}'\u{e9}'", "'\"'"]
    {
        let (code, comments) = lexer::split(text);
        assert_eq!(code.chars().count(), text.chars().count(), "{text:?}");
        assert_eq!(comments.chars().count(), text.chars().count(), "{text:?}");
    }
}

#[test]
fn tests_are_told_from_code() {
    let text =
        "//! x\nfn a() {}\n#[cfg(test)]\n#[expect(b)]\nmod tests {\n  fn c() {}\n}\nfn d() {}\n";
    let source = Source::new("src/x.rs", text);
    let names = |tests| {
        let tokens = source.tokens_of(tests);
        let places = lexer::find(&tokens, "fn");
        places.iter().map(|at| tokens[at + 1].text.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(false), ["a", "d"]);
    assert_eq!(names(true), ["c"]);
    assert_eq!(source.lines_outside_tests(), 3);
    for path in ["src/x/tests.rs", "crates/x/tests/it/main.rs", "src/tests/spawn.rs"] {
        assert_eq!(Source::new(path, text).lines_outside_tests(), 0, "{path}");
    }
    // A declaration of a module that lies in another file ends nothing here.
    let declared = Source::new("src/x.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n");
    assert_eq!(declared.lines_outside_tests(), 3);
}

#[test]
fn header() {
    accepts(header::check, "src/x.rs", &["//! What it is.\n"]);
    refuses(
        header::check,
        "src/x.rs",
        &[("", "begin"), ("// What\n", "begin"), ("\n//! x", "begin")],
    );
}

#[test]
fn length_of_files() {
    let lines = |count| "//\n".repeat(count);
    accepts(length::check, "src/x.rs", &[&lines(500)]);
    assert_eq!(
        found(length::check, "src/x.rs", &lines(501)),
        ["1?: the file has 501 lines, more than 500"]
    );
    assert_eq!(
        found(length::check, "src/x.rs", &lines(801)),
        ["1: the file has 801 lines, more than 800"]
    );
    let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(500), lines(900));
    accepts(length::check, "src/x.rs", &[&tests]);
    accepts(length::check, "src/tests.rs", &[&lines(900)]);
}

#[test]
fn length_of_functions() {
    let function =
        |lines: usize| format!("\nfn f(a: [u8; 4]) -> u8 {{\n{}}}\n", "\n".repeat(lines - 2));
    accepts(length::check, "src/x.rs", &[&function(70), "trait T { fn f(); }", "type F = fn();"]);
    assert_eq!(
        found(length::check, "src/x.rs", &function(71)),
        ["2?: function `f` has 71 lines, more than 70"]
    );
    assert_eq!(
        found(length::check, "src/x.rs", &function(121)),
        ["2: function `f` has 121 lines, more than 120"]
    );
    // A brace in a string is no brace.
    accepts(length::check, "src/x.rs", &[&format!("fn f() {{ \"{{\" }}{}", "\n".repeat(130))]);
}

#[test]
fn names() {
    accepts(
        names::check,
        "src/x.rs",
        &["struct Table;", "enum ServiceState {}", "fn a_helper() {}"],
    );
    let cases = [
        ("struct TaskManager;", "TaskManager"),
        ("pub(crate) enum StringUtils {}", "StringUtils"),
        ("trait EventHandler {}", "EventHandler"),
        ("type PathHelper = u8;", "PathHelper"),
        ("struct ModelService<T>(T);", "ModelService"),
    ];
    refuses(names::check, "src/x.rs", &cases);
}

#[test]
fn purity() {
    let core = "crates/aosk-kernel/src/x.rs";
    let pure = [
        "use std::collections::BTreeMap; // no HashMap",
        "use std::time::Duration;",
        "let x = pair.0.1; let y = 0..1; value.as_f64();",
        "#[cfg(test)]\nmod tests { use std::fs; }",
        "\"async f64 1.5\"",
    ];
    accepts(purity::check, core, &pure);
    let cases = [
        ("use std::collections::HashMap;", "HashMap"),
        ("let x: f64 = y;", "f64"),
        ("let x = 1.5;", "float literal"),
        ("use std::time::Instant;", "Instant"),
        ("use std::time;", "std::time"),
        ("use std::{fs, io};", "std::{"),
        ("std::fs::read(path)", "std::fs"),
        ("std :: thread :: spawn(f)", "std::thread"),
        ("std::net::TcpStream::connect(a)", "std::net"),
        ("println!(\"x\")", "println!"),
        ("async fn f() {}", "async"),
    ];
    refuses(purity::check, core, &cases);
    let everything = cases.map(|(text, _)| text).join("\n");
    accepts(purity::check, "crates/aosk-runtime/src/x.rs", &[&everything]);
    accepts(purity::check, "crates/aosk-kernel/src/tests.rs", &[&everything]);
}

#[test]
fn refused() {
    let good = [
        "#[expect(dead_code, reason = \"x\")]",
        "// allow(this) and ignore that",
        "\"todo!(FIXME)\"",
        "tokio::time::sleep(span).await",
        "fn ignore() {}",
    ];
    accepts(refused::check, "src/x.rs", &good);
    let cases = [
        ("#[ignore]", "ignore"),
        ("#[ignore = \"slow\"]", "ignore"),
        ("#[should_panic(expected = \"x\")]", "should_panic"),
        ("todo!()", "todo"),
        ("unimplemented!(\"x\")", "unimplemented"),
        ("#[allow(dead_code)]", "allow"),
        ("#![allow(dead_code)]", "allow"),
        ("// FIXME: later", "FIXME"),
        ("/* XXX */", "XXX"),
        ("#[cfg(test)]\nmod tests { fn f() { std::thread::sleep(s) } }", "sleep"),
    ];
    refuses(refused::check, "src/x.rs", &cases);
    refuses(refused::check, "tests/it.rs", &[("tokio::time::sleep(span).await", "time::sleep")]);
    let good = [
        "eprintln!(\"{line}\")",
        "println!(\"skipped: {n}\")",
        "// println!(\"SKIP x\")",
        "let line = format!(\"SKIP {feature}: {reason}\");\neprintln!(\"{line}\");",
    ];
    accepts(refused::check, "tests/it.rs", &good);
    let cases = [
        ("println!(\"SKIP no server here\")", "SKIP"),
        ("eprintln!(\"SKIP {file}\")", "SKIP"),
        ("eprint!(\n    \"SKIP {file}\"\n)", "SKIP"),
        ("println! { r#\"SKIP\"# }", "SKIP"),
    ];
    refuses(refused::check, "src/x/tests.rs", &cases);
    accepts(refused::check, "src/x.rs", &["println!(\"SKIP\")"]);
}

/// Metadata with our packages and what they depend on; `dev:` marks what only tests need.
fn metadata(packages: &[(&str, &[&str])]) -> Metadata {
    let mut metadata = Metadata::default();
    for (name, dependencies) in packages {
        let mut package = Package::default();
        for dependency in *dependencies {
            match dependency.strip_prefix("dev:") {
                Some(name) => package.other.insert(name.to_owned()),
                None => package.normal.insert((*dependency).to_owned()),
            };
        }
        metadata.ours.insert((*name).to_owned(), package);
    }
    metadata
}

#[test]
fn arrows() {
    let check = |packages: &[(&str, &[&str])]| lines(arrows::check(&metadata(packages)));
    let none: &[&str] = &[];
    assert_eq!(
        check(&[
            ("aosk-abi", &["serde"]),
            ("aosk-kernel", &["aosk-abi", "dev:aosk-store"]),
            ("aosk-store", &["aosk-abi", "rusqlite"]),
            ("aosk-bench", &["aosk-kernel", "aosk-store"]),
            ("xtask", &["clap"]),
        ]),
        none
    );
    let abi: (&str, &[&str]) = ("aosk-abi", &[]);
    let store: (&str, &[&str]) = ("aosk-store", &["aosk-abi"]);
    assert_eq!(
        check(&[abi, store, ("aosk-kernel", &["aosk-store"])]),
        ["1: aosk-kernel may not depend on aosk-store"]
    );
    assert_eq!(check(&[abi, ("xtask", &["aosk-abi"])]), ["1: xtask may not depend on aosk-abi"]);
    assert_eq!(check(&[("aosk-new", &[])]), ["1: aosk-new has no line in the table of arrows"]);
    assert_eq!(
        check(&[("aosk-abi", &["tokio"]), ("aosk-kernel", &["aosk-abi"])]),
        ["1: aosk-abi may not reach tokio", "1: aosk-kernel may not reach tokio"]
    );
    let circle = check(&[abi, ("aosk-store", &["dev:aosk-sim"]), ("aosk-sim", &["aosk-store"])]);
    assert_eq!(circle.len(), 2, "each member of the circle tells of it: {circle:?}");
    assert_eq!(circle[0], "1: a circle: aosk-sim -> aosk-store -> aosk-sim");
}

#[test]
fn licence_expressions() {
    let allowed = |name: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&name);
    let cases = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 / MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        ("GPL-3.0 AND ISC OR MIT", true),
        ("GPL-3.0 AND (ISC OR MIT)", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(spdx::satisfied(expression, &allowed), Ok(expected), "{expression}");
    }
    for wrong in ["", "MIT OR", "(MIT", "MIT)", "AND MIT", "MIT ISC", "MIT WITH"] {
        assert!(spdx::satisfied(wrong, &allowed).is_err(), "{wrong:?}");
    }
}

#[test]
fn licences() {
    let mut metadata = Metadata::default();
    for (name, licence) in [("good", Some("MIT OR X")), ("bad", Some("X")), ("silent", None)] {
        let package = Package { licence: licence.map(str::to_owned), ..Package::default() };
        metadata.theirs.insert((name.to_owned(), "1.0.0".to_owned()), package);
    }
    let deny = "[bans]\nallow = [\"X\"]\n[licenses]\nallow = [\n  \"MIT\", # \"X\"\n]\n[sources]\n";
    assert_eq!(
        lines(licences::check(&metadata, deny).unwrap()),
        [
            "4: licence of bad 1.0.0: `X` is not in the list",
            "4: licence of silent 1.0.0: it states none"
        ]
    );
    assert!(licences::check(&metadata, "[bans]\nallow = []\n").is_err());
}

#[test]
fn dependencies() {
    let metadata = metadata(&[("aosk", &["clap", "aosk-abi", "dev:proptest"]), ("aosk-abi", &[])]);
    let page = "| crate | for | kept by | leave |\n|---|---|---|---|\n| `clap` | a | b | c |\n";
    let missing = lines(dependencies::check(&metadata, page));
    assert_eq!(missing, ["1: `proptest` has no line here"]);
    let more = format!("{page}| `proptest` | a |  | c |\n| `serde` | a | b | c |\n");
    assert_eq!(
        lines(dependencies::check(&metadata, &more)),
        [
            "4: the line of `proptest` does not fill its 4 columns",
            "5: `serde` is not a direct dependency"
        ]
    );
}

#[test]
fn error_pages() {
    let codes = "codes! {\n  /// Doc.\n  A = \"x.a\",\n  B = \"x.b\",\n}\nlet a = \"no code\";\n";
    let none: &[&str] = &[];
    let both = "# Errors\n### x.a\nWhat it means.\n### `x.b`\nWhat to do.\n";
    assert_eq!(lines(error_pages::check(codes, both)), none);
    let wrong = "### x.a\n\n## Next\nText of another section.\n### x.c\nText.\n### x.c\n";
    assert_eq!(
        lines(error_pages::check(codes, wrong)),
        [
            "5: there is no code `x.c`",
            "7: `x.c` stands twice",
            "7: there is no code `x.c`",
            "3: `x.a` is not explained in docs/errors/README.md",
            "4: `x.b` is not explained in docs/errors/README.md",
        ]
    );
}

#[test]
fn paths() {
    let local = ["/build/checkout".to_owned()];
    let check = |text: &str| lines(paths::check("x.md", text, &local));
    let none: &[&str] = &[];
    // Put together here, because the rule reads this file as well.
    let home = ["", "home", "somebody"].join("/");
    assert_eq!(check(&format!("{home}/x")), [format!("1: `{home}` exists on one machine only")]);
    assert_eq!(check("docs/home/page, /home/you/x, /home/me, /usr/bin, /home/"), none);
    assert_eq!(
        check("x\n/build/checkout/src"),
        ["2: `/build/checkout` exists on one machine only"]
    );
}

#[test]
fn readmes() {
    let english = "# A\n```sh\n# build\ncargo run\ncargo xtask test # long\n```\n## B\n";
    let chinese = "# 甲\n```sh\n# 构建\ncargo run\ncargo xtask test\n```\n## 乙\n";
    let none: &[&str] = &[];
    assert_eq!(lines(readme::check(english, chinese)), none);
    let shorter = "# 甲\n```sh\ncargo build\n```\n";
    assert_eq!(
        lines(readme::check(english, shorter)),
        [
            "1: its 1 headings differ from the 2 of README.md",
            "1: its commands to set up differ from those of README.md",
            "1: the first block has fewer than 2 commands",
            "1: `cargo xtask test` is in no block of commands",
        ]
    );
}
