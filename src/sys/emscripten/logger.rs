//! Where log lines go: to the page, by default its console.

use super::super::log_filter::{Filter, Level};
use super::host;
use super::threads::Mutex;
use alloc::format;
use alloc::string::String;
use core::ffi::c_int;
use core::fmt;

static FILTER: Mutex<Option<Filter>> = Mutex::new(None);

/// Reads `RUST_LOG`.
pub fn init_log() -> Result<(), String> {
    *FILTER.lock() = Some(Filter::parse(host::env_var("RUST_LOG").as_deref()));
    Ok(())
}

/// Writes one line, if it is to be shown.
pub fn log_line(level: Level, module: &str, message: fmt::Arguments<'_>) {
    if !FILTER.lock().as_ref().is_some_and(|filter| filter.shows(level, module)) {
        return;
    }
    host::log(level as c_int, &format!("{module}: {message}"));
}
