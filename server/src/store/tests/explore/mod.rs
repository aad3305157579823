//! All interleavings of short scripts on a store that holds, loses and repeats requests.

mod board;
pub mod client;
mod footprint;
pub mod history;
mod mutants;
mod parked;
mod run;
mod scripts;
mod search;
