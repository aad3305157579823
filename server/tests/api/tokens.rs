//! Tokens from a file: what they reach, that changes count at once, and the verb that makes them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::model::{Model, pos_json};
use crate::process::{Server, refusal, run, until};

/// A tokens file in a folder of its own.
pub struct Tokens {
    dir: TempDir,
}

impl Tokens {
    /// An empty file.
    pub fn new() -> Tokens {
        let tokens = Tokens { dir: tempfile::tempdir().unwrap() };
        std::fs::write(tokens.path(), "").unwrap();
        tokens
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    /// Runs the verb with `--json`.
    fn verb(&self, args: &[&str]) -> Value {
        let path = self.path();
        let always = ["token", "--json", "--tokens-file", path.to_str().unwrap()];
        let output = run(&[&always[..], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn create(&self, args: &[&str]) -> Value {
        self.verb(&[&["create"], args].concat())
    }

    /// Makes a token; its secret.
    pub fn secret(&self, args: &[&str]) -> String {
        self.create(args)["secret"].as_str().unwrap().to_owned()
    }

    pub fn server(&self) -> Server {
        Server::start_with(&["--tokens-file", self.path().to_str().unwrap()])
    }
}

fn with(server: &Server, secret: &str) -> Client {
    server.stranger().header("Authorization", secret)
}

/// Every call on a database: method, path with query but for `db`, and whether it changes anything.
const CALLS: [(&str, &str, bool); 11] = [
    ("POST", "/db/tx?", true),
    ("POST", "/lease?duration=1000&", true),
    ("DELETE", "/lease?id=1&", true),
    ("GET", "/db/snapshot?", false),
    ("GET", "/db/page?pos=0000000000000001/8000000000000001&pgno=1&", false),
    ("GET", "/db/open?", false),
    ("GET", "/db/sync?", false),
    ("GET", "/db/info?", false),
    ("GET", "/db/restore/check?txid=0000000000000001&", false),
    ("POST", "/db/upload?", true),
    ("POST", "/db/restore?txid=0000000000000001&", true),
];

#[test]
fn a_read_token_changes_nothing() {
    let tokens = Tokens::new();
    let (writer, reader) = (tokens.secret(&[]), tokens.secret(&["--read-only"]));
    let server = tokens.server();
    let mut model = Model::new(512);
    let ltx = model.commit(&[(1, 1)], 1);
    with(&server, &writer).push("a", &ltx).assert_ok();
    let client = with(&server, &reader);
    for (method, call, changes) in CALLS {
        let answer = client.call(method, &format!("{call}db=a"));
        if changes {
            answer.assert_refused(403, "EFORBIDDEN");
            assert!(answer.json()["error"].as_str().unwrap().contains("only read"));
        } else {
            assert_ne!(answer.status, 403, "{call}");
        }
    }
    client.push("a", &model.commit(&[(1, 2)], 1)).assert_refused(403, "EFORBIDDEN");
    client.delete("/db?db=a").assert_refused(403, "EFORBIDDEN");
    client.post("/clusters?cluster=new", b"").assert_refused(403, "EFORBIDDEN");
    client.delete("/clusters?cluster=default").assert_refused(403, "EFORBIDDEN");
    client.get("/db/snapshot?db=a").assert_ok();
    client.get("/info").assert_ok();
    client.post("/sync", b"{\"positions\":{\"a\":null}}").assert_ok();
    assert_eq!(client.get("/pos").json()["a"]["txid"], "0000000000000001");
}

#[test]
fn a_pattern_hides_all_other_databases() {
    let tokens = Tokens::new();
    let all = tokens.secret(&[]);
    let some = tokens.secret(&["--databases", "app-*"]);
    let server = tokens.server();
    let mut model = Model::new(512);
    let ltx = model.commit(&[(1, 1)], 1);
    for db in ["app-1", "other"] {
        with(&server, &all).push(db, &ltx).assert_ok();
    }
    let client = with(&server, &some);
    for (method, call, _) in CALLS {
        // One that is there and one that is not are refused alike.
        for db in ["other", "nothing"] {
            let answer = client.call(method, &format!("{call}db={db}"));
            answer.assert_refused(403, "EFORBIDDEN");
        }
        assert_ne!(client.call(method, &format!("{call}db=app-1")).status, 403, "{call}");
    }
    for db in ["other", "nothing"] {
        client.delete(&format!("/db?db={db}")).assert_refused(403, "EFORBIDDEN");
    }
    client.push("app-2", &ltx).assert_ok();
    let here = json!({ "app-1": pos_json(model.pos), "app-2": pos_json(model.pos) });
    assert_eq!(client.get("/pos").json(), here);
    let status = client.get("/status").assert_ok().json();
    let listed: Vec<&Value> =
        status["databases"].as_array().unwrap().iter().map(|database| &database["name"]).collect();
    assert_eq!(listed, ["app-1", "app-2"]);
    let asked = b"{\"positions\":{\"app-1\":null,\"other\":null}}";
    let changes = client.post("/sync", asked).assert_ok().json();
    let changes = changes["changes"].as_object().unwrap();
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["app-1"]);
}

#[test]
fn a_cluster_token_of_the_file_stays_in_its_cluster() {
    let tokens = Tokens::new();
    let one = tokens.secret(&["--cluster", "one"]);
    let server = tokens.server();
    let client = with(&server, &one);
    client.push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    client.get("/pos?cluster=two").assert_refused(401, "EBADCLUSTER");
    assert!(client.get("/pos?cluster=one").json().get("a").is_some());
}

#[test]
fn changes_count_without_a_restart_and_broken_ones_do_not() {
    let tokens = Tokens::new();
    let server = tokens.server();
    server.stranger().get("/pos").assert_refused(401, "EINVALIDAUTH");
    with(&server, "cluster default").get("/pos").assert_refused(401, "EINVALIDAUTH");
    let kept = tokens.secret(&[]);
    let status = |secret: &str| with(&server, secret).get("/pos").status;
    until("a new token counts", || status(&kept) == 200);
    let other = tokens.create(&["--name", "other"]);
    let (secret, id) = (other["secret"].as_str().unwrap(), other["id"].as_str().unwrap());
    until("the second one counts", || status(secret) == 200);
    assert_eq!(tokens.verb(&["revoke", id]), json!({ "revoked": id }));
    until("a revoked one counts no more", || status(secret) == 401);
    assert_eq!(status(&kept), 200);
    // A broken file changes nothing, also in what comes after it.
    let good = std::fs::read(tokens.path()).unwrap();
    std::fs::write(tokens.path(), "{}").unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!((status(&kept), status(secret)), (200, 401));
    std::fs::write(tokens.path(), good).unwrap();
    let third = tokens.secret(&[]);
    until("a mended file counts", || status(&third) == 200);
}

#[test]
fn an_expired_token_is_refused() {
    let tokens = Tokens::new();
    let soon = tokens.create(&["--expires-in", "2s"]);
    let later = tokens.secret(&["--expires", "2100-01-01T00:00:00+02:00"]);
    let server = tokens.server();
    with(&server, &later).get("/pos").assert_ok();
    let client = with(&server, soon["secret"].as_str().unwrap());
    until("it expires", || client.get("/pos").status == 401);
    let answer = client.get("/pos");
    answer.assert_refused(401, "EINVALIDAUTH");
    assert!(answer.json()["error"].as_str().unwrap().contains("expired"));
    let listed = tokens.verb(&["list"]);
    let fields = |at: usize| &listed["tokens"][at];
    assert_eq!((&fields(0)["expired"], &fields(1)["expired"]), (&json!(true), &json!(false)));
    assert_eq!(fields(1)["expires"], "2099-12-31T22:00:00Z");
}

#[test]
fn secrets_are_shown_once() {
    let tokens = Tokens::new();
    let path = tokens.path();
    let file = path.to_str().unwrap();
    let create = run(&["token", "create", "--name", "mine", "--tokens-file", file]);
    let secret = String::from_utf8(create.stdout).unwrap();
    let secret = secret.strip_suffix('\n').unwrap();
    assert!(secret.starts_with("lvc_") && secret.len() == 47, "{secret}");
    let limits = ["--cluster", "c", "--databases", "a?", "--read-only", "--expires-in", "30d"];
    let made = tokens.create(&limits);
    assert_eq!((&made["access"], &made["databases"]), (&json!("read"), &json!("a?")));
    let list = run(&["token", "list", "--tokens-file", file]);
    let table = String::from_utf8(list.stdout).unwrap();
    assert!(
        table.contains("mine") && table.contains("(all)") && table.contains("never"),
        "{table}"
    );
    let listed = tokens.verb(&["list"]);
    assert_eq!(listed["tokens"][1]["id"], made["id"]);
    let stored = std::fs::read_to_string(&path).unwrap();
    for secret in [secret, made["secret"].as_str().unwrap()] {
        for text in [&table, &listed.to_string(), &stored] {
            assert!(!text.contains(secret) && !text.contains(&secret[4..]), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_done_with_tokens_is_told() {
    let tokens = Tokens::new();
    let path = tokens.path();
    let file = path.to_str().unwrap();
    let refused = |args: &[&str]| refusal(&[&["token", "--tokens-file", file], args].concat());
    assert!(refused(&["revoke", "nobody"]).contains("no token with that id"));
    assert!(refused(&["create", "--expires-in", "0s"]).contains("over already"));
    assert!(refused(&["create", "--expires", "tomorrow"]).contains("2030-01-31T12:00:00Z"));
    assert!(refused(&["create", "--databases", "a/b"]).contains("database pattern"));
    assert!(refused(&["create", "--cluster", ".."]).contains("cluster name"));
    assert!(refused(&["create", "--name", "a\nb"]).contains("--name"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    assert!(refusal(&["token", "list"]).contains("LITEVFS_CLOUD_TOKENS_FILE"));
    std::fs::remove_file(&path).unwrap();
    assert!(refused(&["list"]).contains("token create"));
    let serve = refusal(&["serve", "--listen", "127.0.0.1:0", "--tokens-file", file]);
    assert!(serve.contains("token create"), "{serve}");
}
