//! Which targets have a probe in flight, and what it finds for those who wait for it.
//!
//! A second probe of the same target at the same moment would cost as much and tell nothing new.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::target::Target;
use crate::intake::probe::ProbeReport;

type Landing = Option<Arc<ProbeReport>>;

/// The probes in flight. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Flights(Arc<Mutex<BTreeMap<Target, watch::Receiver<Landing>>>>);

/// One probe in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Flights,
    target: Target,
    landing: watch::Sender<Landing>,
}

impl Flights {
    /// The only probe of `target` in flight from now on; `None` if there is one already.
    pub(super) fn take_off(&self, target: &Target) -> Option<Flight> {
        let mut flights = self.lock();
        if flights.contains_key(target) {
            return None;
        }
        let (landing, receiver) = watch::channel(None);
        flights.insert(target.clone(), receiver);
        Some(Flight { flights: self.clone(), target: target.clone(), landing })
    }

    /// What the probe of `target` in flight finds; `None` if there is none or it is given up.
    pub(super) async fn join(&self, target: &Target) -> Option<Arc<ProbeReport>> {
        let mut landing = self.lock().get(target).cloned()?;
        // An error means that the flight was given up.
        let landed = landing.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Target, watch::Receiver<Landing>>> {
        // Every change is a single step: whole even if a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Ends it with what it found.
    pub(super) fn land(self, report: &ProbeReport) {
        // Those who wait keep the value, even when the flight is gone.
        let _ = self.landing.send(Some(Arc::new(report.clone())));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.target);
    }
}
