//! Spans of HTTP clients that wait for the span around them.
//!
//! An HTTP span is one attempt with its true status, but without the model; the span of the
//! library around it knows the model. Children end first, so they are exported in the same batch
//! as their parent or in an earlier one: earlier by as much as the call goes on after them. The
//! span of an HTTP client ends with the headers, that of the call with its stream or last retry.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::time::Timestamp;

use super::sighting::{Place, Sighting};

/// How long a span waits: as long as the SDKs wait for an answer, and for batches on the way.
const WAIT_MAX: Duration = Duration::from_secs(11 * 60);
/// Spans that wait at once, at some hundred bytes each.
const WAITING_MAX: usize = 10_000;

/// Where a parent stands: its trace and its own id.
type Parent = ([u8; 16], [u8; 8]);

/// The waiting spans.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Each with its number, in the order they came.
    children: HashMap<Parent, VecDeque<(u64, Sighting)>>,
    /// How many of them there are.
    count: usize,
    /// When each came, its number and its parent; entries of spans that were joined stay for a
    /// while.
    order: VecDeque<(Timestamp, u64, Parent)>,
    /// The number of the next.
    next: u64,
}

impl Waiting {
    /// Lets a span wait. Returns how many had to be given up for it.
    pub(super) fn add(&mut self, span: Sighting, now: Timestamp) -> u64 {
        let parent = (span.place.trace, span.place.parent);
        self.order.push_back((now, self.next, parent));
        self.children.entry(parent).or_default().push_back((self.next, span));
        self.next += 1;
        self.count += 1;
        let mut given_up = 0;
        while self.count > WAITING_MAX {
            given_up += self.give_up_oldest();
        }
        if self.order.len() > 2 * WAITING_MAX {
            self.forget_joined();
        }
        given_up
    }

    /// Gives up the spans that waited too long. Returns how many.
    pub(super) fn expire(&mut self, now: Timestamp) -> u64 {
        let mut given_up = 0;
        while self.order.front().is_some_and(|(came, ..)| now.since(*came) > WAIT_MAX) {
            given_up += self.give_up_oldest();
        }
        given_up
    }

    /// The spans below this one, in the order they ended.
    pub(super) fn below(&mut self, place: &Place) -> Vec<Sighting> {
        let spans = self.children.remove(&(place.trace, place.span)).unwrap_or_default();
        self.count -= spans.len();
        let mut spans: Vec<_> = spans.into_iter().map(|(_, span)| span).collect();
        spans.sort_by_key(|span| span.at);
        spans
    }

    fn give_up_oldest(&mut self) -> u64 {
        let Some((_, number, parent)) = self.order.pop_front() else { return 0 };
        let Some(spans) = self.children.get_mut(&parent) else { return 0 };
        if spans.front().is_none_or(|(first, _)| *first != number) {
            return 0;
        }
        spans.pop_front();
        self.count -= 1;
        if spans.is_empty() {
            self.children.remove(&parent);
        }
        1
    }

    /// Keeps the entries of spans that still wait.
    fn forget_joined(&mut self) {
        let children = &self.children;
        // A parent's spans are joined all at once, so those that wait have the later numbers.
        self.order.retain(|(_, number, parent)| {
            let first = children.get(parent).and_then(VecDeque::front);
            first.is_some_and(|(first, _)| first <= number)
        });
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
        let until = Timestamp::from_secs(100).plus(WAIT_MAX);
        assert_eq!(waiting.expire(until), 0);
        let later = until.plus(Duration::from_secs(1));
        assert_eq!(waiting.expire(later), 1, "what was joined is not given up");
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

    #[test]
    fn spans_that_were_joined_take_no_room() {
        let mut waiting = Waiting::default();
        let now = Timestamp::from_secs(100);
        assert_eq!(waiting.add(span(2, 1), now), 0);
        for _ in 0..5 * WAITING_MAX {
            assert_eq!(waiting.add(span(1, 1), now), 0);
            assert_eq!(waiting.below(&parent(1)).len(), 1);
        }
        assert!(waiting.order.len() <= 2 * WAITING_MAX);
        assert_eq!(waiting.below(&parent(2)).len(), 1, "the oldest still waits");
    }
}
