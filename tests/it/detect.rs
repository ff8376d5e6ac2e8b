//! The detector against its reference implementation and the labelled traces, and `replay` as a
//! program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use brownout::domain::bounds::Bounds;
use brownout::domain::detect::{Filter, Grid};
use serde_json::Value;

/// Agreement asked for on every probability.
const TOLERANCE: f64 = 1e-6;
/// Seconds of each trace that are compared with the reference, which is slow. Bursts, ramps, flaps
/// and retry storms lie within them; long silence has a test of its own.
const COMPARED_S: u64 = 6_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn traces() -> Vec<PathBuf> {
    let mut traces: Vec<_> = std::fs::read_dir(root().join("tests/data/traces"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .collect();
    traces.sort();
    assert_eq!(traces.len(), 12);
    traces
}

fn brownout() -> Command {
    Command::new(env!("CARGO_BIN_EXE_brownout"))
}

fn python(tool: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(root().join("tests/tools").join(tool)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a command with bytes on its standard input.
fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A child that stops reading is told by its output, not here.
        scope.spawn(move || stdin.write_all(input).is_ok());
        child.wait_with_output().unwrap()
    })
}

fn succeeded(command: &mut Command) -> Vec<u8> {
    let output = fed(command, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[track_caller]
fn near(actual: &Value, expected: &Value, tolerance: f64, what: &str) {
    let (actual, expected) = (actual.as_f64().unwrap(), expected.as_f64().unwrap());
    assert!((actual - expected).abs() <= tolerance, "{what}: {actual} is not {expected}");
}

#[test]
fn replay_reaches_the_score_of_the_specification() {
    let replayed = succeeded(brownout().args(["replay", "--probabilities", "60"]).args(traces()));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replayed.ndjson");
    std::fs::write(&path, replayed).unwrap();
    let labels = root().join("tests/data/traces/labels.json");
    let score = succeeded(python("score_detector.py").arg(labels).arg(path).arg("--json"));
    // Python writes the undefined figures of a trace without events in its own way.
    let score = String::from_utf8(score).unwrap().replace("NaN", "null");
    let score: Value = serde_json::from_str(&score).unwrap();
    // The row as published, to the digits published.
    for (column, expected, tolerance) in [
        ("events", 416.0, 0.0),
        ("fair", 332.0, 0.0),
        ("miss_pct", 3.61, 0.005),
        ("ttd_med", 2.0, 0.005),
        ("ttd_p95", 213.20, 0.005),
        ("any_med", 1.0, 0.005),
        ("fa_wk", 0.58, 0.005),
        ("over_wk", 2.22, 0.005),
        ("clear_med", 6.0, 0.005),
        ("clear_p95", 278.80, 0.005),
        ("flaps", 0.05, 0.005),
        ("rec_H", 99.45, 0.005),
        ("rec_D", 34.63, 0.005),
        ("rec_O", 69.61, 0.005),
        ("acc3", 67.89, 0.005),
        ("regret", 5.93, 0.005),
        ("brier", 0.0117, 0.000_05),
        ("ece", 0.0044, 0.000_05),
    ] {
        near(&score["ALL"][column], &expected.into(), tolerance, column);
    }
}

/// The decisions and the sampled probabilities of a replay, by (trace, model), up to a second.
#[derive(Default)]
struct Course {
    changes: Vec<(u64, String)>,
    samples: Vec<(u64, Vec<f64>)>,
}

fn courses(lines: Vec<Value>, until: u64) -> BTreeMap<(String, String), Course> {
    let mut courses: BTreeMap<_, Course> = BTreeMap::new();
    for line in lines {
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        let ts = line["ts"].as_u64().unwrap();
        if ts >= until {
            continue;
        }
        let course = courses.entry((text("trace"), text("model"))).or_default();
        if line.get("state").is_some() {
            course.changes.push((ts, text("state")));
            continue;
        }
        let sample = match line.get("p") {
            Some(p) => p.as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect(),
            None => ["p_healthy", "p_degraded", "p_overloaded"]
                .map(|field| line[field].as_f64().unwrap())
                .to_vec(),
        };
        course.samples.push((ts, sample));
    }
    courses
}

#[test]
fn every_stream_of_every_trace_agrees_with_the_reference() {
    let expected =
        succeeded(python("gbf_oracle.py").args(["trace", &COMPARED_S.to_string()]).args(traces()));
    let actual = succeeded(brownout().args(["replay", "--probabilities", "60"]).args(traces()));
    let expected = courses(lines(&expected), COMPARED_S);
    let mut actual = courses(lines(&actual), COMPARED_S);
    assert_eq!(expected.len(), 30);
    for (stream, expected) in expected {
        let actual = actual.remove(&stream).unwrap();
        assert_eq!(actual.changes, expected.changes, "{stream:?}");
        assert_eq!(actual.samples.len(), expected.samples.len(), "{stream:?}");
        for (actual, expected) in actual.samples.iter().zip(&expected.samples) {
            assert_eq!(actual.0, expected.0, "{stream:?}");
            for (actual, expected) in actual.1.iter().zip(&expected.1) {
                let off = (actual - expected).abs();
                assert!(off <= TOLERANCE, "{stream:?}: {actual:?} is not {expected:?}");
            }
        }
    }
    assert!(actual.is_empty(), "{:?}", actual.keys());
}

/// Seconds of every kind: silence, a few attempts, floods; from no failure to nothing else.
fn weather() -> Vec<(u64, u64)> {
    let mut seed: u64 = 0x5eed;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut seconds = Vec::new();
    for spell in 0..60 {
        let busy = [0, 1, 3, 40, 199, 200, 201, 5_000][draw(8) as usize];
        let per_mille = [0, 0, 1, 8, 30, 100, 500, 1_000][draw(8) as usize];
        for _ in 0..20 + draw(80) {
            let n = if busy == 0 { 0 } else { draw(2 * busy) };
            let failures = (0..n.min(1_000)).filter(|_| draw(1_000) < per_mille).count() as u64;
            seconds.push((n, failures * n.div_ceil(1_000).max(1).min(n)));
        }
        if spell == 30 {
            seconds.extend(std::iter::repeat_n((0, 0), 22_000));
        }
    }
    for (n, failures) in &mut seconds {
        *failures = (*failures).min(*n);
    }
    seconds
}

#[test]
fn everything_believed_agrees_with_the_reference() {
    let seconds = weather();
    let mut input = String::new();
    for (n, failures) in &seconds {
        writeln!(input, "{n} {failures}").unwrap();
    }
    let output = fed(python("gbf_oracle.py").arg("feed"), input.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let beliefs = lines(&output.stdout);
    assert_eq!(beliefs.len(), seconds.len());
    let grid = Grid::new(Bounds::OVERLOAD);
    let mut filter = Filter::new(&grid);
    for (second, ((n, failures), expected)) in seconds.into_iter().zip(beliefs).enumerate() {
        let decision = filter.tick(&grid, n, failures);
        let posterior = filter.posterior(&grid);
        let what = format!("second {second}, {failures} of {n}");
        assert_eq!(decision.as_str(), expected["state"], "{what}");
        assert_eq!(posterior.confidence.as_str(), expected["confidence"], "{what}");
        let probabilities = [posterior.p_healthy, posterior.p_degraded, posterior.p_overloaded];
        for (index, actual) in probabilities.into_iter().enumerate() {
            near(&actual.into(), &expected["p"][index], TOLERANCE, &what);
        }
        near(&posterior.estimate.into(), &expected["rate"], TOLERANCE, &what);
        near(&posterior.low.into(), &expected["low"], 1e-12, &what);
        near(&posterior.high.into(), &expected["high"], 1e-12, &what);
        let size = 1.0 + expected["n_eff"].as_f64().unwrap();
        near(&posterior.n_eff.into(), &expected["n_eff"], size * 1e-9, &what);
        for (index, t_s) in [30.0, 60.0, 300.0].into_iter().enumerate() {
            let survival = filter.survive(&grid, t_s);
            near(&survival.into(), &expected["survive"][index], TOLERANCE, &what);
        }
        for retries in 0..=5 {
            let success = filter.p_success(&grid, &[1.0, 2.0, 4.0, 8.0, 16.0][..retries]);
            near(&success.into(), &expected["p_success"][retries], TOLERANCE, &what);
        }
    }
}

#[test]
fn replay_reads_plain_compressed_and_piped_alike() {
    let compressed = &traces()[3];
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(compressed).unwrap())
        .read_to_end(&mut plain)
        .unwrap();
    let from_file = succeeded(brownout().arg("replay").arg(compressed));
    let as_stdin = String::from_utf8(from_file).unwrap().replace("d04_bursts20s", "stdin");
    for (arguments, input) in [
        (&["replay"][..], plain.clone()),
        (&["replay", "-"], plain),
        (&["replay", "-"], std::fs::read(compressed).unwrap()),
    ] {
        let output = fed(brownout().args(arguments), &input);
        assert!(output.status.success());
        assert!(output.stderr.is_empty());
        assert!(output.stdout == as_stdin.as_bytes(), "{arguments:?} differs");
    }
}

#[test]
fn replay_names_what_it_cannot_read_and_goes_on() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let good = br#"{"t":0,"p":"anthropic","m":"m","c":"ok","n":1}"#;
    let (bad, cut) = (directory.join("bad.ndjson"), directory.join("cut.ndjson.gz"));
    std::fs::write(&bad, [&b"nonsense\n"[..], good, b"\n{\"t\":-1}\n"].concat()).unwrap();
    let trace = std::fs::read(&traces()[3]).unwrap();
    std::fs::write(&cut, &trace[..trace.len() / 2]).unwrap();
    let missing = directory.join("missing.ndjson");
    let output = fed(brownout().arg("replay").args([&missing, &bad, &cut]), b"");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    for place in ["missing.ndjson: ", "bad.ndjson:1: ", "bad.ndjson:3: ", "cut.ndjson.gz:"] {
        assert!(told.contains(place), "no {place:?} in {told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
    let replayed = lines(&output.stdout);
    for trace in ["bad", "cut"] {
        assert!(replayed.iter().any(|line| line["trace"] == trace), "{trace}");
    }
}

#[test]
fn replay_is_quiet_when_its_reader_leaves() {
    let mut child = brownout()
        .args(["replay", "--probabilities", "1"])
        .arg(&traces()[3])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("\"state\":\"healthy\""), "{first}");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
