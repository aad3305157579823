//! The library files of LiteVFS. All there is to see is in the package `litevfs`; this one makes its
//! C functions (`litevfs.h`) part of a shared and a static library.

#![cfg_attr(feature = "emscripten", no_std)]

#[cfg(all(target_os = "linux", not(feature = "static"), not(debug_assertions)))]
mod backtrace;
#[cfg(feature = "emscripten")]
mod runtime;

pub use extension::entry::*;
