//! `examples/compose`: the file, and the configurations that it mounts, where it mounts them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{checked, content, files, job, list, parse, python, read, run, text, yaml};
use crate::temp::TempFile;

const FOLDER: &str = "examples/compose";
const FILE: &str = "examples/compose/compose.yaml";

/// The services, by name.
fn services() -> serde_json::Map<String, Value> {
    yaml(FILE)["services"].as_object().unwrap().clone()
}

/// What a service mounts from the repository: the file or folder, and where it is mounted.
fn mounts(service: &Value) -> Vec<(PathBuf, String)> {
    let Some(volumes) = service["volumes"].as_array() else { return Vec::new() };
    let binds = volumes.iter().filter(|volume| volume["type"] == "bind");
    let of = |bind: &Value| {
        assert_eq!(bind["read_only"], true, "{bind}");
        (super::path(FOLDER).join(text(&bind["source"])), text(&bind["target"]).to_owned())
    };
    binds.map(of).collect()
}

/// The file system of a service, as far as it comes from the repository.
struct Root(PathBuf);

impl Root {
    fn of(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("compose-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        for (source, target) in mounts(&services()[name]) {
            let target = root.join(target.trim_start_matches('/'));
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            copy(&source, &target);
        }
        Self(root)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.join(inside.trim_start_matches('/'))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy(source: &Path, target: &Path) {
    if !source.is_dir() {
        std::fs::copy(source, target).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
        return;
    }
    std::fs::create_dir_all(target).unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &target.join(entry.file_name()));
    }
}

/// The value of a flag in a service's command.
fn flag(service: &Value, name: &str) -> String {
    let prefix = format!("{name}=");
    let found = list(&service["command"]).iter().find_map(|word| text(word).strip_prefix(&prefix));
    found.unwrap_or_else(|| panic!("no {name} in {}", service["command"])).to_owned()
}

/// What the schema of the Compose specification has to say.
fn schema(compose: &Path) -> (bool, String) {
    let schema = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"];
    run(python().args(schema).arg(compose))
}

#[test]
fn the_file_keeps_to_the_specification() {
    let (good, said) = schema(&super::path(FILE));
    assert!(good, "{said}");
    for (from, to) in [
        ("profiles: [demo]", "profile: [demo]"),
        ("read_only: true", "readonly: true"),
        ("retries: 5", "retry: 5"),
    ] {
        let faulty = TempFile::new("compose.yaml", &read(FILE).replacen(from, to, 1));
        assert!(!schema(faulty.as_ref()).0, "{to} is let pass");
    }
}

#[test]
fn every_service_is_pinned_kept_to_this_machine_and_of_a_profile() {
    let mut ports = BTreeSet::new();
    for (name, service) in &services() {
        let image = text(&service["image"]);
        let (_, tag) = image.rsplit_once(':').unwrap();
        assert!(tag.split('.').count() == 3 && tag != "latest", "{name}: {image}");
        for port in list(&service["ports"]) {
            let words: Vec<_> = text(port).split(':').collect();
            assert_eq!((words[0], words[1]), ("127.0.0.1", words[2]), "{name}");
            ports.insert(words[2].to_owned());
        }
        // Or `docker compose up` without one would start half of it.
        assert!(!list(&service["profiles"]).is_empty(), "{name}");
        assert_eq!(service["cap_drop"], parse("[ALL]"), "{name}");
        for (source, _) in mounts(service) {
            assert!(source.exists(), "{name} mounts {}", source.display());
        }
    }
    assert_eq!(ports, ["10529", "3000", "9090", "9093"].map(str::to_owned).into());
}

#[test]
fn one_image_is_both_the_demo_and_the_real_thing() {
    let version = format!("brownout:{}", env!("CARGO_PKG_VERSION"));
    for (name, profile) in [("brownout", "real"), ("brownout-demo", "demo")] {
        let service = &services()[name];
        assert_eq!(service["image"], version.as_str());
        assert_eq!(service["profiles"], parse(&format!("[{profile}]")));
        assert_eq!(service["read_only"], true);
        assert_eq!(service["networks"]["default"]["aliases"], parse("[brownout]"));
        assert_eq!(flag(service, "--web.listen-address"), "0.0.0.0:10529");
        let context = super::path(FOLDER).join(text(&service["build"]));
        assert!(context.join("Dockerfile").exists());
    }
}

#[test]
fn the_real_thing_is_configured_and_lets_no_one_report_without_a_token() {
    let root = Root::of("brownout");
    let service = &services()["brownout"];
    let config = std::fs::read_to_string(root.path(&flag(service, "--config.file"))).unwrap();
    let keys = ["ANTHROPIC_API_KEY", "BROWNOUT_TOKEN"];
    let said = checked(&config, &keys.map(|key| (key, "k")));
    assert!(said.contains("3 of them probed") && !said.contains("note: not readable"), "{said}");
    // It listens beyond loopback, which the program refuses without.
    assert!(!list(&parse(&config)["ingest"]["tokens"]).is_empty());
    let named = service["environment"].as_object().unwrap();
    assert!(named.values().all(Value::is_null), "keys come from outside: {named:?}");
    let example = read("examples/compose/env.example");
    for key in keys {
        assert!(named.contains_key(key) && config.contains(&format!("env: {key}")), "{key}");
        assert!(example.lines().any(|line| line == format!("{key}=")), "{key} is for the user");
    }
    assert_eq!(config.matches("env: ").count(), named.len());
}

#[test]
fn prometheus_finds_the_shipped_rules_the_daemon_and_alertmanager() {
    let root = Root::of("prometheus");
    let services = services();
    let file = root.path(&flag(&services["prometheus"], "--config.file"));
    let said = content(Command::new("promtool").args(["check", "config"]).arg(&file));
    assert_eq!(said.matches("rules found").count(), 2, "both files of rules are read: {said}");
    let config = yaml("examples/compose/prometheus.yml");
    let scrape = &list(&config["scrape_configs"])[0];
    assert_eq!(scrape["job_name"], job().as_str());
    assert_eq!(scrape["static_configs"][0]["targets"], parse("['brownout:10529']"));
    let alertmanager = &config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0];
    let (host, port) = text(alertmanager).split_once(':').unwrap();
    assert!(text(&services[host]["ports"][0]).ends_with(&format!(":{port}")));
    // What is the same for everyone is the same here.
    let mut example = yaml("alerts/prometheus.example.yml");
    assert_eq!(config["global"], example["global"].take());
}

#[test]
fn alertmanager_takes_the_shipped_example_with_its_template() {
    let root = Root::of("alertmanager");
    let file = root.path(&flag(&services()["alertmanager"], "--config.file"));
    let said = content(Command::new("amtool").arg("check-config").arg(&file));
    assert!(said.contains("1 templates"), "{said}");
}

#[test]
fn grafana_has_its_data_source_and_every_dashboard() {
    let root = Root::of("grafana");
    let services = services();
    let provisioning = root.path("/etc/grafana/provisioning");
    let read = |file: &str| parse(&std::fs::read_to_string(provisioning.join(file)).unwrap());

    let source = read("datasources/prometheus.yaml")["datasources"][0].take();
    let (host, port) =
        text(&source["url"]).strip_prefix("http://").unwrap().split_once(':').unwrap();
    assert!(text(&services[host]["ports"][0]).ends_with(&format!(":{port}")));
    let scraped = yaml("examples/compose/prometheus.yml")["global"]["scrape_interval"].take();
    assert_eq!(source["jsonData"]["timeInterval"], scraped);
    assert_eq!(source["isDefault"], true);

    let provider = read("dashboards/brownout.yaml")["providers"][0].take();
    let folder = root.path(text(&provider["options"]["path"]));
    let mut shown = 0;
    for name in files("dashboards").iter().filter(|name| name.ends_with(".json")) {
        let json = std::fs::read_to_string(folder.join(name)).unwrap();
        let dashboard: Value = serde_json::from_str(&json).unwrap();
        // The variable chooses among data sources of this type, and starts with the default.
        let variable = &dashboard["templating"]["list"][0];
        assert_eq!(
            (&variable["name"], &variable["query"]),
            (&"datasource".into(), &source["type"])
        );
        shown += 1;
    }
    assert!(shown > 0);

    let environment = &services["grafana"]["environment"];
    assert!(root.path(text(&environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])).exists());
    assert!(environment.as_object().unwrap().keys().all(|key| !key.contains("PASSWORD")));
}
