//! Answers of a server to the client of the API: an error, or what was asked for, in no more bytes than that has.

use super::LfscClient;
use crate::backend::{Backend, GroupTx, Moment, PageList};
use crate::config::{Environment, Parameters};
use crate::fuzzing::{Source, Target};
use crate::http::{Body, Request, Response, Transport, TransportError};
use crate::ltx::{END_OF_PAGES, Encoder, Format, Header, inner_page_frame, page_checksum};
use crate::types::{Checksum, DbName, PageSize, Pgno, Pos, Txid};
use std::sync::Mutex;

/// What answers begin with, and what is between two of them.
const CUT: &[u8] = b"\xff\xfe\xfd\xfc";
const MOST_ANSWERS: usize = 8;
const TYPES: [&str; 4] = [
    "application/json",
    "application/vnd.litevfs.pages",
    "application/vnd.litevfs.pages;inner=1",
    "",
];
const STATUSES: [u16; 16] =
    [200, 200, 200, 200, 200, 200, 200, 200, 201, 400, 401, 404, 405, 409, 500, 507];
const MOST_OPENED: u32 = 65_536;

/// See the module. The first two bytes say what is asked, the others what is answered.
pub const ANSWERS: Target = Target { name: "lfsc_answers", check, seeds };

fn check(data: &[u8]) {
    let [call, choice, rest @ ..] = data else { return };
    let client = client(rest, 1 + usize::from(*choice) * 64);
    let asked = Asked { client: &client, db: "db".parse().unwrap(), pos: pos(), choice: *choice };
    // Twice, as the first answer may tell what the server understands.
    for round in 0..2_u8 {
        match call.wrapping_add(round) % 10 {
            0 => asked.changes(),
            1 => asked.opening(),
            2 | 3 => asked.stream(),
            4 => asked.past(),
            5 => asked.push(),
            6 => asked.groups(),
            7 => asked.lease(),
            8 => asked.size(),
            _ => asked.pages(),
        }
    }
}

fn pos() -> Pos {
    "0000000000000002/8000000000000001".parse().unwrap()
}

/// A client whose answers come so many bytes at a time.
fn client(data: &[u8], step: usize) -> LfscClient {
    let var = |name: &str| match name {
        "LITEFS_CLOUD_TOKEN" => Some("tok en".into()),
        "LITEFS_CLOUD_HOST" => Some("http://h:1/p".into()),
        _ => None,
    };
    let config = Environment::from_vars(var).unwrap().config(&Parameters::default()).unwrap();
    let mut rest = data;
    let mut answers = Vec::new();
    while answers.len() < MOST_ANSWERS {
        let Some(end) = rest.windows(CUT.len()).position(|four| four == CUT) else { break };
        answers.push(rest[..end].to_vec());
        rest = &rest[end + CUT.len()..];
    }
    answers.push(rest.to_vec());
    answers.reverse();
    LfscClient::new(config, Box::new(Script { answers: Mutex::new(answers), step }))
}

/// What is asked, and what must hold for the answers.
struct Asked<'a> {
    client: &'a LfscClient,
    db: DbName,
    pos: Pos,
    choice: u8,
}

impl Asked<'_> {
    /// Every other page, or a run.
    fn list(&self) -> PageList {
        let count = 1 + u32::from(self.choice >> 3);
        let kept = |number: &u32| count < 3 || !number.is_multiple_of(3);
        (1..=count).filter(kept).filter_map(Pgno::new).collect()
    }

    fn since(&self) -> Pos {
        if self.choice & 1 == 0 { self.pos } else { Pos::EMPTY }
    }

    fn changes(&self) {
        let other: DbName = "other".parse().unwrap();
        let asked = [(self.db.clone(), self.since()), (other, Pos::EMPTY)];
        let Ok(changes) = self.client.changes(&asked, false) else { return };
        assert_eq!(changes.len(), 2);
        for change in changes {
            assert_ne!(change.pos.is_empty(), change.pos.post_apply_checksum.is_set());
        }
    }

    fn opening(&self) {
        let opening = self.client.open(&self.db, self.since(), MOST_OPENED, false);
        let Ok(Some(opening)) = opening else { return };
        let len = opening.pages.first().map(|(_, page)| page.len()).unwrap_or_default();
        assert!(opening.pages.iter().all(|(_, page)| page.len() == len));
        assert!(len == 0 || PageSize::new(len as u32).is_some());
        assert!(opening.pages.len() * len < (MOST_OPENED as usize) * 64 + len.max(1));
    }

    fn stream(&self) {
        let size = Some(()).filter(|()| self.choice & 2 == 0);
        let size = size.and_then(|()| PageSize::new(512 << (self.choice & 7)));
        let wanted: Vec<Pgno> = self.list().iter().collect();
        let Ok(mut stream) = self.client.stream(&self.db, self.pos, size, self.list()) else {
            return;
        };
        let (mut came, mut page) = (Vec::new(), Vec::new());
        while let Ok(Some(pgno)) = stream.next(&mut page) {
            assert!(page.len() <= 90_000 * wanted.len());
            came.push(pgno);
        }
        assert!(wanted.starts_with(&came));
    }

    fn pages(&self) {
        let wanted: Vec<Pgno> = self.list().iter().collect();
        if let Ok(pages) = self.client.pages(&self.db, self.pos, &wanted) {
            assert!(pages.iter().map(|(pgno, _)| *pgno).eq(wanted));
        }
    }

    fn past(&self) {
        let moments = [Moment::Txid(Txid(3)), Moment::Time("5 min\r\nago\u{e9}".into())];
        let moment = &moments[usize::from(self.choice & 1)];
        if let Ok((pos, page)) = self.client.page1_then(&self.db, moment) {
            assert!(!pos.is_empty() && page.len() <= 90_000);
        }
    }

    fn push(&self) {
        let _ = self.client.push(&self.db, &[1, 2, 3], "lease");
    }

    fn groups(&self) {
        const ID: &str = "00112233445566778899aabbccddeeff";
        let other: DbName = "other".parse().unwrap();
        let txs = [
            GroupTx { db: &self.db, lease_id: "a", ltx: b"x" },
            GroupTx { db: &other, lease_id: "b", ltx: b"yy" },
        ];
        let _ = self.client.push_group(ID, &txs);
        let _ = self.client.abort_group(ID);
    }

    fn lease(&self) {
        if let Ok(granted) = self.client.acquire_lease(&self.db, 1000, Some("w")) {
            assert!((1..=128).contains(&granted.id.len()));
            assert!(granted.id.bytes().all(|byte| byte.is_ascii_graphic()));
            let _ = self.client.refresh_lease(&self.db, &granted.id, 5);
        }
        let _ = self.client.release_lease(&self.db, "x");
    }

    fn size(&self) {
        let _ = self.client.size_pages(&self.db, self.pos);
    }
}

/// A server that answers one thing after the other.
struct Script {
    /// The next one last.
    answers: Mutex<Vec<Vec<u8>>>,
    step: usize,
}

impl Transport for Script {
    fn open(&self, request: &Request) -> Result<Response<Box<dyn Body>>, TransportError> {
        assert!(request.url.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", request.url);
        for (name, value) in &request.headers {
            assert!(!value.contains(['\r', '\n', '\0']), "{name}: {value:?}");
        }
        let Some(answer) = self.answers.lock().unwrap().pop() else { return Err(broken("none")) };
        let mut source = Source(&answer);
        let (status, kind) = (source.byte(), source.byte());
        let content_type = TYPES[usize::from(kind & 3)].to_string();
        let mut headers = vec![("Content-Type".to_string(), content_type)];
        let mut rest = source.0;
        // Fields up to an empty line.
        while kind & 4 != 0
            && let Some(end) = rest.iter().position(|&byte| byte == b'\n')
        {
            let line = str::from_utf8(&rest[..end]).unwrap_or_default();
            rest = &rest[end + 1..];
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.into(), value.trim().into()));
        }
        let step = if status & 16 != 0 { 1 } else { self.step };
        let (is_cut, max_len) = (status & 32 != 0, request.max_answer_len);
        let body = Bytes { rest: rest.to_vec(), step, is_cut, max_len };
        Ok(Response { status: STATUSES[usize::from(status & 15)], headers, body: Box::new(body) })
    }
}

/// What page contents in JSON are.
pub use crate::text::base64::decode as decode_base64;

/// A body that comes in parts, perhaps not to its end.
struct Bytes {
    rest: Vec<u8>,
    step: usize,
    is_cut: bool,
    max_len: usize,
}

impl Body for Bytes {
    fn read(&mut self, bytes: &mut [u8], _: u64) -> Result<usize, TransportError> {
        let len = self.rest.len().min(bytes.len()).min(self.step);
        if len == 0 && !bytes.is_empty() && self.is_cut {
            return Err(broken("cut"));
        }
        let came: Vec<u8> = self.rest.drain(..len).collect();
        bytes[..len].copy_from_slice(&came);
        self.max_len = self.max_len.checked_sub(len).ok_or_else(|| broken("too long"))?;
        Ok(len)
    }

    fn is_over(&self) -> bool {
        self.rest.is_empty() && !self.is_cut
    }
}

/// Nothing that helps to ask again, which takes time.
fn broken(reason: &str) -> TransportError {
    TransportError { maybe_sent: true, retryable: false, reason: reason.into() }
}

fn seeds() -> Vec<Vec<u8>> {
    let pos = r#"{"txid":"0000000000000002","postApplyChecksum":"8000000000000001"}"#;
    let change = format!(r#"{{"pos":{pos},"pgnos":[1,7,4294967295],"all":false}}"#);
    let sync = format!(r#"{{"changes":{{"db":{change},"x":{change}}}}}"#);
    let opened = [&(change.len() as u32).to_be_bytes(), change.as_bytes(), &frames(2)].concat();
    let then = b"Litevfs-Pos: 0000000000000002/8000000000000001\n\n";
    let json = br#"{"pages":[{"pgno":1,"data":"Zm9v"}]}"#;
    let mut header = Header::new(PageSize::MAX);
    (header.min_txid, header.max_txid, header.commit) = (Txid(1), Txid(2), 9);
    let error = br#"{"code":"EPOSMISMATCH","error":"why","db":"db"}"#;
    let mut seeds = vec![
        [&[0, 0, 0, 0], sync.as_bytes()].concat(),
        [&[1, 0, 0, 1], &opened[..]].concat(),
        [&[2, 8, 0, 1], &frames(2)[..], CUT, &[0, 2], &frames(2)[..]].concat(),
        [&[9, 0, 0, 0], &json[..]].concat(),
        [&[4, 0, 0, 5], &then[..], &frames(1)[..]].concat(),
        [&[6, 0, 0, 0, 0, 0], CUT, br#"  {"outcome":"aborted"}"#].concat(),
        [&[7, 0, 0, 0], &br#"{"id":"x"}"#[..]].concat(),
        [&[8, 0, 0, 0], &header.encode(Format::V1Raw)[..]].concat(),
        [&[0, 0, 0, 0], &b"{\"x\":"[..], &[b'['; 300]].concat(),
    ];
    seeds.extend((0..10).map(|call| [&[call, 0, 13, 0], &error[..]].concat()));
    seeds
}

/// Pages in a row, inner ones too.
fn frames(count: u32) -> Vec<u8> {
    let size = PageSize::new(512).unwrap();
    let mut header = Header::new(size);
    (header.min_txid, header.max_txid, header.commit) = (Txid(1), Txid(1), 1);
    let page = vec![7; 512];
    let sum = Checksum::EMPTY.toggle(page_checksum(Pgno::ONE, &page));
    let mut encoder = Encoder::new(Vec::new(), Format::V3Block, header).unwrap();
    encoder.encode_page(Pgno::ONE, &page).unwrap();
    let file = encoder.finish(sum).unwrap();
    let entry = file.index.entries()[0];
    let mut row = file.out[entry.offset as usize..][..entry.len as usize].to_vec();
    for number in 2..=count {
        let mut page = vec![0; 512];
        page[0] = 5;
        row.extend(inner_page_frame(Pgno::new(number).unwrap(), &page, 512).unwrap());
    }
    row.extend(END_OF_PAGES);
    row
}
