//! The rules, each a function from a source file to findings.

use super::{Source, functions};

/// Floors from the bottom up; modules of one rank stand side by side and never import each other.
/// The simulator stands beside `http`: it may be used by `app` and `cli` only.
const FLOORS: [(&str, u8); 11] = [
    ("domain", 0),
    ("ground", 1),
    ("store", 2),
    ("intake", 3),
    ("answers", 3),
    ("keeping", 3),
    ("http", 4),
    ("mixin", 4),
    ("simulator", 4),
    ("app", 5),
    ("cli", 6),
];

/// Where a word may stand in code: below one of the places only, or anywhere but there.
enum Where {
    Only(&'static [&'static str]),
    Never(&'static [&'static str]),
}

/// Words that belong to one place. A place is a module (`src/http` is `src/http.rs` and
/// everything below `src/http/`).
const FENCES: &[(&str, Where)] = &[
    ("reqwest", Where::Only(&["src/intake/probe", "src/intake/status_page", "src/cli/client"])),
    ("aws_config", Where::Only(&["src/intake/probe"])),
    ("aws_credential_types", Where::Only(&["src/intake/probe"])),
    ("aws_sigv4", Where::Only(&["src/intake/probe"])),
    ("axum", Where::Only(&["src/http", "src/simulator"])),
    ("prometheus", Where::Only(&["src/answers/metrics", "src/ground/self_stats"])),
    ("tokio_cron_scheduler", Where::Only(&["src/intake/schedule"])),
    ("anyhow", Where::Only(&["src/app", "src/cli", "src/main"])),
    ("Serialize", Where::Never(&["src/domain", "src/store"])),
    ("Deserialize", Where::Never(&["src/domain", "src/store"])),
    ("tokio", Where::Never(&["src/domain", "src/store"])),
    ("tracing", Where::Never(&["src/domain"])),
    ("std::fs", Where::Never(&["src/domain", "src/store"])),
    ("std::net", Where::Never(&["src/domain", "src/store"])),
];

/// What must not be committed, wherever it stands.
const BANNED: [&str; 4] = ["#[ignore", "todo!", "unimplemented!", "dbg!"];

/// Files over [`FILE_LINES_MAX`] that may stay so, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

const FILE_LINES_MAX: usize = 400;
const LINE_COLUMNS_MAX: usize = 100;

/// Everything that is wrong with one file, a line each.
pub(super) fn findings(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for rule in [floors, fences, overload_number, banned, lengths, functions::lengths] {
        findings.extend(rule(source).into_iter().map(|text| format!("{}: {text}", source.path)));
    }
    findings
}

fn floors(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("src/") else { return Vec::new() };
    let mut findings = Vec::new();
    if inside.ends_with("/mod.rs") {
        return vec!["mod.rs: name it foo.rs beside foo/".to_owned()];
    }
    if matches!(inside, "lib.rs" | "main.rs") {
        return findings;
    }
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    let Some(rank) = rank(module) else {
        return vec![format!("is on no floor: `{module}` is not part of the hourglass")];
    };
    for import in imports(&source.code) {
        let simulator_strays = module == "simulator" && import != "domain";
        let allowed = import == module
            || self::rank(import).is_none_or(|import| import < rank && !simulator_strays);
        if !allowed {
            findings.push(format!("{module} imports {import}, which is not below it"));
        }
    }
    let depth = inside.matches('/').count() + 1;
    let (code, tests) = split_tests(source);
    if deepest_super(code) >= depth || deepest_super(tests) > depth {
        findings.push("reaches the root with super: say crate::, so that the floor shows".into());
    }
    if !words(&source.code, "brownout").is_empty() {
        findings.push("names its own crate: say crate::, so that the floor shows".to_owned());
    }
    findings
}

fn rank(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

/// The first segment of every `crate::…` path, of the grouped ones too.
fn imports(code: &str) -> Vec<&str> {
    let mut imports = Vec::new();
    for (_, rest) in words(code, "crate") {
        let Some(path) = rest.strip_prefix("::") else { continue };
        let Some(group) = path.strip_prefix('{') else {
            imports.push(first_segment(path));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            if depth == 0 && matches!(c, ',' | '}') {
                imports.push(first_segment(group[start..at].trim_start()));
                start = at + 1;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    imports
}

fn first_segment(path: &str) -> &str {
    path.split(|c| !is_word(c)).next().unwrap_or_default()
}

/// How many times the longest chain of `super::` goes up.
fn deepest_super(code: &str) -> usize {
    let chain = |rest: &str| 1 + rest.split("::").skip(1).take_while(|s| *s == "super").count();
    words(code, "super").iter().map(|(_, rest)| chain(rest)).max().unwrap_or(0)
}

fn fences(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (word, place) in FENCES {
        let allowed = match place {
            Where::Only(places) => places.iter().any(|place| is_in(source, place)),
            Where::Never(places) => !places.iter().any(|place| is_in(source, place)),
        };
        if !allowed && words(&source.code, word).iter().any(|(before, _)| is_path_start(before)) {
            findings.push(format!("`{word}` is fenced off here"));
        }
    }
    // The exception has an exception: provider bodies are what `classify` is about.
    if is_in(source, "src/domain")
        && !is_in(source, "src/domain/classify")
        && !words(&source.code, "serde_json").is_empty()
    {
        findings.push("`serde_json` is for domain/classify only".to_owned());
    }
    findings
}

/// Whether a word that follows `before` starts a path, and is not a part of a longer one.
fn is_path_start(before: &str) -> bool {
    !before.ends_with("::") || before.ends_with("serde::")
}

fn is_in(source: &Source, place: &str) -> bool {
    source.path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// 529 means overloaded in one place only; elsewhere the class says it.
fn overload_number(source: &Source) -> Vec<String> {
    let known = is_in(source, "src/domain/classify") || is_in(source, "src/simulator");
    let (code, _) = split_tests(source);
    if !source.path.starts_with("src/") || known || words(code, "529").is_empty() {
        return Vec::new();
    }
    vec!["the number 529 belongs to domain/classify: use the class".to_owned()]
}

fn banned(source: &Source) -> Vec<String> {
    BANNED
        .iter()
        .filter(|banned| source.code.contains(*banned))
        .map(|banned| format!("`{banned}` must not be committed"))
        .collect()
}

fn lengths(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS_MAX {
            let number = number + 1;
            findings.push(format!("line {number} has {columns} columns, over 100 columns"));
        }
    }
    let lines = source.text.lines().count();
    let listed = LONG_FILES.iter().any(|(path, _reason)| *path == source.path);
    if lines > FILE_LINES_MAX && !listed {
        findings.push(format!("{lines} lines, over {FILE_LINES_MAX} lines: find the two nouns"));
    }
    findings
}

/// The code before and from the unit tests on, which stand last in a file or in `tests.rs`.
fn split_tests(source: &Source) -> (&str, &str) {
    if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
        return ("", &source.code);
    }
    let start = source.code.find("#[cfg(test)]").unwrap_or(source.code.len());
    source.code.split_at(start)
}

/// Every whole-word occurrence: the text before and after it.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> Vec<(&'a str, &'a str)> {
    code.match_indices(word)
        .map(|(at, _)| (&code[..at], &code[at + word.len()..]))
        .filter(|(before, after)| !before.ends_with(is_word) && !after.starts_with(is_word))
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
