//! What a provider's public status page says, and whether what is measured agrees with it.
//!
//! A page is written by people, minutes after the fact, and may be green through an hour of
//! overload. So it is corroboration and nothing else: no state, ratio or estimate is ever derived
//! from it. It is set beside the measurements, and where the two differ, that is said.

use std::cmp::Ordering;

use super::state::TargetState;
use super::time::Timestamp;

/// Most incidents kept of a page: one is usual, and more than these nobody reads.
pub const INCIDENTS_MAX: usize = 5;
/// Longest title or description kept, in characters: one line.
pub const TEXT_CHARS_MAX: usize = 120;

/// How bad it is by a page's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Indicator {
    /// A word that is not known, or a page that cannot be read.
    #[default]
    Unknown,
    /// All is well.
    None,
    /// Planned work is under way.
    Maintenance,
    /// A minor trouble.
    Minor,
    /// A major trouble.
    Major,
    /// A critical trouble.
    Critical,
}

impl Indicator {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Minor, Self::Major, Self::Critical, Self::Maintenance, Self::Unknown];

    /// The name used in metrics and JSON, which is the page's own.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Maintenance => "maintenance",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }

    /// The indicator of that name; any other word is [`Indicator::Unknown`].
    pub fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|known| known.as_str() == name).unwrap_or_default()
    }
}

/// How far the work on an incident has come, in the page's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Progress {
    /// A word that is not known.
    #[default]
    Unknown,
    /// The cause is looked for.
    Investigating,
    /// The cause is known.
    Identified,
    /// It is believed to be repaired.
    Monitoring,
}

impl Progress {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Investigating, Self::Identified, Self::Monitoring, Self::Unknown];

    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
        }
    }

    /// The progress of that name; any other word is [`Progress::Unknown`].
    pub fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|known| known.as_str() == name).unwrap_or_default()
    }
}

/// An open incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its title, one bounded line.
    pub name: String,
    /// How bad it is.
    pub impact: Indicator,
    /// How far the work on it has come.
    pub status: Progress,
    /// When it began, if the page says.
    pub started_at: Option<Timestamp>,
}

impl Incident {
    /// The order in which incidents are worth being shown: worst first, then newest first.
    pub fn by_weight(one: &Self, other: &Self) -> Ordering {
        let weight = |incident: &Self| (incident.impact, incident.started_at);
        weight(other).cmp(&weight(one))
    }
}

/// What a page said when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageReading {
    /// Its summary in one word. It may be [`Indicator::None`] while an incident is open.
    pub indicator: Indicator,
    /// The same in the page's words, one bounded line.
    pub description: String,
    /// Open incidents, worst first and then newest first, at most [`INCIDENTS_MAX`].
    pub incidents: Vec<Incident>,
}

impl PageReading {
    /// A reading that keeps the worst and newest of `incidents`.
    pub fn new(indicator: Indicator, description: &str, mut incidents: Vec<Incident>) -> Self {
        incidents.sort_by(Incident::by_weight);
        incidents.truncate(INCIDENTS_MAX);
        Self { indicator, description: one_line(description), incidents }
    }
}

/// What setting a page beside our measurements shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Whether both say the same; `None` where one of them says nothing.
    pub agrees: Option<bool>,
    /// What to know about it.
    pub note: Option<&'static str>,
}

/// Sets a page beside the states of its provider's targets. Targets without evidence say nothing;
/// of the others the worst speaks for the provider.
pub fn agreement(
    reading: Option<&PageReading>,
    states: impl Iterator<Item = TargetState>,
) -> Agreement {
    let seen = states.filter(|state| *state != TargetState::Unknown).max();
    let says = |agrees, note| Agreement { agrees, note: Some(note) };
    let Some(reading) = reading else { return says(None, "page could not be read") };
    let troubled = !reading.incidents.is_empty()
        || match reading.indicator {
            Indicator::Minor | Indicator::Major | Indicator::Critical => true,
            Indicator::None => false,
            Indicator::Maintenance => return says(None, "page reports maintenance"),
            Indicator::Unknown => return says(None, "page says a word that is not known"),
        };
    match (troubled, seen) {
        (false, None | Some(TargetState::Unknown)) => Agreement::default(),
        (true, None | Some(TargetState::Unknown)) => {
            says(None, "page reports an incident and we have no evidence")
        }
        (false, Some(TargetState::Healthy))
        | (
            true,
            Some(TargetState::Degraded | TargetState::Overloaded | TargetState::Unavailable),
        ) => Agreement { agrees: Some(true), note: None },
        (true, Some(TargetState::Healthy)) => {
            says(Some(false), "page reports an incident while we see none")
        }
        (false, Some(TargetState::Degraded)) => {
            says(Some(false), "page says operational while we see degradation")
        }
        (false, Some(TargetState::Overloaded)) => {
            says(Some(false), "page says operational while we see overload")
        }
        (false, Some(TargetState::Unavailable)) => {
            says(Some(false), "page says operational while we see an outage")
        }
    }
}

/// A text of a stranger as one bounded line: white space runs become one space, and characters
/// that a terminal or a browser would obey instead of show are left out.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let shown = word.chars().filter(|c| !c.is_control() && !is_directive(*c));
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(shown.take(TEXT_CHARS_MAX));
        if line.chars().count() > TEXT_CHARS_MAX {
            break;
        }
    }
    line.chars().take(TEXT_CHARS_MAX).collect::<String>().trim_end().to_owned()
}

/// Marks that are not seen, or turn the direction of what follows.
fn is_directive(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(name: &str, impact: Indicator, started_s: u64) -> Incident {
        let started_at = Some(Timestamp::from_secs(started_s));
        Incident { name: name.to_owned(), impact, status: Progress::Investigating, started_at }
    }

    #[test]
    fn words_of_the_page_are_a_closed_set() {
        for indicator in Indicator::ALL {
            assert_eq!(Indicator::parse(indicator.as_str()), indicator);
        }
        for progress in Progress::ALL {
            assert_eq!(Progress::parse(progress.as_str()), progress);
        }
        assert_eq!(Indicator::parse("on fire"), Indicator::Unknown);
        assert_eq!(Progress::parse("on fire"), Progress::Unknown);
    }

    #[test]
    fn a_page_and_the_measurements_agree_or_it_is_said_that_they_do_not() {
        use Indicator::{Critical, Maintenance, Minor, None as Green, Unknown};
        use TargetState::{Degraded, Healthy, Overloaded, Unavailable, Unknown as Silent};
        for (indicator, open, states, agrees, note) in [
            (Green, 0, &[Healthy][..], Some(true), ""),
            // A target that nobody uses does not hide what the others show.
            (Green, 0, &[Healthy, Silent], Some(true), ""),
            (Green, 0, &[Silent], None, ""),
            (Green, 0, &[], None, ""),
            (Green, 0, &[Healthy, Degraded], Some(false), "operational while we see degradation"),
            (Green, 0, &[Overloaded, Silent], Some(false), "operational while we see overload"),
            (Green, 0, &[Unavailable], Some(false), "operational while we see an outage"),
            // An incident counts although the summary is green.
            (Green, 1, &[Overloaded], Some(true), ""),
            (Green, 1, &[Healthy], Some(false), "an incident while we see none"),
            (Minor, 0, &[Healthy], Some(false), "an incident while we see none"),
            (Critical, 1, &[Degraded], Some(true), ""),
            (Critical, 1, &[Silent], None, "an incident and we have no evidence"),
            (Maintenance, 0, &[Overloaded], None, "reports maintenance"),
            (Maintenance, 1, &[Overloaded], Some(true), ""),
            (Unknown, 0, &[Overloaded], None, "a word that is not known"),
            (Unknown, 1, &[Overloaded], Some(true), ""),
        ] {
            let incidents = vec![incident("x", Minor, 1); open];
            let reading = PageReading::new(indicator, "", incidents);
            let found = agreement(Some(&reading), states.iter().copied());
            assert_eq!(found.agrees, agrees, "{indicator:?} {open} {states:?}");
            let ends = found.note.unwrap_or_default().ends_with(note);
            assert!(ends && found.note.is_some() != note.is_empty(), "{found:?} {note}");
        }
        let found = agreement(None, [Overloaded].into_iter());
        assert_eq!(found, Agreement { agrees: None, note: Some("page could not be read") });
    }

    #[test]
    fn the_worst_and_newest_incidents_are_kept() {
        use Indicator::{Critical, Major, Minor};
        let incidents = vec![
            incident("a", Minor, 9),
            incident("b", Critical, 1),
            incident("c", Major, 2),
            incident("d", Major, 3),
            incident("e", Minor, 8),
            incident("f", Minor, 7),
        ];
        let reading = PageReading::new(Major, "", incidents);
        let names: Vec<&str> = reading.incidents.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["b", "d", "c", "a", "e"]);
    }

    #[test]
    fn a_strangers_text_becomes_one_bounded_line() {
        for (text, expected) in [
            ("  Elevated\r\n\terrors\u{7}\u{1b}[31m ", "Elevated errors[31m"),
            ("abc\u{202e}def\u{200b}", "abcdef"),
            ("größe", "größe"),
            ("", ""),
        ] {
            assert_eq!(one_line(text), expected, "{text:?}");
        }
        let long = one_line(&"word ".repeat(10_000));
        assert_eq!(long.chars().count(), TEXT_CHARS_MAX - 1, "cut at a space");
        assert_eq!(one_line(&"é".repeat(10_000)).chars().count(), TEXT_CHARS_MAX);
    }
}
