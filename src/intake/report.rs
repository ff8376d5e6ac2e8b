//! Native outcome reports: bytes of a batch to outcomes in the store.
//!
//! A batch is NDJSON, a JSON array, one object, or `{"outcomes": […]}`; which one is told from
//! the bytes, because clients' content types lie. One bad record never fails the batch: it is
//! named by its index and the field that is wrong, and the others are kept. Everything is parsed
//! and classified before the store is locked.
//!
//! Fields are whitelisted: what is not in `record` is never decoded, so a prompt that a client
//! sends by mistake is neither stored nor logged.

mod follow;
pub(super) mod record;
pub(super) mod scalar;

use crate::domain::layer::Layer;
use crate::domain::outcome::Outcome;
use crate::domain::time::Timestamp;
use crate::ground::names::Names;

use super::batch::{BatchError, split};
use super::door::{Classified, Door, Recall, Told};
use super::refusal::{Refusal, Rejection};
use super::sighting::Ignored;

use record::{Record, Ties};

/// Takes batches of native outcomes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reports {
    door: Door,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Records counted.
    pub accepted: u64,
    /// Records whose `id`, or whose batch, was seen in the last 15 minutes.
    pub duplicate: u64,
    /// Lines of a log that are in order and tell of nothing to count.
    pub ignored: u64,
    /// Records refused, by index in the batch.
    pub rejected: Vec<Rejection>,
    /// Whether a target was seen for the first time.
    pub new_target: bool,
}

/// An outcome from a recording.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The outcome, at the epoch where the record does not tell when.
    pub outcome: Outcome,
    /// Whether the record tells when.
    pub dated: bool,
}

/// Reads one recorded outcome of whatever age: what was reported once, or would have been.
///
/// # Errors
/// What is wrong with the record, naming the field.
pub fn recorded(record: &[u8], names: &Names) -> Result<Recorded, String> {
    let record = Record::parse(record).map_err(|refusal| refusal.error)?;
    let at = record.time().map_err(|refusal| refusal.error)?;
    let classified = record.outcome_at(names, at.unwrap_or_default());
    let outcome = classified.map_err(|refusal| refusal.error)?.outcome;
    Ok(Recorded { outcome, dated: at.is_some() })
}

impl Reports {
    /// Reports through this door.
    pub fn new(door: Door) -> Self {
        Self { door }
    }

    /// Counts a decoded batch. `batch_key` is the client's `Idempotency-Key`.
    ///
    /// # Errors
    /// [`BatchError`] when the batch as a whole cannot be read; nothing is counted then.
    pub fn take(
        &self,
        body: &[u8],
        batch_key: Option<&str>,
        now: Timestamp,
    ) -> Result<Receipt, BatchError> {
        let elements = split(body, record::BYTES_MAX)?.into_iter().enumerate();
        let records = elements.map(|(index, element)| (index, element.and_then(Record::parse)));
        Ok(self.count(records, Layer::Report, batch_key, now))
    }

    /// Counts records that this kind of source sent, each with its index in the batch.
    pub(super) fn count<'a>(
        &self,
        records: impl Iterator<Item = (usize, Result<Record<'a>, Refusal>)>,
        layer: Layer,
        batch_key: Option<&str>,
        now: Timestamp,
    ) -> Receipt {
        let names = self.door.names();
        let mut receipt = Receipt::default();
        let mut parsed = Vec::with_capacity(records.size_hint().0);
        for (index, record) in records {
            let result = record.and_then(|record| {
                let mut classified = record.outcome(&names, now)?;
                classified.outcome.layer = layer;
                Ok((record.ties()?, classified))
            });
            match result {
                Ok(one) => parsed.push(one),
                Err(refusal) => {
                    self.door.stats().count_rejected(refusal.reason.as_str());
                    receipt.rejected.push(refusal.at(index));
                }
            }
        }
        let outcomes = self.new_ones(parsed, batch_key, now, &mut receipt);
        receipt.new_target = self.door.record(&outcomes, now);
        self.door.stats().count_accepted(receipt.accepted);
        self.door.stats().count_duplicate(receipt.duplicate);
        receipt
    }

    fn new_ones(
        &self,
        parsed: Vec<(Ties, Classified)>,
        batch_key: Option<&str>,
        now: Timestamp,
        receipt: &mut Receipt,
    ) -> Vec<Outcome> {
        let mut recall = self.door.recall();
        // A batch of which nothing could be counted may be sent again, mended, under its key.
        let keyed = batch_key.filter(|_| !parsed.is_empty());
        let repeated = keyed.is_some_and(|key| !recall.ids.first_time(("batch", key), now));
        let mut outcomes = Vec::with_capacity(parsed.len());
        for (ties, Classified { outcome, matched_by }) in parsed {
            let count = u64::from(outcome.count);
            let id = ties.id.as_deref();
            let is_new =
                !repeated && id.is_none_or(|id| recall.ids.first_time(("record", id), now));
            let made = if is_new {
                follow::outcomes(&ties, outcome, &mut recall, now)
            } else {
                Vec::new()
            };
            let made: Vec<Outcome> = made
                .into_iter()
                .filter_map(|one| self.unless_told(&ties, one, &mut recall, now))
                .collect();
            if made.is_empty() {
                receipt.duplicate += 1;
                continue;
            }
            receipt.accepted += 1;
            if let Some(rule) = matched_by {
                self.door.stats().count_classified(rule.as_str(), count);
            }
            outcomes.extend(made);
        }
        outcomes
    }

    /// The outcome, unless the same request of the provider was told of on another way.
    fn unless_told(
        &self,
        ties: &Ties,
        mut outcome: Outcome,
        recall: &mut Recall,
        now: Timestamp,
    ) -> Option<Outcome> {
        if outcome.replaces.is_some() {
            return Some(outcome);
        }
        match recall.told(ties.request_id.as_deref().into_iter(), &outcome, now) {
            Told::New => {}
            Told::Wrongly(counted) => counted.give_way_to(&mut outcome),
            Told::Before => {
                self.door.ignore(Ignored::RequestId, 1);
                return None;
            }
        }
        Some(outcome)
    }
}
