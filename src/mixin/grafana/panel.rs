//! Panels: what is asked, how it is drawn, what colours mean.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::DataSource;

/// Colours that mean something, after Okabe and Ito's palette and Tol's.
///
/// People with any kind of colour vision tell them apart: unknown is lighter and degraded
/// yellower than in theirs, for to a deuteranope their grey was the green, and their orange too
/// near the vermilion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Colour {
    /// Healthy.
    #[serde(rename = "#009E73")]
    Green,
    /// Degraded, above the first threshold.
    #[serde(rename = "#F0C000")]
    Yellow,
    /// Overloaded, above the second threshold.
    #[serde(rename = "#D55E00")]
    Vermilion,
    /// Unavailable.
    #[serde(rename = "#882255")]
    Wine,
    /// Unknown, or of no meaning.
    #[serde(rename = "#C8C8C8")]
    Grey,
    /// What is neither good nor bad.
    #[serde(rename = "#0072B2")]
    Blue,
    /// A second thing that is neither good nor bad.
    #[serde(rename = "#56B4E9")]
    Sky,
    /// A kind of outage beside [`Colour::Wine`].
    #[serde(rename = "#AA4499")]
    Purple,
    /// Another.
    #[serde(rename = "#CC6677")]
    Rose,
    /// And another.
    #[serde(rename = "#DDCC77")]
    Sand,
    /// The colour of the text around it.
    #[serde(rename = "text")]
    Text,
    /// No colour at all, for numbers that are nothing to look at.
    #[serde(rename = "transparent")]
    Clear,
}

/// Units, by Grafana's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// A word or a bare number.
    #[serde(rename = "none")]
    None,
    /// A count, with K and M.
    #[serde(rename = "short")]
    Count,
    /// A ratio from 0 to 1, shown as per cent.
    #[serde(rename = "percentunit")]
    Ratio,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Requests per second.
    #[serde(rename = "reqps")]
    RequestsPerSecond,
    /// US dollars.
    #[serde(rename = "currencyUSD")]
    Dollars,
    /// Bytes, in powers of 1024.
    #[serde(rename = "bytes")]
    Bytes,
    /// Bytes per second.
    #[serde(rename = "Bps")]
    BytesPerSecond,
    /// Milliseconds since 1970, shown as how long ago.
    #[serde(rename = "dateTimeFromNow")]
    FromNow,
}

/// A query of a panel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    datasource: DataSource,
    editor_mode: &'static str,
    expr: String,
    ref_id: String,
    instant: bool,
    range: bool,
    legend_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<&'static str>,
}

impl Query {
    /// Values over the time range. The legend may name labels, `{{model}}`.
    pub fn range(expr: impl Into<String>, legend: &'static str) -> Self {
        Self {
            datasource: DataSource::CHOSEN,
            editor_mode: "code",
            expr: expr.into(),
            ref_id: String::new(),
            instant: false,
            range: true,
            legend_format: legend,
            format: None,
            interval: None,
        }
    }

    /// The values at the end of the time range.
    pub fn instant(expr: impl Into<String>, legend: &'static str) -> Self {
        Self { instant: true, range: false, ..Self::range(expr, legend) }
    }

    /// The values at the end of the time range as rows, a column for each label.
    pub fn rows(expr: impl Into<String>) -> Self {
        Self { format: Some("table"), ..Self::instant(expr, "__auto") }
    }

    /// Buckets of a histogram, which a heatmap puts in the order of their bounds.
    pub fn buckets(expr: impl Into<String>) -> Self {
        Self { format: Some("heatmap"), ..Self::range(expr, "{{le}}") }
    }

    /// At steps of at least this length, as Grafana writes it: `1h`.
    #[must_use]
    pub fn every(mut self, interval: &'static str) -> Self {
        self.interval = Some(interval);
        self
    }
}

/// From a value on, a colour.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    color: Colour,
    value: Option<f64>,
}

/// The colour of the lowest values, and from which value on another.
pub fn by_threshold(lowest: Colour, above: &[(f64, Colour)]) -> Vec<Step> {
    let first = Step { color: lowest, value: None };
    let rest = above.iter().map(|(value, colour)| Step { color: *colour, value: Some(*value) });
    std::iter::once(first).chain(rest).collect()
}

/// What is different for one field: a series by its name, or a column of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Override {
    matcher: Value,
    properties: Vec<Value>,
}

impl Override {
    /// For the field of this name.
    pub fn of(name: &str) -> Self {
        Self { matcher: json!({"id": "byName", "options": name}), properties: Vec::new() }
    }

    /// Always of one colour, whatever its value.
    #[must_use]
    pub fn coloured(self, colour: Colour) -> Self {
        self.set("color", json!({"mode": "fixed", "fixedColor": colour}))
    }

    /// Its property, by Grafana's id for it: `unit`, `displayName`, `custom.width`, `links`.
    #[must_use]
    pub fn set(mut self, id: &str, value: impl Serialize) -> Self {
        self.properties.push(json!({"id": id, "value": value}));
        self
    }
}

/// A panel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    id: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datasource: Option<DataSource>,
    grid_pos: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Query>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field_config: Option<FieldConfig>,
    #[serde(skip_serializing_if = "Value::is_null")]
    options: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transformations: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collapsed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    panels: Option<Vec<Panel>>,
}

#[derive(Clone, Debug, Serialize)]
struct FieldConfig {
    defaults: Map<String, Value>,
    overrides: Vec<Override>,
}

impl Panel {
    /// A headline. The panels under it stand beside it in the list, not in it.
    pub(super) fn row(title: &'static str) -> Self {
        let mut row = Self::new("row", title, "", Value::Null);
        row.datasource = None;
        row.field_config = None;
        row.collapsed = Some(false);
        row.panels = Some(Vec::new());
        row
    }

    /// A panel of any kind, by Grafana's id for it, with the options of that kind.
    ///
    /// The title is what a tired person reads, the description what it means and is made of.
    pub fn new(
        kind: &'static str,
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
        options: Value,
    ) -> Self {
        Self {
            id: 0,
            kind,
            title,
            description: description.into(),
            datasource: Some(DataSource::CHOSEN),
            grid_pos: Value::Null,
            targets: Vec::new(),
            field_config: Some(FieldConfig { defaults: Map::new(), overrides: Vec::new() }),
            options,
            transformations: Vec::new(),
            collapsed: None,
            panels: None,
        }
    }

    /// The next query; they are named A, B, C in their order.
    #[must_use]
    pub fn query(mut self, query: Query) -> Self {
        let ref_id = ref_id(self.targets.len());
        self.targets.push(Query { ref_id, ..query });
        self
    }

    /// The unit of its values.
    #[must_use]
    pub fn unit(self, unit: Unit) -> Self {
        self.field("unit", unit)
    }

    /// How many decimals its values have.
    #[must_use]
    pub fn decimals(self, decimals: u32) -> Self {
        self.field("decimals", decimals)
    }

    /// What colours its values have.
    #[must_use]
    pub fn thresholds(self, steps: &[Step]) -> Self {
        self.field("thresholds", json!({"mode": "absolute", "steps": steps}))
    }

    /// A default of its fields, by Grafana's name for it: `min`, `mappings`, `noValue`.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Serialize) -> Self {
        let config = self.field_config.as_mut().expect("only headlines have no fields");
        config.defaults.insert(name.to_owned(), json!(value));
        self
    }

    /// What it says when there is nothing to show; a stat says it on grey, not on the colour of
    /// the lowest values.
    ///
    /// # Panics
    /// If it was given `mappings` that are no list.
    #[must_use]
    pub fn silent(self, text: &str) -> Self {
        let mut panel = self.field("noValue", text);
        if panel.kind == "stat" {
            let null = json!({
                "type": "special",
                "options": {"match": "null", "result": {"text": text, "color": Colour::Grey}},
            });
            let config = panel.field_config.as_mut().expect("only headlines have no fields");
            let mappings = config.defaults.entry("mappings").or_insert_with(|| json!([]));
            mappings.as_array_mut().expect("mappings are a list").push(null);
        }
        panel
    }

    /// A setting of how its kind draws, by Grafana's name for it: `drawStyle`.
    ///
    /// # Panics
    /// If it was given a `custom` that is no object.
    #[must_use]
    pub fn drawn(mut self, name: &str, value: impl Serialize) -> Self {
        let config = self.field_config.as_mut().expect("only headlines have no fields");
        config.defaults.entry("custom").or_insert_with(|| json!({}))[name] = json!(value);
        self
    }

    /// An option of its kind, by Grafana's name for it.
    ///
    /// # Panics
    /// If its options are no object.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Serialize) -> Self {
        self.options[name] = json!(value);
        self
    }

    /// What is different for some fields.
    #[must_use]
    pub fn except(mut self, overrides: impl IntoIterator<Item = Override>) -> Self {
        let config = self.field_config.as_mut().expect("only headlines have no fields");
        config.overrides.extend(overrides);
        self
    }

    /// A transformation of its data, by Grafana's id for it.
    #[must_use]
    pub fn transformed(mut self, id: &str, options: Value) -> Self {
        self.transformations.push(json!({"id": id, "options": options}));
        self
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    pub(super) fn placed(self, id: u32, [x, y, w, h]: [u32; 4]) -> Self {
        Self { id, grid_pos: json!({"x": x, "y": y, "w": w, "h": h}), ..self }
    }
}

/// The name of the query at a place: A, B, C.
fn ref_id(index: usize) -> String {
    let letter = u8::try_from(index).ok().and_then(|index| b'A'.checked_add(index));
    char::from(letter.expect("a panel has few queries")).to_string()
}
