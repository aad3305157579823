//! Which target a process fuzzes: the environment says, as libFuzzer has the arguments to itself.
//!
//! | `FUZZ_TARGET` | `FUZZ_SEEDS` | what the process does |
//! | --- | --- | --- |
//! | not set | | names the targets, and ends |
//! | a name | a folder | writes the target's seeds there, and ends |
//! | a name | not set | fuzzes |

use std::path::Path;
use std::process::exit;

/// A target's name, its check, and its seeds.
pub type Row = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// The check of the target that is fuzzed.
pub fn chosen(rows: &[Row]) -> fn(&[u8]) {
    let Ok(wanted) = std::env::var("FUZZ_TARGET") else {
        for (name, _, _) in rows {
            println!("{name}");
        }
        exit(0);
    };
    let Some((_, check, seeds)) = rows.iter().find(|(name, _, _)| *name == wanted) else {
        eprintln!("FUZZ_TARGET: there is no target {wanted:?}");
        exit(2);
    };
    if let Ok(folder) = std::env::var("FUZZ_SEEDS") {
        for (number, seed) in seeds().iter().enumerate() {
            std::fs::write(Path::new(&folder).join(format!("made-{number:03}")), seed).unwrap();
        }
        exit(0);
    }
    *check
}
