//! Spans of HTTP clients that wait for the span around them.
//!
//! An HTTP span is one attempt with its true status, but without the model; the span of the
//! library around it knows the model. Children end first, and a first attempt that failed ends
//! long before the call that retries it: it waits for as long as a call may last. What waits is
//! classified, so that no text is kept.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::outcome::Class;
use crate::domain::time::Timestamp;

use super::sighting::Place;

/// How long a span waits: the SDKs' own time-out of a call is ten minutes.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Spans that wait at once, at about 200 bytes each.
const WAITING_MAX: usize = 20_000;

/// An attempt whose model is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Anonymous {
    /// When it ended.
    pub(super) at: Timestamp,
    /// What it ended as.
    pub(super) class: Class,
    /// The raw HTTP status; `None` where there was no response.
    pub(super) code: Option<u16>,
    /// From sending to the end, as the client saw it.
    pub(super) duration: Option<Duration>,
    /// The host that was asked.
    pub(super) host: Box<str>,
}

/// Where a parent stands: its trace and its own id.
type Parent = ([u8; 16], [u8; 8]);

/// The waiting spans.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    children: HashMap<Parent, Vec<(u64, Anonymous)>>,
    /// One entry for each span, in the order they came; those of joined ones find nothing.
    order: VecDeque<(Timestamp, u64, Parent)>,
    number: u64,
    waiting: usize,
}

impl Waiting {
    /// Lets a span wait for its parent. Returns how many had to be given up for it.
    pub(super) fn add(&mut self, place: &Place, span: Anonymous, now: Timestamp) -> u64 {
        let parent = (place.trace, place.parent);
        self.number += 1;
        self.waiting += 1;
        self.order.push_back((now, self.number, parent));
        self.children.entry(parent).or_default().push((self.number, span));
        let mut given_up = 0;
        while self.waiting > WAITING_MAX {
            given_up += self.give_up_oldest();
        }
        // Joined ones leave their entries behind.
        if self.order.len() > 2 * WAITING_MAX {
            let children = &self.children;
            self.order.retain(|(_, number, parent)| {
                let spans = children.get(parent);
                spans.is_some_and(|spans| spans.iter().any(|(n, _)| n == number))
            });
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
    pub(super) fn below(&mut self, place: &Place) -> Vec<Anonymous> {
        let spans = self.children.remove(&(place.trace, place.span)).unwrap_or_default();
        self.waiting -= spans.len();
        let mut spans: Vec<Anonymous> = spans.into_iter().map(|(_, span)| span).collect();
        spans.sort_by_key(|span| span.at);
        spans
    }

    fn give_up_oldest(&mut self) -> u64 {
        let Some((_, number, parent)) = self.order.pop_front() else { return 0 };
        let Some(spans) = self.children.get_mut(&parent) else { return 0 };
        let before = spans.len();
        spans.retain(|(its, _)| *its != number);
        let given_up = before - spans.len();
        if spans.is_empty() {
            self.children.remove(&parent);
        }
        self.waiting -= given_up;
        given_up as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(ended: u64) -> Anonymous {
        let at = Timestamp::from_secs(ended);
        Anonymous { at, class: Class::Ok, code: Some(200), duration: None, host: "h".into() }
    }

    fn child(trace: u8) -> Place {
        Place { trace: [trace; 16], span: [1; 8], parent: [9; 8] }
    }

    fn parent(trace: u8) -> Place {
        Place { trace: [trace; 16], span: [9; 8], parent: [0; 8] }
    }

    #[test]
    fn spans_wait_for_their_parent_and_come_in_order() {
        let mut waiting = Waiting::default();
        let now = Timestamp::from_secs(100);
        for (trace, ended) in [(1, 3), (2, 1), (1, 2)] {
            assert_eq!(waiting.add(&child(trace), span(ended), now), 0);
        }
        let ended: Vec<u64> = waiting.below(&parent(1)).iter().map(|s| s.at.secs()).collect();
        assert_eq!(ended, [2, 3]);
        assert!(waiting.below(&parent(1)).is_empty());
        // A later child of a parent that was joined has a time of its own.
        waiting.add(&child(1), span(50), Timestamp::from_secs(500));
        assert_eq!(waiting.expire(Timestamp::from_secs(1_000)), 0);
        assert_eq!(waiting.expire(Timestamp::from_secs(1_001)), 1, "only what still waited");
        assert_eq!(waiting.below(&parent(1)).len(), 1);
        assert!(waiting.below(&parent(2)).is_empty());
    }

    #[test]
    fn a_flood_of_spans_is_bounded_whether_they_are_joined_or_not() {
        let mut waiting = Waiting::default();
        let now = Timestamp::from_secs(100);
        let mut given_up = 0;
        for number in 0..3 * WAITING_MAX {
            let place = Place { span: (number as u64).to_be_bytes(), ..child(1) };
            given_up += waiting.add(&Place { parent: place.span, ..place }, span(1), now);
        }
        assert_eq!(given_up, 2 * WAITING_MAX as u64);
        assert_eq!(waiting.waiting, WAITING_MAX);
        for _ in 0..3 * WAITING_MAX {
            waiting.add(&child(2), span(1), now);
            assert_eq!(waiting.below(&parent(2)).len(), 1);
        }
        assert!(waiting.order.len() <= 2 * WAITING_MAX + 1);
    }
}
