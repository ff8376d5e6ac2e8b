//! The health documents, serialised once a second and served as they are.
//!
//! Wire types live here and nowhere else; the snapshot's values are converted by hand. Each
//! document carries a weak `ETag`: the hash of the same document without its time stamps and with
//! numbers at three significant digits, so that a quiet system answers 304.

mod document;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::quality::FixedState;
use serde::Serialize;

use crate::domain::target::{Provider, Target};
use crate::store::snapshot::{Snapshot, TargetView};

use document::{HealthDocument, Precision, TargetDocument};

/// A router that holds a document older than this should treat it as no evidence. Snapshots are
/// one second apart, so this forgives a slow scrape, not a dead daemon.
pub const STALE_AFTER_S: u64 = 10;

/// Seed of the `ETag` hash: fixed, so that replicas and restarts agree.
const ETAG_SEED: u64 = 0x6272_6f77_6e6f_7574;

/// One snapshot with every health answer ready to be written.
#[derive(Debug)]
pub struct Published {
    /// What the answers were made from.
    pub snapshot: Arc<Snapshot>,
    all: Document,
    providers: HashMap<Provider, Document>,
    targets: HashMap<Target, Document>,
}

/// A serialised answer.
#[derive(Clone, Debug)]
pub struct Document {
    /// The JSON.
    pub bytes: Bytes,
    /// `W/"…"`.
    pub etag: String,
}

impl Published {
    /// Serialises every health answer of a snapshot.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let all = health(&snapshot, &snapshot.targets);
        let mut providers = HashMap::new();
        for group in snapshot.targets.chunk_by(|a, b| a.target.provider == b.target.provider) {
            providers.insert(group[0].target.provider.clone(), health(&snapshot, group));
        }
        let targets = snapshot
            .targets
            .iter()
            .map(|view| {
                let of = |precision| TargetDocument::new(view, &snapshot, precision);
                (view.target.clone(), serialise(of(Precision::Full), of(Precision::Fingerprint)))
            })
            .collect();
        Self { snapshot, all, providers, targets }
    }

    /// The document of all targets.
    pub fn all(&self) -> &Document {
        &self.all
    }

    /// The document of one provider, if it is known.
    pub fn provider(&self, provider: &Provider) -> Option<&Document> {
        self.providers.get(provider)
    }

    /// The document of one target, if it is known.
    pub fn target(&self, target: &Target) -> Option<&Document> {
        self.targets.get(target)
    }
}

fn health(snapshot: &Snapshot, targets: &[TargetView]) -> Document {
    let of = |precision| HealthDocument::new(snapshot, targets, precision);
    serialise(of(Precision::Full), of(Precision::Fingerprint))
}

fn serialise<T: Serialize>(full: T, fingerprint: T) -> Document {
    let bytes = |value: &T| serde_json::to_vec(value).expect("plain structs serialise");
    let hash = FixedState::with_seed(ETAG_SEED).hash_one(bytes(&fingerprint));
    Document { bytes: bytes(&full).into(), etag: format!("W/\"{hash:016x}\"") }
}
