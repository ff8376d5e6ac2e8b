//! `brownout demo --backfill`: the past of the demo as one text that promtool takes. What is in
//! it, the queries of the dashboards show in `prometheus/panels`.

use std::collections::BTreeSet;
use std::process::{Command, Output};

fn backfill(args: &[&str]) -> Output {
    let mut brownout = Command::new(env!("CARGO_BIN_EXE_brownout"));
    brownout.args(["demo", "--backfill.end", "2026-04-24T17:00:00Z"]).args(args).output().unwrap()
}

/// Ten minutes on a busy afternoon.
fn ten_minutes() -> String {
    let output = backfill(&["--backfill", "-", "--backfill.span", "10m"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("playing hour 1 of 1") && told.contains("wrote 11 scrapes"), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn scrapes_are_grouped_by_family_and_series_in_the_order_of_time() {
    let text = ten_minutes();
    assert!(text.ends_with("\n# EOF\n"));
    let mut families = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let (mut series, mut last) = ("", (0.0, 0.0));
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(of.to_owned()), "two families: {of}");
        }
        if line.starts_with('#') {
            continue;
        }
        let (rest, at) = line.rsplit_once(' ').unwrap();
        let (name, value) = rest.rsplit_once(' ').unwrap();
        let (value, at): (f64, f64) = (value.parse().unwrap(), at.parse().unwrap());
        assert!(name.contains("{job=\"brownout\",instance=\"demo:10529\""), "{name}");
        if name == series {
            assert!(at > last.1 && (at - last.1) % 60.0 == 0.0, "{name} at {at}");
            let counts = name.contains("_total{") || name.contains("_bucket{");
            assert!(!counts || value >= last.0, "{name} falls from {} to {value}", last.0);
        } else {
            assert!(seen.insert(name), "{name} stands in two places");
        }
        assert!((1_777_049_400.0..=1_777_050_000.0).contains(&at), "{line}");
        (series, last) = (name, (value, at));
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("up{")).count(), 11);
    // 12 requests a second, at the very peak, of which 9 % meet overload.
    let opus =
        "provider=\"anthropic\",model=\"claude-opus-4-7\",source=\"client\",attempt=\"first\"";
    let last = |name: &str, labels: &str| {
        let is_it = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(labels);
        let line = text.lines().rfind(is_it).unwrap();
        line.split(' ').rev().nth(1).unwrap().parse::<f64>().unwrap()
    };
    let requests = last("brownout_requests_total", opus);
    let overloaded = format!("{opus},reason=\"overloaded\"");
    let overloaded = last("brownout_request_errors_total", &overloaded);
    assert!((6_000.0..8_000.0).contains(&requests), "{requests}");
    assert!((0.08..0.1).contains(&(overloaded / requests)), "{overloaded} of {requests}");
}

#[test]
fn the_same_seed_gives_the_same_past() {
    // What the program says of itself is its own.
    let own = |line: &&str| ["process_", "scrape_duration"].iter().any(|own| line.contains(own));
    let [one, other] = [ten_minutes(), ten_minutes()];
    assert!(one.lines().filter(|line| !own(line)).eq(other.lines().filter(|line| !own(line))));
}

#[test]
fn what_cannot_be_written_is_named_with_the_flag() {
    for (args, code, problem) in [
        (vec!["--backfill", "/nowhere/day.om"], 1, "--backfill: cannot write /nowhere/day.om: "),
        (vec!["--backfill", "-", "--backfill.step", "7s"], 1, "--backfill.step: take a multiple"),
        (vec!["--backfill", "-", "--backfill.span", "1y"], 1, "--backfill.span: take one from"),
        (vec!["--backfill", "-", "--backfill.span", "soon"], 64, "--backfill.span <DURATION>"),
        (vec!["--backfill.span", "1h"], 64, "--backfill <FILE>"),
    ] {
        let output = backfill(&args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert!(told.contains(problem), "{args:?}: {told}");
        assert!(output.stdout.is_empty());
    }
}
