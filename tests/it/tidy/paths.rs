//! Every HTTP path that a document names is one that the daemon answers.

use std::path::{Path, PathBuf};

/// How examples name the daemon.
const DAEMON: &str = "http://127.0.0.1:10529";

/// The paths of the router, `{*rest}` and all.
fn routes(source: &str) -> Vec<&str> {
    let strings = source.split(".route(\"").skip(1);
    strings.map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

/// Paths of ours in a text, without query and punctuation. What follows a `{base}` or another host
/// is a provider's.
fn paths(text: &str) -> Vec<&str> {
    let ends_word = |c: char| c.is_whitespace() || "`'\"()<>|,".contains(c);
    let ours = |word: &&str| {
        ["/v1/", "/-/"].iter().any(|prefix| word.starts_with(prefix))
            || ["/probe", "/metrics"].contains(word)
    };
    text.split(ends_word)
        .map(|word| word.strip_prefix(DAEMON).unwrap_or(word))
        .map(|word| {
            word.split('?').next().unwrap_or_default().trim_end_matches(['.', ':', ';', '…'])
        })
        .filter(ours)
        .collect()
}

fn is_answered(path: &str, routes: &[&str]) -> bool {
    routes.iter().any(|route| match route.split_once("{*") {
        Some((prefix, _)) => path.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()),
        None => path == *route,
    })
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("README.md"), root.join("SECURITY.md")];
    for folder in ["docs", "docs/runbooks"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        documents.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    documents
}

#[test]
fn every_path_in_the_documents_is_answered() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/routes.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let routes = routes(&source);
    assert!(routes.contains(&"/v1/outcomes"), "{routes:?}");
    let mut found = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for path in paths(&text) {
            found += 1;
            assert!(is_answered(path, &routes), "{}: nothing answers {path}", document.display());
        }
    }
    assert!(found > 20, "only {found} paths found");
}

#[test]
fn a_path_without_a_route_is_found_and_only_that() {
    let router = "Router::new().route(\"/metrics\", get(a)).route(\"/v1/health\", get(a))\n\
                  .route(\"/v1/health/{*name}\", get(b)).route(\"/-/ready\", get(c))";
    let routes = routes(router);
    for (text, expected) in [
        ("ask `/v1/health` or `/v1/check`, which knows", &["/v1/check"][..]),
        ("(or `GET /probe?target=PROVIDER/MODEL`): it says", &["/probe"]),
        ("`/probe` takes names.", &["/probe"]),
        ("curl -s http://127.0.0.1:10529/-/reloaded", &["/-/reloaded"]),
        ("`POST /-/reload`.", &["/-/reload"]),
        ("`GET /v1/health`, `/v1/health/{provider}/{model}`: and `/v1/health…`", &[]),
        ("`POST {base}/v1/messages` of https://api.anthropic.com/v1/messages", &[]),
        ("[metrics](docs/metrics.md), docs/probes.md, intake/probe; GET /metrics; /-/ready.", &[]),
    ] {
        let unanswered: Vec<_> =
            paths(text).into_iter().filter(|path| !is_answered(path, &routes)).collect();
        assert_eq!(unanswered, expected, "{text}");
    }
}
