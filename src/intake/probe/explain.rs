//! One probe explained step by step, for people: what was sent, what came when, what decided, what
//! it means and what to do.
//!
//! Readable in 80 columns. The key, the answer's text and headers that may hold a secret are never
//! shown; of the provider's words only its error message is, redacted.

use std::fmt::Write as _;
use std::time::Duration;

use super::client::Connection;
use super::trace::{Mark, Trace};
use super::{ProbeReport, ProbeSpec};
use crate::domain::classify::MatchedBy;
use crate::domain::outcome::Class;
use crate::ground::catalog::Auth;

/// Columns of the text: a terminal's.
const COLUMNS: usize = 80;
/// Most of a request's body shown, in characters. A probe's is far shorter; a configured one may
/// be anything.
const BODY_CHARS_MAX: usize = 2_000;

/// Request headers whose values are shown. A configured header may be a secret.
const OPEN_HEADERS: [&str; 4] = ["accept", "anthropic-version", "anthropic-beta", "content-type"];

/// The whole story. Without a trace its events are not known, the rest is.
pub fn explain(spec: &ProbeSpec, report: &ProbeReport, trace: Option<&Trace>) -> String {
    let mut page = Page(format!("{}: {}\n", spec.target, report.class));
    page.paragraph(meaning(report.class));
    request(&mut page, spec);
    connection(&mut page, report, trace);
    answer(&mut page, report, trace);
    stream(&mut page, report, trace);
    cost(&mut page, spec, report);
    page.head("Verdict");
    let why = trace.map_or_else(|| rule(report.matched_by).to_owned(), |it| reason(report, it));
    page.paragraph(&format!(
        "{} (decided by {}): {why}.",
        report.class,
        report.matched_by.as_str()
    ));
    if let Some(message) = trace.and_then(|trace| trace.message.as_deref())
        && report.class != Class::Ok
    {
        page.paragraph(&format!("The provider says: {message}"));
    }
    if let Some(why) = &report.misconfigured {
        page.paragraph(&format!("The probe is misconfigured, {why}"));
    }
    page.paragraph(&format!("Next: {}", next(report.class)));
    page.0
}

/// A text that grows by lines of bounded length.
struct Page(String);

impl Page {
    fn head(&mut self, title: &str) {
        self.0.push('\n');
        self.0.push_str(title);
        self.0.push('\n');
    }

    /// Lines of words, indented.
    fn paragraph(&mut self, text: &str) {
        let mut column = COLUMNS;
        for word in text.split_whitespace() {
            let width = word.chars().count();
            if column + 1 + width > COLUMNS {
                if column != COLUMNS {
                    self.0.push('\n');
                }
                self.0.push_str("  ");
                column = 2;
            } else {
                self.0.push(' ');
                column += 1;
            }
            self.0.push_str(word);
            column += width;
        }
        self.0.push('\n');
    }

    /// A text without words, cut after commas where it can be.
    fn block(&mut self, text: &str) {
        let mut rest: &str = text;
        while !rest.is_empty() {
            let fits = rest.char_indices().nth(COLUMNS - 2).map_or(rest.len(), |(at, _)| at);
            let comma = rest[..fits].rfind(',').map(|at| at + 1).filter(|_| fits < rest.len());
            let (line, tail) = rest.split_at(comma.unwrap_or(fits));
            self.line(line);
            rest = tail;
        }
    }

    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "  {text}");
    }
}

fn request(page: &mut Page, spec: &ProbeSpec) {
    page.head("Request");
    page.block(&format!("POST {}", spec.url));
    let mut headers: Vec<String> = spec
        .headers
        .iter()
        .map(|(name, value)| match value.to_str() {
            Ok(value) if OPEN_HEADERS.contains(&name.as_str()) => format!("{name}: {value}"),
            Ok(_) | Err(_) => format!("{name}: [redacted]"),
        })
        .collect();
    if !spec.headers.contains_key("accept") {
        headers.push(format!("accept: {}", super::client::ACCEPTED));
    }
    headers.push("accept-encoding: identity".to_owned());
    headers.push("content-type: application/json".to_owned());
    headers.push(format!("user-agent: {}", super::client::USER_AGENT));
    if spec.credential.is_some() || spec.auth == Auth::SigV4 {
        headers.push(key_line(spec.auth).to_owned());
    }
    headers.sort_unstable();
    for header in headers {
        page.block(&header);
    }
    let body = String::from_utf8_lossy(&spec.body);
    let body: String = body.chars().take(BODY_CHARS_MAX).collect();
    page.0.push('\n');
    page.block(&body);
}

/// The header that carries the key, without it.
const fn key_line(auth: Auth) -> &'static str {
    match auth {
        Auth::Bearer => "authorization: Bearer [redacted]",
        Auth::XApiKey => "x-api-key: [redacted]",
        Auth::ApiKey => "api-key: [redacted]",
        Auth::XGoogApiKey => "x-goog-api-key: [redacted]",
        Auth::SigV4 => "authorization: AWS4-HMAC-SHA256 [redacted]",
    }
}

fn connection(page: &mut Page, report: &ProbeReport, trace: Option<&Trace>) {
    page.head("Connection");
    let how = match trace.map(|trace| trace.connection) {
        Some(Connection::Reused) if report.http_status.is_none() => "none was used".to_owned(),
        Some(Connection::Failed) => "could not be opened".to_owned(),
        Some(Connection::Opening) => "not open when its time was up".to_owned(),
        Some(Connection::Reused | Connection::Opened(_)) | None => match report.connect {
            Some(took) => format!("opened in {} (name, TCP and TLS together)", millis(took)),
            None => "a warm one was used again".to_owned(),
        },
    };
    let version = trace.and_then(|trace| trace.version);
    let version = version.map_or_else(String::new, |version| format!(", {version:?}"));
    page.line(&format!("{how}{version}"));
}

fn answer(page: &mut Page, report: &ProbeReport, trace: Option<&Trace>) {
    page.head("Answer");
    match (report.http_status, report.ttfb) {
        (Some(status), Some(ttfb)) => page.line(&format!("HTTP {status} after {}", millis(ttfb))),
        (Some(status), None) => page.line(&format!("HTTP {status}")),
        (None, _) => match report.total {
            Some(total) => page.line(&format!("none within {}", millis(total))),
            None => page.line("none, nothing could be sent"),
        },
    }
    match trace {
        Some(trace) => {
            for (name, value) in &trace.headers {
                page.block(&format!("{name}: {value}"));
            }
        }
        None => {
            if let Some(id) = &report.request_id {
                page.block(&format!("request id: {id}"));
            }
        }
    }
    if let Some(wait) = report.retry_after {
        page.line(&format!("asks to wait {}", humantime::format_duration(wait)));
    }
}

fn stream(page: &mut Page, report: &ProbeReport, trace: Option<&Trace>) {
    if report.http_status.is_none() {
        return;
    }
    page.head("Stream");
    match trace {
        None => page.line("its events were not kept"),
        Some(trace) if trace.events.is_empty() => page.line("no event came"),
        Some(_) => {}
    }
    for event in trace.into_iter().flat_map(|trace| &trace.events) {
        let mark = match event.mark {
            None => "",
            Some(Mark::FirstContent) => " (first content)",
            Some(Mark::Complete) => " (complete)",
            Some(Mark::Error) => " (error)",
        };
        page.line(&format!("+{:>10} {}{mark}", millis(event.at), event.name));
    }
    if let Some(more) = trace.map(|trace| trace.events_left_out).filter(|more| *more > 0) {
        page.line(&format!("and {more} more events"));
    }
    if let Some(ttft) = report.ttft {
        page.line(&format!("first token after {}", millis(ttft)));
    }
    if let Some(total) = report.total {
        page.line(&format!("ended after {}", millis(total)));
    }
}

fn cost(page: &mut Page, spec: &ProbeSpec, report: &ProbeReport) {
    page.head("Cost");
    let (input, output) = (report.usage.input_tokens, report.usage.output_tokens);
    if input.is_none() && output.is_none() {
        page.line("the provider told no usage");
    } else {
        let tokens = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
        page.line(&format!("{} tokens in, {} out", tokens(input), tokens(output)));
    }
    let counted = report.charge_usd(spec);
    match (report.cost_usd, spec.price) {
        (Some(cost), _) => page.line(&format!("${cost:.7}")),
        (None, Some(_)) => page.line(&format!("a budget counts ${counted:.7}")),
        (None, None) => page.line(&format!("no price is known, a budget counts ${counted:.7}")),
    }
}

/// What decided, as far as it can be named.
fn reason(report: &ProbeReport, trace: &Trace) -> String {
    let status = report.http_status.map_or("no status".to_owned(), |it| format!("HTTP {it}"));
    match (report.matched_by, &trace.word) {
        (MatchedBy::Transport, _) => match trace.transport {
            Some(transport) => format!("the transport ended with {}", transport.as_str()),
            None => rule(MatchedBy::Transport).to_owned(),
        },
        (MatchedBy::StreamEvent, Some(word)) => format!("`{word}` in the stream"),
        (MatchedBy::ProviderToken | MatchedBy::Token | MatchedBy::GenericToken, Some(word)) => {
            format!("`{word}` in the answer")
        }
        (MatchedBy::ProviderStatus, _) => format!("{status}, as this provider means it"),
        (MatchedBy::Status, _) => format!("{status}, which nothing in the answer explains better"),
        (
            rule @ (MatchedBy::Intermediary
            | MatchedBy::StreamEvent
            | MatchedBy::Upstream
            | MatchedBy::ProviderToken
            | MatchedBy::Token
            | MatchedBy::Message
            | MatchedBy::GenericToken
            | MatchedBy::Ok),
            _,
        ) => self::rule(rule).to_owned(),
    }
}

/// What a rule looks at.
const fn rule(rule: MatchedBy) -> &'static str {
    match rule {
        MatchedBy::Transport => "what the transport saw",
        MatchedBy::Intermediary => "a proxy, a content network or a portal answered",
        MatchedBy::StreamEvent => "an event of the stream",
        MatchedBy::Upstream => "an upstream's error is quoted in the answer",
        MatchedBy::ProviderToken => "a word that means this with this provider",
        MatchedBy::Token => "a word that means the same everywhere",
        MatchedBy::Message => "the wording of the provider's message",
        MatchedBy::ProviderStatus => "the status, as this provider means it",
        MatchedBy::GenericToken => "a vague word in the answer",
        MatchedBy::Status => "the bare status",
        MatchedBy::Ok => "the answer is complete and nothing is wrong with it",
    }
}

/// What a class means for the one who asks.
const fn meaning(class: Class) -> &'static str {
    match class {
        Class::Ok => "The provider answered to the end.",
        Class::Overloaded => {
            "The provider sheds load: it has no capacity now, whatever your own limits are."
        }
        Class::RateLimited => "Your account's short-term limit is reached.",
        Class::QuotaExhausted => "Your account's allowance is used up.",
        Class::Unavailable => "The provider is out of service.",
        Class::ServerError => "The provider failed inside.",
        Class::Timeout => "The provider was reached but did not answer in time.",
        Class::Network => "The provider was not reached, or its answer ended too early.",
        Class::Auth => "The key was refused.",
        Class::Billing => "The account has no credit or a payment is due.",
        Class::InvalidRequest => "The provider refused the request itself.",
        Class::Other => {
            "The answer came from something else than the model: a proxy or a firewall."
        }
    }
}

/// What to do then.
const fn next(class: Class) -> &'static str {
    match class {
        Class::Ok => "nothing, it works.",
        Class::Overloaded => "retry shortly with jitter, or fall back to another model.",
        Class::RateLimited => "wait as told, then retry; ask for a higher limit if it recurs.",
        Class::QuotaExhausted => "raise the allowance or wait for the next period; do not retry.",
        Class::Unavailable | Class::ServerError => {
            "fall back, and look at the provider's status page if it lasts."
        }
        Class::Timeout => {
            "probe again; if it recurs for a slow model, raise probes.timeout and ttft_timeout."
        }
        Class::Network => "check name, route, firewall and certificates on this side first.",
        Class::Auth => "check the key, its permissions and its region.",
        Class::Billing => "pay or top up the account; retrying is useless.",
        Class::InvalidRequest => {
            "check the model's name, and what the configuration adds to the request."
        }
        Class::Other => "check base_url, and proxies between here and the provider.",
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::target::Target;
    use crate::ground::catalog::Dialect;
    use crate::ground::config::{ProbesConfig, ProviderConfig};

    #[test]
    fn no_line_is_longer_than_a_terminal_unless_it_is_one_word() {
        let mut page = Page(String::new());
        page.paragraph(&"some words of text ".repeat(40));
        page.block(&"\"field\":\"value\",".repeat(40));
        page.block(&"x".repeat(500));
        for line in page.0.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
            assert!(line.starts_with("  "), "{line}");
        }
        assert_eq!(page.0.matches("\"field\":\"value\",").count(), 40, "no field is torn");
    }

    #[test]
    fn a_header_is_shown_once_and_as_it_is_sent() {
        for (dialect, accept) in [
            (Dialect::Anthropic, "accept: application/json, text/event-stream"),
            (Dialect::Bedrock, "accept: application/vnd.amazon.eventstream, application/json"),
        ] {
            let target = Target::parse("p/m").unwrap();
            let provider = ProviderConfig::new(dialect, "https://api.example.com");
            let probes = ProbesConfig::default();
            let spec = ProbeSpec::new(target, &provider, &probes, None).unwrap();
            let mut page = Page(String::new());
            request(&mut page, &spec);
            let shown: Vec<_> = page.0.lines().filter(|line| line.contains("accept:")).collect();
            assert_eq!(shown, [format!("  {accept}")], "{}", page.0);
        }
    }
}
