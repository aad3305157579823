//! The LTX codec against files of other programs (`tests/data/ltx`), misuse and damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod damage;
mod streams;
mod vectors;

use std::fs;
use std::path::{Path, PathBuf};

use litevfs::ltx::{Decoder, Encoder, Error, Format, Header, PageIndex, Trailer, Version};
use litevfs::types::Pgno;

/// What one LTX file holds.
#[derive(Debug, PartialEq)]
struct Contents {
    header: Header,
    pages: Vec<(Pgno, Vec<u8>)>,
    trailer: Trailer,
}

fn decode(file: &[u8], version: Version) -> Result<Contents, Error> {
    let mut decoder = Decoder::new(file, version)?;
    let header = *decoder.header();
    let mut pages = Vec::new();
    let mut data = Vec::new();
    while let Some(pgno) = decoder.next_page(&mut data)? {
        pages.push((pgno, data.clone()));
    }
    Ok(Contents { header, pages, trailer: decoder.finish()? })
}

fn encode(contents: &Contents, format: Format) -> (Vec<u8>, Trailer, PageIndex) {
    let encoded = || {
        let mut encoder = Encoder::new(Vec::new(), format, contents.header)?;
        for (pgno, data) in &contents.pages {
            encoder.encode_page(*pgno, data)?;
        }
        encoder.finish(contents.trailer.post_apply_checksum)
    };
    let finished = encoded().map_err(Error::from).unwrap();
    (finished.out, finished.trailer, finished.index)
}

fn data_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ltx")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(data_dir().join(name)).unwrap()
}

fn v1_name(packing: &str, page_size: u32, txid: u64) -> String {
    format!("v1-{packing}-{page_size}-{txid:016x}-{txid:016x}.ltx")
}

/// Every LTX file of another program with its version, by path.
fn all_files() -> Vec<(String, Version)> {
    fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "ltx") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    collect(&data_dir(), &mut paths);
    paths.sort();
    let name = |path: &PathBuf| {
        let name = path.strip_prefix(data_dir()).unwrap().to_str().unwrap().to_owned();
        let version = if name.starts_with("v1") { Version::V1 } else { Version::V3 };
        (name, version)
    };
    paths.iter().map(name).collect()
}
