//! More than the server takes on: requests a second, requests at a time, connections at a time.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::{Client, finish};
use crate::model::Model;
use crate::process::{Server, until};

/// A rate that nothing refills while a test runs.
const TWO_AND_NO_MORE: [&str; 4] = ["--rate-limit", "1", "--rate-burst", "2"];

#[test]
fn each_token_has_its_own_rate_and_strangers_share_one() {
    let args = ["--token", "t0", "--token", "t1", "--rate-limit", "1", "--rate-burst", "3"];
    let server = Server::start_with(&args);
    let client = |token| server.stranger().header("Authorization", token);
    // More at once than a second refills, however slow the machine.
    let statuses = |client: crate::client::Client| -> Vec<u16> {
        let threads: Vec<_> = (0..40)
            .map(|_| {
                let client = client.clone();
                std::thread::spawn(move || client.get("/pos").status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    };
    let first = statuses(client("t0"));
    assert!(first.contains(&200) && first.contains(&429), "{first:?}");
    assert_eq!(client("t1").get("/pos").status, 200);
    let strangers = [statuses(client("guess-1")), statuses(client("guess-2"))].concat();
    assert!(strangers.contains(&429) && !strangers.contains(&200), "{strangers:?}");
    assert_eq!(client("t1").get("/pos").status, 200);
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let server = Server::start_with(&[&["--token", "t0"][..], &TWO_AND_NO_MORE].concat());
    let client = server.client();
    let refused = (0..1000).map(|_| client.get("/pos")).find(|answer| answer.status != 200);
    let refused = refused.expect("a refusal");
    refused.assert_refused(429, "ERATELIMIT");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    for _ in 0..10 {
        server.stranger().get("/healthz").assert_ok();
    }
    until("it is let in again", || client.get("/pos").status == 200);
}

#[test]
fn a_request_too_many_is_refused_until_one_has_ended() {
    let server = Server::start_with(&["--token", "t0", "--max-requests", "1"]);
    let client = server.client();
    let ltx = Model::new(512).commit(&[(1, 1)], 1);
    let headers = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", ltx.len());
    let head = client.head("POST", "/db/tx?db=a", &headers);
    let mut upload = client.begin(head.as_bytes());
    // It is under way when its body is asked for.
    let mut asked = [0; 25];
    upload.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let refused = client.get("/pos");
    refused.assert_refused(503, "EUNAVAILABLE");
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.stranger().get("/healthz").assert_ok();
    upload.write_all(&ltx).unwrap();
    finish(upload).assert_ok();
    until("there is room again", || client.get("/pos").status == 200);
}

#[test]
fn an_answer_that_nobody_reads_keeps_its_place() {
    let server = Server::start_with(&["--token", "t0", "--max-requests", "1"]);
    let client = server.client();
    // Larger than what the operating system buffers on both sides.
    let mut model = Model::new(65_536);
    let pages: Vec<(u32, u8)> = (1..=512).map(|pgno| (pgno, pgno as u8)).collect();
    client.push("a", &model.commit(&pages, 512)).assert_ok();
    let head = client.head("GET", "/db/snapshot?db=a&format=sqlite", "");
    let mut download = client.begin(head.as_bytes());
    let mut begun = [0; 12];
    download.read_exact(&mut begun).unwrap();
    client.get("/pos").assert_refused(503, "EUNAVAILABLE");
    assert!(finish((&begun[..]).chain(download)).assert_ok().body == model.file());
    until("there is room again", || client.get("/pos").status == 200);
}

#[test]
fn a_connection_that_did_nothing_makes_room_for_the_next() {
    let server = Server::start_with(&["--token", "t0", "--max-connections", "2"]);
    let client = server.client();
    let half = || client.begin(b"GET /pos HTTP/1.1\r\nHost: ");
    let refused = server.stranger().head("GET", "/pos", "").replace("Connection: close\r\n", "");
    let strangers: Vec<_> = (0..9)
        .map(|n| if n % 2 == 0 { half() } else { server.stranger().begin(refused.as_bytes()) })
        .collect();
    for _ in 0..9 {
        client.get("/pos").assert_ok();
    }
    drop(strangers);
}

#[test]
fn a_connection_too_many_is_told_so() {
    let server = Server::start_with(&["--token", "t0", "--max-connections", "1"]);
    let client = server.client();
    let (busy, _) = slow_upload(&client);
    let refused = client.get("/pos");
    refused.assert_refused(503, "EUNAVAILABLE");
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.stranger().get("/healthz").assert_ok();
    drop(busy);
    until("there is a place again", || client.get("/pos").status == 200);
}

/// An upload of which nothing comes, and whether it is under way.
fn slow_upload(client: &Client) -> (TcpStream, bool) {
    let head = client.head("POST", "/db/tx?db=a", "Content-Length: 9\r\nExpect: 100-continue\r\n");
    let mut upload = client.begin(head.as_bytes());
    let mut status = [0; 12];
    upload.read_exact(&mut status).unwrap();
    (upload, &status == b"HTTP/1.1 100")
}

#[test]
fn one_token_does_not_take_all_there_is() {
    for limit in ["--max-requests", "--max-connections"] {
        let server = Server::start_with(&["--token", "t0", "--token", "t1", limit, "5"]);
        let (one, other) = (server.client(), server.stranger().header("Authorization", "t1"));
        let uploads: Vec<_> = (0..9).map(|_| slow_upload(&one)).collect();
        let under_way = uploads.iter().filter(|(_, under_way)| *under_way).count();
        assert_eq!(under_way, 3, "{limit}");
        for _ in 0..9 {
            other.get("/pos").assert_ok();
        }
        let refused = one.get("/pos");
        refused.assert_refused(503, "EUNAVAILABLE");
        assert!(
            refused.header("retry-after").is_some() && refused.header("litevfs-refused").is_some()
        );
        drop(uploads);
        until("there is room again", || one.get("/pos").status == 200);
    }
}

#[test]
fn connections_that_one_token_keeps_idle_make_room() {
    let args = ["--token", "t0", "--token", "t1", "--max-connections", "4"];
    let server = Server::start_with(&args);
    let ask = server.client().head("GET", "/pos", "").replace("Connection: close\r\n", "");
    let mut idle: Vec<_> = (0..4)
        .map(|_| {
            let mut kept = server.client().begin(ask.as_bytes());
            kept.read_exact(&mut [0; 12]).unwrap();
            kept
        })
        .collect();
    let other = server.stranger().header("Authorization", "t1");
    for _ in 0..9 {
        other.get("/pos").assert_ok();
    }
    // The newest were idle for less long.
    let newest = idle.last_mut().unwrap();
    newest.write_all(ask.as_bytes()).unwrap();
    let mut got = Vec::new();
    while got.windows(12).filter(|part| part == b"HTTP/1.1 200").count() < 1 {
        let mut more = [0; 1000];
        let len = newest.read(&mut more).unwrap();
        assert!(len > 0, "it was closed");
        got.extend_from_slice(&more[..len]);
    }
}
