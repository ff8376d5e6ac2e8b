//! `examples/systemd`: the unit, as systemd itself reads it.

use std::path::PathBuf;
use std::process::Command;

use super::{BROWNOUT, checked, content, read, run};
use crate::temp::TempFile;

const UNIT: &str = "examples/systemd/brownout.service";
const CONFIG: &str = "examples/systemd/brownout.yaml";

/// At most, in tenths of the scale of `systemd-analyze security`: an ordinary service has 96.
const EXPOSURE_MAX: &str = "15";

/// The unit in a folder of its own: its name must end as it is called, and the program it starts
/// must exist.
struct Unit(PathBuf);

impl Unit {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("systemd-{}-{name}", std::process::id());
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = text.replace("=/usr/local/bin/brownout ", &format!("={BROWNOUT} "));
        std::fs::write(folder.join("brownout.service"), text).unwrap();
        Self(folder)
    }

    /// What systemd has to say; nothing is good.
    fn verify(&self) -> String {
        let mut command = Command::new("systemd-analyze");
        let (good, said) = run(command.arg("verify").arg(self.0.join("brownout.service")));
        if good { said } else { format!("refused: {said}") }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The values of a setting.
fn settings(name: &str) -> Vec<String> {
    let unit = read(UNIT);
    let values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.map(str::to_owned).collect()
}

#[test]
fn systemd_understands_every_line() {
    let unit = read(UNIT);
    let about_ours = |said: &str| -> Vec<String> {
        // Other units of the machine are its own affair.
        said.lines().filter(|line| line.contains("brownout")).map(str::to_owned).collect()
    };
    assert_eq!(about_ours(&Unit::new("good", &unit).verify()), Vec::<String>::new());
    for (index, (from, to)) in [
        ("ProtectSystem=strict", "ProtectSystem=strictly"),
        ("RestartPreventExitStatus", "RestartPreventExitCode"),
        ("=/usr/local/bin/brownout ", "=/usr/local/bin/nothing "),
    ]
    .iter()
    .enumerate()
    {
        assert!(unit.contains(from), "{from}");
        let faulty = Unit::new(&index.to_string(), &unit.replace(from, to));
        assert!(!about_ours(&faulty.verify()).is_empty(), "{to} is let pass");
    }
}

#[test]
fn little_is_exposed() {
    let unit = Unit::new("security", &read(UNIT));
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=yes", "--no-pager", &threshold]);
    content(command.arg(unit.0.join("brownout.service")));
}

#[test]
fn the_configuration_reads_the_credentials_that_the_unit_hands_over() {
    let config = read(CONFIG);
    let folder = "/run/credentials/brownout.service/";
    let handed: Vec<_> = settings("LoadCredential")
        .iter()
        .map(|setting| setting.split_once(':').unwrap().0.to_owned())
        .collect();
    let wanted: Vec<_> = config
        .split(folder)
        .skip(1)
        .map(|rest| rest.split(['}', ',']).next().unwrap().to_owned())
        .collect();
    assert_eq!(handed, wanted);
    let key = TempFile::new("key", "k\n");
    let said = checked(&config.replace(&format!("{folder}{}", wanted[0]), key.path()), &[]);
    assert!(said.contains("3 of them probed") && !said.contains("note: not readable"), "{said}");
}

#[test]
fn the_paths_of_the_flags_are_those_of_the_unit() {
    let start = settings("ExecStart").concat();
    for word in start.split(' ').skip(1) {
        let (flag, value) = word.split_once('=').unwrap();
        match flag {
            "--config.file" => assert_eq!(value, "/etc/brownout/brownout.yaml"),
            "--storage.path" => {
                assert_eq!(value, format!("/var/lib/{}", settings("StateDirectory").concat()));
            }
            _ => panic!("{flag} is not looked at here"),
        }
    }
    // It stays on loopback, so that it may be without tokens.
    assert!(!start.contains("--web.listen-address"));
}

#[test]
fn a_wrong_configuration_is_not_tried_again_and_again() {
    let bad = TempFile::new("bad.yaml", "probs: {}\n");
    let output = Command::new(BROWNOUT).args(["--config.file", bad.path()]).output().unwrap();
    let code = output.status.code().unwrap().to_string();
    assert_eq!(settings("RestartPreventExitStatus"), [code]);
}
