//! Bytes and numbers as text, each way written once: base64, percent codes, hexadecimal digits.

#[cfg(feature = "vfs")]
pub mod base64;
pub mod hex;
#[cfg(feature = "vfs")]
pub mod percent;
