//! Several processes that read, modify and write one database, step by step in a random order, with
//! everything going wrong on the way, against a model.
//!
//! ```text
//! mod.rs     the test: episodes, each decided by its seed
//! world.rs   the scheduler: whose step is next, what breaks, how time passes
//! wire.rs    a process's way to the server: requests and answers get lost or come late, and others
//!            act while one is on its way
//! client.rs  one connection and what SQLite does with it, its page cache included
//! model.rs   what may be at the server and what may be read
//! ```
//!
//! A step is one call of a connection's method, a background task's turn, a late request that arrives,
//! or the death of a process. While a request is on its way, others make steps, so that a process may
//! be stopped between any two of its requests for any time. After every step: whatever the server has
//! is the transactions' doing, each applied at most once, whole, on the state that it read; what was
//! acknowledged is there, what was refused is not and never will be, and nobody has read a state that
//! was never committed.

mod client;
mod model;
mod wire;
mod world;

use std::println;

/// Transactions of an episode.
const ROUNDS_PER_EPISODE: u64 = 100;
/// Transactions altogether, unless `WRITER_ROUNDS` says otherwise; the full size is 100,000.
const DEFAULT_ROUNDS: u64 = 2_000;

#[test]
fn no_update_is_lost() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("WRITER_ROUNDS").unwrap_or(DEFAULT_ROUNDS);
    let first = number("WRITER_SEED").unwrap_or(1);
    let mut total = model::Counts::default();
    for seed in first..first + rounds.div_ceil(ROUNDS_PER_EPISODE) {
        // The seed of a failure, to run with WRITER_SEED and WRITER_ROUNDS=1.
        let reporter = Reporter(seed);
        total += world::episode(seed, ROUNDS_PER_EPISODE);
        core::mem::forget(reporter);
    }
    println!("{rounds} rounds: {total:?}");
    // A world in which nothing works proves nothing, nor one in which nothing goes wrong.
    let enough = rounds / 20;
    let Counts { acknowledged, refused, unknown, reads, .. } = total;
    assert!(acknowledged > rounds / 4 && refused > enough && reads > rounds, "{total:?}");
    assert!(unknown > 0, "{total:?}");
}

use model::Counts;

/// Names the seed when a panic drops it, and leaves the world as it is.
struct Reporter(u64);

impl Drop for Reporter {
    fn drop(&mut self) {
        println!("WRITER_SEED={} WRITER_ROUNDS=1 repeats it", self.0);
        world::abandon();
    }
}
