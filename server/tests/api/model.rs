//! A database in memory: makes LTX files, and knows what every position looks like.

use litevfs::ltx::{Crc64, Encoder, Format, Header, page_checksum};
use litevfs::page1::{HEADER_LEN, MAGIC};
use litevfs::types::{Checksum, CommitId, PageSize, Pgno, Pos, Txid};
use serde_json::{Value, json};

/// What a client holds of its database, and what it was.
#[derive(Clone)]
pub struct Model {
    pub page_size: PageSize,
    pub pages: Vec<Vec<u8>>,
    pub pos: Pos,
    /// Every position with its pages.
    pub history: Vec<(Pos, Vec<Vec<u8>>)>,
}

/// One transaction, made but perhaps not applied.
#[derive(Clone)]
pub struct Tx {
    pub header: Header,
    pub pages: Vec<(u32, Vec<u8>)>,
    pub post: Checksum,
}

impl Model {
    pub fn new(page_size: u32) -> Model {
        Model {
            page_size: PageSize::new(page_size).unwrap(),
            pages: Vec::new(),
            pos: Pos::EMPTY,
            history: Vec::new(),
        }
    }

    /// A page full of a byte, but for its first few and what page 1 has to say, so that SQLite would open
    /// it: among that, that the database size is not known.
    pub fn page(&self, pgno: u32, fill: u8) -> Vec<u8> {
        let mut page = vec![fill; self.page_size.len_bytes()];
        if pgno > 1 {
            page[..4].copy_from_slice(&pgno.to_be_bytes());
            return page;
        }
        page[..16].copy_from_slice(MAGIC);
        let page_size = u16::try_from(self.page_size.bytes()).unwrap_or(1);
        page[16..18].copy_from_slice(&page_size.to_be_bytes());
        page[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        page[28..32].fill(0);
        page[44..60].fill(0);
        page[HEADER_LEN] = 13;
        page
    }

    /// The next transaction, spanning `txids` of them: pages with their fill, and the new size.
    pub fn tx_spanning(&self, txids: u64, changes: &[(u32, u8)], commit: u32) -> Tx {
        let pages: Vec<_> =
            changes.iter().map(|&(pgno, fill)| (pgno, self.page(pgno, fill))).collect();
        let after = applied(&self.pages, &pages, commit);
        let min_txid = self.pos.txid.next().unwrap();
        let mut header = Header {
            commit,
            min_txid,
            max_txid: Txid(self.pos.txid.0 + txids),
            timestamp_ms: 1_700_000_000_000 + min_txid.0,
            pre_apply_checksum: self.pos.post_apply_checksum,
            base_id: self.pos.commit_id,
            ..Header::new(self.page_size)
        };
        header.commit_id = commit_id(&header, &pages);
        Tx { header, pages, post: checksum(&after) }
    }

    pub fn tx(&self, changes: &[(u32, u8)], commit: u32) -> Tx {
        self.tx_spanning(1, changes, commit)
    }

    /// The next transaction, which makes the database anew in pages of that size.
    pub fn reshape(&self, page_size: u32, fill: u8, commit: u32) -> Tx {
        let other = Model { page_size: PageSize::new(page_size).unwrap(), ..self.clone() };
        let all: Vec<(u32, u8)> = (1..=commit).map(|pgno| (pgno, fill)).collect();
        other.tx(&all, commit)
    }

    /// Takes a transaction in.
    pub fn apply(&mut self, tx: &Tx) {
        self.pages = applied(&self.pages, &tx.pages, tx.header.commit);
        self.page_size = tx.header.page_size;
        self.pos = tx.pos();
        self.history.push((self.pos, self.pages.clone()));
    }

    /// Makes a transaction, takes it in and gives its LTX file.
    pub fn commit(&mut self, changes: &[(u32, u8)], commit: u32) -> Vec<u8> {
        let tx = self.tx(changes, commit);
        self.apply(&tx);
        tx.ltx()
    }

    /// The server has made a transaction that changes nothing, and is at the position that it told.
    pub fn went_on(&mut self, told: &Value) {
        self.pos.txid.0 += 1;
        self.pos.commit_id = told["commitId"].as_str().unwrap().parse().unwrap();
        assert_eq!(*told, pos_json(self.pos));
    }

    /// The database as SQLite would have it on disk.
    pub fn file(&self) -> Vec<u8> {
        self.pages.concat()
    }
}

impl Tx {
    /// The position after it.
    pub fn pos(&self) -> Pos {
        let Header { max_txid, commit_id, .. } = self.header;
        Pos { txid: max_txid, post_apply_checksum: self.post, commit_id }
    }

    /// The same as of a client that knows no commit ids.
    pub fn without_ids(mut self) -> Tx {
        (self.header.commit_id, self.header.base_id) = (CommitId::NONE, CommitId::NONE);
        self
    }

    pub fn ltx(&self) -> Vec<u8> {
        self.encode(Format::V1Lz4)
    }

    pub fn encode(&self, format: Format) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), format, self.header).unwrap();
        for (pgno, data) in &self.pages {
            encoder.encode_page(Pgno::new(*pgno).unwrap(), data).unwrap();
        }
        encoder.finish(self.post).unwrap().out
    }
}

/// An id that another transaction does not have, and the same one made once more has.
fn commit_id(header: &Header, pages: &[(u32, Vec<u8>)]) -> CommitId {
    let mut crc = Crc64::new();
    crc.update(&header.encode(Format::V1Raw));
    for (pgno, data) in pages {
        crc.update(&pgno.to_be_bytes());
        crc.update(data);
    }
    CommitId(crc.finish())
}

fn applied(pages: &[Vec<u8>], changes: &[(u32, Vec<u8>)], commit: u32) -> Vec<Vec<u8>> {
    let mut after = pages.to_vec();
    after.resize(commit as usize, Vec::new());
    for (pgno, data) in changes {
        after[*pgno as usize - 1] = data.clone();
    }
    after
}

/// The database checksum of pages.
pub fn checksum(pages: &[Vec<u8>]) -> Checksum {
    let numbered = (1..).filter_map(Pgno::new).zip(pages);
    numbered.fold(Checksum::EMPTY, |sum, (pgno, data)| sum.toggle(page_checksum(pgno, data)))
}

pub fn pos_json(pos: Pos) -> Value {
    json!({
        "txid": pos.txid.to_string(),
        "postApplyChecksum": pos.post_apply_checksum.to_string(),
        "commitId": pos.commit_id.to_string(),
    })
}
