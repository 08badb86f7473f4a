//! The description of the interface. `UPDATE_EXPECT=1` writes the file anew.

use expect_test::expect_file;

#[test]
fn the_description_is_the_one_that_is_kept() {
    let printed = format!("{}\n", aosk_server::api::printed());
    expect_file!["../../../../docs/openapi.json"].assert_eq(&printed);
}

#[test]
fn every_operation_says_what_it_is_and_how_it_fails() {
    let document = serde_json::to_value(aosk_server::api::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/v1/"), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{at}");
            assert!(answers.contains_key("401"), "{at}: over TCP a token is needed");
            if path.contains('{') || method != "get" {
                assert!(answers.contains_key("400"), "{at}");
            }
            if method != "get" {
                assert!(answers.contains_key("403"), "{at}");
            }
        }
    }
}
