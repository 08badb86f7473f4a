//! Tests of `fail`.

use super::*;

#[test]
fn what_clap_says_becomes_one_line() {
    let said = "error: unexpected argument '--jsn' found\n\n  tip: a similar argument exists: \
                '--json'\n\nUsage: aosk ps --json\n\nFor more information, try '--help'.\n";
    assert_eq!(
        line(&misused(said, "aosk ps")),
        "error[cli.usage]: reading the command line: unexpected argument '--jsn' found; \
         hint: a similar argument exists: '--json'; see `aosk ps --help`"
    );
    let said = "error: the following required arguments were not provided:\n  <FILE>\n\nUsage: x\n";
    assert_eq!(
        line(&misused(said, "aosk trace run")),
        "error[cli.usage]: reading the command line: the following required arguments were not \
         provided: <FILE>; hint: see `aosk trace run --help`"
    );
}

#[test]
fn the_command_is_found_among_options_and_their_values() {
    for (arguments, expected) in [
        ("", "aosk"),
        ("fly", "aosk"),
        ("--fly run", "aosk run"),
        ("--data-dir show ps", "aosk ps"),
        ("--data-dir=show ps -a x", "aosk ps"),
        ("trace --config x run --concurrency 0 file", "aosk trace run"),
        ("run audit --model verify", "aosk run"),
    ] {
        let words = arguments.split_whitespace().map(OsString::from);
        assert_eq!(command(words), expected, "{arguments}");
    }
}
