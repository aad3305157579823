//! What a library without the standard one must bring along: an allocator, here Emscripten's, and an end for
//! panics, which nothing catches.

extern crate alloc;

use alloc::format;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::panic::PanicInfo;
use extension::sys::{host, log::Level};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn memalign(align: usize, size: usize) -> *mut c_void;
    fn realloc(memory: *mut c_void, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
    fn abort() -> !;
}

/// What `malloc` aligns to.
const ALIGNED: usize = 8;

struct Emscripten;

// SAFETY: `malloc` and `memalign` give memory of that size and alignment or null, `free` takes either's, and
// `realloc` keeps what is there.
unsafe impl GlobalAlloc for Emscripten {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any numbers will do; the alignment is a power of two.
        let memory = unsafe {
            match layout.align() {
                ..=ALIGNED => malloc(layout.size()),
                align => memalign(align, layout.size()),
            }
        };
        memory.cast()
    }

    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: the caller's promise: it is from `alloc` or `realloc`.
        unsafe { free(memory.cast()) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            if layout.align() <= ALIGNED {
                return realloc(memory.cast(), size).cast();
            }
            let moved: *mut u8 = memalign(layout.align(), size).cast();
            if !moved.is_null() {
                memory.copy_to_nonoverlapping(moved, layout.size().min(size));
                free(memory.cast());
            }
            moved
        }
    }
}

#[global_allocator]
static ALLOCATOR: Emscripten = Emscripten;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    host::log(Level::Error as _, &format!("a bug in litevfs: {info}; please report it"));
    // SAFETY: nothing runs after it.
    unsafe { abort() }
}
