//! Requests of any kind to a whole server, with transaction ids, positions and pages at the ends of their range: each
//! gets an answer, none of them is a fault of the server's, and what is left is sound.

use super::{Source, Target, block_on};
use crate::app::App;
use crate::auth::Auth;
use crate::health::Health;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::regrant::Grants;
use crate::routes::{Origins, router};
use crate::store::fuzzing::store;
use crate::turns::Turns;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use litevfs::ltx::{Decoder, Encoder, Format, Header, Version, page_checksum};
use litevfs::page1::MAGIC;
use litevfs::types::{Checksum, CommitId, PageSize, Pgno, Pos, Txid};
use serde_json::Value;
use std::sync::Arc;
use tower::ServiceExt;

const MOST_REQUESTS: usize = 12;
const MOST_ANSWER: usize = 32 << 20;
const DATABASES: [&str; 4] = ["a", "b", "", "..%2f"];
const GROUP: &str = "00112233445566778899aabbccddeeff";
const FRAMES: &str = "application/vnd.litevfs.pages";

/// The bytes say what is asked.
pub const TARGET: Target = Target { name: "server_requests", check, seeds };

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for kind in 0..16_u8 {
        // A first commit, something, and another commit.
        let mut seed = vec![0, 0, 0, 0, 1, 0, 0, 0, 7, kind, 0];
        seed.extend((0..12).map(|n: u8| n.wrapping_mul(kind) % 8));
        seed.extend([0, 0, 0, 0, 2, 0, 0, 0, 8, 9]);
        seeds.push(seed);
    }
    seeds
}

fn check(data: &[u8]) {
    let mut source = Source(data);
    block_on(async {
        let app = Arc::new(App {
            store: store().await,
            auth: Auth::default(),
            limits: Limits::new(100, None),
            grants: Grants::default(),
            turns: Turns::default(),
            metrics: Metrics::default(),
            metrics_public: true,
            health: Health::default(),
            max_body: 1 << 24,
            max_import: 1 << 24,
            instance_id: "i".try_into().unwrap(),
        });
        let server = Server(router(app, &Origins::Listed(Vec::new())));
        for _ in 0..MOST_REQUESTS {
            if source.is_empty() {
                break;
            }
            server.step(&mut source).await;
        }
        server.is_sound().await;
    });
}

struct Server(Router);

impl Server {
    /// Makes a request; its answer is never a fault of the server's.
    async fn ask(&self, method: Method, target: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method.clone())
            .uri(target)
            .header("Host", "localhost")
            .header("Accept", FRAMES)
            .body(Body::from(body));
        let Ok(request) = request else { return (StatusCode::BAD_REQUEST, Vec::new()) };
        let answer = self.0.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), MOST_ANSWER).await;
        let body = body.unwrap_or_else(|error| panic!("{method} {target}: broke off: {error}"));
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        assert!(!status.is_server_error(), "{method} {target}: {status} {text}");
        (status, body.to_vec())
    }

    async fn get(&self, target: &str) -> (StatusCode, Vec<u8>) {
        self.ask(Method::GET, target, Vec::new()).await
    }

    async fn positions(&self) -> Vec<(String, Pos)> {
        let (_, body) = self.get("/pos").await;
        let all: Value = serde_json::from_slice(&body).unwrap();
        let pos = |value: &Value| Pos {
            txid: value["txid"].as_str().unwrap().parse().unwrap(),
            post_apply_checksum: value["postApplyChecksum"].as_str().unwrap().parse().unwrap(),
            commit_id: value["commitId"].as_str().unwrap().parse().unwrap(),
        };
        all.as_object().unwrap().iter().map(|(name, value)| (name.clone(), pos(value))).collect()
    }

    async fn base(&self, db: &str) -> Pos {
        let all = self.positions().await;
        all.iter().find(|(name, _)| name == db).map_or(Pos::EMPTY, |(_, pos)| *pos)
    }

    async fn step(&self, source: &mut Source<'_>) {
        let kind = source.byte() % 16;
        let db = DATABASES[usize::from(source.byte() % 4)];
        let base = self.base(db).await;
        let moment = moment(source, base);
        let (method, target, body) = match kind {
            0..=4 => (Method::POST, format!("/db/tx?db={db}"), file(source, base)),
            5 => (Method::GET, format!("/db/page?db={db}&{moment}&pgno={}", list(source)), vec![]),
            6 => {
                let bytes = source.number();
                (Method::GET, format!("/db/open?db={db}&{moment}&max_bytes={bytes}"), vec![])
            }
            7 => (Method::GET, format!("/db/snapshot?db={db}&{moment}"), vec![]),
            8 => (Method::POST, format!("/db/restore?db={db}&{moment}"), vec![]),
            9 => (Method::GET, format!("/db/sync?db={db}&{moment}"), vec![]),
            10 => {
                let duration = source.number();
                (Method::POST, format!("/lease?db={db}&duration={duration}"), vec![])
            }
            11 => (Method::POST, "/db/group".to_string(), self.group(source).await),
            12 => (Method::DELETE, format!("/db/group?id={GROUP}"), vec![]),
            13 => (Method::GET, format!("/db/info?db={db}"), vec![]),
            14 => (Method::DELETE, format!("/db?db={db}"), vec![]),
            _ => (Method::POST, "/sync".to_string(), source.0.to_vec()),
        };
        let (status, answer) = self.ask(method, &target, body).await;
        if kind == 7 && status.is_success() {
            snapshot(&answer);
        }
    }

    /// Transactions of two databases, and the line that tells of them.
    async fn group(&self, source: &mut Source<'_>) -> Vec<u8> {
        let files = [file(source, self.base("a").await), file(source, self.base("b").await)];
        let sizes = files.each_ref().map(|file| file.len() as u64);
        let odd = if source.byte() & 7 == 7 { source.number() } else { sizes[1] };
        let tx = |db: &str, size: u64| format!(r#"{{"db":"{db}","leaseId":"","size":{size}}}"#);
        let head =
            format!("{{\"id\":\"{GROUP}\",\"txs\":[{},{}]}}\n", tx("a", sizes[0]), tx("b", odd));
        [head.into_bytes(), files.concat()].concat()
    }

    /// Every database that there is can be read at its position.
    async fn is_sound(&self) {
        for (name, pos) in self.positions().await {
            let (status, body) = self.get(&format!("/db/snapshot?db={name}")).await;
            assert!(status.is_success(), "{name} at {pos}: {status}");
            assert!(snapshot(&body).agrees(pos), "{name}");
            let (status, _) = self.get(&format!("/db/open?db={name}")).await;
            assert!(status.is_success(), "{name} at {pos}: {status}");
        }
    }
}

/// The position that a snapshot is of, which is sound.
fn snapshot(file: &[u8]) -> Pos {
    let decoder = Decoder::new(file, Version::V1).unwrap();
    let txid = decoder.header().max_txid;
    let post_apply_checksum = decoder.finish().unwrap().post_apply_checksum;
    Pos { txid, post_apply_checksum, commit_id: CommitId::NONE }
}

fn moment(source: &mut Source, base: Pos) -> String {
    match source.byte() % 8 {
        0 => String::new(),
        1 => format!("pos={base}"),
        2 => format!("pos={base}&commit_id={}", base.commit_id),
        3 => format!("pos={:016x}/{:016x}", source.number(), source.number() | 1 << 63),
        4 => format!("txid={}", base.txid),
        5 => format!("txid={:016x}", source.number()),
        6 => format!("timestamp={}%20ms%20ago", source.number()),
        _ => "timestamp=9999-12-31T23:59:59.999Z".to_string(),
    }
}

fn list(source: &mut Source) -> String {
    let ranges = 1 + source.byte() % 3;
    let range = |_| match source.byte() % 4 {
        0 => "1".to_string(),
        1 => format!("{}", source.number()),
        2 => format!("1-{}", source.number()),
        _ => format!("{}-{}", source.number(), u32::MAX),
    };
    (0..ranges).map(range).collect::<Vec<_>>().join(",")
}

/// A file with every page of a small database, which may follow on the base, or say anything.
fn file(source: &mut Source, base: Pos) -> Vec<u8> {
    let how = source.byte();
    let page_size = PageSize::new(512 << (source.byte() & 1)).unwrap();
    let count = 1 + u32::from(source.byte() % 3);
    let mut header = Header::new(page_size);
    header.min_txid = base.txid.successor().unwrap_or(base.txid);
    header.pre_apply_checksum = base.post_apply_checksum;
    if base.is_empty() {
        header.pre_apply_checksum = Checksum::NONE;
    }
    header.commit = count;
    if how & 1 != 0 {
        header.min_txid = Txid(source.number());
    }
    header.max_txid = header.min_txid;
    if how & 2 != 0 {
        header.max_txid = Txid(header.min_txid.0.saturating_add(source.number()));
    }
    if how & 4 != 0 {
        header.commit = source.u32();
    }
    header.timestamp_ms = source.number();
    header.node_id = if how & 8 != 0 { source.number() } else { 0 };
    header.base_id = base.commit_id;
    if how & 64 != 0 {
        (header.commit_id, header.base_id) = (CommitId(source.number()), CommitId(source.number()));
    }
    let format = [Format::V1Lz4, Format::V1Raw, Format::V3Block, Format::V3Frame];
    let format = format[usize::from(how >> 4 & 3)];
    let fill = source.byte();
    let pages: Vec<(Pgno, Vec<u8>)> =
        (1..=count).map(|n| (Pgno::new(n).unwrap(), page(page_size, n, fill))).collect();
    let sum =
        |sum: Checksum, (pgno, page): &(Pgno, Vec<u8>)| sum.toggle(page_checksum(*pgno, page));
    let post_apply = pages.iter().fold(Checksum::EMPTY, sum);
    let made = || {
        let mut encoder = Encoder::new(Vec::new(), format, header).ok()?;
        for (pgno, page) in &pages {
            encoder.encode_page(*pgno, page).ok()?;
        }
        Some(encoder.finish(post_apply).ok()?.out)
    };
    let mut file = made().unwrap_or_default();
    if how & 64 != 0 && !file.is_empty() {
        let at = usize::from(source.u16()) % file.len();
        file[at] ^= source.byte();
    }
    file
}

/// A page that SQLite would take, where that is page 1.
fn page(page_size: PageSize, number: u32, fill: u8) -> Vec<u8> {
    let mut page = vec![fill; page_size.len_bytes()];
    if number == 1 {
        page[..16].copy_from_slice(MAGIC);
        page[16..18].copy_from_slice(&(page_size.bytes() as u16).to_be_bytes());
        page[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        page[28..32].fill(0);
        page[44..60].fill(0);
        page[100] = 13;
    }
    page
}
