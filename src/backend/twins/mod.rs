//! Backends for tests: one in memory that checks what it is sent, and one that breaks on purpose.

mod fault;
mod memory;

pub use fault::{Fault, FaultyBackend, Operation};
pub use memory::MemoryBackend;
