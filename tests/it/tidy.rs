//! House rules that the compiler cannot know: floors, fences, lengths of files, lines and
//! functions, and that documents name what exists.
//!
//! Rules are checked on the text of the sources with comments and literals blanked out, which is
//! enough for our own code and keeps the checker small. It is no Rust parser: a macro that builds
//! a path would get past it. What clippy already enforces is not repeated here.

mod code;
mod functions;
mod paths;
mod rules;

use std::path::{Path, PathBuf};

/// One source file as the rules see it.
struct Source {
    /// Path from the repository's root, with `/`.
    path: String,
    /// The text as it is.
    text: String,
    /// The text with comments, strings and characters blanked out, line for line.
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code::only(text) }
    }
}

/// Every Rust file below the repository's folders that hold ours.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "tests/it", "benches", "examples"] {
        collect(root, &root.join(folder), &mut sources);
    }
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    // `benches` and `examples` need not exist.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push(Source::new(path.strip_prefix(root).unwrap().to_str().unwrap(), &text));
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let sources = sources();
    assert!(sources.len() > 50, "only {} files found: wrong folder?", sources.len());
    let findings: Vec<String> = sources.iter().flat_map(rules::findings).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_broken_rule_is_found() {
    let long_line = format!("// {}\n", "x".repeat(100));
    let long_file = "//\n".repeat(401);
    let body = |lines: usize| "    f({ 1 });\n".repeat(lines);
    let long = format!("impl A {{\nasync fn long(a: [u8; 4]) -> u8 {{\n{}}}\n}}", body(69));
    let second = format!("fn a() {{}}\nfn b() {{\n{}}}\nfn c() {{\n{}}}", body(68), body(69));
    let unit_test = format!("#[cfg(test)]\nmod tests {{\nfn c() {{\n{}}}\n}}", body(69));
    let cases: &[(&str, &str, &str)] = &[
        ("src/domain/outcome.rs", "use crate::store::snapshot::Code;", "domain imports store"),
        ("src/ground/clock.rs", "fn f() { crate::app::start() }", "ground imports app"),
        ("src/intake/report.rs", "use crate::answers::health;", "intake imports answers"),
        ("src/answers/health.rs", "use crate::keeping::database;", "answers imports keeping"),
        ("src/http.rs", "use crate::{domain::time, app, store};", "http imports app"),
        (
            "src/http.rs",
            "use crate::{\n    domain::{time, tally},\n    cli,\n};",
            "http imports cli",
        ),
        ("src/simulator.rs", "use crate::ground::clock;", "simulator imports ground"),
        ("src/http.rs", "use crate::simulator;", "http imports simulator"),
        ("src/store/book.rs", "use super::super::intake;", "reaches the root with super"),
        ("src/store/book.rs", "use brownout::intake;", "names its own crate"),
        ("src/helpers.rs", "", "is on no floor"),
        ("src/store/mod.rs", "", "mod.rs"),
        ("tests/it/probe.rs", &long_line, "100 columns"),
        ("src/store/book.rs", &long_file, "400 lines"),
        ("src/store/book.rs", &long, "fn long has 71 lines"),
        ("src/store/book.rs", &second, "fn c has 71 lines"),
        ("src/store/book.rs", &unit_test, "fn c has 71 lines"),
        ("src/http/routes.rs", "use reqwest::Client;", "`reqwest`"),
        ("src/intake/report.rs", "use axum::Json;", "`axum`"),
        ("src/store/book.rs", "use prometheus::IntCounter;", "`prometheus`"),
        ("src/app.rs", "let s = tokio_cron_scheduler::JobScheduler::new();", "`tokio_cron"),
        ("src/domain/tally.rs", "#[derive(Clone, Serialize)]", "`Serialize`"),
        ("src/store/snapshot.rs", "use serde::Deserialize;", "`Deserialize`"),
        ("src/domain/detect.rs", "use serde_json::Value;", "`serde_json`"),
        ("src/domain/time.rs", "use std::fs;", "`std::fs`"),
        ("src/ground/config.rs", "use anyhow::Context;", "`anyhow`"),
        ("src/answers/health.rs", "if code == 529 {", "number 529"),
        ("src/store.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", "`#[ignore`"),
        ("src/store.rs", "todo!()", "`todo!`"),
        ("tests/it/probe.rs", "dbg!(1);", "`dbg!`"),
    ];
    for (path, text, expected) in cases {
        let findings = rules::findings(&Source::new(path, text));
        assert!(
            findings.len() == 1 && findings[0].contains(expected),
            "{path}: {text}\n  expected one finding with {expected:?}, found {findings:?}"
        );
    }
}

#[test]
fn what_only_looks_like_a_broken_rule_is_left_alone() {
    let body = "    f(\"{\"); // {\n".repeat(68);
    let just = format!("trait A {{\nfn a(b: [u8; 2]);\nfn c(d: fn(u8)) {{\n{body}}}\n}}");
    let cases: &[(&str, &str)] = &[
        ("src/app.rs", "use crate::{http, intake, answers, store, ground, domain};"),
        ("src/domain/time.rs", "/// See [`crate::store`] and 529.\nfn f() { \"crate::cli 529\"; }"),
        ("src/domain/time.rs", "fn f() { r#\"use crate::cli; \" 529\"#; '\"'; }"),
        ("src/domain/time.rs", "/* crate::cli /* 529 */ todo!() */ fn f<'a>(x: &'a str) {}"),
        ("src/store/book.rs", "use super::snapshot::Code;"),
        ("src/store/book.rs", "#[cfg(test)]\nmod tests {\n    use super::super::snapshot;\n}"),
        ("src/answers/metrics.rs", "use prometheus::core::Collector;"),
        ("src/answers/health.rs", "#[cfg(test)]\nmod tests {\n    const CODE: u16 = 529;\n}"),
        ("src/answers/health.rs", "let (a, b) = (1529, 5290);"),
        ("src/domain/classify/status.rs", "529 => Class::Overloaded,"),
        ("src/intake/probe/client.rs", "use reqwest::Client;"),
        ("src/store/book.rs", &just),
        ("src/http/reqwest_like.rs", "fn my_axum() { self::prometheus() }"),
    ];
    for (path, text) in cases {
        let findings = rules::findings(&Source::new(path, text));
        assert!(findings.is_empty(), "{path}: {text}\n  {findings:?}");
    }
}
