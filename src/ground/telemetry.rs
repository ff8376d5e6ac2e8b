//! Structured logs, logfmt or JSON, one line an event, on stderr, with UTC time stamps.
//!
//! stdout belongs to the subcommands' answers. What may be logged is up to the caller: there is no
//! filter here that would find a key in a field, so keys, prompts and bodies are never passed in.

use std::fmt;
use std::io;
use std::str::FromStr;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::self_stats::SelfStats;

/// The levels, loudest last.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=… level=info msg="…" provider=anthropic`: for people, Loki and `journalctl`.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Neither a level nor a list of directives.
    #[error("unknown log level \"{0}\", expected one of error, warn, info, debug, trace")]
    Level(String),
    /// A list of directives that is none.
    #[error("log level \"{0}\" is not a list like info,brownout::intake=debug")]
    Directives(String),
    /// The word is no format.
    #[error("unknown log format \"{0}\", expected logfmt or json")]
    Format(String),
    /// Called twice in one process.
    #[error("logging was set up before")]
    Again,
}

impl LogFormat {
    /// The name used on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        [Self::Logfmt, Self::Json]
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| TelemetryError::Format(text.to_owned()))
    }
}

/// Logs to stderr from here on, and counts warnings and errors in `stats`.
///
/// `level` is one of the five levels, or a list of directives as in `warn,brownout::http=debug`.
/// A plain level is that of this program; libraries then stay at `warn`.
///
/// # Errors
/// [`TelemetryError`] for an unknown level, or when called twice.
pub fn init(level: &str, format: LogFormat, stats: SelfStats) -> Result<(), TelemetryError> {
    subscriber(level, format, io::stderr)?
        .with(CountTrouble(stats))
        .try_init()
        .map_err(|_| TelemetryError::Again)
}

/// Checks a level or a list of directives as [`init`] takes it, and gives it back.
///
/// # Errors
/// [`TelemetryError`] for an unknown level.
pub fn parse_level(text: &str) -> Result<String, TelemetryError> {
    filter(text).map(|_| text.to_owned())
}

/// Counts warnings and errors, so that an alert can see them without reading logs.
struct CountTrouble(SelfStats);

impl<S: Subscriber> Layer<S> for CountTrouble {
    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        match *event.metadata().level() {
            Level::ERROR => self.0.count_log_error(),
            Level::WARN => self.0.count_log_warning(),
            Level::INFO | Level::DEBUG | Level::TRACE => {}
        }
    }
}

/// The subscriber behind [`init`], writing elsewhere.
///
/// # Errors
/// [`TelemetryError`] for an unknown level.
pub fn subscriber<W>(
    level: &str,
    format: LogFormat,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + 'static, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter(level)?;
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Logfmt => {
            let events = tracing_logfmt::builder().layer().with_writer(writer);
            events.with_filter(filter).boxed()
        }
        LogFormat::Json => {
            let events = tracing_subscriber::fmt::layer().json().flatten_event(true);
            events.with_writer(writer).with_filter(filter).boxed()
        }
    };
    Ok(tracing_subscriber::registry().with(layer))
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    if level.contains(['=', ',']) {
        return EnvFilter::builder()
            .parse(level)
            .map_err(|_| TelemetryError::Directives(level.to_owned()));
    }
    if !LEVELS.contains(&level) {
        return Err(TelemetryError::Level(level.to_owned()));
    }
    // Libraries are noisy, and what they log is not under our control.
    let directives = format!("{},brownout={level}", if level == "error" { level } else { "warn" });
    EnvFilter::builder().parse(directives).map_err(|_| TelemetryError::Level(level.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written by an info and a debug event of ours and an info event of a library.
    fn logged(level: &str, format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(level, format, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(provider = "anthropic", "state \"changed\"");
            tracing::debug!("a detail");
            tracing::info!(target: "hyper", "noise");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn logfmt_lines_carry_utc_time_level_message_and_fields() {
        let text = logged("info", LogFormat::Logfmt);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("ts=2"), "{text}");
        let stamp = text.split_whitespace().next().unwrap();
        assert!(stamp.ends_with('Z'), "{text}");
        for part in ["level=info", "provider=anthropic", "state \\\"changed\\\""] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn json_lines_are_objects() {
        let text = logged("debug", LogFormat::Json);
        assert_eq!(text.lines().count(), 2, "{text}");
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["provider"], "anthropic");
        assert_eq!(line["message"], "state \"changed\"");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{text}");
    }

    #[test]
    fn levels_and_formats_are_closed_sets() {
        assert!(logged("error", LogFormat::Logfmt).is_empty());
        assert!(logged("hyper=info", LogFormat::Logfmt).contains("noise"));
        for level in ["loud", "INFO", "", "brownout=loud"] {
            assert!(filter(level).is_err(), "{level}");
        }
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        assert!("xml".parse::<LogFormat>().is_err());
    }
}
