//! The scheduler: whose step is next, what breaks, how time passes.

use super::client::Client;
use super::model::{Counts, Model};
use super::wire::{LateRequest, Wire};
use crate::backend::twins::MemoryBackend;
use crate::db::Origin;
use crate::db::tests::{config, page, pgno};
use crate::sys::{VirtualTime, unix_ms};
use crate::types::DbName;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::Ordering::Relaxed;

const MACHINES: usize = 3;
const CLIENTS_EACH: usize = 2;
/// How deep steps of others may nest within requests.
const MAX_DEPTH: u32 = 3;
/// Steps in which every client must come to rest when nothing breaks any more.
const STEPS_TO_REST: u32 = 2_000;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// It does not arrive.
    Lost,
    /// It arrives when its sender has given up on it.
    Late,
    /// It takes effect, the answer does not arrive.
    AnswerLost,
}

/// A process.
struct Machine {
    origin: Arc<Origin>,
    /// Until then none of its threads runs.
    frozen_until_ms: u64,
    /// Killed: nothing it sends arrives, and it is replaced as soon as nobody is inside a call of it.
    is_doomed: bool,
    /// Calls into it that run.
    calls: u32,
    /// The oldest version that it may still show.
    floor: usize,
}

/// See the module.
pub struct World {
    random: u64,
    server: Arc<MemoryBackend>,
    db: DbName,
    machines: Vec<Machine>,
    clients: Vec<Option<Client>>,
    late: Vec<LateRequest>,
    depth: u32,
    is_calm: bool,
    pub model: Model,
}

std::thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Looks at the world, shortly: nothing in here may call a connection or the server.
pub fn world<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(|world| look(world.as_mut().expect("an episode runs")))
}

/// Whether something happens that happens so many times in a thousand.
pub fn chance(per_mille: u64) -> bool {
    below(1_000) < per_mille
}

/// A random number below a bound.
pub fn below(bound: u64) -> u64 {
    world(|world| world.below(bound))
}

/// Whether nothing breaks any more.
pub fn is_calm() -> bool {
    world(|world| world.is_calm)
}

enum Action {
    Nothing,
    Step(usize, Box<Client>),
    Background(usize),
    Arrive(LateRequest),
}

impl World {
    fn new(seed: u64) -> World {
        let (server, db): (_, DbName) =
            (Arc::new(MemoryBackend::default()), "db1".parse().unwrap());
        server.tells_pos.store(seed.is_multiple_of(2), Relaxed);
        server.commit_elsewhere(&db, |pages| {
            pages.extend((1..=4).map(|n| (pgno(n), page(n, n as u8, 1, 4))));
        });
        let (pos, pages) = server.newest(&db);
        let first = pages.into_iter().map(|(pgno, page)| (pgno.get(), page)).collect();
        let model = Model { versions: alloc::vec![first], pos, ..Model::default() };
        let machines = (0..MACHINES).map(|number| boot(&server, number)).collect();
        let mut world = World {
            random: seed,
            server,
            db,
            machines,
            clients: Vec::new(),
            late: Vec::new(),
            depth: 0,
            is_calm: false,
            model,
        };
        for machine in 0..MACHINES {
            world.open_clients(machine);
        }
        world
    }

    fn open_clients(&mut self, machine: usize) {
        let origin = &self.machines[machine].origin;
        for n in 0..CLIENTS_EACH {
            let connection = origin.connect(&self.db);
            // Machines where nobody, where all and where some know of leases.
            let client = match n < machine {
                true => Client::with_auto_lease(machine, connection),
                false => Client::new(machine, connection),
            };
            self.clients.push(Some(client));
        }
    }

    /// SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn runs(&self, machine: usize) -> bool {
        let machine = &self.machines[machine];
        !machine.is_doomed && (self.is_calm || machine.frozen_until_ms <= unix_ms())
    }

    /// What happens next.
    fn choose(&mut self) -> Action {
        self.model.counts.steps += 1;
        let what = self.below(1_000);
        let machine = self.below(MACHINES as u64) as usize;
        match what {
            0..10 if !self.is_calm => {
                self.machines[machine].frozen_until_ms = unix_ms() + self.below(3_000);
                Action::Nothing
            }
            10..13 if !self.is_calm => {
                self.machines[machine].is_doomed = true;
                Action::Nothing
            }
            13..15 if !self.is_calm => {
                self.server.forget_history(&self.db);
                Action::Nothing
            }
            15..50 if !self.late.is_empty() => {
                let at = self.below(self.late.len() as u64) as usize;
                Action::Arrive(self.late.swap_remove(at))
            }
            50..200 => {
                let due: Vec<usize> = VirtualTime::due();
                let due: Vec<usize> = due.into_iter().filter(|&owner| self.runs(owner)).collect();
                match due.len() as u64 {
                    0 => Action::Nothing,
                    len => Action::Background(due[self.below(len) as usize]),
                }
            }
            _ => {
                let at = self.below(self.clients.len() as u64) as usize;
                let machine = self.clients[at].as_ref().map(|client| client.machine);
                match machine.filter(|&machine| self.runs(machine)) {
                    Some(_) => {
                        Action::Step(at, Box::new(self.clients[at].take().expect("just seen")))
                    }
                    None => Action::Nothing,
                }
            }
        }
    }

    /// The oldest version that a process may still show.
    pub fn floor(&mut self, machine: usize) -> &mut usize {
        &mut self.machines[machine].floor
    }

    /// Whether a process was killed.
    pub fn is_doomed(&self, machine: usize) -> bool {
        self.machines[machine].is_doomed
    }
}

fn boot(server: &Arc<MemoryBackend>, number: usize) -> Machine {
    let wire = Wire { server: Arc::clone(server), machine: number };
    let origin = Origin::new(config(), Box::new(wire));
    Machine { origin, frozen_until_ms: 0, is_doomed: false, calls: 0, floor: 0 }
}

/// One step of somebody, and a look at what it led to.
fn step() {
    VirtualTime::advance(below(20));
    match world(World::choose) {
        Action::Nothing => {}
        Action::Arrive(request) => {
            let server = world(|world| Arc::clone(&world.server));
            request(&server);
        }
        Action::Background(machine) => inside(machine, || VirtualTime::run_due(machine)),
        Action::Step(at, mut client) => {
            inside(client.machine, || client.step());
            world(|world| world.clients[at] = Some(*client));
        }
    }
    observe();
    if world(|world| world.depth == 0) {
        bury();
    }
}

/// Calls into a process.
fn inside(machine: usize, call: impl FnOnce()) {
    let outer = VirtualTime::set_owner(machine);
    world(|world| world.machines[machine].calls += 1);
    call();
    world(|world| world.machines[machine].calls -= 1);
    VirtualTime::set_owner(outer);
}

/// Replaces the processes that were killed.
fn bury() {
    for number in 0..MACHINES {
        let dead = world(|world| {
            let machine = &world.machines[number];
            if !machine.is_doomed || machine.calls > 0 {
                return None;
            }
            let of_it = |client: &mut Option<Client>| {
                client.as_ref().is_none_or(|client| client.machine == number)
            };
            let clients: Vec<_> = world.clients.extract_if(.., of_it).flatten().collect();
            world.model.counts.deaths += 1;
            Some(clients)
        });
        let Some(clients) = dead else { continue };
        clients.into_iter().for_each(Client::die);
        VirtualTime::drop_tasks(number);
        let server = world(|world| Arc::clone(&world.server));
        let old = world(|world| {
            let old = core::mem::replace(&mut world.machines[number], boot(&server, number));
            world.open_clients(number);
            old
        });
        drop(old);
    }
}

/// What the others do while a request of a process is on its way.
pub fn meanwhile(machine: usize) {
    let steps = world(|world| {
        let busy = world.is_calm || world.machines[machine].is_doomed || world.depth >= MAX_DEPTH;
        if busy || world.below(6) > 0 {
            return 0;
        }
        1 + world.below(5)
    });
    world(|world| world.depth += 1);
    for _ in 0..steps {
        step();
    }
    world(|world| world.depth -= 1);
    if steps > 0 && chance(50) {
        VirtualTime::advance(below(2_000));
    }
}

/// What becomes of a process's next request.
pub fn weather(machine: usize) -> Weather {
    if world(|world| world.is_doomed(machine)) {
        return Weather::Lost;
    }
    if is_calm() {
        return Weather::Fine;
    }
    let weather = match below(1_000) {
        0..30 => Weather::Lost,
        30..60 => Weather::AnswerLost,
        60..90 => Weather::Late,
        _ => return Weather::Fine,
    };
    // Sometimes nobody waits for the answer any more.
    let dies = chance(30);
    world(|world| world.machines[machine].is_doomed |= dies);
    weather
}

/// Keeps a request for later.
pub fn delay(request: LateRequest) {
    world(|world| world.late.push(request));
}

/// Compares what the server has with what it may have.
pub fn observe() {
    let (server, db, pos) =
        world(|world| (Arc::clone(&world.server), world.db.clone(), world.model.pos));
    for (pos, pages) in server.history_after(&db, pos) {
        let stamp = super::client::stamp_of(&pages[&pgno(1)]);
        world(|world| world.model.appears(pos, pages, stamp));
    }
}

/// Runs one episode to its end. The seed decides everything.
pub fn episode(seed: u64, rounds: u64) -> Counts {
    let _time = VirtualTime::start();
    WORLD.set(Some(World::new(seed)));
    let done = |counts: Counts| counts.acknowledged + counts.refused + counts.unknown >= rounds;
    while !world(|world| done(world.model.counts)) {
        step();
    }
    rest();
    let last = WORLD.take().expect("the episode's world");
    let counts = last.model.counts;
    // Closing a connection asks the world how its request fares.
    let World { clients, machines, .. } = last;
    WORLD.set(Some(World { is_calm: true, ..World::new(0) }));
    drop((clients, machines));
    drop(WORLD.take());
    counts
}

/// Leaves an episode that failed: closing connections would go on with it.
pub fn abandon() {
    core::mem::forget(WORLD.take());
}

/// Nothing breaks any more: everything on its way arrives, everybody comes to rest and sees the same.
fn rest() {
    world(|world| world.is_calm = true);
    while let Some(request) = world(|world| world.late.pop()) {
        let server = world(|world| Arc::clone(&world.server));
        request(&server);
        observe();
    }
    for _ in 0..STEPS_TO_REST {
        step();
    }
    VirtualTime::advance(5_000);
    let mut clients = world(|world| core::mem::take(&mut world.clients));
    for client in clients.iter_mut().flatten() {
        client.must_see_the_newest();
    }
    world(|world| {
        world.clients = clients;
        world.model.end();
    });
}
