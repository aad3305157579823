//! Connections that wait for the next request.

use super::line::Line;
use crate::sys;

/// How many wait at the most; more requests than that at a time are rare.
const MAX_IDLE: usize = 4;
/// How long one may wait. Servers and what is in between end idle connections, our own server after 60 s,
/// and a process that was frozen does not hear of it.
const MAX_IDLE_MS: u64 = 45_000;

/// See the module.
#[derive(Default)]
pub struct Pool(sys::Mutex<Idle>);

#[derive(Default)]
struct Idle {
    /// The process whose connections they are.
    owner: u32,
    /// The last used at the end.
    lines: Vec<Line>,
}

impl Idle {
    /// A forked child lets go of its parent's connections: what one reads, the other misses.
    fn disown(&mut self) {
        let process = sys::process_id();
        if self.owner != process {
            self.lines.clear();
            self.owner = process;
        }
    }
}

impl Pool {
    /// A connection on which a request may be sent, the last used.
    pub fn take(&self) -> Option<Line> {
        let mut idle = self.0.lock();
        idle.disown();
        while let Some(mut line) = idle.lines.pop() {
            if line.is_fresh(MAX_IDLE_MS) {
                return Some(line);
            }
        }
        None
    }

    /// Lets go of all that wait.
    pub fn clear(&self) {
        self.0.lock().lines.clear();
    }

    /// Keeps a connection whose last answer is over.
    pub fn put(&self, mut line: Line) {
        let mut idle = self.0.lock();
        idle.disown();
        if line.rest() && idle.lines.len() < MAX_IDLE {
            idle.lines.push(line);
        }
    }
}
