//! `brownout classify`: recorded replies in, classes out, one JSON line each, in order.
//!
//! A filter for pipes: it answers line by line while its input is still being written, a line it
//! cannot read costs only itself, and a reader that went away ends it quietly. It shares the
//! rules with the daemon and touches neither network nor files.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::classify::{Reply, Transport, classify, parse_report_error, retry_after};
use crate::domain::outcome::Class;
use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;

/// Longest input line, in bytes: a recorded reply with its stream fits well.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Arguments of `brownout classify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The moment (RFC 3339) that dates in headers are counted from; the present if absent
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

/// One line of output.
#[derive(Serialize)]
struct Classified<'a> {
    id: &'a Value,
    class: &'static str,
    matched_by: &'static str,
    retry_after_ms: Option<u64>,
}

/// The line of output for a line that could not be read.
#[derive(Serialize)]
struct Refused<'a> {
    id: &'a Value,
    error: String,
}

/// What one line holds.
struct Record {
    provider: String,
    dialect: Option<String>,
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: String,
    stream: String,
    transport: Option<Transport>,
}

fn parse_time(text: &str) -> anyhow::Result<Timestamp> {
    Timestamp::parse(text).ok_or_else(|| {
        anyhow::anyhow!("--now {text:?} is not an RFC 3339 time such as 2026-04-24T14:03:11Z")
    })
}

/// Runs the subcommand.
///
/// # Errors
/// When stdin cannot be read or stdout cannot be written, a closed pipe excepted.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let now = match &args.now {
        None => Clock::System.now(),
        Some(text) => parse_time(text)?,
    };
    let stdout = BufWriter::new(io::stdout().lock());
    match filter(BufReader::new(io::stdin().lock()), stdout, now) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

/// Answers every line; tells whether all could be read.
fn filter<R: Read>(
    mut input: BufReader<R>,
    mut output: impl Write,
    now: Timestamp,
) -> io::Result<bool> {
    let mut is_good = true;
    let mut line = Vec::new();
    let mut number = 0_u64;
    while read_line(&mut input, &mut line)? {
        number += 1;
        if !line.iter().all(u8::is_ascii_whitespace) {
            is_good &= answer(&line, number, now, &mut output)?;
        }
        // Whoever waits for this answer before writing on must get it.
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(is_good)
}

/// Reads one line; of an overlong one just enough to see that it is. False at the end.
fn read_line<R: Read>(input: &mut BufReader<R>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = LINE_BYTES_MAX as u64 + 1;
    let taken = input.by_ref().take(limit).read_until(b'\n', line)?;
    if line.len() > LINE_BYTES_MAX && !line.ends_with(b"\n") {
        skip_line(input)?;
    }
    Ok(taken > 0)
}

/// Drops what is left of a line.
fn skip_line<R: Read>(input: &mut BufReader<R>) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (taken, is_over) = match end {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(taken);
        if is_over {
            return Ok(());
        }
    }
}

/// Writes the answer to one line; tells whether it could be read.
fn answer(line: &[u8], number: u64, now: Timestamp, output: &mut impl Write) -> io::Result<bool> {
    if line.len() > LINE_BYTES_MAX {
        let error = format!("line {number}: longer than {LINE_BYTES_MAX} bytes, split it");
        write_line(output, &Refused { id: &Value::Null, error })?;
        return Ok(false);
    }
    // A body in a broken encoding is still worth classifying.
    let text = String::from_utf8_lossy(line);
    let value: Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(error) => {
            let error = format!("line {number}: not JSON: {error}");
            write_line(output, &Refused { id: &Value::Null, error })?;
            return Ok(false);
        }
    };
    let id = value.get("id").unwrap_or(&Value::Null);
    match record(&value) {
        Ok(record) => {
            write_line(output, &record.classified(id, now))?;
            Ok(true)
        }
        Err(error) => {
            write_line(output, &Refused { id, error: format!("line {number}: {error}") })?;
            Ok(false)
        }
    }
}

fn write_line(output: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, line)?;
    output.write_all(b"\n")
}

impl Record {
    fn classified<'a>(&self, id: &'a Value, now: Timestamp) -> Classified<'a> {
        let verdict = classify(&Reply {
            provider: &self.provider,
            dialect: self.dialect.as_deref(),
            status: self.status,
            headers: &self.headers,
            body: self.body.as_bytes(),
            stream: self.stream.as_bytes(),
            transport: self.transport,
        });
        // A success needs no retry, whatever its headers count down.
        let is_error = verdict.class != Class::Ok;
        let wait =
            is_error.then(|| retry_after(&self.headers, self.body.as_bytes(), now)).flatten();
        Classified {
            id,
            class: verdict.class.as_str(),
            matched_by: verdict.matched_by.as_str(),
            retry_after_ms: wait.map(crate::domain::time::millis_of),
        }
    }
}

/// Reads a line's object; the error names the field and what it should hold.
fn record(value: &Value) -> Result<Record, String> {
    let Value::Object(object) = value else {
        return Err("not an object, expected one such as {\"provider\":\"anthropic\"}".to_owned());
    };
    let provider =
        text(object, "provider")?.ok_or("\"provider\" is missing, give a name, or \"unknown\"")?;
    Ok(Record {
        provider,
        dialect: text(object, "dialect")?,
        status: status(object)?,
        headers: headers(object)?,
        body: content(object, "body"),
        stream: content(object, "stream_event"),
        transport: transport(object)?,
    })
}

fn text(object: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(format!("\"{key}\" is not a string"))
        }
    }
}

fn status(object: &Map<String, Value>) -> Result<Option<u16>, String> {
    let number = match object.get("http_status") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let status = number.and_then(|number| u16::try_from(number).ok());
    match status.filter(|status| (100..=599).contains(status)) {
        Some(status) => Ok(Some(status)),
        None => Err("\"http_status\" is not a number from 100 to 599".to_owned()),
    }
}

/// An object of names and values, a value possibly a list; or a list of pairs.
fn headers(object: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    match object.get("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Object(object)) => {
            for (name, value) in object {
                match value {
                    Value::Array(values) => {
                        headers.extend(values.iter().map(|value| (name.clone(), plain(value))));
                    }
                    value => headers.push((name.clone(), plain(value))),
                }
            }
        }
        Some(Value::Array(pairs)) => {
            for pair in pairs {
                let Some([name, value]) = pair.as_array().map(Vec::as_slice) else {
                    return Err("\"headers\" holds something else than [name, value]".to_owned());
                };
                headers.push((plain(name), plain(value)));
            }
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            return Err("\"headers\" is neither an object nor a list of pairs".to_owned());
        }
    }
    Ok(headers)
}

/// A body: text as it was, or the JSON it was.
fn content(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).map(plain).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            value.to_string()
        }
    }
}

fn transport(object: &Map<String, Value>) -> Result<Option<Transport>, String> {
    let Some(name) = text(object, "transport")? else { return Ok(None) };
    if name.trim().is_empty() {
        return Ok(None);
    }
    parse_report_error(&name).map(Some).ok_or_else(|| {
        let known: Vec<_> = Transport::ALL.iter().map(|known| known.as_str()).collect();
        format!("\"transport\" {name:?} is unknown, expected one of {}", known.join(" "))
    })
}
