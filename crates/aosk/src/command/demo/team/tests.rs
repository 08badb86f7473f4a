//! The script and its files fit together.

use super::*;

#[test]
fn the_script_is_sound() {
    let script = script().expect("a script");
    let agents: Vec<_> = script.agents.keys().map(String::as_str).collect();
    assert_eq!(agents, ["Architect", "Developer", "Documenter", "Tester"]);
    model().expect("a model");
}
