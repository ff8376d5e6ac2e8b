//! The health documents, serialised once a second and served as they are.
//!
//! Wire types live here and nowhere else; the snapshot's values are converted by hand. Each
//! document carries a weak `ETag`: the hash of the same document without its time stamps and what
//! probes cost, and with numbers at three significant digits, so that a quiet system answers 304.

mod document;
mod operations;
mod probes;
mod status_page;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::quality::FixedState;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::target::{Provider, Target};
use crate::store::snapshot::{Snapshot, TargetView};

use document::{HealthDocument, Precision, TargetDocument};
use probes::ProbesDocument;

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
    /// Serialises every health answer of a snapshot, each target once.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let parts: Vec<Part> = snapshot.targets.iter().map(|v| Part::new(v, &snapshot)).collect();
        let envelope = |range: std::ops::Range<usize>| {
            health(&snapshot, &snapshot.targets[range.clone()], &parts[range])
        };
        let mut providers = HashMap::new();
        let mut start = 0;
        for group in snapshot.targets.chunk_by(|a, b| a.target.provider == b.target.provider) {
            let range = start..start + group.len();
            start = range.end;
            providers.insert(group[0].target.provider.clone(), envelope(range));
        }
        let all = envelope(0..parts.len());
        let named = snapshot.targets.iter().map(|view| view.target.clone());
        let targets = named.zip(parts.into_iter().map(Part::document)).collect();
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

/// One target, serialised.
struct Part {
    json: Box<RawValue>,
    hash: u64,
}

impl Part {
    fn new(view: &TargetView, snapshot: &Snapshot) -> Self {
        let full = TargetDocument::new(view, snapshot, Precision::Full);
        let json = serde_json::value::to_raw_value(&full).expect("plain structs serialise");
        Self { json, hash: hash(&TargetDocument::new(view, snapshot, Precision::Fingerprint)) }
    }

    fn document(self) -> Document {
        let json: Box<str> = self.json.into();
        Document { bytes: Bytes::from(json.into_string()), etag: etag(self.hash) }
    }
}

fn health(snapshot: &Snapshot, targets: &[TargetView], parts: &[Part]) -> Document {
    let full = HealthDocument::new(snapshot, targets, parts.iter().map(|part| &*part.json));
    let bytes = serde_json::to_vec(&full).expect("plain structs serialise").into();
    // A provider's state follows from its targets'; what its page says does not.
    let hashes: Vec<u64> = parts.iter().map(|part| part.hash).collect();
    let pages = status_page::documents(snapshot, targets, Precision::Fingerprint);
    let probes = ProbesDocument::new(&snapshot.budget, Precision::Fingerprint);
    Document { bytes, etag: etag(hash(&(hashes, pages, probes))) }
}

fn hash(document: &impl Serialize) -> u64 {
    let bytes = serde_json::to_vec(document).expect("plain structs serialise");
    FixedState::with_seed(ETAG_SEED).hash_one(bytes)
}

fn etag(hash: u64) -> String {
    format!("W/\"{hash:016x}\"")
}
