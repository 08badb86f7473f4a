//! Tests of `fail`.

use super::*;

#[test]
fn what_clap_says_becomes_one_line() {
    let said = "error: unexpected argument '--jsn' found\n\n  tip: a similar argument exists: \
                '--json'\n\nUsage: aosk ps --json\n\nFor more information, try '--help'.\n";
    assert_eq!(
        line(&misused(said)),
        "error[cli.usage]: reading the command line: unexpected argument '--jsn' found; \
         hint: a similar argument exists: '--json'; see `aosk --help`"
    );
    let said = "error: the following required arguments were not provided:\n  <FILE>\n\nUsage: x\n";
    assert_eq!(
        line(&misused(said)),
        "error[cli.usage]: reading the command line: the following required arguments were not \
         provided: <FILE>; hint: see `aosk --help`"
    );
}
