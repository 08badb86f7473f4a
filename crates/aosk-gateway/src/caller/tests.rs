//! What the headers of a request say.

use aosk_runtime::model::client::{Format, understand};
use axum::http::{HeaderName, HeaderValue};

use super::*;

fn caller(name: &str, role: Role, tenant: Option<&str>) -> Caller {
    let mut caller = Caller::owner();
    (caller.name, caller.role, caller.tenant) = (name.into(), role, tenant.map(str::to_owned));
    caller
}

fn asked(user: Option<&str>) -> Asked {
    let user = serde_json::to_string(&user).expect("JSON");
    let body =
        format!(r#"{{"model":"m","user":{user},"messages":[{{"role":"user","content":"a"}}]}}"#);
    understand(Format::Chat, body.as_bytes()).expect("it makes sense")
}

fn session(
    caller: &Caller,
    headers: &[(&'static str, &str)],
    user: Option<&str>,
) -> Result<Session, Error> {
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        all.insert(HeaderName::from_static(name), value);
    }
    Session::of(caller, &all, &asked(user))
}

fn refused(headers: &[(&'static str, &str)]) -> ErrorCode {
    session(&caller("t", Role::Operator, None), headers, None).expect_err("refused").code
}

#[test]
fn who_says_nothing_is_called_by_its_token() {
    let said = session(&caller("ci", Role::Operator, Some("acme")), &[], None).expect("allowed");
    let expected = Session {
        key: "acme\nci\nacme\n".to_owned(),
        name: "ci".to_owned(),
        group: "acme".to_owned(),
        priority: agent::PRIORITY,
        paged: false,
        window: None,
    };
    assert_eq!(said, expected);
}

#[test]
fn all_that_can_be_said() {
    let headers = [
        (SESSION, " research "),
        (GROUP, "acme/team"),
        (PRIORITY, "0"),
        (CONTEXT, "paged"),
        (WINDOW, "4096"),
    ];
    let said = session(&caller("ci", Role::Admin, None), &headers, Some("u")).expect("allowed");
    let expected = Session {
        key: "\nci\nacme/team\nresearch".to_owned(),
        name: "research".to_owned(),
        group: "acme/team".to_owned(),
        priority: 0,
        paged: true,
        window: Some(Tokens(4096)),
    };
    assert_eq!(said, expected);
}

#[test]
fn no_two_sessions_have_one_key() {
    let of = |name: &str, tenant: Option<&str>, headers: &[(&'static str, &str)], user| {
        session(&caller(name, Role::Operator, tenant), headers, user).expect("allowed").key
    };
    let mut keys = vec![
        of("a", None, &[], None),
        of("b", None, &[], None),
        of("a", Some("acme"), &[], None),
        of("a", None, &[], Some("u")),
        of("b", None, &[], Some("u")),
        of("a", Some("acme"), &[], Some("u")),
        of("a", None, &[(GROUP, "acme")], Some("u")),
        of("a", None, &[(GROUP, "acme/x")], Some("u")),
        // Its own name says what others' keys have.
        of("a", None, &[], Some("acme\nu")),
        of("a", None, &[], Some("\nu")),
    ];
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "{keys:?}");
    // The header is stronger than the field.
    assert_eq!(of("a", None, &[(SESSION, "s")], Some("u")), of("a", None, &[(SESSION, "s")], None));
}

#[test]
fn a_viewer_may_not_ask() {
    let said = session(&caller("v", Role::Viewer, None), &[], None);
    assert_eq!(said.expect_err("refused").code, ErrorCode::Forbidden);
}

#[test]
fn a_tenant_pays_for_itself_alone() {
    let acme = caller("t", Role::Operator, Some("acme"));
    for group in ["acme", "acme/team", "acme/team/x"] {
        let said = session(&acme, &[(GROUP, group)], None).expect("its own");
        assert_eq!(said.group, group);
    }
    for group in ["other", "acmes", "other/acme", "", "/acme"] {
        let said = session(&acme, &[(GROUP, group)], None);
        assert_eq!(said.expect_err("refused").code, ErrorCode::Forbidden, "{group:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (name, value) in [
        (PRIORITY, "101"),
        (PRIORITY, "256"),
        (PRIORITY, "-1"),
        (PRIORITY, "1.5"),
        (PRIORITY, ""),
        (CONTEXT, "Paged"),
        (WINDOW, "100"),
        (SESSION, "é"),
        (SESSION, &"s".repeat(129)),
    ] {
        assert_eq!(refused(&[(name, value)]), ErrorCode::ApiBadRequest, "{name}: {value}");
    }
    for value in ["", "many", "-1"] {
        let code = refused(&[(CONTEXT, "paged"), (WINDOW, value)]);
        assert_eq!(code, ErrorCode::ApiBadRequest, "{value}");
    }
    let longest = "s".repeat(128);
    let said = session(&caller("t", Role::Operator, None), &[(SESSION, &longest)], None);
    assert!(said.is_ok(), "{said:?}");
}

#[test]
fn names_are_short_and_plain() {
    let name = |user: &str| {
        session(&caller("t", Role::Operator, None), &[], Some(user)).expect("allowed").name
    };
    assert_eq!(name("a\u{1b}[2Jb\u{7}\n\u{9b}c"), "a[2Jbc");
    assert_eq!(name("  spaced out \t"), "spaced out");
    assert_eq!(name("\n\u{1b} "), "t");
    assert_eq!(name(""), "t");
    assert_eq!(name(&"日".repeat(500)), "日".repeat(32));
}
