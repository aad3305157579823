//! Log lines: the `log!` macro. Where a line goes is the platform's, whether it is shown `log_filter.rs`'s.

pub use super::log_filter::Level;

/// Writes a log line: `log!(Warn, "{name}: {error}")`.
#[macro_export]
#[doc(hidden)]
macro_rules! __litevfs_log {
    ($level:ident, $($arg:tt)+) => {{
        let level = $crate::sys::log::Level::$level;
        $crate::sys::log_line(level, module_path!(), format_args!($($arg)+));
    }};
}
pub(crate) use __litevfs_log as log;
