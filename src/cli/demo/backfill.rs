//! `brownout demo --backfill`: what Prometheus would have scraped from the demo's daemon.
//!
//! A day is played in seconds: the simulator's history goes as reports through the routes of a
//! daemon on a hand-moved clock, probes meet what the clients meet, and every scrape is one of
//! that daemon's. Nothing here makes up a sample, with one exception: the process is said to be
//! as old as its past, and not as old as this program.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};

use super::complain;
use super::exposition::Exposition;
use super::past::{Past, SLOT, SLOTS};
use crate::answers::metrics::Format;
use crate::app::rehearsal::Rehearsal;
use crate::domain::classify::{MatchedBy, quotas};
use crate::domain::outcome::Class;
use crate::domain::time::{HOUR_MS, MINUTE_MS, Timestamp, millis_of};
use crate::ground::clock::{Clock, Stopwatch};
use crate::ground::self_stats::SelfStats;
use crate::intake::probe::{INPUT_TOKENS, ProbeReport, ProbeSpec, Usage};
use crate::simulator::{self, Fate, Fleet};

/// Most scrapes in a file: a week of minutes. They are held in memory, at about 12 KB each.
const SCRAPES_MAX: u64 = 7 * 24 * 60;

/// Longest span: the history of a day takes some 10 MB of memory.
const SPAN_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Who is said to have been scraped.
const LABELS: &str = "job=\"brownout\",instance=\"demo:10529\"";

/// Money that lasts for the day, but for one provider only until the morning.
const PROBES: &str = "every: 1m, when_clients_report: reduce, \
                      budget: {usd_per_day: 0.5, per_provider: {anthropic: 0.3, openai: 0.02}}";

/// Where nothing listens: no request leaves.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A configuration that could not be loaded is in place from this time of day for this long.
const BROKEN_RELOAD: (u64, u64) = (14 * 60 + 20, 25);

/// In this hour of the day a client reports records without a model.
const CARELESS_HOUR: u64 = 11;

/// A client repeats a batch that it believes lost this often, in minutes.
const REPEATED_EVERY: u64 = 10;

/// The flags of the backfill.
#[derive(Debug, clap::Args)]
// The demo's own flags have a group of this name.
#[group(skip)]
pub(super) struct Args {
    /// Write the demo's past as Prometheus would have scraped it, and exit
    ///
    /// OpenMetrics text with time stamps, for `promtool tsdb create-blocks-from openmetrics FILE
    /// DIR`; `-` is stdout.
    #[arg(long = "backfill", value_name = "FILE")]
    file: Option<PathBuf>,

    /// How much of the past to write
    #[arg(long = "backfill.span", value_name = "DURATION", default_value = "1d", requires = "file",
          value_parser = humantime::parse_duration)]
    span: Duration,

    /// Time between two scrapes
    #[arg(long = "backfill.step", value_name = "DURATION", default_value = "1m", requires = "file",
          value_parser = humantime::parse_duration)]
    step: Duration,

    /// When the past ends, as 2026-04-24T14:00:00Z; by default it ends now
    #[arg(long = "backfill.end", value_name = "TIME", requires = "file", value_parser = parse_time)]
    end: Option<Timestamp>,
}

impl Args {
    /// Whether a backfill is asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.file.is_some()
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected a time as 2026-04-24T14:00:00Z".to_owned())
}

/// From when to when, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: Timestamp,
    end: Timestamp,
    step: Duration,
}

impl Span {
    /// Whole minutes that end at `end`.
    fn new(span: Duration, step: Duration, end: Timestamp) -> anyhow::Result<Self> {
        let (slot, step_ms) = (millis_of(SLOT), millis_of(step));
        let in_slots = step_ms.is_multiple_of(slot) && step.subsec_nanos() == 0;
        ensure!(step_ms > 0 && in_slots, "--backfill.step: take a multiple of {SLOT:?}");
        let span_ms = millis_of(span) / MINUTE_MS * MINUTE_MS;
        ensure!(span_ms > 0 && span <= SPAN_MAX, "--backfill.span: take one from 1m to 30d");
        let scrapes = span_ms / step_ms;
        ensure!(
            scrapes > 0,
            "--backfill.step: is longer than --backfill.span, which leaves nothing"
        );
        ensure!(
            scrapes <= SCRAPES_MAX,
            "--backfill.step: {scrapes} scrapes are more than {SCRAPES_MAX}, take a longer step"
        );
        let end = end.millis() / MINUTE_MS * MINUTE_MS;
        ensure!(end > span_ms, "--backfill.end: lies before 1970 and the span");
        let start = Timestamp::from_millis(end - span_ms);
        Ok(Self { start, end: Timestamp::from_millis(end), step })
    }
}

/// Plays the past and writes it.
pub(super) async fn write(args: Args, seed: u64, stats: SelfStats) -> anyhow::Result<()> {
    let Some(file) = args.file else { bail!("--backfill: name a file") };
    let span = Span::new(args.span, args.step, args.end.unwrap_or_else(|| Clock::System.now()))?;
    // Before the work, so that a wrong path is told at once.
    let mut out = open(&file)?;
    let exposition = play(span, seed, stats).await?;
    let written = exposition.write(&mut out, LABELS);
    written.with_context(|| format!("cannot write {}", file.display()))?;
    let (scrapes, series, samples) = exposition.size();
    complain(&format!(
        "brownout: wrote {scrapes} scrapes of {series} series, {samples} samples; next:\n  \
         promtool tsdb create-blocks-from openmetrics {} data",
        file.display()
    ));
    Ok(())
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Write + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    let created = File::create(file);
    let created =
        created.with_context(|| format!("--backfill: cannot write {}", file.display()))?;
    Ok(Box::new(BufWriter::new(created)))
}

/// Every scrape of the span.
async fn play(span: Span, seed: u64, stats: SelfStats) -> anyhow::Result<Exposition> {
    let scenario = simulator::demo();
    let traffic = Fleet::new(scenario.clone(), Some(seed)).traffic();
    let config = super::config(&traffic, NOWHERE, PROBES)?;
    let mut player = Player {
        past: Past::new(&scenario, seed, span.start, span.end),
        daemon: Rehearsal::new(config, stats.clone(), span.start)?,
        exposition: Exposition::default(),
        stats,
        span,
    };
    player.scrape().await?;
    let hours = millis_of(span.end.since(span.start)).div_ceil(HOUR_MS);
    while player.daemon.now() < span.end {
        let since = millis_of(player.daemon.now().since(span.start));
        if since.is_multiple_of(HOUR_MS) {
            complain(&format!("brownout: playing hour {} of {hours}", since / HOUR_MS + 1));
        }
        player.minute().await?;
    }
    Ok(player.exposition)
}

/// The daemon of the past and those around it.
struct Player {
    past: Past,
    daemon: Rehearsal,
    exposition: Exposition,
    stats: SelfStats,
    span: Span,
}

impl Player {
    async fn minute(&mut self) -> anyhow::Result<()> {
        let start = self.daemon.now();
        self.past.turn_to(start);
        self.operator(start);
        for slot in 0..SLOTS {
            self.clients(start, slot).await?;
            self.probes(slot).await;
            self.daemon.advance(SLOT);
            self.ask(get("/v1/health", "application/json")).await?;
            let since = millis_of(self.daemon.now().since(self.span.start));
            if since.is_multiple_of(millis_of(self.span.step)) {
                self.scrape().await?;
            }
        }
        Ok(())
    }

    /// Somebody breaks the configuration once a day, and mends it.
    fn operator(&self, now: Timestamp) {
        let (broken, lasts) = BROKEN_RELOAD;
        match minute_of_day(now) {
            minute if minute == broken => self.stats.note_failed_reload(),
            minute if minute == broken + lasts => self.stats.note_reload(now),
            _ => {}
        }
    }

    async fn clients(&self, minute: Timestamp, slot: u32) -> anyhow::Result<()> {
        let mut batch = self.past.reports(slot)?;
        let careless = minute_of_day(minute) / 60 == CARELESS_HOUR;
        if careless && slot == 0 {
            batch.extend_from_slice(b"{\"provider\":\"openai\",\"status\":200}\n");
        }
        if batch.is_empty() {
            return Ok(());
        }
        let batch = Bytes::from(batch);
        let repeats = slot == 0 && minute_of_day(minute).is_multiple_of(REPEATED_EVERY);
        for _ in 0..=u32::from(repeats) {
            let request = Request::builder()
                .method(Method::POST)
                .uri("/v1/outcomes")
                .header("content-type", "application/x-ndjson")
                .header("idempotency-key", format!("{}-{slot}", minute.secs()))
                .body(batch.clone())?;
            self.ask(request).await?;
        }
        Ok(())
    }

    /// The probes of a minute leave apart, as they do in the daemon.
    async fn probes(&mut self, slot: u32) {
        let due = (0..SLOTS).cycle().step_by(2).zip(self.daemon.specs().to_vec());
        for (_, spec) in due.filter(|(at, _)| *at == slot) {
            let Some(fate) = self.past.fate(&spec.target) else { continue };
            let served = self.past.served(&spec.target.provider, slot);
            let now = self.daemon.now();
            // What becomes of it is for the daemon's book alone.
            let _ = self.daemon.probe(&spec, found(&spec, &fate, served, now)).await;
            self.daemon.schedule(&spec.target, now.plus(Duration::from_millis(MINUTE_MS)));
        }
    }

    /// A scrape, and what Prometheus notes of it.
    async fn scrape(&mut self) -> anyhow::Result<()> {
        let stopwatch = Stopwatch::start();
        let accept = Format::OpenMetrics100.content_type();
        let text = self.ask(get("/metrics", accept)).await?;
        let took = stopwatch.elapsed().as_secs_f64();
        let text = std::str::from_utf8(&text).context("the scrape is no text")?;
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        let born = self.span.start.secs();
        let aged = text.lines().map(|line| match line.split_once(' ') {
            Some(("process_start_time_seconds", _)) => format!("process_start_time_seconds {born}"),
            _ => line.to_owned(),
        });
        let mut all: String = aged.filter(|line| line != "# EOF").map(|line| line + "\n").collect();
        all.push_str(&format!(
            "# TYPE scrape_duration_seconds gauge\nscrape_duration_seconds {took}\n\
             # TYPE scrape_samples_scraped gauge\nscrape_samples_scraped {samples}\n\
             # TYPE up gauge\nup 1\n"
        ));
        self.exposition.take(self.daemon.now(), &all)
    }

    async fn ask(&self, request: Request<Bytes>) -> anyhow::Result<Bytes> {
        let path = request.uri().path().to_owned();
        let (status, body) = self.daemon.ask(request).await;
        let text = || String::from_utf8_lossy(&body).into_owned();
        ensure!(status == StatusCode::OK, "{path} answered {status}: {}", text());
        Ok(body)
    }
}

fn get(path: &'static str, accept: &'static str) -> Request<Bytes> {
    let request = Request::builder().uri(path).header("accept", accept);
    request.body(Bytes::new()).expect("constant paths and headers are valid")
}

fn minute_of_day(at: Timestamp) -> u64 {
    at.millis() / MINUTE_MS % (24 * 60)
}

/// What a probe finds that fares like this.
fn found(spec: &ProbeSpec, fate: &Fate, served: u64, now: Timestamp) -> ProbeReport {
    let headers = fate.limit_headers(&spec.target, served, now);
    let headers: Vec<_> = headers.into_iter().map(|(name, at)| (name.to_owned(), at)).collect();
    let (class, ok) = (fate.class, fate.class == Class::Ok);
    let usage = Usage {
        input_tokens: ok.then_some(INPUT_TOKENS),
        output_tokens: ok.then_some(spec.output_tokens()),
    };
    ProbeReport {
        class,
        matched_by: if ok { MatchedBy::Ok } else { MatchedBy::Status },
        http_status: fate.code,
        connect: None,
        ttfb: fate.code.map(|_| fate.time_to_first_token.unwrap_or(fate.duration)),
        ttft: fate.time_to_first_token,
        total: Some(fate.duration),
        cost_usd: spec.price.as_ref().and_then(|price| usage.cost_usd(price)),
        usage,
        request_id: None,
        retry_after: fate.retry_after,
        quotas: quotas(&headers, now),
        may_have_been_sent: true,
        misconfigured: None,
        started_at: now.minus(fate.duration),
        at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_whole_minutes_and_bounded() {
        let end = Timestamp::from_millis(1_777_032_059_999);
        let [day, minute] = [24 * 60 * 60, 60].map(Duration::from_secs);
        let span = Span::new(day, minute, end).unwrap();
        assert_eq!((span.start.secs(), span.end.secs()), (1_776_945_600, 1_777_032_000));
        for (span, step, problem) in [
            (day, Duration::ZERO, "--backfill.step: take a multiple of 5s"),
            (day, 2 * day, "--backfill.step: is longer than --backfill.span"),
            (day, Duration::from_millis(7_500), "--backfill.step: take a multiple of 5s"),
            (day, Duration::from_secs(5), "--backfill.step: 17280 scrapes are more than 10080"),
            (Duration::from_secs(59), minute, "--backfill.span: take one from 1m to 30d"),
            (day * 31, minute, "--backfill.span: take one from 1m to 30d"),
        ] {
            let error = Span::new(span, step, end).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
        let early = Span::new(day, minute, Timestamp::from_secs(60)).unwrap_err();
        assert_eq!(early.to_string(), "--backfill.end: lies before 1970 and the span");
    }
}
