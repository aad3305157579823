//! The targets of the extension.
#![no_main]

mod choose;

use libfuzzer_sys::fuzz_target;
use litevfs::fuzzing::TARGETS;
use std::sync::OnceLock;

static CHECK: OnceLock<fn(&[u8])> = OnceLock::new();

fn check() -> fn(&[u8]) {
    *CHECK.get_or_init(|| {
        let rows = TARGETS.iter().map(|target| (target.name, target.check, target.seeds));
        choose::chosen(&rows.collect::<Vec<_>>())
    })
}

fuzz_target!(init: { check(); }, |data: &[u8]| check()(data));
