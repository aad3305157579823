//! What must hold for any bytes that reach the server: see `tests/fuzz/oracles`.

mod parse;
mod requests;
#[path = "../oracles/source.rs"]
mod source;
mod walk;

pub use source::{Source, Target};

/// All of this package.
pub const TARGETS: &[Target] = &[parse::TARGET, walk::TARGET, requests::TARGET];

/// Does work that waits for nothing but itself.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(work)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_input_that_is_kept_is_dealt_with() {
        super::source::check_all(super::TARGETS);
    }
}
