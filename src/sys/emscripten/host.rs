//! The functions of `ffi/wasm/library.js`, each with a safe face.
//!
//! They take numbers and pieces of this module's memory, which they use only until they return. None of
//! them throws, and none calls back into this module.
#![allow(unsafe_code)]

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use core::ffi::{c_int, c_void};

/// A request on its way, or its answer. Numbers of the host's; 0 is none.
pub type Exchange = c_int;
/// An open file. Numbers of the host's.
pub type Fd = c_int;

unsafe extern "C" {
    fn litevfs_js_env(name: *const u8, name_len: usize, value: *mut u8, room: usize) -> c_int;
    fn litevfs_js_unix_ms() -> f64;
    fn litevfs_js_running_ms() -> f64;
    fn litevfs_js_sleep(ms: f64);
    fn litevfs_js_random(bytes: *mut u8, len: usize) -> c_int;
    fn litevfs_js_log(level: c_int, text: *const u8, len: usize);
    fn litevfs_js_timer(call: extern "C" fn(*mut c_void), argument: *mut c_void, ms: f64);
    fn litevfs_js_file_open(path: *const u8, len: usize) -> Fd;
    fn litevfs_js_file_close(fd: Fd);
    fn litevfs_js_file_read(fd: Fd, bytes: *mut u8, len: usize, offset: f64) -> c_int;
    fn litevfs_js_file_write(fd: Fd, bytes: *const u8, len: usize, offset: f64) -> c_int;
    fn litevfs_js_file_length(fd: Fd) -> f64;
    fn litevfs_js_file_set_length(fd: Fd, length: f64) -> c_int;
    fn litevfs_js_file_punch(fd: Fd, offset: f64, length: f64) -> c_int;
    fn litevfs_js_file_unlink(path: *const u8, len: usize);
    fn litevfs_js_available() -> f64;
    fn litevfs_js_http_send(
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
        timeout_ms: f64,
    ) -> Exchange;
    fn litevfs_js_http_status(exchange: Exchange) -> c_int;
    fn litevfs_js_http_body_len(exchange: Exchange) -> f64;
    fn litevfs_js_http_text(exchange: Exchange, text: *mut u8, room: usize) -> c_int;
    fn litevfs_js_http_read(exchange: Exchange, bytes: *mut u8, len: usize) -> c_int;
    fn litevfs_js_http_close(exchange: Exchange);
}

/// An environment variable; `None` when it is not set.
pub fn env_var(name: &str) -> Option<String> {
    // SAFETY: the host reads the name and writes at most `room` bytes.
    text(|value, room| unsafe { litevfs_js_env(name.as_ptr(), name.len(), value, room) })
}

/// A text that the host writes where it has room, and of which it says the length in any case; a negative
/// one for none.
fn text(write: impl Fn(*mut u8, usize) -> c_int) -> Option<String> {
    let len = usize::try_from(write(core::ptr::null_mut(), 0)).ok()?;
    let mut bytes = vec![0; len];
    let again = usize::try_from(write(bytes.as_mut_ptr(), bytes.len())).ok()?;
    bytes.truncate(again);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Milliseconds since the Unix epoch.
pub fn unix_ms() -> u64 {
    // SAFETY: no arguments. A cast from a float keeps within the integer's bounds.
    unsafe { litevfs_js_unix_ms() as u64 }
}

/// Milliseconds since the worker began.
pub fn running_ms() -> u64 {
    // SAFETY: as above.
    unsafe { litevfs_js_running_ms() as u64 }
}

/// Waits.
pub fn sleep_ms(ms: u64) {
    // SAFETY: a number.
    unsafe { litevfs_js_sleep(ms as f64) }
}

/// Fills `bytes` with unpredictable bytes; `false` when the host has none.
pub fn random_bytes(bytes: &mut [u8]) -> bool {
    // SAFETY: the host writes within the slice.
    unsafe { litevfs_js_random(bytes.as_mut_ptr(), bytes.len()) != 0 }
}

/// Hands a line to the log.
pub fn log(level: c_int, text: &str) {
    // SAFETY: the host reads the text.
    unsafe { litevfs_js_log(level, text.as_ptr(), text.len()) }
}

/// What a timer does: it answers with the pause before the next time, or `None` for never again.
pub type Task = Box<dyn Fn() -> Option<u64>>;

/// Runs a task after a pause, when no call into this module is under way.
pub fn set_timer(ms: u64, task: Task) {
    let argument: *mut Task = Box::into_raw(Box::new(task));
    // SAFETY: the host keeps the pointer for `run_task` and nothing else.
    unsafe { litevfs_js_timer(run_task, argument.cast(), ms as f64) }
}

extern "C" fn run_task(argument: *mut c_void) {
    // SAFETY: a pointer of `set_timer`, which the host gives back once.
    let task = unsafe { Box::from_raw(argument.cast::<Task>()) };
    if let Some(pause_ms) = task() {
        set_timer(pause_ms, *task);
    }
}

/// Opens a file of the store; 0 when it is open already, negative when there is no store.
pub fn file_open(path: &str) -> Fd {
    // SAFETY: the host reads the path.
    unsafe { litevfs_js_file_open(path.as_ptr(), path.len()) }
}

/// Closes a file.
pub fn file_close(fd: Fd) {
    // SAFETY: a number.
    unsafe { litevfs_js_file_close(fd) }
}

/// Fills `bytes` from a file; `false` when it ends before.
pub fn file_read(fd: Fd, bytes: &mut [u8], offset: u64) -> bool {
    // SAFETY: the host writes within the slice.
    unsafe { litevfs_js_file_read(fd, bytes.as_mut_ptr(), bytes.len(), offset as f64) != 0 }
}

/// Writes all of `bytes`; `false` when the store does not take them.
pub fn file_write(fd: Fd, bytes: &[u8], offset: u64) -> bool {
    // SAFETY: the host reads the slice.
    unsafe { litevfs_js_file_write(fd, bytes.as_ptr(), bytes.len(), offset as f64) != 0 }
}

/// Bytes in a file.
pub fn file_length(fd: Fd) -> u64 {
    // SAFETY: a number.
    unsafe { litevfs_js_file_length(fd) as u64 }
}

/// Cuts a file, or grows it with zeros.
pub fn file_set_length(fd: Fd, length: u64) -> bool {
    // SAFETY: numbers.
    unsafe { litevfs_js_file_set_length(fd, length as f64) != 0 }
}

/// Gives bytes back to the store.
pub fn file_punch(fd: Fd, offset: u64, length: u64) -> bool {
    // SAFETY: numbers.
    unsafe { litevfs_js_file_punch(fd, offset as f64, length as f64) != 0 }
}

/// Removes a file's name.
pub fn file_unlink(path: &str) {
    // SAFETY: the host reads the path.
    unsafe { litevfs_js_file_unlink(path.as_ptr(), path.len()) }
}

/// Bytes that the store still takes; `None` without one.
pub fn available() -> Option<u64> {
    // SAFETY: no arguments.
    let bytes = unsafe { litevfs_js_available() };
    (bytes >= 0.0).then_some(bytes as u64)
}

/// An answer, or why there is none.
pub struct Answer(Exchange);

impl Answer {
    /// Sends a request and waits for all of its answer. `head` is the method, the URL and the header
    /// fields, a line each.
    pub fn to(head: &str, body: &[u8], timeout_ms: u64) -> Answer {
        let (body, body_len) = (body.as_ptr(), body.len());
        // SAFETY: the host reads both.
        let exchange = unsafe {
            litevfs_js_http_send(head.as_ptr(), head.len(), body, body_len, timeout_ms as f64)
        };
        Answer(exchange)
    }

    /// The status; 0 when there is no answer.
    pub fn status(&self) -> u16 {
        // SAFETY: a number.
        u16::try_from(unsafe { litevfs_js_http_status(self.0) }).unwrap_or(0)
    }

    /// The header fields, a line each; without an answer, the reason.
    pub fn text(&self) -> String {
        // SAFETY: the host writes at most `room` bytes.
        text(|bytes, room| unsafe { litevfs_js_http_text(self.0, bytes, room) }).unwrap_or_default()
    }

    /// Bytes of the body.
    pub fn body_len(&self) -> u64 {
        // SAFETY: a number.
        unsafe { litevfs_js_http_body_len(self.0) as u64 }
    }

    /// The next bytes of the body; 0 at its end.
    pub fn read(&mut self, bytes: &mut [u8]) -> usize {
        // SAFETY: the host writes within the slice.
        let len = unsafe { litevfs_js_http_read(self.0, bytes.as_mut_ptr(), bytes.len()) };
        usize::try_from(len).unwrap_or(0).min(bytes.len())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: a number, which nobody uses any more.
        unsafe { litevfs_js_http_close(self.0) }
    }
}
