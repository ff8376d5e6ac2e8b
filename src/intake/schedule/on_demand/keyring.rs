//! One credential per provider, for all who ask for its models.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::super::plan::credential;
use super::Unanswered;
use crate::domain::target::Provider;
use crate::ground::config::Config;
use crate::intake::probe::{Credential, ProbeSpec};

/// What was read, once. A cell whose reading fails stays empty and is tried by the next.
type Cell = Arc<OnceCell<Option<Credential>>>;

/// Credentials by provider: those of the schedule's probes, and those read since.
#[derive(Debug, Default)]
pub(super) struct Keyring(Mutex<BTreeMap<Provider, Cell>>);

impl Keyring {
    /// Holds what these probes show.
    pub(super) fn of(specs: &[ProbeSpec]) -> Self {
        let cell = |spec: &ProbeSpec| {
            let cell = OnceCell::new_with(Some(spec.credential.clone()));
            (spec.target.provider.clone(), Arc::new(cell))
        };
        Self(Mutex::new(specs.iter().map(cell).collect()))
    }

    /// What a provider's probes show, read when it is first needed: that may run a command.
    /// Whoever asks meanwhile waits for it.
    ///
    /// # Errors
    /// [`Unanswered`] when it cannot be read.
    pub(super) async fn credential(
        &self,
        config: &Arc<Config>,
        provider: &Provider,
    ) -> Result<Option<Credential>, Unanswered> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(provider.clone()).or_default())
        };
        let read = cell.get_or_try_init(|| async {
            let (config, provider) = (Arc::clone(config), provider.clone());
            let read = tokio::task::spawn_blocking(move || credential(&config, &provider));
            // Ends early only when the runtime does.
            Ok(read.await.map_err(|_| Unanswered::GivenUp)??)
        });
        read.await.cloned()
    }
}
