//! Lines in, lines out.

use super::*;

/// Replays text; gives the output and the complaints without their common beginning.
fn replayed(name: &str, input: impl AsRef<[u8]>, probabilities: Option<u32>) -> (String, String) {
    let settings = Settings {
        names: Names::new(&Config::default()),
        grid: Grid::new(Bounds::OVERLOAD),
        probabilities: probabilities.and_then(NonZeroU32::new),
    };
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let mut complaints = Complaints { sink: &mut told, count: 0 };
    replay(name, input.as_ref(), &settings, &mut out, &mut complaints).unwrap();
    let count = complaints.count;
    let told = String::from_utf8(told).unwrap();
    assert_eq!(told.lines().count() as u64, count);
    (String::from_utf8(out).unwrap(), told.replace(&format!("brownout: {name}:"), ""))
}

/// Replays lines that must all be good; gives (ts, model, state) of every change.
#[track_caller]
fn changes(input: &str) -> Vec<(u64, String, String)> {
    let (out, told) = replayed("trace", input, None);
    assert_eq!(told, "");
    out.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            (line["ts"].as_u64().unwrap(), text("model"), text("state"))
        })
        .collect()
}

fn change(ts: u64, model: &str, state: &str) -> (u64, String, String) {
    (ts, model.to_owned(), state.to_owned())
}

#[test]
fn a_change_is_a_line() {
    let input = r#"{"t":0,"p":"Anthropic","m":"m-2","c":"529","n":3}
{"t":1,"p":"anthropic","m":"m-2","c":"529","n":3}

{"t":40,"p":"anthropic","m":"m-2","c":"ok","n":200}
"#;
    let (out, told) = replayed("data/d99_x.ndjson.gz", input, None);
    assert_eq!(told, "");
    let line = |ts, state| {
        let target = r#""provider":"anthropic","model":"m-2""#;
        format!(r#"{{"trace":"d99_x","ts":{ts},{target},"state":"{state}"}}"#) + "\n"
    };
    assert_eq!(out, line(0, "overloaded") + &line(40, "healthy"));
}

#[test]
fn probabilities_are_lines_of_their_own() {
    let input = r#"{"t":125,"p":"a","m":"m","c":"ok","n":1}"#;
    let (out, _) = replayed("trace", input, Some(60));
    let at: Vec<_> = out
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let total = ["p_healthy", "p_degraded", "p_overloaded"]
                .map(|field| line.get(field).and_then(serde_json::Value::as_f64))
                .into_iter()
                .sum::<Option<f64>>();
            assert_eq!(total.is_some(), line.get("state").is_none(), "{line}");
            assert!(total.is_none_or(|total| (total - 1.0).abs() < 1e-9), "{line}");
            (line["ts"].as_u64().unwrap(), total.is_some())
        })
        .collect();
    assert_eq!(at, [(0, false), (0, true), (60, true), (120, true)]);
}

#[test]
fn lines_in_any_order_give_the_same_states() {
    let mut lines: Vec<_> = (0..300)
        .flat_map(|t| {
            let failures = u64::from(t % 5 == 0 && t > 100);
            [("m-1", failures), ("m-2", 0)].map(|(model, failures)| {
                let (ok, class) = (2 - failures, if failures > 0 { "529" } else { "ok" });
                format!(
                    r#"{{"t":{t},"p":"a","m":"{model}","c":"ok","n":{ok}}}
{{"t":{t},"p":"a","m":"{model}","c":"{class}","n":{failures}}}"#
                )
            })
        })
        .collect();
    let sorted = changes(&lines.join("\n"));
    assert_eq!(sorted.len(), 3, "{sorted:?}");
    lines[2..].reverse();
    assert_eq!(changes(&lines.join("\n")), sorted);
}

#[test]
fn only_first_attempts_that_tell_of_overload_count() {
    for line in [
        r#"{"t":9,"p":"a","m":"m","c":"429","n":500}"#,
        r#"{"t":9,"p":"a","m":"m","c":"503","n":500}"#,
        r#"{"t":9,"p":"a","m":"m","c":"529","n":500,"a":2}"#,
        r#"{"t":9,"p":"a","m":"m","c":"529","n":0}"#,
        r#"{"ts":9,"provider":"a","model":"m","status":529,"attempt":3}"#,
        r#"{"ts":9,"provider":"a","model":"m","status":429,"n":500}"#,
        r#"{"ts":9,"provider":"a","model":"m","error":"connect","n":500}"#,
        r#"{"ts":9,"provider":"a","model":"m","class":"invalid_request","n":500}"#,
    ] {
        let start = if line.contains("ts") { 9 } else { 0 };
        assert_eq!(changes(line), [change(start, "m", "healthy")], "{line}");
    }
    for line in [
        r#"{"t":9,"p":"a","m":"m","c":"529","n":5}"#,
        r#"{"t":9.5,"p":"a","m":"m","c":"529","n":5,"a":0}"#,
        r#"{"t":9,"p":"a","m":"m","c":"529","n":5,"a":1,"other":{"x":[1]}}"#,
    ] {
        let expected = [change(0, "m", "healthy"), change(9, "m", "overloaded")];
        assert_eq!(changes(line), expected, "{line}");
    }
}

#[test]
fn native_outcomes_are_understood() {
    for outcome in [
        r#""ts":1795474397.231846,"provider":"a","status":529"#,
        r#""ts":"2026-11-23T22:53:17.2Z","provider":"a","status":529"#,
        r#""ts":"2026-11-23T23:53:17+01:00","provider":"A","status":529"#,
        r#""ts":1795474397,"provider":"a","class":"overloaded""#,
        r#""ts":1795474397,"provider":"a","status":200,"error_type":"overloaded_error""#,
    ] {
        let line = format!(r#"{{{outcome},"phase":"stream","model":"claude-opus-4-7","n":9}}"#);
        let expected = [change(1_795_474_397, "claude-opus-4-7", "overloaded")];
        assert_eq!(changes(&line), expected, "{line}");
    }
}

#[test]
fn an_outcome_without_a_time_shares_that_of_the_line_before() {
    let undated = r#"{"provider":"a","model":"m","status":529,"n":9}"#;
    let dated = r#"{"ts":1000,"provider":"a","model":"m","status":200}"#;
    let later = r#"{"ts":2000,"provider":"a","model":"m","status":200}"#;
    let states = |input: &[&str]| changes(&input.join("\n"));
    assert_eq!(states(&[undated]), [change(0, "m", "overloaded")]);
    assert_eq!(states(&[undated, dated])[0], change(1000, "m", "overloaded"));
    let expected = [change(1000, "m", "healthy"), change(2000, "m", "overloaded")];
    assert_eq!(states(&[dated, later, undated]), expected);
}

#[test]
fn a_bad_line_is_named_and_left_out() {
    let long = format!(r#"{{"p":"{}"}}"#, "x".repeat(2 << 20));
    for (line, complaint) in [
        ("{", "not an object of the expected fields: EOF while parsing an object at column 1"),
        ("[]", "not an object of the expected fields: expected an object"),
        ("{}", "t is missing"),
        (r#"{"t":1,"p":"a","m":"m","c":"ok"}"#, "n is missing"),
        (r#"{"t":1,"m":"m","c":"ok","n":1}"#, "p is missing"),
        (r#"{"t":1,"p":"a","c":"ok","n":1}"#, "m is missing"),
        (
            r#"{"t":1,"p":"a","m":"m","c":"500","n":1}"#,
            r#"c is "500", expected one of ok 529 429 503"#,
        ),
        (
            r#"{"t":1,"p":"a","m":"m","c":"ok","n":-1}"#,
            "not an object of the expected fields: invalid value: integer `-1`, expected u64",
        ),
        (r#"{"t":-1,"p":"a","m":"m","c":"ok","n":1}"#, r#"t is "-1", expected seconds from"#),
        (r#"{"t":400000000,"p":"a","m":"m","c":"ok","n":1}"#, "t is more than ten years from"),
        (r#"{"t":1,"p":"a b","m":"m","c":"ok","n":1}"#, "provider holds white space"),
        (r#"{"t":1,"p":"a","m":"","c":"ok","n":1}"#, "model is empty"),
        (
            r#"{"provider":"a","model":"m","status":200}"#,
            "is a native outcome, but the file began with the other form",
        ),
        (r#"{"provider":"a","model":"m"}"#, "status, error or class: required, but missing"),
        (r#"{"model":"m","status":200}"#, "provider or host: required, but missing"),
        (r#"{"provider":"a","status":200}"#, "model: required, but missing"),
        (
            r#"{"provider":"a","model":"m","status":700}"#,
            "status: expected an integer from 100 to 599",
        ),
        (
            r#"{"provider":"a","model":"m","status":200,"ts":"noon"}"#,
            "ts: expected seconds since 1970 or an RFC 3339 time",
        ),
        (
            r#"{"provider":"a","model":"m","class":"green"}"#,
            "class: expected one of ok, overloaded",
        ),
        (&long, "is longer than 1 MiB"),
    ] {
        let good = r#"{"t":3,"p":"a","m":"m","c":"529","n":9}"#;
        let input = format!("{good}\n{line}\n{good}");
        let (out, told) = replayed("x", &input, None);
        assert!(told.starts_with(&format!("2: {complaint}")), "{line:.80}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert_eq!(out.lines().count(), 2, "{out}");
    }
}

#[test]
fn absurd_input_never_panics() {
    let deep = "[".repeat(100_000);
    for input in [
        "\u{feff}{}",
        "\0\0\0",
        &deep,
        r#"{"t":1e999,"p":"a","m":"m","c":"ok","n":1}"#,
        r#"{"t":1,"p":"a","m":"m","c":"ok","n":18446744073709551615}"#,
        r#"{"t":316224000,"p":"a","m":"m","c":"529","n":18446744073709551615}"#,
        r#"{"ts":4294967295,"provider":"a","model":"m","status":529}"#,
        r#"{"ts":-1,"provider":"a","model":"m","status":529}"#,
        r#"{"ts":"9999-12-30T22:00:00Z","provider":"a","model":"m","status":529}"#,
        r#"{"ts":null,"provider":"a","model":"m","status":529}"#,
        r#"{"ts":{},"provider":"a","model":"m","status":529}"#,
    ] {
        for probabilities in [None, Some(u32::MAX)] {
            replayed("x", input, probabilities);
        }
    }
    assert_eq!(replayed("x", "", Some(1)).0, "");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_lines_or_complaints(
        magic: bool,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
    ) {
        let head: &[u8] = if magic { &[0x1f, 0x8b, 8, 0] } else { b"{\"t\":1,\"p\":\"a\"" };
        replayed("x", [head, &bytes].concat(), Some(60));
        replayed("x", bytes, Some(60));
    }
}

#[test]
fn a_trace_is_named_up_to_the_first_dot() {
    for (path, name) in [
        ("stdin", "stdin"),
        ("d04_bursts20s.ndjson.gz", "d04_bursts20s"),
        ("/a.b/c.d/plain", "plain"),
        ("../x.y.z", "x"),
        (".hidden.gz", ".hidden"),
        ("", ""),
    ] {
        assert_eq!(trace_name(path), name, "{path}");
    }
}

#[test]
fn thresholds_are_percentages_or_ratios() {
    for text in ["0.5%/2%", "0.005/0.02", " 0.5 % / 0.02"] {
        assert_eq!(parse_thresholds(text), Ok(Bounds::OVERLOAD), "{text}");
    }
    for text in ["", "1%", "2%/1%", "a/b", "0/1%", "1%/60%", "nan/1%"] {
        assert!(parse_thresholds(text).is_err(), "{text}");
    }
}
