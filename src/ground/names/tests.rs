//! Names as clients send them.

use super::*;

fn config(text: &str) -> Config {
    Config::parse(text, "").unwrap_or_else(|problems| panic!("{problems}"))
}

/// Resolves in a configuration and prints the target or the error.
fn check(names: &Names, provider: Option<&str>, host: Option<&str>, model: &str) -> String {
    let resolve = || match names.resolve(provider, host, model) {
        Ok(target) => target.to_string(),
        Err(error) => error.to_string(),
    };
    let first = resolve();
    // From memory, where it was remembered.
    assert_eq!(first, resolve(), "{provider:?} {host:?} {model}");
    first
}

#[test]
fn the_host_is_believed_before_the_name() {
    let names = Names::new(&Config::default());
    for (provider, host, expected) in [
        (Some("anthropic"), None, "anthropic/m"),
        (Some("openai"), Some("api.deepseek.com"), "deepseek/m"),
        (Some("openai"), Some("http://API.deepseek.com:443/chat/completions?x#y"), "deepseek/m"),
        (Some("openai"), Some("https://user:pw@api.deepseek.com./"), "deepseek/m"),
        (Some("openai"), Some("llm.corp.example"), "openai/m"),
        (Some("gcp.gemini"), None, "gemini/m"),
        (Some("Anthropic.Messages"), None, "anthropic/m"),
        (Some("mycorp"), None, "mycorp/m"),
        (Some(" "), Some("llm.corp.example"), "other/m"),
        (None, Some("127.0.0.1:4000"), "other/m"),
        (None, Some("[::1]"), "other/m"),
        (None, Some("bedrock-runtime.eu-west-1.amazonaws.com"), "bedrock/m"),
        (None, None, "provider or host is required"),
        (Some(""), Some(""), "provider or host is required"),
        (Some("a b"), None, "provider holds white space or a control character"),
        (Some("a/b"), None, "provider holds a slash"),
    ] {
        assert_eq!(check(&names, provider, host, "m"), expected, "{provider:?} {host:?}");
    }
}

#[test]
fn models_that_cannot_be_labels_are_refused() {
    let names = Names::new(&Config::default());
    let long = "x".repeat(5_000);
    for (model, expected) in [
        ("", "model is empty"),
        ("  ", "model is empty"),
        ("a\u{202e}b", "model holds white space or a control character"),
        (long.as_str(), "model is longer than 128 bytes"),
    ] {
        assert_eq!(check(&names, Some("openai"), None, model), expected);
    }
    assert_eq!(check(&names, None, Some(&long), "m"), "host is longer than 128 bytes");
}

#[test]
fn a_providers_own_alias_wins_over_anothers() {
    let names = Names::new(&config(
        "providers:\n\
         \x20 anthropic: {aliases: {fast: claude-haiku-4-5, Team-Model: claude-opus-4-7, x: a}}\n\
         \x20 openai: {aliases: {fast: gpt-5-nano, x: b}}\n",
    ));
    for (provider, model, expected) in [
        ("anthropic", "fast", "anthropic/claude-haiku-4-5"),
        ("openai", "fast", "openai/gpt-5-nano"),
        ("anthropic", "Team-Model", "anthropic/claude-opus-4-7"),
        ("anthropic", " TEAM-MODEL ", "anthropic/claude-opus-4-7"),
        ("bedrock", "team-model", "bedrock/claude-opus-4-7"),
        // Two providers disagree, so it means nothing elsewhere.
        ("bedrock", "fast", "bedrock/fast"),
    ] {
        assert_eq!(check(&names, Some(provider), None, model), expected);
    }
}

#[test]
fn a_host_that_two_providers_share_tells_nothing() {
    let names = Names::new(&config(
        "providers:\n\
         \x20 anthropic: {base_url: 'http://127.0.0.1:8080'}\n\
         \x20 openai: {base_url: 'http://127.0.0.1:8080/v1'}\n\
         \x20 deepseek: {base_url: 'http://127.0.0.1:9090'}\n",
    ));
    for (provider, host, expected) in [
        (Some("openai"), "127.0.0.1:8080", "openai/m"),
        (Some("anthropic"), "127.0.0.1:8080", "anthropic/m"),
        (Some("openai"), "127.0.0.1:9090", "deepseek/m"),
        // Without the port it may be any server of this machine.
        (Some("openai"), "127.0.0.1", "openai/m"),
    ] {
        assert_eq!(check(&names, provider, Some(host), "m"), expected, "{provider:?} {host}");
    }
}

#[test]
fn the_memory_of_names_is_bounded() {
    let names = Names::new(&Config::default());
    for index in 0..25_000 {
        names.resolve(Some("openai"), None, &format!("model-{index}")).unwrap();
        assert!(names.seen.read().unwrap().len() <= REMEMBERED_MAX);
    }
    assert!(!names.seen.read().unwrap().is_empty());
    let before = names.seen.read().unwrap().len();
    let long = format!("arn:{}/m", "x".repeat(REMEMBERED_BYTES_MAX));
    let _ = names.resolve(Some("openai"), None, &long);
    assert_eq!(names.seen.read().unwrap().len(), before, "long names are not remembered");
}
