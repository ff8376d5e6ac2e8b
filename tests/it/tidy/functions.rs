//! How long functions are, by counting braces.

use super::Source;
use super::rules::words;

const FUNCTION_LINES_MAX: usize = 70;

/// Functions over [`FUNCTION_LINES_MAX`] that may stay so: path, name and reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[(
    "src/intake/probe/tests.rs",
    "bodies_are_the_smallest_each_provider_accepts",
    "a table, a provider a line",
)];

/// Functions of `src` with too many lines, from `fn` to the closing brace.
pub(super) fn lengths(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (_, rest) in words(&source.code, "fn") {
        let name = rest.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next();
        // `fn(…)` is a type.
        let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
        let Some(lines) = lines_of(rest) else { continue };
        let listed = LONG_FUNCTIONS
            .iter()
            .any(|(path, function, _reason)| *path == source.path && *function == name);
        if lines > FUNCTION_LINES_MAX && !listed {
            findings.push(format!("fn {name} has {lines} lines, over {FUNCTION_LINES_MAX} lines"));
        }
    }
    findings
}

/// Lines of the function whose text after `fn` this is; none for one without a body.
fn lines_of(rest: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(1 + rest[..at].matches('\n').count()),
            '}' => braces -= 1,
            _ => {}
        }
    }
    None
}
