//! All interleavings of short scripts on a store that holds, loses and repeats requests.

mod board;
mod client;
mod footprint;
mod history;
mod mutants;
mod parked;
mod run;
mod scripts;
mod search;
