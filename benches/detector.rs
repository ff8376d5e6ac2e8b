//! What the detector costs, as ratios to a floor measured in the same run.
//!
//! The floor of a tick is one multiply-add over the same weights in the same places in memory;
//! that of a replay is inflating and parsing the same lines. Ratios survive a change of machine,
//! the absolute figures beside them do not.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a failed benchmark may panic")]

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use brownout::cli::replay::{Complaints, Settings, replay};
use brownout::domain::bounds::Bounds;
use brownout::domain::detect::{Filter, Grid};
use brownout::ground::config::Config;
use brownout::ground::names::Names;
use flate2::read::GzDecoder;
use serde::Deserialize;

/// 10,000 targets with three signals each.
const FILTERS: usize = 30_000;
const STATES: usize = 49;
/// The best of so many rounds counts: others were disturbed.
const ROUNDS: usize = 9;

fn main() {
    ticks();
    pauses();
    replays();
}

/// The shortest of some rounds.
fn best(mut work: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .expect("there is at least one round")
}

fn ticks() {
    println!("tick of {FILTERS} filters (10,000 targets x 3 signals), once a second:");
    let mut floor_weights = vec![[1.0 / STATES as f64; STATES]; FILTERS];
    let floor = best(|| {
        for weights in &mut floor_weights {
            for weight in weights.iter_mut() {
                *weight = *weight * black_box(0.999) + 1e-9;
            }
        }
        black_box(&floor_weights);
    });
    line("floor: one multiply-add per weight", floor, floor);
    let grid = Grid::new(Bounds::OVERLOAD);
    let mut filters = vec![Filter::new(&grid); FILTERS];
    for (what, every) in [("all idle", usize::MAX), ("1 % busy", 100), ("all busy", 1)] {
        let mut second = 0_usize;
        let spent = best(|| {
            second += 1;
            for (index, filter) in filters.iter_mut().enumerate() {
                let busy = (index + second).is_multiple_of(every);
                let (n, failures) =
                    if busy { (7, u64::from(index.is_multiple_of(50))) } else { (0, 0) };
                black_box(filter.tick(&grid, n, failures));
            }
        });
        line(what, spent, floor);
    }
    let spent = best(|| {
        for filter in &filters {
            black_box(filter.posterior(&grid));
        }
    });
    line("posterior with its interval", spent, floor);
    println!();
}

/// A line of the first table: time for all filters, share of a core at one round a second.
fn line(what: &str, spent: Duration, floor: Duration) {
    println!(
        "  {what:<38} {:>7.0} ns each  {:>6.2} % of a core  {:>6.2} x floor",
        spent.as_secs_f64() * 1e9 / FILTERS as f64,
        spent.as_secs_f64() * 100.0,
        spent.as_secs_f64() / floor.as_secs_f64(),
    );
}

fn pauses() {
    println!("pauses and starts:");
    let grid = Grid::new(Bounds::OVERLOAD);
    let mut fed = Filter::new(&grid);
    for _ in 0..600 {
        fed.tick(&grid, 10, 0);
    }
    let empty_ticks = best(|| {
        let mut filter = fed.clone();
        for _ in 0..18_000 {
            filter.tick(&grid, 0, 0);
        }
        black_box(filter);
    });
    let at_once = best(|| {
        let mut filter = fed.clone();
        black_box(filter.run_idle(&grid, 18_000));
        black_box(filter);
    });
    println!(
        "  five idle hours at once {:>8.1} us, {:.4} x that many empty ticks",
        at_once.as_secs_f64() * 1e6,
        at_once.as_secs_f64() / empty_ticks.as_secs_f64(),
    );
    let build = best(|| {
        black_box(Grid::new(black_box(Bounds::OUTAGE)));
    });
    println!("  a grid (once per signal) {:>7.1} us", build.as_secs_f64() * 1e6);
    println!();
}

/// What any replay must do: inflate and parse.
#[derive(Deserialize)]
struct TraceLine<'a> {
    t: u64,
    #[serde(borrow)]
    p: &'a str,
    m: &'a str,
    c: &'a str,
    n: u64,
}

fn replays() {
    let traces = traces();
    let mut lines = 0_u64;
    let mut span_s: HashMap<usize, u64> = HashMap::new();
    let floor = best(|| {
        lines = 0;
        for (index, trace) in traces.iter().enumerate() {
            let mut reader = BufReader::with_capacity(1 << 16, GzDecoder::new(&trace.bytes[..]));
            let mut text = Vec::new();
            while reader.read_until(b'\n', &mut text).unwrap() > 0 {
                let line: TraceLine<'_> = serde_json::from_slice(&text).unwrap();
                span_s.insert(index, line.t + 1);
                black_box((line.p, line.m, line.c, line.n));
                lines += 1;
                text.clear();
            }
        }
    });
    let span_s: u64 = span_s.values().sum();
    println!("replay of tests/data/traces, {lines} lines, {:.1} days:", span_s as f64 / 86_400.0);
    println!("  floor: inflate and parse   {:>6.0} ms", floor.as_secs_f64() * 1e3);
    for (what, probabilities) in [("states", None), ("probabilities each 60 s", Some(60))] {
        let settings = Settings {
            names: Names::new(&Config::default()),
            grid: Grid::new(Bounds::OVERLOAD),
            probabilities: probabilities.and_then(NonZeroU32::new),
        };
        let spent = best(|| {
            let mut complaints = Complaints { sink: &mut std::io::sink(), count: 0 };
            for trace in &traces {
                let mut out = std::io::sink();
                replay(&trace.name, &trace.bytes[..], &settings, &mut out, &mut complaints)
                    .unwrap();
            }
            assert_eq!(complaints.count, 0);
        });
        println!(
            "  {what:<26} {:>6.0} ms  {:>5.2} x floor  {:>9.0} x real time",
            spent.as_secs_f64() * 1e3,
            spent.as_secs_f64() / floor.as_secs_f64(),
            span_s as f64 / spent.as_secs_f64(),
        );
    }
}

struct Trace {
    name: String,
    bytes: Vec<u8>,
}

fn traces() -> Vec<Trace> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces");
    let mut traces: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .map(|path| Trace {
            name: path.to_string_lossy().into_owned(),
            bytes: std::fs::read(&path).unwrap(),
        })
        .collect();
    traces.sort_by(|left, right| left.name.cmp(&right.name));
    traces
}
