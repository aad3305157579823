//! `POST /db/tx`: what page 1 of an upload says must be what its LTX header says.

use crate::commit::{assert_refused, started};
use crate::model::{self, Model, Tx};

/// A transaction of `model` with some bytes of page 1 changed.
fn with_page1(model: &Model, fill: u8, commit: u32, fields: &[(usize, &[u8])]) -> Tx {
    let grown = model.pages.len() as u32 + 1..=commit;
    let changes: Vec<(u32, u8)> =
        std::iter::once(1).chain(grown.filter(|&pgno| pgno > 1)).map(|pgno| (pgno, fill)).collect();
    let mut tx = model.tx(&changes, commit);
    for &(offset, bytes) in fields {
        tx.pages[0].1[offset..][..bytes.len()].copy_from_slice(bytes);
    }
    let mut after = model.pages.clone();
    after.resize(commit as usize, Vec::new());
    for (pgno, page) in &tx.pages {
        after[*pgno as usize - 1] = page.clone();
    }
    tx.post = model::checksum(&after);
    tx
}

#[test]
fn page_1_has_the_page_size_of_the_ltx_header() {
    let (server, model) = started();
    for field in [1024_u16, 1, 0, 511] {
        let tx = with_page1(&model, 9, 3, &[(16, &field.to_be_bytes())]);
        assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
        let text = server.client().push("a", &tx.ltx()).json()["error"].to_string();
        assert!(text.contains("512") && text.contains("page 1"), "{text}");
    }
    for (page_size, field, taken) in [(65_536, 1_u16, true), (65_536, 0, false), (4096, 1, false)] {
        let tx = with_page1(&Model::new(page_size), 9, 1, &[(16, &field.to_be_bytes())]);
        let answer = server.client().push(&format!("b{page_size}-{field}"), &tx.ltx());
        if taken {
            answer.assert_ok();
        } else {
            answer.assert_refused(422, "EBADHEADER");
        }
    }
}

#[test]
fn page_1_has_the_size_of_the_ltx_header_where_it_is_valid() {
    let (server, mut model) = started();
    let valid = |size: &'static [u8]| [(28, size), (24, &[0, 0, 0, 5]), (92, &[0, 0, 0, 5])];
    for wrong in [&[0, 0, 0, 2], &[0, 0, 0, 4], &[3, 0, 0, 0]] {
        let tx = with_page1(&model, 9, 3, &valid(wrong));
        assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
    }
    let mut stale = valid(&[0, 0, 0, 9]);
    stale[2].1 = &[0, 0, 0, 4];
    for (commit, fields) in [(3, valid(&[0, 0, 0, 3])), (4, valid(&[0, 0, 0, 4])), (2, stale)] {
        let tx = with_page1(&model, commit as u8, commit, &fields);
        server.client().push("a", &tx.ltx()).assert_ok();
        model.apply(&tx);
    }
    // A conflict is told first: the client has to look at its base anyway.
    let mut tx = with_page1(&model, 9, 2, &valid(&[0, 0, 0, 3]));
    tx.header.pre_apply_checksum.0 ^= 1;
    assert_refused(&server, &model, &tx.ltx(), 409, "EPOSMISMATCH");
}
