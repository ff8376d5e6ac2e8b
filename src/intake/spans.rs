//! Spans of HTTP clients that wait for the span around them.
//!
//! An HTTP span is one attempt with its true status, but without the model; the span of the
//! library around it knows the model. Children end first, so they are exported in the same batch
//! as their parent or in an earlier one, and need to wait only for so long as exporters batch.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::time::Timestamp;

use super::sighting::{Place, Sighting};

/// How long a span waits. Exporters send every five seconds, collectors may add as much again.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Spans that wait at once, at some hundred bytes each.
const WAITING_MAX: usize = 10_000;

/// Where a parent stands: its trace and its own id.
type Parent = ([u8; 16], [u8; 8]);

/// The waiting spans.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    children: HashMap<Parent, VecDeque<Sighting>>,
    /// One entry for each span, in the order they came.
    order: VecDeque<(Timestamp, Parent)>,
}

impl Waiting {
    /// Lets a span wait. Returns how many had to be given up for it.
    pub(super) fn add(&mut self, span: Sighting, now: Timestamp) -> u64 {
        let parent = (span.place.trace, span.place.parent);
        self.order.push_back((now, parent));
        self.children.entry(parent).or_default().push_back(span);
        let over = self.order.len().saturating_sub(WAITING_MAX);
        (0..over).map(|_| self.give_up_oldest()).sum()
    }

    /// Gives up the spans that waited too long. Returns how many.
    pub(super) fn expire(&mut self, now: Timestamp) -> u64 {
        let mut given_up = 0;
        while self.order.front().is_some_and(|(came, _)| now.since(*came) > WAIT_MAX) {
            given_up += self.give_up_oldest();
        }
        given_up
    }

    /// The spans below this one, in the order they ended.
    pub(super) fn below(&mut self, place: &Place) -> Vec<Sighting> {
        // Their entries in the order stay until they are old, and then find nothing.
        let spans = self.children.remove(&(place.trace, place.span)).unwrap_or_default();
        let mut spans = Vec::from(spans);
        spans.sort_by_key(|span| span.at);
        spans
    }

    fn give_up_oldest(&mut self) -> u64 {
        let Some((_, parent)) = self.order.pop_front() else { return 0 };
        let Some(spans) = self.children.get_mut(&parent) else { return 0 };
        spans.pop_front();
        if spans.is_empty() {
            self.children.remove(&parent);
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sighting::{Basis, Layer};

    fn span(trace: u8, ended: u64) -> Sighting {
        let mut span = Sighting::new(Layer::Http, Basis::Attempt);
        span.place = Place { trace: [trace; 16], span: [ended as u8; 8], parent: [9; 8] };
        span.at = Some(Timestamp::from_secs(ended));
        span
    }

    fn parent(trace: u8) -> Place {
        Place { trace: [trace; 16], span: [9; 8], parent: [0; 8] }
    }

    #[test]
    fn spans_wait_for_their_parent_and_come_in_order() {
        let mut waiting = Waiting::default();
        let now = Timestamp::from_secs(100);
        for span in [span(1, 3), span(2, 1), span(1, 2)] {
            assert_eq!(waiting.add(span, now), 0);
        }
        let ended: Vec<_> =
            waiting.below(&parent(1)).iter().map(|s| s.at.unwrap().secs()).collect();
        assert_eq!(ended, [2, 3]);
        assert!(waiting.below(&parent(1)).is_empty());
        assert_eq!(waiting.expire(Timestamp::from_secs(130)), 0);
        assert_eq!(waiting.expire(Timestamp::from_secs(131)), 1, "what was joined is not given up");
        assert!(waiting.below(&parent(2)).is_empty());
    }

    #[test]
    fn a_flood_of_spans_without_a_parent_is_bounded() {
        let mut waiting = Waiting::default();
        let now = Timestamp::from_secs(100);
        let given_up: u64 = (0..3 * WAITING_MAX).map(|_| waiting.add(span(1, 1), now)).sum();
        assert_eq!(given_up, 2 * WAITING_MAX as u64);
        assert_eq!(waiting.below(&parent(1)).len(), WAITING_MAX);
    }
}
