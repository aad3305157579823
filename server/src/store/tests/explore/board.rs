//! The requests that are on their way, and what may happen next.
//!
//! A server's request waits here until the explorer has it take effect. Usually it is answered at once
//! then. A few times a run, which is bounded, something else happens to one:
//!
//! | what | the server is told | the store |
//! | --- | --- | --- |
//! | `Lose` | that it failed | does it at any later time, or never |
//! | `Repeat` | the answer | does it again at any later time, or never |
//! | `Hold` | the answer, at any later time | does it now |
//! | `Hour` | nothing | nothing, for an hour, to all that is on its way |
//!
//! An answer that is lost after the request took effect is `Lose`, and the store doing it right after.
//! Reads are lost, but not repeated or held: a read that took effect early is one whose server is slow
//! to go on.
//!
//! Schedules are bounded by their *depth*, too: how often, along any chain of steps that depend on each
//! other, it is another sender's turn. One after the other is 1; that somebody is interrupted by another
//! and sees it is 2. The order of steps that commute makes no difference to it.
//!
//! A request with which no other sender's ever conflicts takes effect as soon as it is sent: who does
//! what in between makes no difference, but that no time goes by. What others ever send is what they
//! sent in all runs so far; when more comes to light, the exploration begins anew.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::footprint::Footprint;

/// The name of what a client asks of a server: it is on its way, too, but does not get lost.
pub const CLIENTS: &str = "client";

/// Who sends requests: an actor of the script by its number, or what a server does of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sender {
    Actor(usize),
    Server(usize),
    /// A server that is there no more.
    Before,
}

/// A request, the same in every run: the sender's n-th one of that name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId {
    pub sender: Sender,
    pub name: Arc<str>,
    pub nth: u32,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It takes effect and is answered.
    Do,
    /// See above.
    Lose,
    Repeat,
    Hold,
    /// A held answer arrives.
    Answer,
    /// A request takes effect of which nobody waits for an answer any more.
    Late,
    /// Time goes on to what an actor waits for, or else to the next thing that anybody does.
    Tick,
    Hour,
}

/// One step of a schedule.
#[derive(Debug, Clone)]
pub struct Step {
    pub kind: Kind,
    pub request: Option<RequestId>,
    /// The server whose memory it may change.
    server: Option<usize>,
    footprint: Arc<Footprint>,
    /// Whether all others see it: time goes on for long.
    global: bool,
}

impl Step {
    pub fn is(&self, other: &Step) -> bool {
        self.kind == other.kind && self.request == other.request
    }

    /// Whether the order of two steps makes no difference to anybody.
    pub fn commutes(&self, other: &Step) -> bool {
        if self.global || other.global || (self.request.is_some() && self.request == other.request)
        {
            return false;
        }
        let sender = |step: &Step| step.request.as_ref().map(|request| request.sender);
        if self.server.is_some() && self.server == other.server && sender(self) != sender(other) {
            return false;
        }
        !self.footprint.conflicts(&other.footprint)
    }
}

/// What a parked request does when its time comes.
pub trait Work: Send {
    /// Has the store do it; the first time, the answer is kept.
    fn apply(&mut self);
    /// Answers.
    fn answer(&mut self);
    /// Answers that it failed.
    fn fail(&mut self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sent,
    /// It took effect, and is not answered.
    Held,
    /// It is answered, and may take effect (once more).
    Late,
}

struct Request {
    id: RequestId,
    server: usize,
    footprint: Arc<Footprint>,
    work: Box<dyn Work>,
    state: State,
    /// It is on its way from a client to a server.
    is_clients: bool,
}

/// All requests that were ever sent, in any run.
pub type Known = HashMap<(Sender, Arc<str>), (usize, Arc<Footprint>)>;

/// How many of what may happen in a run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// See above.
    pub depth: u32,
    /// `Lose`, `Repeat`, `Hold` and `Hour` together.
    pub faults: u32,
    /// `Hour` alone.
    pub hours: u32,
    /// `Tick` while requests are on their way.
    pub ticks: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Actor {
    server: usize,
    done: bool,
    /// It waits for that time, of its own choice.
    waits: Option<Instant>,
}

/// All requests of a run.
#[derive(Default)]
pub struct Board {
    requests: Vec<Request>,
    sent: HashMap<(Sender, Arc<str>), u32>,
    actors: Vec<Actor>,
    pub parks: bool,
    faults: u32,
    hours: u32,
    ticks: u32,
    /// What happened, and how deep.
    past: Vec<(Step, u32)>,
    depths: HashMap<Sender, u32>,
    /// What is known of other runs, and what was sent in this one.
    pub known: Arc<Known>,
    pub seen: Known,
}

impl Board {
    pub fn add_actor(&mut self, server: usize) {
        self.actors.push(Actor { server, ..Actor::default() });
    }

    pub fn set_done(&mut self, actor: usize) {
        self.actors[actor].done = true;
    }

    pub fn set_waits(&mut self, actor: usize, waits: Option<Instant>) {
        self.actors[actor].waits = waits;
    }

    /// The first time that an actor waits for.
    pub fn waits(&self) -> Option<Instant> {
        self.actors.iter().filter_map(|actor| actor.waits).min()
    }

    pub fn all_done(&self) -> bool {
        self.actors.iter().all(|actor| actor.done)
    }

    pub fn park(
        &mut self,
        sender: Sender,
        server: usize,
        name: String,
        footprint: Footprint,
        work: Box<dyn Work>,
    ) {
        let name: Arc<str> = name.into();
        let nth = self.sent.entry((sender, Arc::clone(&name))).or_default();
        *nth += 1;
        let id = RequestId { sender, name, nth: *nth };
        let footprint = Arc::new(footprint);
        let is_clients = &*id.name == CLIENTS;
        let seen = (id.sender, Arc::clone(&id.name));
        if !self.known.contains_key(&seen) {
            self.seen.insert(seen, (server, Arc::clone(&footprint)));
        }
        self.requests.push(Request { id, server, footprint, work, state: State::Sent, is_clients });
    }

    /// What is on its way since before the run, and nobody waits for.
    pub fn park_late(&mut self, name: String, footprint: Footprint, work: Box<dyn Work>) {
        let id = RequestId { sender: Sender::Before, name: name.into(), nth: 1 };
        let footprint = Arc::new(footprint);
        let state = State::Late;
        self.requests.push(Request { id, server: 0, footprint, work, state, is_clients: false });
    }

    /// Everything that may happen now, in an order that is the same in every run: what the first run
    /// does comes first.
    pub fn steps(&self, bounds: &Bounds) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut order: Vec<&Request> = self.requests.iter().collect();
        order.sort_by_key(|request| (request.id.sender, request.state as u8));
        for request in &order {
            match request.state {
                State::Sent => steps.push(request.step(Kind::Do)),
                State::Held => steps.push(request.step(Kind::Answer)),
                State::Late => {}
            }
        }
        let answers = !steps.is_empty();
        let late = order.iter().filter(|request| request.state == State::Late);
        steps.extend(late.map(|request| request.step(Kind::Late)));
        if !answers || (self.ticks < bounds.ticks && self.somebody_sleeps()) {
            steps.push(Step::time(Kind::Tick, self.waits().is_some()));
        }
        if self.faults < bounds.faults {
            let sent = order.iter().filter(|request| request.state == State::Sent);
            for request in sent.filter(|request| !request.is_clients) {
                steps.push(request.step(Kind::Lose));
                if request.footprint.is_write() {
                    steps.push(request.step(Kind::Repeat));
                    steps.push(request.step(Kind::Hold));
                }
            }
            if self.hours < bounds.hours && !self.requests.is_empty() {
                steps.push(Step::time(Kind::Hour, true));
            }
        }
        steps.retain(|step| bounds.depth == u32::MAX || self.depth(step) <= bounds.depth);
        // What is too deep now is so for good: no schedule leads from here to the end.
        let goes_on = |request: &&Request| {
            request.state == State::Late
                || steps.iter().any(|step| step.request.as_ref() == Some(&request.id))
        };
        if !self.requests.iter().all(|request| goes_on(&request)) {
            steps.clear();
        }
        let own = order.iter().find(|request| self.is_nobody_elses(request));
        if let Some(own) = own {
            steps.retain(|step| step.request.as_ref() == Some(&own.id));
        }
        steps
    }

    /// Whether no step of another sender's, now or later, can have to do with a request.
    fn is_nobody_elses(&self, request: &Request) -> bool {
        let late = |other: &&Request| other.state == State::Late;
        let (sender, server) = (request.id.sender, request.server);
        request.state == State::Sent
            && self.known.iter().all(|((other, _), (at, footprint))| {
                *other == sender || (*at != server && !footprint.conflicts(&request.footprint))
            })
            && self
                .requests
                .iter()
                .filter(late)
                .all(|other| !other.footprint.conflicts(&request.footprint))
    }

    fn depth(&self, step: &Step) -> u32 {
        let Some(sender) = step.request.as_ref().map(|request| request.sender) else {
            return 0;
        };
        let own = if step.kind == Kind::Late { 0 } else { self.depth_of(sender) };
        let before = self.past.iter().filter(|(past, _)| !past.global && !past.commutes(step));
        let depths = before.map(|(past, depth)| {
            let others = past.request.as_ref().is_some_and(|request| request.sender != sender);
            let late = past.kind == Kind::Late || step.kind == Kind::Late;
            depth + u32::from(others && !late)
        });
        depths.max().unwrap_or(0).max(own)
    }

    fn depth_of(&self, sender: Sender) -> u32 {
        self.depths.get(&sender).copied().unwrap_or(0)
    }

    /// Whether an actor is at nothing: it waits for a time, not for a request nor for somebody else on
    /// its server.
    fn somebody_sleeps(&self) -> bool {
        self.actors.iter().enumerate().any(|(number, actor)| {
            let (mut its_own, mut its_servers) = (false, false);
            for request in self.requests.iter().filter(|request| request.state != State::Late) {
                its_own |= request.id.sender == Sender::Actor(number);
                its_servers |= request.server == actor.server;
            }
            !actor.done && !its_own && (actor.waits.is_some() || !its_servers)
        })
    }

    /// Has a step happen, but for the passing of time.
    pub fn take(&mut self, step: &Step, bounds: &Bounds) {
        let depth = if bounds.depth == u32::MAX { 0 } else { self.depth(step) };
        if let Some(request) = step.request.as_ref().filter(|_| bounds.depth < u32::MAX) {
            self.past.push((step.clone(), depth));
            if step.kind != Kind::Late {
                self.depths.insert(request.sender, depth);
            }
        }
        self.faults +=
            u32::from(matches!(step.kind, Kind::Lose | Kind::Repeat | Kind::Hold | Kind::Hour));
        self.hours += u32::from(step.kind == Kind::Hour);
        self.ticks += u32::from(step.kind == Kind::Tick);
        let wanted = match step.kind {
            Kind::Answer => State::Held,
            Kind::Late => State::Late,
            _ => State::Sent,
        };
        let found = self.requests.iter().position(|request| {
            request.state == wanted && step.request.as_ref() == Some(&request.id)
        });
        let Some(at) = found else {
            return;
        };
        let request = &mut self.requests[at];
        match step.kind {
            Kind::Do => {
                request.work.apply();
                request.work.answer();
            }
            Kind::Lose => {
                request.work.fail();
                request.state = State::Late;
            }
            Kind::Repeat => {
                request.work.apply();
                request.work.answer();
                request.state = State::Late;
            }
            Kind::Hold => {
                request.work.apply();
                request.state = State::Held;
            }
            Kind::Answer => request.work.answer(),
            Kind::Late => request.work.apply(),
            Kind::Tick | Kind::Hour => {}
        }
        let over = match step.kind {
            Kind::Lose => !request.footprint.is_write(),
            Kind::Repeat | Kind::Hold => false,
            _ => true,
        };
        if over {
            self.requests.remove(at);
        }
    }

    /// Whatever is still on its way arrives; whether anything was.
    pub fn take_all(&mut self) -> bool {
        let any = !self.requests.is_empty();
        for mut request in std::mem::take(&mut self.requests) {
            if request.state != State::Held {
                request.work.apply();
            }
            request.work.answer();
        }
        any
    }
}

impl Request {
    fn step(&self, kind: Kind) -> Step {
        let touches = matches!(kind, Kind::Do | Kind::Repeat | Kind::Hold | Kind::Late);
        Step {
            kind,
            request: Some(self.id.clone()),
            server: (kind != Kind::Late).then_some(self.server),
            footprint: if touches { Arc::clone(&self.footprint) } else { Arc::default() },
            global: false,
        }
    }
}

impl Step {
    fn time(kind: Kind, global: bool) -> Step {
        Step { kind, request: None, server: None, footprint: Arc::default(), global }
    }
}
