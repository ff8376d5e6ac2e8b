//! The program as users start it: flags, exit codes, signals, logs.

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

// The standard library's clock is fenced off; this one needs no runtime to tell the time.
use tokio::time::Instant;

use crate::daemon::PATIENCE;
use crate::golden;
use crate::temp::TempFile;

const BROWNOUT: &str = env!("CARGO_BIN_EXE_brownout");

const SUBCOMMANDS: [&str; 11] = [
    "serve",
    "demo",
    "simulate",
    "status",
    "probe",
    "plan",
    "classify",
    "replay",
    "report",
    "rules",
    "dashboards",
];

/// The bits of HUP, INT and TERM (1, 2 and 15) in the kernel's set of caught signals.
const STOP_AND_RELOAD: u64 = 1 | 1 << 1 | 1 << 14;

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

fn run(args: &[&str]) -> Output {
    Command::new(BROWNOUT).args(args).env_remove("BROWNOUT_URL").output().unwrap()
}

/// Looks until what it sees is good, and gives that; fails the test and shows the last look if
/// it takes too long.
fn eventually<T: Debug>(what: &str, mut look: impl FnMut() -> T, good: impl Fn(&T) -> bool) -> T {
    let begin = Instant::now();
    loop {
        let seen = look();
        if good(&seen) {
            return seen;
        }
        assert!(begin.elapsed() < PATIENCE, "it never came true that {what}; last: {seen:#?}");
        std::thread::sleep(LOOK);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A connection on which nothing is waited for without an end.
fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Lines of a log that a test reads on for one that it waits for.
const LINES_MAX: usize = 200;

/// A running program whose log is read line by line. Killed when dropped.
struct Program {
    child: Child,
    log: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(BROWNOUT)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, log, seen: Vec::new() }
    }

    /// The first log line, from here on, that holds this text.
    fn line_with(&mut self, text: &str) -> String {
        for _ in 0..LINES_MAX {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} in {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("no {text:?} in {LINES_MAX} lines: {:#?}", self.seen);
    }

    /// Waits for the daemon to listen and gives its address.
    fn address(&mut self) -> String {
        let line = self.line_with("listening");
        let from = line.find("127.0.0.1:").unwrap();
        line[from..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
    }

    fn signal(&self, name: &str) {
        // It says that it listens a moment before it minds signals.
        let look = || self.caught_signals();
        eventually("signals are minded", look, |caught| {
            caught & STOP_AND_RELOAD == STOP_AND_RELOAD
        });
        // The shell's own `kill`: the program of that name is not on every machine.
        let kill = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// The signals it has handlers for, as the kernel's bit set.
    fn caught_signals(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap()
    }

    /// Waits for the end; the exit code, or `None` for death by a signal.
    fn wait(&mut self) -> Option<i32> {
        let look = || self.child.try_wait().unwrap();
        eventually("the program ended", look, Option::is_some).unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_names_every_subcommand_and_flag_of_the_contract() {
    let help = text(&run(&["--help"]).stdout);
    for word in [
        "--config.file",
        "--config.check",
        "--web.listen-address",
        "--web.allow-anonymous",
        "--storage.path",
        "--log.level",
        "--log.format",
        "--probe",
        "127.0.0.1:10529",
    ] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    for subcommand in SUBCOMMANDS {
        let output = run(&[subcommand, "--help"]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{subcommand}");
        assert!(help.contains(&format!("\n  {subcommand} ")), "{subcommand} is not in\n{help}");
    }
}

#[test]
fn the_help_is_as_committed() {
    golden::check("tests/it/program/help.txt", &text(&run(&["--help"]).stdout));
}

#[test]
fn a_wrong_command_line_or_configuration_exits_64_and_names_the_remedy() {
    let bad = TempFile::new("bad.yaml", "probs: {every: 60s}\nthresholds: {healthy: 5%}\n");
    let file = bad.path();
    for (args, texts) in [
        (vec!["--no-such-flag"], vec!["--no-such-flag"]),
        (vec!["--config.file", file, "--config.check"], vec!["probs", "thresholds"]),
        (vec!["--config.file", file], vec!["probs"]),
        (vec!["--config.file", "/no/such/file.yaml"], vec!["/no/such/file.yaml"]),
        (vec!["--probe", "claude"], vec!["PROVIDER/MODEL"]),
        (vec!["--web.listen-address", "0.0.0.0:0"], vec!["--web.allow-anonymous", "tokens"]),
        (vec!["--web.listen-address", ":0"], vec!["--web.allow-anonymous", "tokens"]),
        (vec!["--web.listen-address", "localhost"], vec!["no port", "127.0.0.1:10529"]),
        (vec!["--log.level", "bogus"], vec!["bogus", "error, warn, info, debug, trace"]),
        (vec!["demo", "--log.level", "bogus"], vec!["bogus", "error, warn, info, debug, trace"]),
        (
            vec!["report", "--provider", "p", "--model", "m"],
            vec!["--status <STATUS>|--error <ERROR>|--class <CLASS>"],
        ),
        (vec!["report", "--provider", "p", "--model", "m", "--status", "99999"], vec!["100..=599"]),
        (
            vec!["report", "--model", "m", "--status", "529"],
            vec!["--provider <PROVIDER>|--host <HOST>"],
        ),
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        for word in texts {
            let stderr = text(&output.stderr);
            assert!(stderr.contains(word), "{args:?}: {word} is not in\n{stderr}");
        }
    }
}

#[test]
fn the_daemon_serves_until_told_to_stop_and_exits_0() {
    for signal in ["TERM", "INT"] {
        let mut program = Program::start(&["--web.listen-address", "127.0.0.1:0"]);
        let address = program.address();
        let mut stream = connect(&address);
        write!(stream, "GET /-/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        program.signal(signal);
        assert_eq!(program.wait(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_aborts() {
    let mut program = Program::start(&["--web.listen-address", "127.0.0.1:0"]);
    let address = program.address();
    // A request that never ends keeps the daemon in its grace period.
    let mut stream = connect(&address);
    let head = "POST /v1/outcomes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    write!(stream, "{head}content-length: 10\r\nexpect: 100-continue\r\n\r\n").unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    program.signal("TERM");
    program.line_with("a second signal aborts");
    program.signal("TERM");
    assert_eq!(program.wait(), Some(1));
}

#[test]
fn a_reload_takes_the_new_configuration_or_keeps_the_old() {
    let first = "providers: {anthropic: {models: [claude-opus-4-7]}}\n";
    let config = TempFile::new("reload.yaml", first);
    let args = ["--config.file", config.path(), "--web.listen-address", "localhost:0"];
    let mut program = Program::start(&args);
    let address = program.address();
    let url = format!("http://{address}");
    let status = || text(&run(&["status", "--url", &url]).stdout);
    assert!(status().contains("anthropic/claude-opus-4-7"));

    std::fs::write(&config, "nonsense: [\n").unwrap();
    program.signal("HUP");
    program.line_with("reload failed");
    assert!(status().contains("anthropic/claude-opus-4-7"));

    assert!(get(&address, "/metrics").contains("brownout_hour_of_day"));
    let more = format!("{first}metrics: {{hour_of_day: false}}\n");
    std::fs::write(&config, more.replace("4-7]", "4-7, claude-haiku-4-5]")).unwrap();
    program.signal("HUP");
    program.line_with("configuration reloaded");
    // The next tick publishes what the reload changed.
    eventually("the new model is shown", status, |table| table.contains("claude-haiku-4-5"));
    assert!(!get(&address, "/metrics").contains("brownout_hour_of_day"));
}

#[test]
fn report_and_status_talk_to_a_running_daemon() {
    let mut program = Program::start(&["--web.listen-address", "127.0.0.1:0"]);
    let url = format!("http://{}", program.address());
    let report = |args: &[&str]| {
        run(&[&["report", "--url", &url, "--provider", "anthropic", "--model", "m"], args].concat())
    };
    let output = report(&["--status", "529", "--n", "7"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "{\"accepted\":1,\"duplicate\":0,\"rejected\":[]}\n");
    let refused = report(&["--class", "sad"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("class: expected one of ok"));
    let table = || text(&run(&["status", "--url", &url]).stdout);
    eventually("the table shows seven attempts", table, |table| {
        table.lines().any(|line| line.contains("anthropic/m") && line.contains(" 7 "))
    });
    let nobody = run(&["status", "--url", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("is it running?"));
}

#[test]
fn logs_are_one_json_object_a_line_when_asked_for() {
    let args = ["--web.listen-address", "127.0.0.1:0", "--log.format", "json"];
    let mut program = Program::start(&args);
    let line = program.line_with("listening");
    let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(parsed.is_object(), "{line}");
}

/// One GET, as little as it takes.
fn get(address: &str, path: &str) -> String {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn the_demo_shows_one_model_in_each_state_and_ends_cleanly() {
    let args = ["demo", "--web.listen-address", "127.0.0.1:0", "--log.level", "info"];
    let mut program = Program::start(&args);
    let address = program.address();
    let expected = [
        ("anthropic/claude-haiku-4-5", "healthy", "none"),
        ("anthropic/claude-opus-4-7", "overloaded", "overload"),
        ("anthropic/claude-sonnet-4-6", "degraded", "overload"),
        ("deepseek/deepseek-v4-pro", "unavailable", "outage"),
        ("moonshot/kimi-k2-6", "unknown", "no_evidence"),
        ("openai/gpt-5.5", "healthy", "rate_limit"),
    ];
    let look = || serde_json::from_str(&get(&address, "/v1/health")).unwrap();
    eventually("each state is shown", look, |health: &serde_json::Value| {
        let targets = health["targets"].as_array().unwrap();
        let same = targets.iter().zip(expected).all(|(target, (name, state, reason))| {
            let text = |key: &str| target[key].as_str().unwrap();
            format!("{}/{}", text("provider"), text("model")) == name
                && (text("state"), text("reason")) == (state, reason)
        });
        let probed = targets[0]["sources"]["probe"].as_u64().unwrap() > 0;
        same && probed && targets.len() == expected.len()
    });
    let hours: serde_json::Value = serde_json::from_str(&get(&address, "/v1/hours")).unwrap();
    assert!(hours["hours"].as_array().unwrap().len() > 5 * 20, "a day was imported");
    program.signal("INT");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn no_key_prompt_or_body_is_logged_even_at_the_loudest_level() {
    let secrets = ["sk-ant-very-secret", "tell me about the moon", "team-token-7"];
    let token = TempFile::new("token", secrets[2]);
    let key = TempFile::new("key", secrets[0]);
    let yaml = format!(
        "providers:\n  local:\n    dialect: openai\n    base_url: http://127.0.0.1:9/v1\n    \
         api_key: {{file: {}}}\n    models: [m]\n\
         probes: {{every: 1s, jitter: 0%}}\n\
         ingest: {{tokens: [{{name: a, file: {}}}]}}\n",
        key.path(),
        token.path()
    );
    let config = TempFile::new("loud.yaml", &yaml);
    let args = ["--config.file", config.path(), "--web.listen-address", "127.0.0.1:0"];
    let mut program = Program::start(&[&args[..], &["--log.level", "trace"]].concat());
    let address = program.address();
    for body in [
        r#"{"provider":"p","model":"m","status":200,"messages":"tell me about the moon"}"#,
        r#"{"provider":"p","model":7,"body":"tell me about the moon"}"#,
        "tell me about the moon",
    ] {
        let mut stream = connect(&address);
        let head = format!(
            "POST /v1/outcomes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\nauthorization: Bearer {}\r\n",
            secrets[2]
        );
        write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.contains("moon"), "{answer}");
    }
    // A probe with the key fails, which is worth a line at this level.
    program.line_with("a probe ended");
    program.signal("TERM");
    assert_eq!(program.wait(), Some(0));
    program.seen.extend(program.log.iter());
    let log = program.seen.join("\n");
    assert!(log.contains("stopped"), "the log was read to its end");
    for secret in secrets {
        assert!(!log.contains(secret), "{secret:?} is in\n{log}");
    }
}
