//! SQLite's buffers for what is read.

use core::slice;

/// Memory of SQLite's as bytes, whatever they are.
///
/// Rust must not be shown uninitialised memory, which this may be. Zeroing what is filled at once takes as
/// long as reading it from the disk's cache does by a quarter. The assembly does nothing, but for all that
/// the compiler knows it writes to the memory; so the bytes have values, those that happen to be there.
/// WebAssembly has no assembly to do that with.
///
/// # Safety
///
/// There must be `len` bytes at `start`, for nobody else to use as long as the slice lives.
pub unsafe fn bytes_to_fill<'a>(start: *mut u8, len: usize) -> &'a mut [u8] {
    // SAFETY: nothing is executed, or the bytes that are there are set. The rest is the caller's promise.
    unsafe {
        #[cfg(not(target_family = "wasm"))]
        core::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags));
        #[cfg(target_family = "wasm")]
        start.write_bytes(0, len);
        slice::from_raw_parts_mut(start, len)
    }
}
