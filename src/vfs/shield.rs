//! No panic gets past here: one that did would abort the host program.
//!
//! Whatever SQLite calls runs its body in here, but for what can't panic: methods that answer with a constant, copy
//! or compare numbers, pass a call on to SQLite or the default VFS, or only take or free memory.
//!
//! Builds without `std` abort on panic anyway; there the lints against panicking code must do.

#[cfg(feature = "std")]
use crate::sys::log::log;

/// Runs `body`; when it panics, logs that and answers with `otherwise`.
pub fn shielded<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    #[cfg(feature = "std")]
    {
        // What `body` left half done is a connection's own; shared state is valid at every step.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
            Ok(result) => result,
            Err(panic) => {
                report(panic);
                otherwise
            }
        }
    }
    #[cfg(not(feature = "std"))]
    {
        let _ = otherwise;
        body()
    }
}

/// Apart from the shield, which is made anew for each type.
#[cfg(feature = "std")]
#[cold]
fn report(panic: alloc::boxed::Box<dyn core::any::Any + Send>) {
    drop(panic);
    log!(Error, "a bug in litevfs: a panic was caught; please report it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_other_result() {
        assert_eq!(shielded(1, || panic!("on purpose")), 1);
        assert_eq!(shielded(1, || 2), 2);
    }
}
