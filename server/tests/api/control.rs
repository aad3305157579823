//! The control plane: uploads, restore points, restores, deletes, clusters; and reads at a moment.

use litevfs::page1::differ_in_counts_only;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::process::Server;

const T1: &str = "0000000000000001";
const T2: &str = "0000000000000002";

/// A real SQLite file with pages of 512 bytes.
pub fn sqlite(rows: u32) -> Vec<u8> {
    sqlite_with(512, rows)
}

fn sqlite_with(page_size: u32, rows: u32) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(&format!("PRAGMA page_size = {page_size}; CREATE TABLE t (x)")).unwrap();
    for row in 0..rows {
        db.execute("INSERT INTO t VALUES (?1)", [row]).unwrap();
    }
    db.close().unwrap();
    std::fs::read(path).unwrap()
}

pub fn upload(client: &Client, db: &str, file: &[u8]) -> Answer {
    client.post(&format!("/db/upload?db={db}"), file)
}

/// A file is another one but for what counts on its first page, which an import and a restore get past
/// what it was.
#[track_caller]
fn assert_same(file: &[u8], other: &[u8]) {
    assert_eq!(file.len(), other.len());
    let ((page1, rest), (other_page1, other_rest)) = (file.split_at(512), other.split_at(512));
    assert!(differ_in_counts_only(page1, other_page1) && rest == other_rest);
}

fn snapshot(client: &Client, db: &str, at: &str) -> Answer {
    client.get(&format!("/db/snapshot?db={db}&format=sqlite{at}")).assert_ok()
}

/// A server whose database `a` has had one row, then three hundred; and these two files.
fn with_history() -> (Server, Client, Vec<u8>, Vec<u8>) {
    let server = Server::start();
    let client = server.client();
    let (small, large) = (sqlite(1), sqlite(300));
    assert_eq!(upload(&client, "a", &small).assert_ok().json(), json!({ "txID": T1 }));
    // So that no two restore points have the same time.
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(upload(&client, "a", &large).assert_ok().json(), json!({ "txID": T2 }));
    (server, client, small, large)
}

fn points(client: &Client) -> Vec<Value> {
    let info = client.get("/db/info?db=a").assert_ok().json();
    assert_eq!(info["name"], "a");
    info["restorablePaths"].as_array().unwrap().clone()
}

#[test]
fn an_upload_is_the_next_transaction() {
    let (_server, client, _, large) = with_history();
    let answer = snapshot(&client, "a", "");
    assert_same(&answer.body, &large);
    let pos = client.get("/pos").json()["a"].clone();
    assert_eq!(pos["txid"], T2);
    let text = format!("{T2}/{}", pos["postApplyChecksum"].as_str().unwrap());
    assert_eq!(answer.header("litevfs-pos"), Some(text.as_str()));
    // In chunks too, and through the files alone.
    let (head, rest) = large.split_at(1000);
    client.post_chunked("/db/upload?db=b", &[head, rest]).assert_ok();
    assert!(snapshot(&client, "b", "").body == large);
}

#[test]
fn an_upload_outlasts_a_restart() {
    let (mut server, _, small, large) = with_history();
    server.kill();
    server.restart();
    let client = server.client();
    assert_same(&snapshot(&client, "a", "").body, &large);
    assert!(snapshot(&client, "a", &format!("&txid={T1}")).body == small);
}

#[test]
fn an_upload_may_have_another_page_size_and_be_undone() {
    let (_server, client, _, large) = with_history();
    let other = sqlite_with(1024, 700);
    let answer = upload(&client, "a", &other).assert_ok();
    assert_eq!(answer.json(), json!({ "txID": "0000000000000003" }));
    assert_same(&snapshot(&client, "a", "").body, &other);
    assert_same(&snapshot(&client, "a", &format!("&txid={T2}")).body, &large);
    let answer = client.post(&format!("/db/restore?db=a&txid={T2}"), b"").assert_ok();
    assert_eq!(answer.json(), json!({ "txID": "0000000000000004" }));
    assert_same(&snapshot(&client, "a", "").body, &large);
    assert_same(&snapshot(&client, "a", "&txid=0000000000000003").body, &other);
}

#[test]
fn what_is_no_database_is_refused_and_changes_nothing() {
    let (_server, client, _, large) = with_history();
    for bad in [b"".as_slice(), b"hello", &large[..700], &[large.as_slice(), b"x"].concat()] {
        upload(&client, "a", bad).assert_refused(422, "EBADFORMAT");
        upload(&client, "new", bad).assert_refused(422, "EBADFORMAT");
    }
    client.post("/db/upload", &large).assert_refused(400, "EBADDB");
    let positions = client.get("/pos").json();
    assert_eq!(positions.as_object().unwrap().len(), 1);
    assert_eq!(positions["a"]["txid"], T2);
}

#[test]
fn an_upload_has_its_own_limit() {
    let server = Server::start_with(&["--token", "t0", "--max-body", "10", "--max-import", "1024"]);
    let client = server.client();
    upload(&client, "a", &sqlite(300)).assert_refused(413, "EBADINPUT");
    client.post_chunked("/db/upload?db=a", &[&sqlite(300)]).assert_refused(413, "EBADINPUT");
    upload(&client, "a", &sqlite(0)).assert_ok();
    let server = Server::start_with(&["--token", "t0", "--max-body", "10", "--max-import", "0"]);
    upload(&server.client(), "a", &sqlite(300)).assert_ok();
}

#[test]
fn restore_points_are_named_newest_first() {
    let (_server, client, ..) = with_history();
    let points = points(&client);
    let txids: Vec<&Value> = points.iter().map(|point| &point["maxTxId"]).collect();
    assert_eq!(txids, [T2, T1]);
    assert_eq!(points[0]["postApplyChecksum"], client.get("/pos").json()["a"]["postApplyChecksum"]);
    assert!(points[0]["maxTimestamp"].as_str() > points[1]["maxTimestamp"].as_str());
    let all = client.get("/db/info?db=a&all=true").assert_ok().json();
    assert_eq!(all["restorablePaths"].as_array().unwrap(), &points);
    client.get("/db/info?db=nope").assert_refused(404, "ENODB");
    client.get("/db/info?db=a&all=maybe").assert_refused(400, "EBADINPUT");
}

#[test]
fn a_restore_rolls_forward_to_the_old_content() {
    let (_server, client, small, large) = with_history();
    let before = points(&client);
    let check = client.get(&format!("/db/restore/check?db=a&txid={T1}")).assert_ok().json();
    assert_eq!(check, json!({ "txID": T1, "timestamp": before[1]["maxTimestamp"] }));
    let restored = client.post(&format!("/db/restore?db=a&txid={T1}"), b"").assert_ok().json();
    assert_eq!(restored, json!({ "txID": "0000000000000003" }));
    assert_same(&snapshot(&client, "a", "").body, &small);
    // What it replaced can be had again, by its time.
    let time = before[0]["maxTimestamp"].as_str().unwrap();
    let check = client.get(&format!("/db/restore/check?db=a&timestamp={time}")).assert_ok().json();
    assert_eq!(check["txID"], T2);
    client.post(&format!("/db/restore?db=a&timestamp={time}"), b"").assert_ok();
    assert_same(&snapshot(&client, "a", "").body, &large);
    assert_eq!(points(&client).len(), 4);
}

#[test]
fn what_cannot_be_gone_back_to_is_told() {
    let (_server, client, ..) = with_history();
    for call in ["/db/restore/check", "/db/restore"] {
        let refused = |query: &str, status, code| {
            let target = format!("{call}?{query}");
            let check = call.ends_with("check");
            let answer = if check { client.get(&target) } else { client.post(&target, b"") };
            answer.assert_refused(status, code);
        };
        refused("db=a&txid=0000000000000003", 404, "ENOTXID");
        refused("db=a&txid=0000000000000000", 404, "ENOTXID");
        refused("db=a&timestamp=2001-01-01T00:00:00Z", 404, "ENOTIMESTAMP");
        refused("db=nope&txid=0000000000000001", 404, "ENODB");
        refused("db=a", 400, "EBADINPUT");
        refused("db=a&txid=1", 400, "EBADINPUT");
        refused("db=a&timestamp=yesterday", 400, "EBADINPUT");
        refused(&format!("db=a&txid={T1}&timestamp=2100-01-01T00:00:00Z"), 400, "EBADINPUT");
    }
}

#[test]
fn pages_and_snapshots_are_read_at_a_moment() {
    let (_server, client, small, large) = with_history();
    let time = points(&client)[1]["maxTimestamp"].as_str().unwrap().to_owned();
    let old = snapshot(&client, "a", &format!("&txid={T1}"));
    assert!(old.body == small);
    let pos = old.header("litevfs-pos").unwrap().to_owned();
    assert!(pos.starts_with(T1));
    for at in [format!("pos={pos}"), format!("txid={T1}"), format!("timestamp={time}")] {
        let answer = snapshot(&client, "a", &format!("&{at}"));
        assert!(answer.body == small && answer.header("litevfs-pos") == Some(&pos), "{at}");
        let page = client.get(&format!("/db/page?db=a&pgno=2&{at}")).assert_ok();
        assert_eq!(page.header("litevfs-pos"), Some(pos.as_str()));
        let by_pos = client.get(&format!("/db/page?db=a&pgno=2&pos={pos}")).assert_ok();
        assert!(page.body == by_pos.body, "{at}");
    }
    let ltx = client.get(&format!("/db/snapshot?db=a&timestamp={time}")).assert_ok();
    assert_eq!(ltx.header("litevfs-pos"), Some(pos.as_str()));
    let later = snapshot(&client, "a", "&timestamp=2100-01-01T00:00:00%2B01:00");
    assert_same(&later.body, &large);
    for call in ["/db/snapshot?db=a", "/db/page?db=a&pgno=1"] {
        client.get(&format!("{call}&txid={T1}&pos={pos}")).assert_refused(400, "EBADINPUT");
        client.get(&format!("{call}&txid=0000000000000009")).assert_refused(404, "ENOTXID");
        let early = client.get(&format!("{call}&timestamp=2001-01-01T00:00:00Z"));
        early.assert_refused(404, "ENOTIMESTAMP");
    }
    client.get("/db/page?db=a&pgno=1").assert_refused(400, "EBADINPUT");
}

#[test]
fn while_another_client_holds_the_lease_nothing_is_replaced() {
    let (_server, client, small, large) = with_history();
    let lease = client.post("/lease?db=a&duration=60000", b"").assert_ok().json();
    let holder = client.header("Lfsc-Lease-Id", lease["id"].as_str().unwrap());
    let stale = client.header("Lfsc-Lease-Id", "none");
    for refused in [&client, &stale] {
        upload(refused, "a", &small).assert_refused(409, "ELEASE");
        let target = format!("/db/restore?db=a&txid={T1}");
        refused.post(&target, b"").assert_refused(409, "ELEASE");
        refused.delete("/db?db=a").assert_refused(409, "ELEASE");
    }
    assert_same(&snapshot(&client, "a", "").body, &large);
    upload(&holder, "a", &small).assert_ok();
    holder.post(&format!("/db/restore?db=a&txid={T2}"), b"").assert_ok();
    assert_same(&snapshot(&client, "a", "").body, &large);
    holder.delete("/db?db=a").assert_ok();
}

#[test]
fn a_dropped_database_is_gone_and_its_name_free() {
    let (mut server, client, small, _) = with_history();
    upload(&client, "b", &small).assert_ok();
    client.delete("/db?db=a").assert_ok();
    for restart in [false, true] {
        if restart {
            server.kill();
            server.restart();
        }
        let client = server.client();
        client.get("/db/snapshot?db=a").assert_refused(404, "ENODB");
        client.delete("/db?db=a").assert_refused(404, "ENODB");
        let left: Vec<String> =
            client.get("/pos").json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(left, ["b"]);
    }
    let other = sqlite(2);
    let client = server.client();
    assert_eq!(upload(&client, "a", &other).assert_ok().json(), json!({ "txID": T1 }));
    assert!(snapshot(&client, "a", "").body == other);
}

fn names(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let clusters = json["clusters"].as_array().unwrap();
    clusters.iter().map(|cluster| cluster["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn clusters_are_listed_made_and_dropped() {
    let (_server, client, small, _) = with_history();
    client.post("/db/upload?db=a&cluster=by-upload", &small).assert_ok();
    let made = client.post("/clusters?cluster=made", b"");
    assert_eq!((made.status, &made.json()["name"]), (201, &json!("made")));
    assert_eq!(made.json()["id"], client.get("/info?cluster=made").json()["clusterID"]);
    assert_eq!(client.post("/clusters?cluster=made", b"").status, 200);
    assert_eq!(client.get("/pos?cluster=made").assert_ok().json(), json!({}));
    let all = client.get("/clusters").assert_ok();
    assert_eq!(names(&all), ["by-upload", "default", "made"]);
    assert_eq!(all.json()["total"], 3);
    assert_eq!(names(&client.get("/clusters?limit=1&offset=1").assert_ok()), ["default"]);
    assert_eq!(names(&client.get("/clusters?offset=9").assert_ok()), [""; 0]);
    client.get("/clusters?limit=x").assert_refused(400, "EBADINPUT");
    client.post("/clusters", b"").assert_refused(400, "EBADINPUT");
    client.delete("/clusters").assert_refused(400, "EBADINPUT");
    client.post("/clusters?cluster=../x", b"").assert_refused(400, "EBADCLUSTER");
    client.delete("/clusters?cluster=default").assert_refused(409, "ECLUSTERINUSE");
    client.delete("/clusters?cluster=nope").assert_refused(404, "ENOCLUSTER");
    client.delete("/clusters?cluster=made").assert_ok();
    assert_eq!(names(&client.get("/clusters").assert_ok()), ["by-upload", "default"]);
}

#[test]
fn a_cluster_token_sees_its_own_cluster_only() {
    let server = Server::start_with(&["--token", "t0", "--cluster-token", "one", "t1"]);
    let client = server.client();
    for name in ["one", "two"] {
        client.post(&format!("/clusters?cluster={name}"), b"");
    }
    assert_eq!(names(&client.get("/clusters").assert_ok()), ["one", "two"]);
    let scoped = server.stranger().header("Authorization", "t1");
    assert_eq!(names(&scoped.get("/clusters").assert_ok()), ["one"]);
    for call in ["/clusters", "/clusters?cluster=two"] {
        server.stranger().get(call).assert_refused(401, "EINVALIDAUTH");
    }
    scoped.post("/clusters?cluster=three", b"").assert_refused(401, "EBADCLUSTER");
    scoped.delete("/clusters?cluster=two").assert_refused(401, "EBADCLUSTER");
    assert_eq!(names(&client.get("/clusters").assert_ok()), ["one", "two"]);
}
