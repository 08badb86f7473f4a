//! Tests of the reading of metadata.

use serde_json::json;

use super::*;

#[test]
fn packages_are_told_apart_by_their_source() {
    let json = json!({ "packages": [
        { "name": "aosk-abi", "version": "0.1.0", "source": null, "license": "MIT",
          "dependencies": [{ "name": "serde", "kind": null }, { "name": "expect-test", "kind": "dev" }] },
        { "name": "aosk", "version": "0.1.0", "source": null, "license": "MIT",
          "dependencies": [{ "name": "aosk-abi", "kind": null }] },
        { "name": "serde", "version": "1.0.0", "source": "registry", "license": "MIT OR Apache-2.0",
          "dependencies": [] },
    ]});
    let metadata = Metadata::from_json(&json).unwrap();
    assert_eq!(metadata.ours.keys().collect::<Vec<_>>(), ["aosk", "aosk-abi"]);
    assert_eq!(metadata.theirs.keys().collect::<Vec<_>>(), [&("serde".into(), "1.0.0".into())]);
    let abi = &metadata.ours["aosk-abi"];
    assert_eq!((abi.normal.len(), abi.other.len()), (1, 1));
    let reached = metadata.reached(&metadata.ours["aosk"]);
    assert_eq!(reached.iter().collect::<Vec<_>>(), ["aosk-abi", "serde"]);
    assert!(Metadata::from_json(&json!({})).is_err());
}
