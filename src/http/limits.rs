//! Bounds on what all requests together may hold, whatever each of them may.
//!
//! Without them four thousand connections of eight MiB each, or a few scrapes at once, would be
//! gigabytes. Who comes when a bound is reached is told to come again, or waits in turn.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of request bodies held at once, in KiB: eight bodies of the largest default size.
const BODIES_KIB: usize = 64 * 1024;
/// Large or compressed bodies decoded and read at once: one for each core of a small machine.
/// Each may hold the decoded limit, 64 MiB by default.
const READERS: usize = 2;
/// Scrapes rendered at once. A scrape costs memory in proportion to its series, and Prometheus
/// servers come seconds apart.
const RENDERERS: usize = 1;

/// The shared bounds.
#[derive(Debug)]
pub struct Limits {
    bodies: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    renderers: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bodies: Arc::new(Semaphore::new(BODIES_KIB)),
            readers: Arc::new(Semaphore::new(READERS)),
            renderers: Arc::new(Semaphore::new(RENDERERS)),
        }
    }
}

impl Limits {
    /// Room for so many more bytes of a body; `None` when there is none now.
    pub(super) fn hold_bytes(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?;
        Arc::clone(&self.bodies).try_acquire_many_owned(kib).ok()
    }

    /// A turn to decode and read a body.
    pub(super) async fn reader(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.readers).acquire_owned().await.ok()
    }

    /// A turn to render a scrape.
    pub(super) async fn renderer(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.renderers).acquire_owned().await.ok()
    }
}
