//! Leases: one holder, a fence for commits, an end that counts.

use std::io::Write;
use std::time::{Duration, SystemTime};

use crate::client::{Client, finish};
use crate::model::Model;
use crate::process::Server;

fn acquire(client: &Client, db: &str, duration_ms: u64) -> String {
    let answer = client.post(&format!("/lease?db={db}&duration={duration_ms}"), b"").assert_ok();
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_lease_has_one_holder_and_can_be_refreshed_and_given_back() {
    let server = Server::start();
    let client = server.client();
    let id = acquire(&client, "a", 60_000);
    client.post("/lease?db=a&duration=1000", b"").assert_refused(409, "ELEASE");
    acquire(&client, "b", 60_000);
    acquire(&client.clone(), "a&cluster=other", 60_000);
    let refreshed = client.post(&format!("/lease?db=a&duration=60000&id={id}"), b"").assert_ok();
    assert_eq!(refreshed.json()["id"], id.as_str());
    client.post("/lease?db=a&duration=1000&id=other", b"").assert_refused(409, "ELEASE");
    client.post("/lease?db=c&duration=1000&id=other", b"").assert_refused(409, "ELEASE");
    for _ in 0..2 {
        client.delete(&format!("/lease?db=a&id={id}")).assert_ok();
    }
    client.post(&format!("/lease?db=a&duration=1000&id={id}"), b"").assert_refused(409, "ELEASE");
    assert_ne!(acquire(&client, "a", 60_000), id);
    assert_eq!(client.get("/pos").json(), serde_json::json!({}), "a lease makes no database");
}

#[test]
fn a_request_with_a_name_is_granted_one_lease_whenever_it_comes_again() {
    let server = Server::start();
    let client = server.client();
    let ask = |name: &str| client.post(&format!("/lease?db=a&duration=60000&request={name}"), b"");
    let id = |name| ask(name).assert_ok().json()["id"].as_str().unwrap().to_owned();
    let first = id("one");
    assert_eq!(id("one"), first, "its answer was lost");
    ask("two").assert_refused(409, "ELEASE");
    client.delete(&format!("/lease?db=a&id={first}")).assert_ok();
    // Hours late: nobody would use it, nor give it back.
    ask("one").assert_refused(409, "ELEASE");
    let second = id("two");
    assert_ne!(second, first);
    ask("one").assert_refused(409, "ELEASE");
    assert_eq!(id("two"), second);
    client.delete(&format!("/lease?db=a&id={second}")).assert_ok();
    ask("one").assert_refused(409, "ELEASE");
    acquire(&client, "a", 60_000);
}

#[test]
fn one_that_comes_twice_at_the_same_time_is_granted_one_lease() {
    let server = Server::start();
    let client = server.client();
    for round in 0..50 {
        let target = format!("/lease?db=a{round}&duration=60000&request=r");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let ask = || client.clone().post(&target, b"").assert_ok().json()["id"].to_string();
            let both = [scope.spawn(ask), scope.spawn(ask)];
            both.map(|thread| thread.join().unwrap()).into()
        });
        assert_eq!(ids[0], ids[1], "round {round}");
    }
}

#[test]
fn a_grant_names_the_position() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    for turn in 1..4 {
        let answer = client.post("/lease?db=a&duration=60000", b"").assert_ok();
        assert_eq!(answer.header("litevfs-pos"), Some(model.pos.to_string().as_str()));
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let holder = client.header("Lfsc-Lease-Id", &id);
        holder.push("a", &model.commit(&[(1, turn)], 1)).assert_ok();
        client.delete(&format!("/lease?db=a&id={id}")).assert_ok();
    }
}

#[test]
fn a_commit_prolongs_the_lease_that_it_is_made_under() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    let id = acquire(&client, "a", 50_000);
    client.post(&format!("/lease?db=a&id={id}&duration=60000"), b"").assert_ok();
    let holder = client.header("Lfsc-Lease-Id", &id);
    let answer = holder.push("a", &model.commit(&[(1, 1)], 1)).assert_ok();
    assert_eq!(answer.header("lfsc-lease-duration"), Some("60000"));
    client.delete(&format!("/lease?db=a&id={id}")).assert_ok();
    let answer = client.push("a", &model.commit(&[(1, 2)], 1)).assert_ok();
    assert_eq!(answer.header("lfsc-lease-duration"), None);
}

#[test]
fn expires_at_is_a_time_that_lies_ahead() {
    let server = Server::start();
    let answer = server.client().post("/lease?db=a&duration=3600000", b"").assert_ok();
    let expires_at = answer.json()["expires_at"].as_str().unwrap().to_owned();
    let expires_at: SystemTime = chrono::DateTime::parse_from_rfc3339(&expires_at).unwrap().into();
    let ahead = expires_at.duration_since(SystemTime::now()).unwrap();
    assert!(ahead > Duration::ZERO && ahead <= Duration::from_secs(60));
}

#[test]
fn those_that_wait_are_counted_and_served_in_order() {
    let server = Server::start();
    let client = server.client();
    let ask = |waiter| client.post(&format!("/lease?db=a&duration=60000&waiter={waiter}"), b"");
    let release = |id: &str| client.delete(&format!("/lease?db=a&id={id}")).assert_ok();
    // Places are kept for a moment only, which may be over on a busy machine: so it is tried often.
    let mut in_order = (0..100).map(|_| {
        // Whoever gives no name takes what is free, whoever waits.
        let id = acquire(&client, "a", 60_000);
        for waiter in ["one", "one", "two", "two"] {
            ask(waiter).assert_refused(409, "ELEASE");
        }
        let waiting = release(&id);
        let (two, one) = (ask("two"), ask("one"));
        let granted = if one.status == 200 { &one } else { &two };
        release(granted.json()["id"].as_str().unwrap());
        let waiting = waiting.header("lfsc-lease-waiters").map(str::to_owned);
        waiting.as_deref() == Some("2") && one.status == 200 && two.status == 409
    });
    assert!(in_order.any(|in_order| in_order));
    ask("a%20b").assert_refused(400, "EBADINPUT");
    ask(&"x".repeat(65)).assert_refused(400, "EBADINPUT");
}

#[test]
fn a_lease_request_says_which_and_how_long() {
    let server = Server::start();
    let client = server.client();
    client.post("/lease?duration=1000", b"").assert_refused(400, "EBADDB");
    for duration in ["", "&duration=", "&duration=x", "&duration=-1"] {
        client.post(&format!("/lease?db=a{duration}"), b"").assert_refused(400, "EBADINPUT");
    }
    client.delete("/lease?db=a").assert_refused(400, "EBADINPUT");
}

#[test]
fn a_live_lease_fences_commits() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    let id = acquire(&client, "a", 60_000);
    let ltx = model.commit(&[(1, 1)], 1);
    client.push("a", &ltx).assert_refused(409, "ELEASE");
    client.header("Lfsc-Lease-Id", "other").push("a", &ltx).assert_refused(409, "ELEASE");
    // The fence comes before the rules: without the lease not even rubbish is looked at.
    client.push("a", b"rubbish").assert_refused(409, "ELEASE");
    let holder = client.header("Lfsc-Lease-Id", &id);
    holder.push("a", &ltx).assert_ok();
    client.push("a", &ltx).assert_ok();
    client.delete(&format!("/lease?db=a&id={id}")).assert_ok();
    let ltx = model.commit(&[(1, 2)], 1);
    holder.push("a", &ltx).assert_refused(409, "ELEASE");
    client.push("a", &ltx).assert_ok();
}

#[test]
fn an_expired_lease_commits_nothing_and_makes_room() {
    let server = Server::start();
    let client = server.client();
    let ltx = Model::new(512).commit(&[(1, 1)], 1);
    let first = acquire(&client, "a", 1);
    std::thread::sleep(Duration::from_millis(20));
    client.header("Lfsc-Lease-Id", &first).push("a", &ltx).assert_refused(409, "ELEASE");
    let second = acquire(&client, "a", 60_000);
    client.header("Lfsc-Lease-Id", &second).push("a", &ltx).assert_ok();
}

#[test]
fn a_lease_that_expires_during_the_upload_commits_nothing() {
    let server = Server::start();
    let client = server.client();
    let ltx = Model::new(512).commit(&[(1, 1)], 1);
    let id = acquire(&client, "a", 200);
    let length = format!("Content-Length: {}\r\nLfsc-Lease-Id: {id}\r\n", ltx.len());
    let head = client.head("POST", "/db/tx?db=a", &length);
    let mut upload = client.begin(&[head.as_bytes(), &ltx[..50]].concat());
    std::thread::sleep(Duration::from_millis(400));
    upload.write_all(&ltx[50..]).unwrap();
    finish(upload).assert_refused(409, "ELEASE");
    assert!(client.get("/pos").json().get("a").is_none());
}
