//! How many probes may be in flight: in all, of one provider, and of its troubled targets.
//!
//! A probe holds a socket and up to 256 KiB, so there is a bound on all of them. A provider that
//! lets each hang until its time is up must not use up that bound, so each has a smaller one of
//! its own. And one that recovers gets one request at a time: the probes of all its troubled
//! targets take turns, while its healthy ones are not held up by them. Whoever comes first goes
//! first at every gate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::target::Provider;

/// Most probes in flight over all targets.
pub const PROBES_IN_FLIGHT_MAX: usize = 16;
/// Most probes in flight of one provider.
pub const PROBES_OF_PROVIDER_MAX: usize = 4;

/// The gates that every probe passes.
#[derive(Debug)]
pub struct Gates {
    all: Arc<Semaphore>,
    by_provider: Mutex<BTreeMap<Provider, Gate>>,
}

/// The gates of one provider.
#[derive(Clone, Debug)]
struct Gate {
    any: Arc<Semaphore>,
    troubled: Arc<Semaphore>,
}

/// The right to be in flight, until it is dropped.
#[derive(Debug)]
pub struct Pass {
    _permits: [Option<OwnedSemaphorePermit>; 3],
}

impl Default for Gates {
    fn default() -> Self {
        Self::new(PROBES_IN_FLIGHT_MAX)
    }
}

impl Gates {
    /// Gates for so many probes over all targets.
    pub fn new(in_flight_max: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(in_flight_max)), by_provider: Mutex::default() }
    }

    /// Waits until a probe of the provider may leave; one of a troubled target waits for those of
    /// the others as well. Giving up the wait gives back what was taken.
    pub async fn pass(&self, provider: &Provider, troubled: bool) -> Pass {
        let gate = self.of(provider);
        // From the narrowest to the widest, so that nobody holds a place that others could use
        // while it waits its turn, and always in this order, so that no two wait for each other.
        let troubled = if troubled { Some(enter(gate.troubled).await) } else { None };
        let any = enter(gate.any).await;
        let all = enter(Arc::clone(&self.all)).await;
        Pass { _permits: [troubled, Some(any), Some(all)] }
    }

    fn of(&self, provider: &Provider) -> Gate {
        let mut gates = self.by_provider.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = || Gate {
            any: Arc::new(Semaphore::new(PROBES_OF_PROVIDER_MAX)),
            troubled: Arc::new(Semaphore::new(1)),
        };
        gates.entry(provider.clone()).or_insert_with(gate).clone()
    }
}

async fn enter(gate: Arc<Semaphore>) -> OwnedSemaphorePermit {
    gate.acquire_owned().await.expect("nobody closes a gate")
}
