//! Damaged files: an error or the same pages, never a panic and never other pages.

use litevfs::ltx::{Error, PageIndex, decode_page_frame, detect};

use super::{all_files, decode, read};

/// Divides the work of the tests below; `LTX_THOROUGH=1` does all of it, better in a release build.
fn thoroughness(divisor: usize) -> usize {
    if std::env::var_os("LTX_THOROUGH").is_some() { 1 } else { divisor }
}

#[test]
fn a_cut_file_is_refused() {
    for (name, version) in all_files() {
        let file = read(&name);
        // Inside a page nothing but a length is checked, so not every cut there is worth its time.
        let near_an_end = |len: &usize| *len < 200 || file.len() - len < 200;
        for len in (0..file.len()).filter(|len| near_an_end(len) || len % thoroughness(17) == 0) {
            let cut = &file[..len];
            assert_eq!(decode(cut, version).err(), Some(Error::Truncated), "{name}, {len} bytes");
            if let Ok(told) = detect(cut) {
                assert!(decode(cut, told).is_err(), "{name}, {len} bytes");
            }
        }
    }
}

#[test]
fn no_flipped_bit_changes_the_pages_unnoticed() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let files = all_files();
    for (name, version) in &files {
        let file = read(name);
        let contents = decode(&file, *version).unwrap();
        for _ in 0..20_000 / thoroughness(files.len()) {
            let mut damaged = file.clone();
            let at = random(file.len());
            damaged[at] ^= 1 << random(8);
            // One flip in four comes with a second, so that sizes and flags can agree in their lie.
            if random(4) == 0 {
                damaged[random(200.min(file.len()))] ^= 1 << random(8);
            }
            if damaged == file {
                continue;
            }
            // The same page can be compressed in more than one way; anything else is an error.
            if let Ok(decoded) = decode(&damaged, *version) {
                assert!(decoded == contents, "{name}, byte {at}");
            }
            if let Ok(index) = PageIndex::decode(&damaged, damaged.len() as u64) {
                for entry in index.entries() {
                    let range = entry.offset as usize..(entry.offset + entry.len) as usize;
                    let _ = decode_page_frame(&damaged[range], contents.header.page_size);
                }
            }
        }
    }
}
