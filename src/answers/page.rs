//! The landing page: what is known at a glance, and where everything is.
//!
//! Plain HTML without scripts, rebuilt for each request from the snapshot; it refreshes itself.

use std::fmt::Write;

use crate::domain::outcome::Signal;
use crate::domain::status_page::{Indicator, agreement};
use crate::store::snapshot::{Snapshot, TargetView};

/// Targets shown; the health document has all of them.
const ROWS_MAX: usize = 200;

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"refresh\" content=\"5\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>brownout</title><style>\
body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222;\
background:#fff}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ddd}\
td.n{text-align:right;font-variant-numeric:tabular-nums}\
.healthy{color:#0b6b4f}.degraded{color:#8a5a00}.overloaded,.unavailable{color:#b3261e;\
font-weight:600}.unknown{color:#666}a{color:#0b57d0}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}th,td{border-color:#333}\
.healthy{color:#5dc9a4}.degraded{color:#e3b341}.overloaded,.unavailable{color:#ff8a80}\
.unknown{color:#999}a{color:#8ab4f8}}</style></head><body><h1>brownout</h1>";

const LINKS: &str = "<p><a href=\"/metrics\">/metrics</a> · \
<a href=\"/v1/health\">/v1/health</a> · <a href=\"/v1/hours\">/v1/hours</a> · \
<a href=\"/v1/probes\">/v1/probes</a> · \
<a href=\"/-/healthy\">/-/healthy</a> · <a href=\"/-/ready\">/-/ready</a></p>\
<p>Report outcomes to <code>POST /v1/outcomes</code>, \
reload the configuration with <code>POST /-/reload</code>.</p></body></html>";

/// The page as HTML.
pub fn landing(snapshot: &Snapshot) -> String {
    let mut html = String::from(HEAD);
    let _ = write!(html, "<p>As of {}.</p>", snapshot.at);
    if snapshot.targets.is_empty() {
        html.push_str("<p>Nothing was reported yet and no model is configured.</p>");
    } else {
        html.push_str(
            "<table><tr><th>provider</th><th>model</th><th>state</th><th>reason</th>\
             <th>attempts 5m</th><th>529</th><th>429</th><th>503</th><th>overload</th></tr>",
        );
        for view in snapshot.targets.iter().take(ROWS_MAX) {
            row(&mut html, view);
        }
        html.push_str("</table>");
    }
    status_pages(&mut html, snapshot);
    html.push_str(LINKS);
    html
}

fn row(html: &mut String, view: &TargetView) {
    let tally = &view.windows.five_minutes;
    let state = view.state.as_str();
    let ratio = tally
        .ratio(Signal::Overload)
        .map_or_else(|| "–".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0));
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<tr><td>{}</td><td>{}</td><td class=\"{state}\">{state}</td><td>{}</td>\
         <td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td>\
         <td class=n>{ratio}</td></tr>",
        escape(view.target.provider.as_str()),
        escape(view.target.model.as_str()),
        view.reason.as_str(),
        tally.attempts,
        tally.overloaded,
        tally.rate_limited,
        tally.unavailable,
    );
}

/// What the providers' own pages say, beside what was measured.
fn status_pages(html: &mut String, snapshot: &Snapshot) {
    for (provider, page) in &snapshot.status_pages {
        let reading = page.reading.as_deref();
        let own = snapshot.provider(provider).iter().filter(|view| !view.target.is_other());
        let indicator = reading.map_or(Indicator::Unknown, |reading| reading.indicator);
        let note = agreement(reading, own.map(|view| view.state)).note;
        let _ = write!(
            html,
            "<p>Status page of {}: <a href=\"{}\">{}</a>",
            escape(provider.as_str()),
            escape(&page.url),
            indicator.as_str(),
        );
        if let Some(reading) = reading.filter(|reading| !reading.description.is_empty()) {
            let _ = write!(html, " ({})", escape(&reading.description));
        }
        if let Some(note) = note {
            let _ = write!(html, ", {note}");
        }
        html.push_str("</p>");
    }
}

/// Names come from clients.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
