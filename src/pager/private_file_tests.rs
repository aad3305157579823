//! A private file beside a vector, on a disk that fails now and then.

use super::*;
use alloc::vec;

const CHUNK: u64 = CHUNK_LEN as u64;

/// A file of at most so many chunks in memory.
fn bounded(chunks: usize) -> PrivateFile {
    PrivateFile { max_in_memory: chunks, ..PrivateFile::new("a test's file") }
}

/// Takes the disk away: nothing can be written to what is open, but it can be read.
fn take_disk(file: &mut PrivateFile) {
    let (open, folder) = file.file.take().unwrap_or_else(|| sys::File::anonymous().unwrap());
    file.file = Some((open.read_only(), folder));
}

fn give_disk_back(file: &mut PrivateFile) {
    let (open, folder) = file.file.take().unwrap();
    file.file = Some((open.writable(), folder));
}

fn assert_is(file: &PrivateFile, expected: &[u8], what: &str) {
    assert_eq!(file.len_bytes(), expected.len() as u64, "{what}");
    let mut bytes = vec![1; expected.len() + 3];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), expected.len(), "{what}");
    assert!(bytes[..expected.len()] == *expected, "{what}");
    assert_eq!(bytes[expected.len()..], [0; 3], "{what}");
}

#[test]
fn it_is_a_file_whatever_the_disk_does() {
    let mut refused = 0;
    for seed in 0..60_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut file, mut model) = (bounded(12), Vec::new());
        let mut has_disk = true;
        for step in 0..150 {
            let what = alloc::format!("seed {seed}, step {step}");
            match random(10) {
                0 => {
                    let len = random(model.len() as u64 + 1);
                    let len = if random(4) == 0 { 0 } else { len };
                    file.truncate(len);
                    model.truncate(len as usize);
                    // Cut to nothing it makes a new file, which takes everything.
                    has_disk |= file.file.is_none();
                }
                1 if has_disk => {
                    take_disk(&mut file);
                    has_disk = false;
                }
                2 if !has_disk => {
                    give_disk_back(&mut file);
                    has_disk = true;
                }
                _ => {
                    let len = model.len() as u64;
                    // Mostly at the end, as a journal is written.
                    let offset = if random(3) == 0 { random(len + 2 * CHUNK) } else { len };
                    let longest = if random(5) == 0 { 3 * CHUNK } else { 5000 };
                    let bytes = vec![random(255) as u8 + 1; random(longest) as usize + 1];
                    let end = offset as usize + bytes.len();
                    match file.write_at(offset, &bytes) {
                        Ok(()) => {
                            model.resize(model.len().max(end), 0);
                            model[offset as usize..end].copy_from_slice(&bytes);
                        }
                        Err(error) => {
                            assert!(!has_disk, "{what}: {error}");
                            assert_eq!(error.kind(), ErrorKind::Full);
                            refused += 1;
                        }
                    }
                }
            }
            if step % 5 == 0 {
                assert_is(&file, &model, &what);
            }
            assert!(file.memory.len() <= 12, "{what}");
        }
    }
    assert!(refused > 30, "{refused} writes were refused");
}

#[test]
fn a_small_one_needs_no_disk() {
    let mut file = bounded(12);
    file.write_at(3, &[7; 4 * CHUNK_LEN - 3]).unwrap();
    assert!(file.file.is_none());
    file.write_at(4 * CHUNK, &[8]).unwrap();
    assert!(file.file.is_some());
    file.truncate(0);
    assert!(file.file.is_none(), "its room is given back");
    assert_is(&file, &[], "cut to nothing");
}

#[test]
fn what_ends_a_journal_needs_no_disk() {
    let mut file = bounded(12);
    file.write_at(0, &[7; 9 * CHUNK_LEN]).unwrap();
    // Neither readable nor writable.
    file.file = None;
    file.write_at(0, &[0; 28]).unwrap();
    file.truncate(5);
    assert_is(&file, &[0; 5], "zeroed and cut");
}

#[test]
fn bytes_that_the_disk_lost_are_an_error_and_not_zeros() {
    let mut file = bounded(12);
    file.write_at(0, &[7; 9 * CHUNK_LEN]).unwrap();
    file.file.as_ref().unwrap().0.set_len(CHUNK).unwrap();
    let error = file.read_at(CHUNK, &mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
    let before = file.memory.len();
    assert_eq!(file.write_at(CHUNK, &[1; 4]).unwrap_err().kind(), ErrorKind::Local);
    assert_eq!(file.memory.len(), before);
}

#[test]
fn the_error_says_what_is_missing_and_what_to_do() {
    let mut file = bounded(6);
    take_disk(&mut file);
    let error = file.write_at(0, &[7; 7 * CHUNK_LEN]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    file.write_at(0, &[7; 6 * CHUNK_LEN]).unwrap();
    let error = file.write_at(6 * CHUNK, &[7]).unwrap_err();
    let folder = &file.file.as_ref().unwrap().1;
    for word in ["a test's file", folder.as_str(), "SQLITE_TMPDIR", "TMPDIR"] {
        assert!(error.message().contains(word), "{word}: {error}");
    }
    assert_is(&file, &[7; 6 * CHUNK_LEN], "after the refusal");
}
