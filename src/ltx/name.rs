//! Names of LTX files: `<min TXID, 16 hex digits>-<max TXID, 16 hex digits>.ltx`.

use alloc::string::String;

use crate::types::Txid;

/// The name of the LTX file that holds those transactions.
pub fn file_name(min_txid: Txid, max_txid: Txid) -> String {
    alloc::format!("{min_txid}-{max_txid}.ltx")
}

/// The transactions of the LTX file of that name; `None` for any other name, capital digits included,
/// so that a file has one name only.
pub fn parse_file_name(name: &str) -> Option<(Txid, Txid)> {
    let (min_txid, max_txid) = name.strip_suffix(".ltx")?.split_once('-')?;
    let (min_txid, max_txid) = (min_txid.parse().ok()?, max_txid.parse().ok()?);
    let valid = Txid::ZERO < min_txid && min_txid <= max_txid;
    (valid && name == file_name(min_txid, max_txid)).then_some((min_txid, max_txid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_parses_as_it_was_made() {
        let name = file_name(Txid(1), Txid(0xff));
        assert_eq!(name, "0000000000000001-00000000000000ff.ltx");
        assert_eq!(parse_file_name(&name), Some((Txid(1), Txid(255))));
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            ".ltx",
            "-.ltx",
            "1-1.ltx",
            "0000000000000001-0000000000000001",
            "0000000000000001-0000000000000001.ltx.tmp",
            "0000000000000001-00000000000000FF.ltx",
            "0000000000000002-0000000000000001.ltx",
            "0000000000000000-0000000000000001.ltx",
            "000000000000000g-0000000000000010.ltx",
            "0000000000000001-0000000000000001-0000000000000001.ltx",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
