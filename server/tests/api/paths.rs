//! Names that try to be paths: whatever is sent as a database or a cluster, in any call, nothing is
//! read, made or removed but databases of that name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::Model;
use crate::process::Server;

/// Every call that names a database, without the name.
const CALLS: [(&str, &str); 11] = [
    ("POST", "/db/tx?"),
    ("POST", "/db/upload?"),
    ("POST", "/db/restore?txid=0000000000000001&"),
    ("POST", "/lease?duration=1000&"),
    ("DELETE", "/lease?id=1&"),
    ("DELETE", "/db?"),
    ("GET", "/db/snapshot?"),
    ("GET", "/db/page?pos=0000000000000001/8000000000000001&pgno=1&"),
    ("GET", "/db/sync?"),
    ("GET", "/db/info?"),
    ("GET", "/db/restore/check?txid=0000000000000001&"),
];

/// Those that name a cluster only.
const CLUSTER_CALLS: [(&str, &str); 6] = [
    ("GET", "/info?"),
    ("GET", "/pos?"),
    ("GET", "/status?"),
    ("POST", "/sync?"),
    ("POST", "/clusters?"),
    ("DELETE", "/clusters?"),
];

fn tricks() -> Vec<String> {
    let mut tricks: Vec<String> = [
        ".",
        "..",
        "...",
        ".a",
        "../a",
        "..%2Fa",
        "%2e%2e%2fa",
        "%2E%2E",
        "%252e%252e%252fa",
        "a/..",
        "a/../../b",
        "a%2Fb",
        "a%5Cb",
        "..%5C..%5Ca",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "file:%2F%2F%2Fetc",
        "%00",
        "a%00",
        "a%00.ltx",
        "a%0A",
        "a%0D%0AX:y",
        "%C0%AE%C0%AE%2Fa",
        "%EF%BC%8E%EF%BC%8E",
        "a%E2%80%A5",
        "a%23",
        "a%231",
        "a%3F",
        "%7E",
        "~root",
        "a+b",
        "a%20",
        "%20a",
        "a*",
        "a:b",
        "$HOME",
        "a;b",
        "%25",
        "%",
        ".litevfs-cloud",
        "..;a",
        "a%2F",
        "\u{e4}",
    ]
    .map(str::to_owned)
    .into();
    tricks.push("x".repeat(257));
    tricks.push("x".repeat(50_000));
    tricks.push("..%2F".repeat(1000));
    tricks
}

/// Every file and folder below one, but for the log.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.insert(path.clone(), Vec::new());
                folders.push(path);
            } else if path != dir.join("log") {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn no_name_reaches_anything_but_a_database() {
    let server = Server::start();
    let client = server.client();
    let ltx = Model::new(512).commit(&[(1, 1)], 1);
    for target in ["/db/tx?db=a", "/db/tx?db=a&cluster=b"] {
        client.post(target, &ltx).assert_ok();
    }
    // What a path out of the prefix, or between databases, would meet.
    std::fs::create_dir_all(server.dir().join("a/ltx/0")).unwrap();
    std::fs::write(server.dir().join("a/ltx/0/0000000000000001-0000000000000001.ltx"), &ltx)
        .unwrap();
    let before = tree(server.dir());
    for trick in tricks() {
        for (method, call) in CALLS {
            let answer = client.call_with(method, &format!("{call}db={trick}"), &ltx);
            assert_eq!(answer.refusal(), (400, "EBADDB".into()), "{method} {call}db={trick}");
        }
        // A cluster's name is shorter, and what is good in one is good in the other.
        for (method, call) in CLUSTER_CALLS.into_iter().chain(CALLS) {
            let answer = client.call_with(method, &format!("{call}db=a&cluster={trick}"), &ltx);
            assert_eq!(answer.refusal(), (400, "EBADCLUSTER".into()), "{method} {call} {trick}");
        }
        let path = client.get(&format!("/{trick}"));
        assert!(matches!(path.status, 400 | 404 | 431), "{trick}: {}", path.status);
        client.get(&format!("/page/{trick}"));
        let body = serde_json::json!({ "positions": { trick.as_str(): null } }).to_string();
        client.post("/sync", body.as_bytes()).assert_refused(400, "EBADDB");
    }
    assert!(tree(server.dir()) == before, "something was made, changed or removed");
}
