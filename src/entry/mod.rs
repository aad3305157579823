//! Where the host program comes in: `sqlite3_load_extension`, or a start-up hook for programs that
//! link SQLite and this library together.
#![allow(unsafe_code)]

#[cfg(any(feature = "emscripten", feature = "static"))]
mod linked;
#[cfg(feature = "loadable")]
mod loadable;

#[cfg(feature = "static")]
pub use linked::litevfs_static_init;
#[cfg(feature = "emscripten")]
pub use linked::sqlite3_wasm_extra_init;
#[cfg(feature = "loadable")]
pub use loadable::{ApiRoutines, sqlite3_litevfs_init, sqlite3_litevfs_init_default_vfs};

use crate::backend::Backend;
use crate::backend::lfsc::LfscClient;
use crate::config::{Config, Environment};
use crate::db::Origins;
use crate::error::{Error, ErrorKind, Result};
use crate::http::PlatformTransport;
use crate::sys;
use crate::vfs::{self, Sqlite};
use alloc::boxed::Box;
#[cfg(feature = "native")]
use core::ffi::c_int;
#[cfg(feature = "native")]
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Reads the environment and registers the VFS.
fn start(sqlite: Sqlite, make_default: bool) -> Result<()> {
    sys::init_log().map_err(|text| Error::new(ErrorKind::Config, text))?;
    vfs::register(sqlite, make_default, || {
        Origins::new(Environment::from_vars(sys::env_var)?, Box::new(reach))
    })?;
    #[cfg(feature = "native")]
    watch_forks();
    Ok(())
}

/// Has children that are forked from now on know that they are. The library stays loaded, and so does what
/// is called in them.
#[cfg(feature = "native")]
fn watch_forks() {
    type Handler = Option<unsafe extern "C" fn()>;
    unsafe extern "C" {
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
    }
    unsafe extern "C" fn x_forked() {
        sys::note_fork();
    }
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if !IS_WATCHED.swap(true, Relaxed) {
        // SAFETY: a function that stays; it does nothing that a forked child may not do.
        unsafe { pthread_atfork(None, None, Some(x_forked)) };
    }
}

/// The client of a configuration's server.
fn reach(config: &Config) -> Result<Box<dyn Backend>> {
    let transport = PlatformTransport::new(&config.base_url)?;
    Ok(Box::new(LfscClient::new(config.clone(), Box::new(transport))))
}
