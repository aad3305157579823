//! The codec.

mod decode;
mod files;
mod frames;
mod index;
mod lz4;
mod roundtrip;

use crate::fuzzing::Target;

/// Any file, as both versions.
pub const DECODE: Target = Target {
    name: "ltx_decode",
    check: decode::check,
    seeds: || with_choices(&[0, 1, 2, 3, 0x46], &files::examples()),
};

/// Any pages under any header, in every format.
pub const ROUNDTRIP: Target =
    Target { name: "ltx_roundtrip", check: roundtrip::check, seeds: roundtrip::seeds };

/// Page indexes, headers, and what is written as text.
pub const INDEX_NAMES: Target =
    Target { name: "index_names", check: index::check, seeds: index::seeds };

/// Rows of page frames.
pub const PAGE_FRAMES: Target =
    Target { name: "page_frames", check: frames::check_row, seeds: frames::rows };

/// Inner pages of tables, as they are sent.
pub const INNER_PAGE: Target =
    Target { name: "inner_page", check: frames::check_inner, seeds: frames::inner_pages };

/// LZ4 frames.
pub const LZ4_FRAME: Target = Target {
    name: "lz4_frame",
    check: lz4::check_frame,
    seeds: || with_choices(&[0x0c, 0x1c], &crate::fuzzing::files("tests/data/lz4")),
};

/// LZ4 blocks, and the checksums.
pub const LZ4_BLOCK: Target =
    Target { name: "lz4_block", check: lz4::check_block, seeds: lz4::blocks };

/// What seeds begin with, and the examples that follow it: most targets take their choices from the first byte.
fn with_choices(choices: &[u8], examples: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let with = |choice: &u8| {
        let choice = *choice;
        examples.iter().map(move |example| [&[choice][..], example].concat())
    };
    choices.iter().flat_map(with).collect()
}
