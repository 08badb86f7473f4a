//! What says where a server listens.

use std::os::unix::fs::symlink;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

#[test]
fn the_socket_is_told_by_a_path_that_holds_elsewhere() {
    let dir = TempDir::new().expect("a temporary directory");
    let here = std::env::current_dir().expect("there is one");
    let up = "../".repeat(here.components().count() - 1);
    let relative = Path::new(&up).join(dir.path().strip_prefix("/").expect("absolute"));
    assert!(relative.is_relative());
    announce(&relative, None).expect("is written");
    let text = fs::read_to_string(dir.path().join(ADDRESS_FILE)).expect("is there");
    let said: Value = serde_json::from_str(&text).expect("is JSON");
    let socket = Path::new(said["socket"].as_str().expect("a path"));
    assert!(socket.is_absolute());
    fs::write(dir.path().join(SOCKET), "").expect("writes");
    assert!(socket.exists(), "{}", socket.display());
}

#[test]
fn a_link_in_the_way_of_the_file_is_not_followed() {
    let dir = TempDir::new().expect("a temporary directory");
    let other = dir.path().join("other");
    fs::write(&other, "precious").expect("writes");
    symlink(&other, dir.path().join(format!("{ADDRESS_FILE}.new"))).expect("links");
    announce(dir.path(), None).expect("is written");
    assert_eq!(fs::read_to_string(&other).expect("is there"), "precious");
    let found = fs::symlink_metadata(dir.path().join(ADDRESS_FILE)).expect("is there");
    assert!(found.is_file());
}

#[tokio::test]
async fn only_what_is_ours_is_taken_away() {
    let dir = TempDir::new().expect("a temporary directory");
    let (listener, socket) = socket(dir.path()).expect("listens");
    let file = announce(dir.path(), None).expect("is written");
    let paths = [SOCKET, ADDRESS_FILE].map(|name| dir.path().join(name));
    for path in &paths {
        fs::remove_file(path).expect("was there");
        fs::write(path, "another's").expect("writes");
    }
    socket.withdraw();
    file.withdraw();
    for path in &paths {
        assert_eq!(fs::read_to_string(path).expect("is there still"), "another's");
    }
    drop(listener);
}
