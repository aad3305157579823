//! LTX file names.

use alloc::string::String;

use crate::types::Txid;

/// The name of the LTX file with those transactions.
pub fn file_name(min_txid: Txid, max_txid: Txid) -> String {
    alloc::format!("{min_txid}-{max_txid}.ltx")
}

/// The transactions of the LTX file with that name.
pub fn parse_file_name(name: &str) -> Option<(Txid, Txid)> {
    todo!()
}
