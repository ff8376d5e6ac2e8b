//! What is wrong with a configuration: where, what, and what to do about it.
//!
//! All problems are listed at once, because a file that is wrong in three places should be opened
//! once. A message never repeats a value that may be a secret, and quotes any other value cut
//! short, so that a log line stays one line.

use std::fmt;

/// Most problems listed; a file with more is better read from the top again.
const LISTED_MAX: usize = 100;

/// Longest quotation of the user's text in a message, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// One thing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the structure: `providers.anthropic.models[2]`. Empty for the file as a whole.
    pub path: String,
    /// Line in the file, from 1, where known.
    pub line: Option<u64>,
    /// Column in characters, from 1, where known.
    pub column: Option<u64>,
    /// What is wrong and what is expected instead.
    pub message: String,
}

/// Everything wrong with a configuration, in the order of the file.
///
/// Displayed as one line a problem: `brownout.yaml:7: providers.x.dialect: unknown dialect …`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    file_name: String,
    problems: Vec<Problem>,
    dropped: usize,
}

/// Where something stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: u64,
    /// From 1, in characters.
    pub(super) column: u64,
}

impl Problems {
    /// An empty list for a file of this name (which may be empty where there is no file).
    pub(super) fn new(file_name: &str) -> Self {
        Self { file_name: file_name.to_owned(), ..Self::default() }
    }

    /// A list of one problem with a file as a whole.
    pub(super) fn whole(file_name: &str, message: impl Into<String>) -> Self {
        let mut problems = Self::new(file_name);
        problems.push("", None, message);
        problems
    }

    /// Adds a problem.
    pub(super) fn push(&mut self, path: &str, place: Option<Place>, message: impl Into<String>) {
        if self.problems.len() == LISTED_MAX {
            self.dropped += 1;
            return;
        }
        self.problems.push(Problem {
            path: path.to_owned(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            message: message.into(),
        });
    }

    /// The list in the order of the file, those without a line last.
    pub(super) fn sorted(mut self) -> Self {
        // Stable: problems of one place stay in the order in which they were found.
        self.problems.sort_by_key(|problem| {
            (problem.line.unwrap_or(u64::MAX), problem.column.unwrap_or(u64::MAX))
        });
        self
    }

    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems were found, those too many to list included.
    pub fn len(&self) -> usize {
        self.problems.len() + self.dropped
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if !self.file_name.is_empty() {
                f.write_str(&self.file_name)?;
                if let Some(line) = problem.line {
                    write!(f, ":{line}")?;
                }
                f.write_str(": ")?;
            }
            if !problem.path.is_empty() {
                write!(f, "{}: ", problem.path)?;
            }
            f.write_str(&problem.message)?;
        }
        if self.dropped > 0 {
            write!(f, "\nand {} more problems", self.dropped)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The user's text in quotes, escaped and cut short.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}

/// The user's text, escaped and cut short.
pub(super) fn shortened(text: &str) -> String {
    let mut out = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == QUOTED_CHARS_MAX {
            out.push('…');
            break;
        }
        match c {
            '\'' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

/// `, did you mean "…"?` if one of the names is near, else `, expected one of …`.
pub(super) fn hint(given: &str, names: &[&str]) -> String {
    match nearest(given, names) {
        Some(name) => format!(", did you mean \"{name}\"?"),
        None => format!(", expected one of {}", names.join(", ")),
    }
}

/// The name that `given` is probably a misspelling of: at most a third of it is wrong.
pub(super) fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    // Longer than any name of ours: not a misspelling, and not worth a quadratic comparison.
    if given.len() > QUOTED_CHARS_MAX {
        return None;
    }
    let given = given.to_lowercase();
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, name), *name))
        .filter(|(distance, name)| distance * 3 <= name.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_when_near() {
        let names = ["api_key", "aliases", "models"];
        for (given, expected) in [
            ("api_kye", Some("api_key")),
            ("apikey", Some("api_key")),
            ("model", Some("models")),
            ("Aliases", Some("aliases")),
            ("thresholds", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, &names), expected, "{given}");
        }
    }

    #[test]
    fn a_list_of_problems_is_bounded_and_in_the_order_of_the_file() {
        let mut problems = Problems::new("a.yaml");
        for line in (1..=150_u64).rev() {
            problems.push("x", Some(Place { line, column: 1 }), "is wrong");
        }
        let problems = problems.sorted();
        assert_eq!(problems.len(), 150);
        assert_eq!(problems.iter().count(), LISTED_MAX);
        let text = problems.to_string();
        assert!(text.starts_with("a.yaml:51: x: is wrong\n"), "{text}");
        assert!(text.ends_with("\nand 50 more problems"), "{text}");
    }

    #[test]
    fn quotations_are_escaped_and_cut_short() {
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        assert!(quoted(&"é".repeat(500)).chars().count() <= QUOTED_CHARS_MAX + 3);
    }
}
