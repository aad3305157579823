//! `GET /db/page` as page frames: as stored, in ranges, streamed, and whole or broken off.

use std::io::Read;

use litevfs::ltx::PageFrames;
use litevfs::types::Pos;

use crate::client::{Answer, Client, finish};
use crate::model::{Model, Tx, checksum, pos_json};
use crate::process::{Server, until};

pub const MEDIA_TYPE: &str = "application/vnd.litevfs.pages";

pub fn get(client: &Client, db: &str, pos: Pos, pgnos: &str) -> Answer {
    let client = client.header("Accept", MEDIA_TYPE);
    client.get(&format!("/db/page?db={db}&pos={pos}&pgno={pgnos}"))
}

/// Pages of an answer, which must be whole.
#[track_caller]
pub fn pages(answer: &Answer) -> Vec<(u32, Vec<u8>)> {
    assert_eq!(answer.header("content-type"), Some(MEDIA_TYPE));
    let (mut pages, mut page) = (Vec::new(), Vec::new());
    let mut frames = PageFrames::new(&answer.body[..], None);
    while let Some(pgno) = frames.next_page(&mut page).unwrap() {
        pages.push((pgno.get(), page.clone()));
    }
    pages
}

fn numbered(pages: &[Vec<u8>], pgnos: &[u32]) -> Vec<(u32, Vec<u8>)> {
    pgnos.iter().map(|&pgno| (pgno, pages[pgno as usize - 1].clone())).collect()
}

/// A transaction whose pages LZ4 can do nothing about.
fn noisy(mut tx: Tx, model: &Model) -> Tx {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pages = model.pages.clone();
    pages.resize(tx.header.commit as usize, Vec::new());
    for (pgno, page) in &mut tx.pages {
        for bytes in page[104..].chunks_exact_mut(4) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.copy_from_slice(&((state >> 32) as u32).to_be_bytes());
        }
        pages[*pgno as usize - 1] = page.clone();
    }
    tx.post = checksum(&pages);
    tx
}

/// A database of so many pages on a server, pushed by the given steps: each writes every so many pages.
fn started(args: &[&str], page_size: u32, commit: u32, steps: &[usize]) -> (Server, Model) {
    let server = Server::start_with(args);
    let mut model = Model::new(page_size);
    for &step in steps {
        let changes: Vec<(u32, u8)> = (1..=commit).step_by(step).map(|pgno| (pgno, 0)).collect();
        let tx = noisy(model.tx(&changes, commit), &model);
        model.apply(&tx);
        server.client().push("a", &tx.ltx()).assert_ok();
    }
    (server, model)
}

const TOKEN: [&str; 2] = ["--token", "t0"];

#[test]
fn frames_come_in_the_order_asked_for_from_any_position() {
    let (server, model) = started(&TOKEN, 1024, 3000, &[1, 7, 200]);
    for (pos, content) in &model.history {
        let answer = get(&server.client(), "a", *pos, "2990-3000,1,3-5,2").assert_ok();
        let pgnos: Vec<u32> = (2990..=3000).chain([1, 3, 4, 5, 2]).collect();
        assert!(pages(&answer) == numbered(content, &pgnos));
        assert_eq!(answer.header("litevfs-pos"), Some(pos.to_string().as_str()));
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        // More than is read at a time.
        let all: Vec<u32> = (11..=3000).chain(1..=10).collect();
        let answer = get(&server.client(), "a", *pos, "11-3000,1-10").assert_ok();
        assert!(pages(&answer) == numbered(content, &all));
    }
}

#[test]
fn ranges_as_json_are_the_pages_one_by_one() {
    let (server, model) = started(&TOKEN, 512, 1200, &[1]);
    let json = |pgnos| crate::read::get(&server.client(), "a", model.pos, pgnos);
    let (ranges, numbers) = (json("7-9,1-2").assert_ok(), json("7,8,9,1,2").assert_ok());
    assert_eq!(ranges.json(), numbers.json());
    assert_eq!(crate::read::pages(&json("1-1024").assert_ok()).len(), 1024);
    json("1-1025").assert_refused(400, "EBADINPUT");
}

#[test]
fn only_who_accepts_frames_gets_them() {
    let (server, model) = started(&TOKEN, 512, 9, &[1]);
    let media_type = |accept: &str| {
        let client = server.client().header("Accept", accept);
        let answer = client.get(&format!("/db/page?db=a&pos={}&pgno=1", model.pos)).assert_ok();
        answer.header("content-type").unwrap().to_owned()
    };
    for accept in [
        MEDIA_TYPE,
        "Application/Vnd.LiteVFS.Pages",
        "application/json;q=0.1, application/vnd.litevfs.pages; q=1",
    ] {
        assert_eq!(media_type(accept), MEDIA_TYPE, "{accept}");
    }
    for accept in ["*/*", "", "application/json", "application/vnd.litevfs.pagesX"] {
        assert_eq!(media_type(accept), "application/json", "{accept}");
    }
}

#[test]
fn what_cannot_be_answered_is_refused_before_the_first_byte() {
    let (server, model) = started(&TOKEN, 512, 1500, &[1, 7]);
    let client = server.client();
    let ask = |pgnos: &str| get(&client, "a", model.pos, pgnos);
    for pgnos in ["", "0", "x", "1-", "-1", "3-2", "1-2-3", "1,1", "1-5,5-9", "9,1-10", "0-4"] {
        ask(pgnos).assert_refused(400, "EBADINPUT");
    }
    for pgnos in ["1501", "1-1501", "1400-4294967295", "1-1500,2097153"] {
        ask(pgnos).assert_refused(404, "ENOPAGE");
    }
    get(&client, "b", model.pos, "1-9").assert_refused(404, "ENODB");
    let mut never = model.history[1].0;
    never.post_apply_checksum.0 ^= 1;
    let answer = get(&client, "a", never, "1-1500");
    answer.assert_refused(409, "EPOSMISMATCH");
    assert_eq!(answer.json()["pos"], pos_json(model.pos));
    get(&server.stranger(), "a", model.pos, "1").assert_refused(401, "EINVALIDAUTH");
}

/// A request for all pages of a database larger than what the operating system buffers, of whose
/// answer the first bytes were read.
fn begun(server: &Server, model: &Model) -> impl Read + use<> {
    let client = server.client().header("Accept", MEDIA_TYPE);
    let target = format!("/db/page?db=a&pos={}&pgno=1-{}", model.pos, model.pages.len());
    let mut download = client.begin(client.head("GET", &target, "").as_bytes());
    let mut begun = [0; 12];
    download.read_exact(&mut begun).unwrap();
    std::io::Cursor::new(begun).chain(download)
}

#[test]
fn an_answer_under_way_stays_at_its_position() {
    let (server, mut model) = started(&TOKEN, 65_536, 400, &[1, 3]);
    let (then, download) = (model.pages.clone(), begun(&server, &model));
    server.client().push("a", &model.commit(&[(1, 9), (200, 9), (399, 9)], 399)).assert_ok();
    let all: Vec<u32> = (1..=400).collect();
    assert!(pages(&finish(download).assert_ok()) == numbered(&then, &all));
    get(&server.client(), "a", model.pos, "1-400").assert_refused(404, "ENOPAGE");
}

#[test]
fn an_answer_that_nobody_reads_keeps_its_place() {
    let args = ["--token", "t0", "--max-requests", "1"];
    let (server, model) = started(&args, 65_536, 400, &[1]);
    let download = begun(&server, &model);
    server.client().get("/pos").assert_refused(503, "EUNAVAILABLE");
    assert_eq!(pages(&finish(download).assert_ok()).len(), 400);
    until("there is room again", || server.client().get("/pos").status == 200);
}

#[test]
fn an_answer_whose_files_go_is_broken_off() {
    let (server, model) = started(&TOKEN, 65_536, 400, &[1]);
    let mut download = begun(&server, &model);
    for file in std::fs::read_dir(server.level0("a")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let mut body = Vec::new();
    // However the connection ends, the chunk that ends a body must not come.
    let _ = download.read_to_end(&mut body);
    assert!(body.starts_with(b"HTTP/1.1 200") && !body.ends_with(b"0\r\n\r\n"));
    assert!(body.len() < 400 * 65_536, "{}", body.len());
}
