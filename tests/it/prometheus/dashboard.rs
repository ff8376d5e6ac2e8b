//! The shipped dashboards, read.

use std::path::Path;

use serde_json::Value;

/// A dashboard file.
pub(super) struct Dashboard {
    pub(super) name: String,
    pub(super) json: Value,
}

/// One query of a dashboard.
#[derive(Clone)]
pub(super) struct Query {
    /// Which panel or variable it is of, for messages.
    pub(super) of: String,
    pub(super) expr: String,
}

/// All dashboards of the repository.
pub(super) fn all() -> Vec<Dashboard> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut dashboards: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| Dashboard {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            json: serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap(),
        })
        .collect();
    dashboards.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!dashboards.is_empty());
    dashboards
}

/// The elements of a JSON array; none where there is no array.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl Dashboard {
    pub(super) fn panels(&self) -> &[Value] {
        items(&self.json["panels"])
    }

    pub(super) fn variables(&self) -> &[Value] {
        items(&self.json["templating"]["list"])
    }

    /// The queries of panels and annotations.
    pub(super) fn queries(&self) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            for target in items(&panel["targets"]) {
                let of = format!("{} {}", text(&panel["title"]), text(&target["refId"]));
                queries.push(Query { of, expr: text(&target["expr"]) });
            }
        }
        for annotation in items(&self.json["annotations"]["list"]) {
            queries.push(Query { of: text(&annotation["name"]), expr: text(&annotation["expr"]) });
        }
        queries
    }

    /// The queries of variables, `label_values(selector, label)` told as queries.
    pub(super) fn variable_queries(&self) -> Vec<Query> {
        let told = |definition: &str| {
            let inside = definition.strip_prefix("label_values(")?.strip_suffix(')')?;
            let (selector, label) = inside.rsplit_once(", ")?;
            Some(format!("count by ({label}) ({selector})"))
        };
        self.variables()
            .iter()
            .filter(|variable| variable["type"] == "query")
            .map(|variable| Query {
                of: format!("variable {}", text(&variable["name"])),
                expr: told(&text(&variable["definition"])).unwrap(),
            })
            .collect()
    }
}

/// A JSON string as text, empty if it is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
