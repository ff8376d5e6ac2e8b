//! The documents of a page, read tolerantly: what is not known is passed over, what is missing is
//! empty. Only a document without its one essential field is refused, so that a web page, or an
//! error in JSON, is never taken for a green summary.

use serde_json::Value;

use crate::domain::status_page::{INCIDENTS_MAX, Incident, Indicator, Progress, one_line};
use crate::domain::time::Timestamp;

/// States in which an incident, or a piece of planned work, is not under way.
const CLOSED: [&str; 4] = ["resolved", "postmortem", "completed", "scheduled"];
/// Longest identity of an incident kept, in characters.
const ID_CHARS_MAX: usize = 64;

/// What `summary.json` says.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) indicator: Indicator,
    pub(super) description: String,
    pub(super) incidents: Vec<Found>,
}

/// An incident and what tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    id: String,
    pub(super) incident: Incident,
}

/// Reads `summary.json`; `None` if there is no indicator in it.
pub(super) fn summary(bytes: &[u8]) -> Option<Summary> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let status = &document["status"];
    Some(Summary {
        indicator: Indicator::parse(status["indicator"].as_str()?),
        description: one_line(text(&status["description"])),
        incidents: document["incidents"].as_array().map(|list| found(list)).unwrap_or_default(),
    })
}

/// Reads `incidents/unresolved.json`; `None` if there is no list of incidents in it.
pub(super) fn unresolved(bytes: &[u8]) -> Option<Vec<Found>> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    document["incidents"].as_array().map(|list| found(list))
}

/// Adds the incidents that are not there yet.
pub(super) fn add(known: &mut Vec<Found>, more: &[Found]) {
    for found in more {
        if known.iter().all(|other| other.id != found.id) {
            known.push(found.clone());
        }
    }
}

/// The open incidents of a list, no more of them than are ever shown.
fn found(list: &[Value]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for item in list.iter().filter(|item| item.is_object()) {
        let status = text(&item["status"]);
        if CLOSED.contains(&status) || !item["resolved_at"].is_null() {
            continue;
        }
        let name = one_line(text(&item["name"]));
        let id = item["id"].as_str().unwrap_or(&name).chars().take(ID_CHARS_MAX).collect();
        let began = [&item["started_at"], &item["created_at"]];
        let incident = Incident {
            impact: Indicator::parse(text(&item["impact"])),
            status: Progress::parse(status),
            started_at: began.into_iter().find_map(|at| Timestamp::parse(at.as_str()?)),
            name,
        };
        add(&mut found, &[Found { id, incident }]);
    }
    found.sort_by(|one, other| Incident::by_weight(&one.incident, &other.incident));
    found.truncate(INCIDENTS_MAX);
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
