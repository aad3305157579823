//! Does without the backtraces of panics, of which the code is a tenth of the library.
//!
//! The standard library asks `_Unwind_Backtrace` of the system's unwinder for the frames of a panic, and
//! reads the names of each from debug information, which a release build does not have. Its code for that,
//! 200 KB, is in every library, because nothing at compile time says that it will not be used. Here is a
//! `_Unwind_Backtrace` that knows no frames: the linker drops what would be done with one. Panics say where they
//! happened and unwind as ever.
//!
//! The name stays inside the library. In a program that links it, the name would be the program's too: so the
//! feature `static` does without this file.

use core::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`
const END_OF_STACK: c_int = 5;

// Nobody outside is to find this one: a symbol that is hidden is not exported, whatever else says so.
core::arch::global_asm!(".hidden _Unwind_Backtrace");

/// The unwinder's function (Itanium C++ ABI, part of libgcc_s), for a stack without frames.
// SAFETY: within this library only the standard library calls it, by this signature, to print a backtrace.
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
extern "C" fn _Unwind_Backtrace(
    _: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    _: *mut c_void,
) -> c_int {
    END_OF_STACK
}
