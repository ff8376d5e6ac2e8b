//! `examples/kubernetes`: the manifests, and what must agree between them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{checked, files, job, list, parse, path, python, read, run, text, yaml};
use crate::temp::TempFile;

const FOLDER: &str = "examples/kubernetes";
const SCHEMAS: &str = "tests/tools/manifests.py";

/// Bytes that a `ConfigMap` may have, some of them left for its names.
const CONFIG_MAP_MAX: u64 = 1000 * 1024;

fn manifest(name: &str) -> Value {
    yaml(&format!("{FOLDER}/{name}.yaml"))
}

/// Manifests that the kustomization lists, as paths in the repository.
fn manifests() -> Vec<String> {
    let kustomization = manifest("kustomization");
    let names = list(&kustomization["resources"]).iter().map(text);
    let files = names.filter(|name| name.ends_with(".yaml"));
    files.map(|name| format!("{FOLDER}/{name}")).collect()
}

#[test]
fn every_manifest_keeps_to_its_schema() {
    let (good, said) = run(python().arg(path(SCHEMAS)).args(manifests().iter().map(|m| path(m))));
    assert!(good, "{said}");
    // Together, for starting Python is what takes long.
    let faults = [
        ("deployment", "replicas: 1", "replica: 1"),
        ("deployment", "periodSeconds: 5", "periodSeconds: five"),
        ("networkpolicy", "podSelector:", "podSelecter:"),
        ("servicemonitor", "interval: 15s", "interval: 15"),
        ("servicemonitor", "relabelings:", "relabellings:"),
        ("prometheusrule", "for: ", "after: "),
        ("prometheusrule", "spec:", "specs:"),
    ];
    let faulty: Vec<_> = faults
        .iter()
        .map(|(name, from, to)| {
            let text = read(&format!("{FOLDER}/{name}.yaml"));
            assert!(text.contains(from), "{name}: {from}");
            TempFile::new("manifest.yaml", &text.replacen(from, to, 1))
        })
        .collect();
    let (_, said) = run(python().arg(path(SCHEMAS)).args(faulty.iter().map(TempFile::path)));
    for (file, fault) in faulty.iter().zip(faults) {
        assert!(said.contains(file.path()), "{fault:?} is let pass: {said}");
    }
}

#[test]
fn the_kustomization_takes_every_file() {
    let kustomization = manifest("kustomization");
    let mut taken: BTreeSet<String> = ["kustomization.yaml".to_owned()].into();
    for resource in list(&kustomization["resources"]).iter().map(text) {
        if resource.ends_with(".yaml") {
            taken.insert(resource.to_owned());
        } else {
            let base = path(FOLDER).join(resource).join("kustomization.yaml");
            assert!(base.exists(), "{}", base.display());
        }
    }
    for generator in list(&kustomization["configMapGenerator"]) {
        taken.extend(list(&generator["files"]).iter().map(|file| text(file).to_owned()));
    }
    assert_eq!(taken, files(FOLDER).into_iter().collect());
    assert_eq!(kustomization["namespace"], manifest("namespace")["metadata"]["name"]);
    // The name that it replaces is that of the container's image.
    let image = &manifest("deployment")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(&kustomization["images"][0]["name"], image);
    assert_eq!(kustomization["images"][0]["newTag"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_dashboard_becomes_a_config_map_that_the_sidecar_loads() {
    let kustomization = yaml("dashboards/kustomization.yaml");
    assert_eq!(kustomization["generatorOptions"]["labels"]["grafana_dashboard"], "1");
    let mut mapped = Vec::new();
    for generator in list(&kustomization["configMapGenerator"]) {
        let [file] = list(&generator["files"]) else { panic!("one each: {generator}") };
        assert_eq!(text(file), format!("{}.json", text(&generator["name"])));
        let size = std::fs::metadata(path("dashboards").join(text(file))).unwrap().len();
        assert!(size < CONFIG_MAP_MAX, "{file}: {size} bytes");
        mapped.push(text(file).to_owned());
    }
    mapped.sort();
    let mut dashboards = files("dashboards");
    dashboards.retain(|name| name.ends_with(".json"));
    assert_eq!(mapped, dashboards, "list each in dashboards/kustomization.yaml");
}

#[test]
fn everything_selects_the_one_deployment() {
    let deployment = manifest("deployment");
    let spec = &deployment["spec"];
    let labels = &spec["template"]["metadata"]["labels"];
    let service = manifest("service");
    let monitor = manifest("servicemonitor");
    assert_eq!(&spec["selector"]["matchLabels"], labels);
    assert_eq!(&service["spec"]["selector"], labels);
    assert_eq!(&manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"], labels);
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]);
    // The operator takes the job from this label of the Service.
    let label = text(&monitor["spec"]["jobLabel"]);
    assert_eq!(service["metadata"]["labels"][label], job().as_str());
    // Ports go by name.
    let container = &spec["template"]["spec"]["containers"][0];
    let name = &container["ports"][0]["name"];
    assert_eq!(container["ports"][0]["containerPort"], 10529);
    assert_eq!(&service["spec"]["ports"][0]["targetPort"], name);
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(&manifest("networkpolicy")["spec"]["ingress"][0]["ports"][0]["port"], name);
    // Two would pay twice.
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&1.into(), &"Recreate".into()));
}

#[test]
fn the_rules_add_up_over_restarts() {
    let relabelings = &manifest("servicemonitor")["spec"]["endpoints"][0]["relabelings"][0];
    assert_eq!(relabelings["action"], "labeldrop");
    assert!(text(&relabelings["regex"]).split('|').any(|label| label == "pod"));
    // Where somebody takes the labels as they come, the rules do it themselves.
    assert!(read("alerts/brownout.recording.yml").contains("without (instance, pod,"));
}

/// What the Pod Security Standard "restricted" asks for; the namespace enforces it.
#[test]
fn the_pod_is_restricted() {
    let pod = &manifest("deployment")["spec"]["template"]["spec"];
    let context = &pod["securityContext"];
    assert_eq!(context["runAsNonRoot"], true);
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    let user = format!("USER {}:{}", context["runAsUser"], context["runAsGroup"]);
    assert!(read("Dockerfile").lines().any(|line| line == user), "{user}");
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["capabilities"], parse("{drop: [ALL]}"));
    assert_eq!(pod["automountServiceAccountToken"], false);
    let enforced = "pod-security.kubernetes.io/enforce";
    assert_eq!(manifest("namespace")["metadata"]["labels"][enforced], "restricted");
}

#[tokio::test]
async fn the_probes_ask_what_the_daemon_answers() {
    let daemon = crate::daemon::start("").await;
    let container = &manifest("deployment")["spec"]["template"]["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        let path = text(&container[probe]["httpGet"]["path"]).to_owned();
        assert!(path.starts_with("/-/"), "{path}");
        assert_eq!(daemon.get(&path).await.0, 200, "{path}");
    }
}

#[test]
fn the_configuration_reads_the_secrets_that_are_mounted() {
    let config = read(&format!("{FOLDER}/brownout.yaml"));
    let deployment = manifest("deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let mounts = list(&pod["containers"][0]["volumeMounts"]);
    let mounted = |name: &str| {
        let mount = mounts.iter().find(|mount| mount["name"] == name).unwrap();
        text(&mount["mountPath"]).to_owned()
    };
    let arguments = list(&pod["containers"][0]["args"]);
    let file = format!("--config.file={}/brownout.yaml", mounted("config"));
    assert!(arguments.iter().any(|argument| argument == file.as_str()), "{arguments:?}");
    // All interfaces, which wants tokens.
    assert!(arguments.iter().any(|argument| argument == "--web.listen-address=:10529"));
    let token = &parse(&config)["ingest"]["tokens"][0]["file"];
    let documented = read("docs/deployment.md");
    let mut here = config.clone();
    let key = TempFile::new("key", "k\n");
    for rest in config.split("file: ").skip(1) {
        let path = rest.split(['}', ',']).next().unwrap();
        let name = path.strip_prefix(&format!("{}/", mounted("secrets"))).unwrap();
        assert!(documented.contains(&format!("{name}=")), "no command makes the key {name}");
        here = here.replace(path, key.path());
    }
    assert!(token.is_string());
    let said = checked(&here, &[]);
    assert!(said.contains("3 of them probed") && !said.contains("note: not readable"), "{said}");
}

/// The rules of `alerts/` as the operator wants them: `brownout rules` prints both.
#[test]
fn the_operator_gets_the_shipped_rules() {
    let files = ["alerts/brownout.recording.yml", "alerts/brownout.alerts.yml"].map(yaml);
    let groups: Vec<_> = files.iter().flat_map(|file| list(&file["groups"])).cloned().collect();
    let shipped = manifest("prometheusrule");
    assert_eq!(list(&shipped["spec"]["groups"]), groups);
    let labels = &manifest("servicemonitor")["metadata"]["labels"];
    assert_eq!(&shipped["metadata"]["labels"], labels);
}
