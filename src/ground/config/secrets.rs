//! Where secrets are, as written in the file. A message here never repeats what it is about: the
//! commonest mistake is to write the secret itself, and messages end up in logs.

use std::path::{Path, PathBuf};

use super::super::secret::SecretSource;
use super::problem::Problems;
use super::reader::{Field, Section};

/// Most words of a command.
const ARGUMENTS_MAX: usize = 64;

/// Longest name of an environment variable, in bytes.
const VARIABLE_BYTES_MAX: usize = 128;
/// Shortest text in mixed case with digits that is taken for a key, in bytes.
const RANDOM_BYTES_MIN: usize = 20;

/// The ways to name a secret.
const KEYS: [&str; 3] = ["env", "file", "command"];

const HOW: &str = "write {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}";

/// Reads `{env: …}`, `{file: …}` or `{command: […]}`.
pub(super) fn source(field: &Field<'_>, problems: &mut Problems) -> Option<SecretSource> {
    if field.is_scalar() {
        let message = format!("is a literal, and secrets never stand in this file: {HOW}");
        field.wrong(problems, message);
        return None;
    }
    let section = field.secret_section(problems)?;
    source_among(&section, &[], problems)
}

/// Reads the one key of a section that names a secret; `others` are the section's other keys.
pub(super) fn source_among(
    section: &Section<'_>,
    others: &[&str],
    problems: &mut Problems,
) -> Option<SecretSource> {
    let is_known = |key: &str| KEYS.contains(&key) || others.contains(&key);
    if section.keys().any(|key| !is_known(key)) {
        let known = [others, &KEYS].concat().join(", ");
        let message = format!("holds an unknown key, expected {known}; to name a secret, {HOW}");
        section.field().wrong(problems, message);
        return None;
    }
    let given: Vec<&str> = KEYS.into_iter().filter(|key| section.get(key).is_some()).collect();
    let [key] = given[..] else {
        if given.is_empty() {
            section.field().wrong(problems, format!("names no secret: {HOW}"));
        } else {
            let given = given.join(" and ");
            section.field().wrong(problems, format!("has {given}, which exclude each other"));
        }
        return None;
    };
    let field = section.get(key)?;
    match key {
        "env" => variable(&field, problems).map(SecretSource::Env),
        "file" => {
            let path = field.text("the path of a file", problems)?;
            Some(SecretSource::File(PathBuf::from(path)))
        }
        _ => command(&field, problems).map(SecretSource::Command),
    }
}

/// Makes a relative path one below `directory`.
pub(super) fn resolve(source: &mut SecretSource, directory: &Path) {
    match source {
        // `join` leaves an absolute path as it is.
        SecretSource::File(path) => *path = directory.join(&path),
        SecretSource::Env(_) | SecretSource::Command(_) => {}
    }
}

fn variable(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let name = field.text("the name of an environment variable", problems)?;
    let has_stranger =
        name.contains(|c: char| c.is_whitespace() || c.is_control() || "=$-{}".contains(c));
    if name.len() > VARIABLE_BYTES_MAX || has_stranger || looks_random(name) {
        let message = "is not the name of an environment variable: write the name alone, without $";
        field.wrong(problems, message);
        return None;
    }
    Some(name.to_owned())
}

/// Whether this is a key where the name of one was asked for. Taken as a name, it would be
/// repeated in the message that no such variable is set.
fn looks_random(name: &str) -> bool {
    name.len() >= RANDOM_BYTES_MIN
        && name.contains(|c: char| c.is_ascii_lowercase())
        && name.contains(|c: char| c.is_ascii_uppercase())
        && name.contains(|c: char| c.is_ascii_digit())
}

fn command(field: &Field<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let words = field.list(ARGUMENTS_MAX, problems)?;
    if words.is_empty() {
        field.wrong(problems, "is empty, name a program");
        return None;
    }
    words.iter().map(|word| word.text("a word", problems).map(str::to_owned)).collect()
}
