//! The origins that the process knows: the environment's, and those that databases name in their URI.

use super::database::Origin;
use crate::backend::Backend;
use crate::config::{Config, Environment, Parameters};
use crate::error::Result;
use crate::sys;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Makes the way to a configuration's server.
pub type Reach = Box<dyn Fn(&Config) -> Result<Box<dyn Backend>> + Send + Sync>;

/// See the module. Lives as long as the process.
pub struct Origins {
    environment: Environment,
    reach: Reach,
    /// The environment's; `None` when that has no token.
    own: Option<Arc<Origin>>,
    /// Those of URIs, each as long as it has an open database.
    named: sys::Mutex<Vec<Weak<Origin>>>,
}

impl Origins {
    /// The origins of a process with that environment. An environment that can't be used fails.
    pub fn new(environment: Environment, reach: Reach) -> Result<Origins> {
        let mut own = None;
        if environment.has_token() {
            let config = environment.config(&Parameters::default())?;
            let backend = reach(&config)?;
            own = Some(Origin::new(config, backend));
        }
        Ok(Origins { environment, reach, own, named: sys::Mutex::new(Vec::new()) })
    }

    /// Whether connections take the write lease by themselves unless they are told otherwise.
    pub fn auto_lease(&self) -> bool {
        self.environment.auto_lease()
    }

    /// The configuration that a URI with these parameters means.
    pub fn config(&self, parameters: &Parameters) -> Result<Config> {
        self.environment.config(parameters)
    }

    /// Whether a URI that says nothing means this configuration.
    pub fn is_own(&self, config: &Config) -> bool {
        self.own.as_ref().is_some_and(|own| own.config() == config)
    }

    /// The origin of a configuration: one for all databases that share it.
    pub fn origin(&self, config: Config) -> Result<Arc<Origin>> {
        if let Some(own) = self.own.as_ref().filter(|own| *own.config() == config) {
            return Ok(Arc::clone(own));
        }
        let mut named = self.named.lock();
        named.retain(|origin| origin.strong_count() > 0);
        let known = named.iter().filter_map(Weak::upgrade);
        if let Some(origin) = known.into_iter().find(|origin| *origin.config() == config) {
            return Ok(origin);
        }
        let backend = (self.reach)(&config)?;
        let origin = Origin::new(config, backend);
        named.push(Arc::downgrade(&origin));
        Ok(origin)
    }
}
