//! The JSON bodies of the API.

use super::named::Named;
use crate::backend::{Change, ChangedPages, GroupTx};
use crate::peer::said;
use crate::types::{CommitId, DbName, Pgno, Pos};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use miniserde::Deserialize;

/// The largest answer to a poll, a list of page numbers for each database: of so many, and of all together.
const MAX_CHANGES_LEN: usize = 4 << 20;
const MAX_SYNC_ANSWER_LEN: usize = 64 << 20;
/// Levels of lists and objects in an answer; those of the API have five.
const MAX_DEPTH: usize = 16;

/// A position: `{"txid":"<16 hex>","postApplyChecksum":"<16 hex>"}`, of our server with `"commitId":"<16 hex>"`.
#[derive(Deserialize)]
struct WirePos {
    txid: String,
    #[serde(rename = "postApplyChecksum")]
    post_apply_checksum: String,
    #[serde(rename = "commitId")]
    commit_id: Option<String>,
}

impl WirePos {
    /// `None` when it is no position.
    fn pos(&self) -> Option<Pos> {
        let pos = Pos {
            txid: self.txid.parse().ok()?,
            post_apply_checksum: self.post_apply_checksum.parse().ok()?,
            commit_id: self.commit_id.as_deref().map_or(Ok(CommitId::NONE), str::parse).ok()?,
        };
        // A transaction leaves a checksum, and no transaction none.
        (pos.post_apply_checksum.is_set() != pos.is_empty()).then_some(pos)
    }
}

/// Body of `POST /sync`: the position known of each database. Names and hex digits need no escapes.
pub fn sync_request(positions: &[(DbName, Pos)]) -> String {
    let mut body = String::from("{\"positions\":{");
    for (i, (db, pos)) in positions.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (txid, checksum) = (pos.txid, pos.post_apply_checksum);
        let _ = write!(
            body,
            "{comma}\"{db}\":{{\"txid\":\"{txid}\",\"postApplyChecksum\":\"{checksum}\""
        );
        if pos.commit_id.is_set() {
            let _ = write!(body, ",\"commitId\":\"{}\"", pos.commit_id);
        }
        body.push('}');
    }
    body.push_str("}}");
    body
}

/// Bytes of the largest answer about changes in so many databases.
pub const fn max_sync_answer_len(databases: usize) -> usize {
    let len = databases.saturating_add(1).saturating_mul(MAX_CHANGES_LEN);
    if len < MAX_SYNC_ANSWER_LEN { len } else { MAX_SYNC_ANSWER_LEN }
}

/// Answer of `POST /sync`.
#[derive(Deserialize)]
pub struct SyncResponse {
    changes: Named<WireChange>,
}

/// What changed in one database.
#[derive(Deserialize)]
pub struct WireChange {
    pos: WirePos,
    pgnos: Option<Vec<u32>>,
    all: Option<bool>,
    /// Beside `all`: commits alone led there.
    commits: Option<bool>,
}

impl SyncResponse {
    /// What the answer says of a database that was asked about from `since` on; `None` when it makes
    /// no sense. A database that is left out does not exist.
    pub fn change(&self, db: &DbName, since: Pos) -> Option<Change> {
        match self.changes.get(db.as_str()) {
            Some(change) => change.change(since),
            None => Some(Change::GONE),
        }
    }
}

impl WireChange {
    /// What it says of a database that was asked about from `since` on; `None` when it makes no sense.
    pub fn change(&self, since: Pos) -> Option<Change> {
        let pos = self.pos.pos()?;
        // A server that does not tell which commit it is: as far as it knows, nothing moved.
        let is_same = !pos.commit_id.is_set() && pos.agrees(since);
        let pos = if is_same { since } else { pos };
        // Of what was known it can't be said which commit it was: another history may have come by it.
        let is_first_told =
            pos.commit_id.is_set() && !since.commit_id.is_set() && !since.is_empty();
        let pages = if is_first_told {
            ChangedPages::All
        } else if self.all == Some(true) && self.commits == Some(true) {
            ChangedPages::ByCommits
        } else if self.all == Some(true) || since.is_empty() && pos != since {
            ChangedPages::All
        } else {
            let pgnos = self.pgnos.as_deref().unwrap_or_default();
            if pgnos.is_empty() && pos != since {
                // A position that moved without a page having changed: nothing to go by.
                ChangedPages::All
            } else {
                ChangedPages::Some(
                    pgnos.iter().map(|&pgno| Pgno::new(pgno)).collect::<Option<_>>()?,
                )
            }
        };
        Some(Change { pos, pages })
    }
}

/// The line before the LTX files in the body of `POST /db/group`. Ids need no escapes.
pub fn group_header(id: &str, txs: &[GroupTx<'_>]) -> String {
    let mut line = String::new();
    let _ = write!(line, "{{\"id\":\"{id}\",\"txs\":[");
    for (i, tx) in txs.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (db, lease_id, size) = (tx.db, tx.lease_id, tx.ltx.len());
        let _ =
            write!(line, "{comma}{{\"db\":\"{db}\",\"leaseId\":\"{lease_id}\",\"size\":{size}}}");
    }
    line.push_str("]}\n");
    line
}

/// Answer of `DELETE /db/group`.
#[derive(Deserialize)]
pub struct GroupResponse {
    /// `committed` or `aborted`.
    pub outcome: String,
}

/// Answer of `GET /db/page`.
#[derive(Deserialize)]
pub struct PagesResponse {
    /// Pages, their contents in base64.
    pub pages: Vec<WirePage>,
}

/// A page on the wire.
#[derive(Deserialize)]
pub struct WirePage {
    /// Page number.
    pub pgno: u32,
    /// Contents in base64.
    pub data: String,
}

/// Answer of `POST /lease`. `expires_at` is by the server's clock, and not used.
#[derive(Deserialize)]
pub struct LeaseResponse {
    /// The lease's id.
    pub id: String,
}

/// Body of an error.
#[derive(Deserialize)]
pub struct ErrorResponse {
    /// `EPOSMISMATCH` and others; empty when the server gave none.
    pub code: Option<String>,
    /// Text.
    pub error: Option<String>,
    /// In the answer about a group: the database that it failed for.
    pub db: Option<String>,
}

/// A body's JSON; `None` when it is none of that kind.
pub fn json<T: miniserde::Deserialize>(body: &[u8]) -> Option<T> {
    miniserde::json::from_str(flat_text(body)?).ok()
}

/// A body's text; `None` when it is none, or too deep.
#[inline(never)]
fn flat_text(body: &[u8]) -> Option<&str> {
    core::str::from_utf8(body).ok().filter(|_| is_flat(body))
}

/// Whether lists and objects are no deeper than those of the API. For each level that is open, the parser
/// takes forty times the byte that opens it, also in what is ignored then.
fn is_flat(body: &[u8]) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    body.iter().all(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= MAX_DEPTH
    })
}

/// An error's body, fit to be shown; of one without a code, which is not the server's, what can be.
pub fn error_of(body: &[u8]) -> ErrorResponse {
    let told = json(body);
    match told.filter(|told: &ErrorResponse| told.code.as_ref().is_some_and(|c| !c.is_empty())) {
        Some(ErrorResponse { code, error, db }) => {
            let clean = |text: Option<String>| text.map(|text| said::clean(&text, said::MAX_CHARS));
            ErrorResponse { code: clean(code), error: clean(error), db: clean(db) }
        }
        None => ErrorResponse { code: None, error: Some(said::line_of(body)), db: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POS: &str = r#"{"txid":"0000000000000002","postApplyChecksum":"8000000000000001"}"#;

    fn two() -> Pos {
        "0000000000000002/8000000000000001".parse().unwrap()
    }

    fn change(body: &str, since: Pos) -> Option<Change> {
        let response: SyncResponse =
            miniserde::json::from_str(&body.replace("POS", POS)).expect("not JSON");
        response.change(&"db".parse().unwrap(), since)
    }

    #[test]
    fn a_request_names_each_position() {
        let pos: Pos = "0000000000000002/8000000000000001".parse().unwrap();
        let two = [("a".parse().unwrap(), pos), ("b.c".parse().unwrap(), pos)];
        let expected = r#"{"positions":{"a":POS,"b.c":POS}}"#.replace("POS", POS);
        assert_eq!(sync_request(&two), expected);
        assert_eq!(sync_request(&[]), r#"{"positions":{}}"#);
    }

    #[test]
    fn changes_name_pages_or_all() {
        let since: Pos = "0000000000000001/8000000000000009".parse().unwrap();
        let two: Pos = "0000000000000002/8000000000000001".parse().unwrap();
        let some = change(r#"{"changes":{"db":{"pos":POS,"pgnos":[2,5]}}}"#, since).unwrap();
        assert_eq!(some.pos, two);
        let pgnos = [2, 5].map(|pgno| Pgno::new(pgno).unwrap());
        assert_eq!(some.pages, ChangedPages::Some(pgnos.to_vec()));
        let all = change(r#"{"changes":{"db":{"pos":POS,"pgnos":null,"all":true}}}"#, since);
        assert_eq!(all.unwrap().pages, ChangedPages::All);
        let same = change(r#"{"changes":{"db":{"pos":POS,"pgnos":null,"all":false}}}"#, two);
        assert_eq!(same.unwrap().pages, ChangedPages::Some(Vec::new()));
    }

    #[test]
    fn a_database_left_out_does_not_exist() {
        let gone = change(r#"{"changes":{}}"#, Pos::EMPTY).unwrap();
        assert_eq!(gone, Change { pos: Pos::EMPTY, pages: ChangedPages::All });
    }

    #[test]
    fn a_move_without_pages_distrusts_everything() {
        let since: Pos = "0000000000000001/8000000000000009".parse().unwrap();
        let moved = change(r#"{"changes":{"db":{"pos":POS}}}"#, since).unwrap();
        assert_eq!(moved.pages, ChangedPages::All);
    }

    #[test]
    fn another_commit_at_the_same_txid_and_checksum_distrusts_everything() {
        let with = |id| Pos { commit_id: CommitId(id), ..two() };
        let told = |id: &str, since: Pos| {
            let pos = POS.replace('}', &format!(r#","commitId":"{id}"}}"#));
            let change = change(&format!(r#"{{"changes":{{"db":{{"pos":{pos}}}}}}}"#), since);
            change.unwrap()
        };
        let same = Change { pos: with(5), pages: ChangedPages::Some(Vec::new()) };
        assert_eq!(told("0000000000000005", with(5)), same);
        let other = Change { pos: with(6), pages: ChangedPages::All };
        assert_eq!(told("0000000000000006", with(5)), other);
        assert_eq!(told("0000000000000006", two()), other);
        let pages = change(
            &format!(
                r#"{{"changes":{{"db":{{"pos":{},"pgnos":[2]}}}}}}"#,
                POS.replace('}', r#","commitId":"0000000000000006"}"#)
            ),
            "0000000000000001/8000000000000009".parse().unwrap(),
        );
        assert_eq!(pages, Some(other));
        // A server that tells no ids knows no better.
        assert_eq!(change(r#"{"changes":{"db":{"pos":POS}}}"#, with(5)), Some(same));
    }

    #[test]
    fn a_request_tells_the_commit_where_it_is_known() {
        let known = [("a".parse().unwrap(), Pos { commit_id: CommitId(5), ..two() })];
        let expected = POS.replace('}', r#","commitId":"0000000000000005"}"#);
        assert_eq!(sync_request(&known), format!(r#"{{"positions":{{"a":{expected}}}}}"#));
    }

    #[test]
    fn rubbish_is_no_change() {
        let since = Pos::EMPTY;
        for body in [
            r#"{"changes":{"db":{"pos":{"txid":"2","postApplyChecksum":"8000000000000001"}}}}"#,
            r#"{"changes":{"db":{"pos":{"txid":"0000000000000002","postApplyChecksum":"0000000000000000"}}}}"#,
            r#"{"changes":{"db":{"pos":{"txid":"0000000000000000","postApplyChecksum":"8000000000000000"}}}}"#,
        ] {
            assert_eq!(change(body, since), None, "{body}");
        }
        let since: Pos = "0000000000000001/8000000000000009".parse().unwrap();
        assert_eq!(change(r#"{"changes":{"db":{"pos":POS,"pgnos":[0]}}}"#, since), None);
    }

    #[test]
    fn errors_are_shown_clean_and_in_part() {
        let text = |body| error_of(body).error.unwrap_or_default();
        assert_eq!(text(b"<html>\r\nBad Gateway"), "");
        assert_eq!(text(b"no healthy upstream\n"), "no healthy upstream");
        assert_eq!(text(&[0xff, 0xfe]), "");
        assert!(error_of(br#"{"message":"Forbidden"}"#).code.is_none());
        assert!(error_of(br#"{"code":"","error":"x"}"#).code.is_none());
        assert_eq!(text(br#"{"code":"EX","error":"a\u001b[2Jb\u0000\nc"}"#), "ab c");
        let error = error_of(br#"{"code":"EX","error":"why","db":"a"}"#);
        assert_eq!(
            [error.code, error.error, error.db].map(Option::unwrap),
            ["EX", "why", "a"].map(String::from)
        );
    }

    #[test]
    fn a_group_begins_with_a_line_that_tells_its_files() {
        let (a, b) = ("a".parse().unwrap(), "b-2".parse().unwrap());
        let txs = [
            GroupTx { db: &a, lease_id: "L1", ltx: b"xyz" },
            GroupTx { db: &b, lease_id: "L2", ltx: b"" },
        ];
        let expected = concat!(
            r#"{"id":"0f","txs":[{"db":"a","leaseId":"L1","size":3},"#,
            r#"{"db":"b-2","leaseId":"L2","size":0}]}"#,
            "\n"
        );
        assert_eq!(group_header("0f", &txs), expected);
    }
}
