//! Checks of file name patterns.

use super::*;

fn matching<'a>(pattern: &str, paths: &[&'a str]) -> Vec<&'a str> {
    let glob = Glob::new(pattern).expect("compiles");
    paths.iter().copied().filter(|path| glob.matches(path)).collect()
}

#[test]
fn patterns_select_paths() {
    let paths = ["a.rs", "src/a.rs", "src/deep/b.rs", "src/b.toml", "x.y/c.rs~"];
    assert_eq!(matching("*.rs", &paths), ["a.rs", "src/a.rs", "src/deep/b.rs"]);
    assert_eq!(matching("src/*.rs", &paths), ["src/a.rs"]);
    assert_eq!(matching("src/**/*.rs", &paths), ["src/a.rs", "src/deep/b.rs"]);
    assert_eq!(matching("**/b.*", &paths), ["src/deep/b.rs", "src/b.toml"]);
    assert_eq!(
        matching("{a,b}.{rs,toml}", &paths),
        ["a.rs", "src/a.rs", "src/deep/b.rs", "src/b.toml"]
    );
    assert_eq!(matching("[!a].rs", &paths), ["src/deep/b.rs"]);
    assert_eq!(matching("?.rs~", &paths), ["x.y/c.rs~"]);
    assert_eq!(matching(r"a\.rs", &paths), ["a.rs", "src/a.rs"]);
}

#[test]
fn broken_patterns_are_refused() {
    for pattern in ["[a", "{a,b", "a\\"] {
        let error = Glob::new(pattern).expect_err(pattern);
        assert_eq!(error.code(), aosk_abi::ErrorCode::ToolArguments, "{pattern}");
    }
}
