//! Steps that fail, and streams of the standard library.

use litevfs::ltx::{Decoder, Encoder, Error, Format, IoRead, IoWrite, StreamError, Version};

use super::{decode, encode, read, v1_name};

#[test]
fn a_decoder_does_not_go_on_after_an_error() {
    let file = read(&v1_name("raw", 4096, 1));
    let mut decoder = Decoder::new(&file[..2000], Version::V1).unwrap();
    let mut data = Vec::new();
    let failed = |error| Err(StreamError::Ltx(error));
    assert_eq!(decoder.next_page(&mut data), failed(Error::Truncated));
    assert_eq!(decoder.next_page(&mut data), failed(Error::AlreadyFailed));
    assert_eq!(decoder.finish(), Err(StreamError::Ltx(Error::AlreadyFailed)));
}

#[test]
fn a_standard_stream_serves_as_well() {
    let file = read(&v1_name("lz4", 4096, 1));
    let contents = decode(&file, Version::V1).unwrap();
    let mut decoder = Decoder::new(IoRead(file.as_slice()), Version::V1).unwrap();
    let mut encoder = Encoder::new(IoWrite(Vec::new()), Format::V3Block, contents.header).unwrap();
    let mut data = Vec::new();
    while let Some(pgno) = decoder.next_page(&mut data).unwrap() {
        encoder.encode_page(pgno, &data).unwrap();
    }
    let trailer = decoder.finish().unwrap();
    let finished = encoder.finish(trailer.post_apply_checksum).unwrap();
    assert!(finished.out.0 == encode(&contents, Format::V3Block).0);

    let mut too_short = [0; 10];
    let out = IoWrite(too_short.as_mut_slice());
    let none = Encoder::new(out, Format::V1Raw, contents.header);
    assert!(matches!(none.err(), Some(StreamError::Io(_))));
}

#[test]
fn an_encoder_refuses_what_no_file_may_hold() {
    let contents = decode(&read(&v1_name("raw", 4096, 1)), Version::V1).unwrap();
    let (first, second) = (&contents.pages[0], &contents.pages[1]);
    for format in [Format::V1Raw, Format::V1Lz4, Format::V3Frame, Format::V3Block] {
        let encoder = || Encoder::new(Vec::new(), format, contents.header).unwrap();
        let refused = |error| Err(StreamError::Ltx(error));
        let post_apply = contents.trailer.post_apply_checksum;

        assert_eq!(encoder().encode_page(second.0, &second.1), refused(Error::SnapshotGap));
        assert_eq!(encoder().encode_page(first.0, &[0; 4095]), refused(Error::BadPageLength));
        let early = encoder().finish(post_apply).map(|_| ());
        assert_eq!(early, refused(Error::SnapshotGap));

        let mut wrong = encoder();
        for (pgno, _) in &contents.pages {
            wrong.encode_page(*pgno, &[0; 4096]).unwrap();
        }
        assert_eq!(wrong.finish(post_apply).map(|_| ()), refused(Error::DatabaseChecksum));
    }
}
