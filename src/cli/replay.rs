//! `brownout replay`: recorded outcomes through the detector on their own clock.
//!
//! Reads traces or native outcomes line by line, gathers them into seconds per stream, then ticks
//! one overload filter per stream from the first second of the file to its last and prints what
//! the filter decides. Nothing here waits: a fortnight passes in about a second.
//!
//! A file is gathered whole before it is played (12 bytes per stream and busy second), because
//! its lines may be out of order and because every stream ticks to the last second of the file.
//! It deliberately does not publish: no `unknown`, no `stale`, which depend on probe intervals.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::domain::bounds::Bounds;
use crate::domain::detect::Grid;
use crate::ground::config::Config;
use crate::ground::names::Names;

mod line;
mod play;
mod recording;
mod source;

use line::LineError;
use recording::Recording;
use source::{Line, Lines};

/// The name of standard input as a trace.
const STDIN: &str = "stdin";

/// Arguments of `brownout replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Traces or native outcomes, one JSON object a line, plain or gzip; none or `-` is stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also print the probabilities every so many seconds
    #[arg(long, value_name = "SECONDS")]
    probabilities: Option<NonZeroU32>,
    /// Healthy below, overloaded above, as in 0.5%/2%
    #[arg(long, value_name = "HEALTHY/OVERLOADED", value_parser = parse_thresholds)]
    thresholds: Option<Bounds>,
}

/// How to replay.
#[derive(Debug)]
pub struct Settings {
    /// The overload signal's grid.
    pub grid: Grid,
    /// How the names in native outcomes are read.
    pub names: Names,
    /// Seconds between lines of probabilities, if they are wanted.
    pub probabilities: Option<NonZeroU32>,
}

/// Runs the subcommand. Exit code 1 tells that a line or a file could not be read; everything
/// that could be is replayed all the same.
///
/// # Errors
/// When the output cannot be written, except that its reader may leave at any time.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        grid: Grid::new(args.thresholds.unwrap_or(Bounds::OVERLOAD)),
        names: Names::new(&Config::default()),
        probabilities: args.probabilities,
    };
    let files = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut complaints = Complaints { sink: &mut io::stderr().lock(), count: 0 };
    let written = files
        .iter()
        .try_for_each(|path| replay_path(path, &settings, &mut out, &mut complaints))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("cannot write to stdout")?,
    }
    Ok(if complaints.count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What could not be read, told as it is met.
pub struct Complaints<'a> {
    /// Where it is told.
    pub sink: &'a mut dyn Write,
    /// How many there were.
    pub count: u64,
}

impl Complaints<'_> {
    fn add(&mut self, place: std::fmt::Arguments<'_>, what: &dyn std::fmt::Display) {
        self.count += 1;
        // A closed stderr leaves nobody to tell; the exit code still does.
        let _ = writeln!(self.sink, "brownout: {place}: {what}");
    }
}

fn replay_path(
    path: &Path,
    settings: &Settings,
    out: &mut dyn Write,
    complaints: &mut Complaints<'_>,
) -> io::Result<()> {
    if path == Path::new("-") {
        return replay(STDIN, io::stdin().lock(), settings, out, complaints);
    }
    match File::open(path) {
        Ok(file) => replay(&path.to_string_lossy(), file, settings, out, complaints),
        Err(error) => {
            complaints.add(format_args!("{}", path.display()), &error);
            Ok(())
        }
    }
}

/// Replays one input. `name` is its path, or a name for it in complaints; the trace is named
/// after its last part up to the first dot.
///
/// # Errors
/// When `out` cannot be written. Trouble with the input is a complaint.
pub fn replay(
    name: &str,
    input: impl Read,
    settings: &Settings,
    out: &mut dyn Write,
    complaints: &mut Complaints<'_>,
) -> io::Result<()> {
    let mut recording = Recording::default();
    let mut number: u64 = 0;
    let opened = Lines::open(input);
    let mut lines = match opened {
        Ok(lines) => lines,
        Err(error) => {
            complaints.add(format_args!("{name}"), &error);
            return Ok(());
        }
    };
    loop {
        number += 1;
        let entered = match lines.next() {
            Ok(Line::End) => break,
            Ok(Line::Text(text)) if text.trim_ascii().is_empty() => Ok(()),
            Ok(Line::Text(text)) => {
                line::read(text, &settings.names).and_then(|entry| recording.add(&entry))
            }
            Ok(Line::TooLong) => Err(LineError::TooLong),
            Err(error) => {
                complaints.add(
                    format_args!("{name}:{number}"),
                    &format_args!("cannot read on ({error}), replaying what came before"),
                );
                break;
            }
        };
        if let Err(error) = entered {
            complaints.add(format_args!("{name}:{number}"), &error);
        }
    }
    play::play(trace_name(name), &recording.finish(), settings, out)
}

/// The last part of a path up to its first dot (a leading dot is part of the name).
fn trace_name(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    let dot = file.char_indices().skip(1).find(|(_, c)| *c == '.');
    dot.map_or(file, |(end, _)| &file[..end])
}

/// Reads `0.5%/2%` or `0.005/0.02`.
fn parse_thresholds(text: &str) -> Result<Bounds, String> {
    let ratio = |part: &str| -> Option<f64> {
        let part = part.trim();
        match part.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
            None => part.parse().ok(),
        }
    };
    let (healthy, overloaded) = text
        .split_once('/')
        .and_then(|(healthy, overloaded)| Some((ratio(healthy)?, ratio(overloaded)?)))
        .ok_or("expected two ratios or percentages, as in 0.5%/2%")?;
    Bounds::new(healthy, overloaded).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
