//! The two exposition formats, and which of them a scraper gets.
//!
//! Quality values and versions are honoured; anything we do not speak, or cannot read, gets the
//! text format 0.0.4, which every scraper understands. Never an error: a scrape that fails over a
//! header would lose counts.

/// Media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text";
/// Media type of the classic text format.
const TEXT: &str = "text/plain";
/// Most media ranges looked at; real scrapers send five.
const RANGES_MAX: usize = 32;

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The classic text format, version 0.0.4.
    Text004,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
}

impl Format {
    /// Both formats.
    pub const ALL: [Self; 2] = [Self::Text004, Self::OpenMetrics100];

    /// The format for a request with this `Accept` header. The highest quality wins, among equals
    /// the one named first.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (Self::Text004, 0.0);
        for range in accept.unwrap_or("").split(',').take(RANGES_MAX) {
            if let Some((format, quality)) = parse(range)
                && quality > best.1
            {
                best = (format, quality);
            }
        }
        best.0
    }

    /// The `Content-Type` of an answer in this format; Prometheus 3 refuses a scrape without.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The format and quality that one media range asks for; `None` for what we do not speak.
fn parse(range: &str) -> Option<(Format, f64)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?;
    let (mut version, mut quality) = (None, 1.0);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("q") {
            quality = value.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
        } else if name.trim().eq_ignore_ascii_case("version") {
            version = Some(value);
        }
    }
    let format = if media.eq_ignore_ascii_case(OPEN_METRICS) {
        matches!(version, None | Some("1.0.0")).then_some(Format::OpenMetrics100)
    } else if media.eq_ignore_ascii_case(TEXT) {
        matches!(version, None | Some("0.0.4")).then_some(Format::Text004)
    } else {
        ["text/*", "*/*"].contains(&media).then_some(Format::Text004)
    };
    format.map(|format| (format, quality))
}

#[cfg(test)]
mod tests {
    use super::Format::{OpenMetrics100, Text004};
    use super::*;

    #[test]
    fn the_accept_header_decides() {
        for (accept, format) in [
            (None, Text004),
            (Some(""), Text004),
            (Some("*/*"), Text004),
            // Prometheus 2.42, as sent.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,\
                     application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                OpenMetrics100,
            ),
            // Prometheus 3 with its default protocols.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                     application/openmetrics-text;version=0.0.1;q=0.5,\
                     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                     text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                OpenMetrics100,
            ),
            // Prometheus 3 with native histograms: protobuf first, which we do not speak.
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                     encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;\
                     escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                OpenMetrics100,
            ),
            // `scrape_protocols: [PrometheusText0.0.4]`.
            (Some("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), Text004),
            (Some("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.8"), Text004),
            (Some("application/openmetrics-text;q=0.8 , text/plain;q=0.7"), OpenMetrics100),
            (Some("text/plain,application/openmetrics-text"), Text004),
            (Some("application/openmetrics-text,text/plain"), OpenMetrics100),
            // Versions we do not speak fall back.
            (Some("application/openmetrics-text;version=0.0.1"), Text004),
            (Some("application/openmetrics-text;version=2.0.0"), Text004),
            (Some("text/plain;version=1.0.0;q=0.9,application/openmetrics-text;q=0.1"), {
                OpenMetrics100
            }),
            (Some("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8"), {
                OpenMetrics100
            }),
            (Some("application/openmetrics-text;q=0, text/plain;q=0.1"), Text004),
            (Some("application/openmetrics-text;q=nan"), Text004),
            (Some("application/openmetrics-text;q=7,*/*"), Text004),
            // A browser, and noise.
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Text004),
            (Some(";;;=,=;,,\u{0}"), Text004),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn the_content_type_names_the_version() {
        assert_eq!(Text004.content_type(), "text/plain; version=0.0.4; charset=utf-8");
        let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(OpenMetrics100.content_type(), open_metrics);
        // What we answer with is what we would ask for.
        for format in Format::ALL {
            assert_eq!(Format::negotiate(Some(format.content_type())), format);
        }
    }
}
