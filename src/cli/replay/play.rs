//! A recording through the filters: decisions and probabilities as lines, in order of time.

use std::io::{self, Write};

use serde::Serialize;

use super::Settings;
use super::recording::{Finished, Stream};
use crate::domain::detect::{Decision, Filter};

/// Events gathered before they are written in order of time: about 40 MB.
const EVENTS_MAX: u32 = 1 << 20;
/// Longest stretch played at once, in seconds.
const STRETCH_MAX_S: u32 = 21_600;

/// A line of output: a state or the probabilities at one second of one stream.
#[derive(Serialize)]
struct Record<'a> {
    trace: &'a str,
    ts: u32,
    provider: &'a str,
    model: &'a str,
    #[serde(flatten)]
    what: What,
}

#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum What {
    State { state: &'static str },
    Probabilities { p_healthy: f64, p_degraded: f64, p_overloaded: f64 },
}

struct Event {
    at: u32,
    stream: usize,
    what: What,
}

/// One stream being played.
struct Player<'a> {
    stream: &'a Stream,
    filter: Filter,
    /// Next second to pass, and the index of the next busy one.
    at: u32,
    next: usize,
    told: Option<Decision>,
}

/// Plays all streams from the first to the last second of the recording.
pub(super) fn play(
    trace: &str,
    recording: &Finished,
    settings: &Settings,
    out: &mut dyn Write,
) -> io::Result<()> {
    let first = recording.first;
    let mut players: Vec<_> = recording
        .streams
        .iter()
        .map(|stream| Player {
            stream,
            filter: Filter::new(&settings.grid),
            at: first,
            next: 0,
            told: None,
        })
        .collect();
    let streams = u32::try_from(players.len()).unwrap_or(u32::MAX).max(1);
    let stretch_s = (EVENTS_MAX / streams).clamp(1, STRETCH_MAX_S);
    let mut events = Vec::new();
    let mut start = first;
    while start <= recording.last {
        let end = recording.last.min(start.saturating_add(stretch_s - 1));
        for (index, player) in players.iter_mut().enumerate() {
            player.play_until(end, first, settings, &mut |at, what| {
                events.push(Event { at, stream: index, what });
            });
        }
        events.sort_by_key(|event| event.at);
        for event in events.drain(..) {
            let target = &recording.streams[event.stream].target;
            let record = Record {
                trace,
                ts: event.at,
                provider: target.provider.as_str(),
                model: target.model.as_str(),
                what: event.what,
            };
            serde_json::to_writer(&mut *out, &record)?;
            out.write_all(b"\n")?;
        }
        let Some(next) = end.checked_add(1) else { break };
        start = next;
    }
    Ok(())
}

impl Player<'_> {
    /// Passes all seconds up to `end`, telling what changes and what is due.
    fn play_until(
        &mut self,
        end: u32,
        first: u32,
        settings: &Settings,
        tell: &mut dyn FnMut(u32, What),
    ) {
        let grid = &settings.grid;
        while self.at <= end {
            let busy = self.stream.seconds.get(self.next).filter(|second| second.at <= end);
            let passed_s = match busy {
                Some(second) if second.at == self.at => {
                    self.filter.tick(grid, u64::from(second.n), u64::from(second.failures));
                    self.next += 1;
                    1
                }
                // Silence changes nothing about a healthy stream, so it may pass at once, but
                // no further than the next busy second and the next sample.
                _ if self.told == Some(Decision::Healthy) => {
                    let mut last = busy.map_or(end, |second| second.at - 1);
                    if let Some(every) = settings.probabilities {
                        let since = (self.at - first) % every;
                        let wait = if since == 0 { 0 } else { every.get() - since };
                        last = last.min(self.at.saturating_add(wait));
                    }
                    self.filter.run_idle(grid, u64::from(last - self.at) + 1);
                    last - self.at + 1
                }
                _ => {
                    self.filter.tick(grid, 0, 0);
                    1
                }
            };
            self.tell(self.at + (passed_s - 1), first, settings, tell);
            let Some(next) = self.at.checked_add(passed_s) else { break };
            self.at = next;
        }
    }

    /// Tells what there is to tell after second `at`.
    fn tell(&mut self, at: u32, first: u32, settings: &Settings, tell: &mut dyn FnMut(u32, What)) {
        let decision = self.filter.decision();
        if self.told != Some(decision) {
            self.told = Some(decision);
            tell(at, What::State { state: decision.as_str() });
        }
        if settings.probabilities.is_some_and(|every| (at - first) % every == 0) {
            let posterior = self.filter.posterior(&settings.grid);
            tell(
                at,
                What::Probabilities {
                    p_healthy: posterior.p_healthy,
                    p_degraded: posterior.p_degraded,
                    p_overloaded: posterior.p_overloaded,
                },
            );
        }
    }
}
