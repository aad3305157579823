//! What the extension needs of the machine: clocks, files, threads, randomness, logging.
//!
//! The only layer that may use `std`; the platform for browsers (`emscripten`) does without. An
//! implementation MUST offer every item below, MUST NOT panic, and MUST NOT call back into SQLite. Where a
//! platform lacks something (a disk, threads), the item says so by an error or by doing nothing, and the
//! layers above live without it.
//!
//! | item | promise |
//! | --- | --- |
//! | [`Mutex`] | mutual exclusion between connections; a panic while locked does not poison it |
//! | [`running_ms`], [`unix_ms`], [`sleep_ms`] | time; [`Tick`] is made of the first two |
//! | [`Interruptible`], [`is_interrupted`], [`pause_ms`] | waits that end when the program wants them to |
//! | [`Within`], [`left_ms`] | time that several requests have together |
//! | [`random_bytes`], [`random_u64`] | unpredictable bytes, or a number of them |
//! | [`process_id`] | tells a forked child from its parent |
//! | [`forks`] | likewise, for what is asked often |
//! | [`env_var`] | an environment variable as text |
//! | [`File`], [`PrivateDir`], [`create_dir`], [`available_space`] | cache and spill files |
//! | [`HAS_OWN_SPACE`] | whether only this process takes space where the cache is |
//! | [`HAS_TEMP_FILES`] | whether [`File::anonymous`] can succeed |
//! | [`spawn_every`] | repeated work on a thread or by a timer |
//! | [`Ahead`] | items made before they are asked for, where there are threads |
//! | [`spawn`], [`Watched`] | a thread, where there are some, and what it shares with others |
//! | [`log`] | lines for people |

mod clock;
pub mod log;
mod log_filter;

pub use clock::Tick;

#[cfg(feature = "native")]
mod native;
#[cfg(feature = "native")]
pub use native::*;

#[cfg(feature = "emscripten")]
mod emscripten;
#[cfg(feature = "emscripten")]
pub use emscripten::*;

/// An unpredictable number; `None` when the system has none.
pub fn random_u64() -> Option<u64> {
    let mut bytes = [0; 8];
    random_bytes(&mut bytes).then(|| u64::from_be_bytes(bytes))
}
