//! What a file holds: per stream, the seconds in which something counted.

use std::collections::{BTreeMap, HashMap};

use super::line::{Entry, Form, LineError};
use crate::domain::target::{Model, Provider, Target};

/// Most streams of one file, counted by name as spelt.
const STREAMS_MAX: usize = 10_000;
/// Most (stream, second) pairs kept: 600 MB, or two streams busy in each second of nine months.
const SECONDS_MAX: usize = 50_000_000;
/// Longest stretch that one file may span: a time stamp in milliseconds is past it.
const SPAN_MAX_S: u64 = 10 * 366 * 86_400;

/// One file, gathered.
#[derive(Debug, Default)]
pub(super) struct Recording {
    form: Option<Form>,
    streams: Vec<Stream>,
    /// Names as spelt to the index of their stream: provider, then model.
    spelt: BTreeMap<String, BTreeMap<String, usize>>,
    spellings: usize,
    by_target: HashMap<Target, usize>,
    seconds: usize,
    /// The clock of the line before, for outcomes that do not tell theirs.
    clock: Option<u32>,
    first: Option<u32>,
    last: Option<u32>,
    /// Whether outcomes without a time came before any with one.
    undated: bool,
}

/// The busy seconds of one target.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) target: Target,
    /// Ascending once the recording is finished, each second at most once.
    pub(super) seconds: Vec<Second>,
    sorted: bool,
}

/// What counted in one second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Second {
    pub(super) at: u32,
    pub(super) n: u32,
    pub(super) failures: u32,
}

/// A recording in order.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) streams: Vec<Stream>,
    /// The first and the last second of the file's clock.
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Recording {
    /// Adds what a line says.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<(), LineError> {
        if *self.form.get_or_insert(entry.form) != entry.form {
            return Err(LineError::Form(entry.form));
        }
        let at = match entry.second {
            Some(second) => Some(self.fitting(entry.form, second)?),
            None => self.clock,
        };
        let stream = self.stream(&entry.provider, &entry.model)?;
        if entry.n > 0 && self.seconds >= SECONDS_MAX {
            return Err(LineError::Limit("busy seconds"));
        }
        match at {
            Some(at) => {
                self.clock = Some(at);
                self.first = Some(self.first.map_or(at, |first| first.min(at)));
                self.last = Some(self.last.map_or(at, |last| last.max(at)));
            }
            None => self.undated = true,
        }
        if entry.n > 0 {
            // Nobody sees four billion attempts in a second: saturation loses nothing.
            let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            let second = Second {
                at: at.unwrap_or(0),
                n: narrow(entry.n),
                failures: narrow(entry.failures),
            };
            self.seconds += usize::from(self.streams[stream].push(second));
        }
        Ok(())
    }

    /// Puts everything in order. The clock of a trace starts at 0, that of outcomes at the
    /// earliest time stamp (which outcomes without one before it share).
    pub(super) fn finish(mut self) -> Finished {
        let first = match self.form {
            Some(Form::Outcome) => self.first.unwrap_or(0),
            Some(Form::Trace) | None => 0,
        };
        for stream in &mut self.streams {
            if self.undated {
                let undated = stream.seconds.iter_mut().take_while(|second| second.at == 0);
                undated.for_each(|second| second.at = first);
                stream.sorted = false;
            }
            stream.sort();
        }
        Finished { streams: self.streams, first, last: self.last.unwrap_or(first) }
    }

    /// A second that lies within the span that one file may have.
    fn fitting(&self, form: Form, second: u64) -> Result<u32, LineError> {
        let (field, origin) = match form {
            Form::Trace => ("t", 0),
            Form::Outcome => ("ts", self.first.map_or(second, u64::from)),
        };
        let narrow = u32::try_from(second).map_err(|_| LineError::Span(field))?;
        let far = second.abs_diff(origin) > SPAN_MAX_S
            || self.last.is_some_and(|last| u64::from(last).abs_diff(second) > SPAN_MAX_S);
        if far { Err(LineError::Span(field)) } else { Ok(narrow) }
    }

    /// The index of a stream, made at first sight.
    fn stream(&mut self, provider: &str, model: &str) -> Result<usize, LineError> {
        let known = self.spelt.get(provider).and_then(|models| models.get(model));
        if let Some(index) = known {
            return Ok(*index);
        }
        let target = Target::new(
            Provider::new(provider)
                .map_err(|cause| LineError::Name { field: "provider", cause })?,
            Model::new(model).map_err(|cause| LineError::Name { field: "model", cause })?,
        );
        if self.spellings >= STREAMS_MAX {
            return Err(LineError::Limit("streams"));
        }
        self.spellings += 1;
        let index = *self.by_target.entry(target.clone()).or_insert(self.streams.len());
        if index == self.streams.len() {
            self.streams.push(Stream { target, seconds: Vec::new(), sorted: true });
        }
        self.spelt.entry(provider.to_owned()).or_default().insert(model.to_owned(), index);
        Ok(index)
    }
}

impl Stream {
    /// Adds to the last second if it is the same; tells whether it was a new one.
    fn push(&mut self, second: Second) -> bool {
        match self.seconds.last_mut() {
            Some(last) if last.at == second.at => {
                last.merge(second);
                return false;
            }
            Some(last) => self.sorted &= last.at < second.at,
            None => {}
        }
        self.seconds.push(second);
        true
    }

    fn sort(&mut self) {
        if self.sorted {
            return;
        }
        self.seconds.sort_unstable_by_key(|second| second.at);
        self.seconds.dedup_by(|later, kept| {
            let same = later.at == kept.at;
            if same {
                kept.merge(*later);
            }
            same
        });
        self.sorted = true;
    }
}

impl Second {
    fn merge(&mut self, other: Self) {
        self.n = self.n.saturating_add(other.n);
        self.failures = self.failures.saturating_add(other.failures);
    }
}
