//! Grafana's classic dashboard format, as much of it as ours need.
//!
//! Schema 42, which every Grafana from 9 on imports, by file provisioning as well as in the UI:
//! the data source is a variable, never a name that must exist. Structures write what Grafana
//! reads (docs: "JSON model"); what differs between kinds of panels and is never looked at by us
//! (their `options`) is plain JSON. Places on the grid are given by [`Layout`], so that panels
//! cannot overlap.

use serde::Serialize;
use serde_json::{Value, json};

use super::promql::Series;

mod kinds;
mod panel;

pub use kinds::mappings;
pub use panel::{Colour, Override, Panel, Query, Step, Unit, by_threshold};

/// Columns of Grafana's grid.
const GRID_WIDTH: u32 = 24;

/// A reference to the data source that the viewer chose.
#[derive(Clone, Debug, Serialize)]
pub struct DataSource {
    #[serde(rename = "type")]
    kind: &'static str,
    uid: &'static str,
}

impl DataSource {
    const CHOSEN: Self = Self { kind: "prometheus", uid: "${datasource}" };
}

/// A dashboard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    uid: &'static str,
    id: Option<u32>,
    title: String,
    description: &'static str,
    tags: [&'static str; 1],
    schema_version: u32,
    editable: bool,
    graph_tooltip: u32,
    timezone: &'static str,
    refresh: &'static str,
    time: Value,
    timepicker: Value,
    week_start: &'static str,
    live_now: bool,
    fiscal_year_start_month: u32,
    preload: bool,
    links: Vec<Value>,
    annotations: Value,
    templating: Value,
    panels: Vec<Panel>,
}

/// What a dashboard is called and shows first.
#[derive(Clone, Copy, Debug)]
pub struct Heading {
    /// Its name in URLs, for good: links and alerts point to it.
    pub uid: &'static str,
    /// Its name for people, without "brownout".
    pub title: &'static str,
    /// What it answers, in a sentence or two.
    pub description: &'static str,
    /// How far it looks back when opened, as Grafana writes it: `now-6h`.
    pub from: &'static str,
    /// How often it is read again, as Grafana writes it: `1m`.
    pub refresh: &'static str,
}

impl Dashboard {
    /// A dashboard of these panels, with links to the others and to the runbooks.
    pub fn new(
        heading: Heading,
        variables: Vec<Variable>,
        annotations: Vec<Annotation>,
        panels: Layout,
    ) -> Self {
        let mut list = vec![Variable::data_source()];
        list.extend(variables);
        Self {
            uid: heading.uid,
            id: None,
            title: format!("brownout / {}", heading.title),
            description: heading.description,
            tags: ["brownout"],
            schema_version: 42,
            editable: false,
            graph_tooltip: 1,
            timezone: "utc",
            refresh: heading.refresh,
            time: json!({"from": heading.from, "to": "now"}),
            timepicker: json!({}),
            week_start: "",
            live_now: false,
            fiscal_year_start_month: 0,
            preload: false,
            links: vec![other_dashboards(), runbooks(super::RUNBOOKS)],
            annotations: json!({"list": annotations}),
            templating: json!({"list": list}),
            panels: panels.panels,
        }
    }

    /// With its link to runbooks that are elsewhere than ours.
    #[must_use]
    pub fn runbooks_at(self, base: &str) -> Self {
        Self { links: vec![other_dashboards(), runbooks(base)], ..self }
    }

    /// Its name for people to type: the one in URLs without what all of ours share.
    pub fn name(&self) -> &'static str {
        self.uid.strip_prefix("brownout-").unwrap_or(self.uid)
    }

    /// What it answers.
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// Its name in URLs, and of its file.
    pub fn uid(&self) -> &'static str {
        self.uid
    }

    /// What Grafana imports.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("a dashboard has only text keys and finite numbers") + "\n"
    }
}

/// All of ours, by their tag, with the variables and the time taken along.
fn other_dashboards() -> Value {
    json!({
        "title": "brownout", "type": "dashboards", "tags": ["brownout"], "asDropdown": true,
        "icon": "external link", "tooltip": "The other dashboards, with the same selection",
        "url": "", "targetBlank": false, "includeVars": true, "keepTime": true,
    })
}

fn runbooks(base: &str) -> Value {
    json!({
        "title": "Runbooks", "type": "link", "tags": [], "asDropdown": false,
        "icon": "doc", "tooltip": "What each alert means and what to do",
        "url": format!("{base}/README.md"),
        "targetBlank": true, "includeVars": false, "keepTime": false,
    })
}

/// A variable at the head of a dashboard.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Variable(Value);

impl Variable {
    fn data_source() -> Self {
        Self(json!({
            "name": "datasource", "label": "Data source", "type": "datasource",
            "query": "prometheus", "refresh": 1, "hide": 0, "includeAll": false, "multi": false,
            "regex": "", "skipUrlSync": false, "current": {}, "options": [],
        }))
    }

    /// The values of a label among some series, several of them or all.
    ///
    /// # Panics
    /// If the series have no such label.
    pub fn label_values(name: &str, title: &str, series: &Series, label: &str) -> Self {
        let mut variable = Self::one_label_value(name, title, series, label);
        let all = json!({"selected": true, "text": ["All"], "value": ["$__all"]});
        variable.0["multi"] = json!(true);
        variable.0["includeAll"] = json!(true);
        variable.0["allValue"] = json!(".+");
        variable.0["current"] = all;
        variable
    }

    /// One value of a label among some series.
    ///
    /// # Panics
    /// If the series have no such label.
    pub fn one_label_value(name: &str, title: &str, series: &Series, label: &str) -> Self {
        assert!(series.has(label), "{} has no label {label}", series.name());
        let definition = format!("label_values({series}, {label})");
        Self(json!({
            "name": name, "label": title, "type": "query", "datasource": DataSource::CHOSEN,
            "query": {
                "query": definition, "qryType": 1,
                "refId": "PrometheusVariableQueryEditor-VariableQuery",
            },
            "definition": definition,
            // On a change of the time range, or targets of last week cannot be chosen.
            "refresh": 2,
            "multi": false, "includeAll": false, "sort": 1, "hide": 0, "regex": "",
            "skipUrlSync": false, "current": {}, "options": [],
        }))
    }
}

/// Marks on the time axis of panels.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    name: &'static str,
    datasource: DataSource,
    enable: bool,
    hide: bool,
    icon_color: Colour,
    expr: String,
    title_format: &'static str,
    text_format: &'static str,
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Value>,
}

impl Annotation {
    /// Marks where an expression has series; `title` and `text` may name labels, `{{model}}`.
    pub fn new(
        name: &'static str,
        colour: Colour,
        expr: String,
        [title, text]: [&'static str; 2],
    ) -> Self {
        Self {
            name,
            datasource: DataSource::CHOSEN,
            enable: true,
            hide: false,
            icon_color: colour,
            expr,
            title_format: title,
            text_format: text,
            step: "60s",
            filter: None,
        }
    }

    /// Only on the panels of these titles: marks on every panel drown what it shows.
    ///
    /// # Panics
    /// If there is no panel of such a title.
    #[must_use]
    pub fn only_on(self, layout: &Layout, titles: &[&str]) -> Self {
        let ids: Vec<_> = titles.iter().map(|title| layout.id_of(title)).collect();
        Self { filter: Some(json!({"exclude": false, "ids": ids})), ..self }
    }

    /// Not shown until it is switched on at the dashboard's head.
    #[must_use]
    pub fn off(self) -> Self {
        Self { enable: false, ..self }
    }
}

/// Panels on the grid, line by line from the top.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    panels: Vec<Panel>,
    height: u32,
}

impl Layout {
    /// A line of panels, each with its width, of one height; both in cells of the grid.
    ///
    /// # Panics
    /// If the panels do not fill the width of the grid exactly.
    #[must_use]
    pub fn line<const N: usize>(mut self, height: u32, panels: [(u32, Panel); N]) -> Self {
        let mut left = 0;
        for (width, panel) in panels {
            let id = u32::try_from(self.panels.len() + 1).expect("a dashboard has few panels");
            self.panels.push(panel.placed(id, [left, self.height, width, height]));
            left += width;
        }
        assert_eq!(left, GRID_WIDTH, "the line at {} is not as wide as the grid", self.height);
        self.height += height;
        self
    }

    /// A headline over the lines that follow.
    #[must_use]
    pub fn headline(self, title: &'static str) -> Self {
        self.line(1, [(GRID_WIDTH, Panel::row(title))])
    }

    fn id_of(&self, title: &str) -> u32 {
        let panel = self.panels.iter().find(|panel| panel.title() == title);
        panel.unwrap_or_else(|| panic!("there is no panel {title:?}")).id()
    }
}
