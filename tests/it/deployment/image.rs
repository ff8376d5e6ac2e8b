//! The Dockerfile, read: what it copies is there, and what it says agrees with the program.

use std::process::Command;

use super::{BROWNOUT, read, run};

/// Lines of an instruction, without its name; continued lines are joined.
fn instructions(name: &str) -> Vec<String> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn what_is_copied_is_in_the_repository_and_not_ignored() {
    let ignored = read(".dockerignore");
    let kept: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "everything else is left out");
    let mut copied = Vec::new();
    for copy in instructions("COPY").iter().filter(|copy| !copy.starts_with("--from")) {
        let mut words: Vec<_> = copy.split(' ').collect();
        words.pop();
        for source in words {
            assert!(super::path(source).exists(), "COPY {source}");
            copied.push(source.to_owned());
        }
    }
    copied.sort();
    let mut kept = kept;
    kept.sort_unstable();
    assert_eq!(copied, kept);
}

#[test]
fn the_toolchain_and_the_c_library_are_those_that_fit() {
    let from = instructions("FROM");
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    let version = version.trim_matches('"');
    // Debian 13 is trixie.
    assert_eq!(from[0], format!("rust:{version}-slim-trixie AS build"));
    assert_eq!(from[1], "gcr.io/distroless/cc-debian13:nonroot");
}

#[test]
fn the_image_runs_the_program_as_nobody_in_particular() {
    let program = "/usr/local/bin/brownout";
    assert_eq!(instructions("COPY").last().unwrap(), &format!("--from=build /brownout {program}"));
    assert_eq!(instructions("ENTRYPOINT"), [format!("[\"{program}\"]")]);
    assert_eq!(instructions("USER"), ["65532:65532"]);
    let mut help = Command::new(BROWNOUT);
    let (_, help) = run(help.args(["serve", "--help"]));
    let port = instructions("EXPOSE").concat();
    assert!(help.contains(&format!("127.0.0.1:{port}")), "{port}: {help}");
}

/// The command of the health check, at a daemon and at nobody.
#[tokio::test]
async fn the_health_check_tells_a_daemon_from_none() {
    let check = instructions("HEALTHCHECK").concat();
    let (_, command) = check.split_once(" CMD ").unwrap();
    let words: Vec<String> = serde_json::from_str(command).unwrap();
    assert_eq!(words[0], "/usr/local/bin/brownout");
    let daemon = crate::daemon::start("").await;
    for (url, expected) in [(daemon.url(), true), ("http://127.0.0.1:1".to_owned(), false)] {
        let arguments = words[1..].to_vec();
        let asked = tokio::task::spawn_blocking(move || {
            run(Command::new(BROWNOUT).args(arguments).env("BROWNOUT_URL", url))
        });
        let (good, said) = asked.await.unwrap();
        assert_eq!(good, expected, "{said}");
    }
}
