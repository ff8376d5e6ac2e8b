//! The kinds of panels beside numbers and lines, each with the options that ours share.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Colour, Panel, Unit};

impl Panel {
    /// Rows and columns; the queries are [`Query::rows`](super::Query::rows). Rows that agree in
    /// their labels become one.
    pub fn table(title: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        let options = json!({
            "showHeader": true, "cellHeight": "sm",
            "footer": {"show": false, "reducer": ["sum"], "countRows": false, "fields": ""},
        });
        Self::new("table", title, description, options)
            .unit(Unit::None)
            .field("custom", json!({"align": "auto", "cellOptions": {"type": "auto"}}))
            .transformed("merge", json!({}))
    }

    /// The columns of a table: which of its fields, in this order, and what they are called.
    /// Grafana calls the value of the second query `Value #B`; the column of times is hidden.
    #[must_use]
    pub fn columns(self, columns: &[(&str, &str)]) -> Self {
        let mut places = Map::new();
        let mut names = Map::new();
        for (place, (field, name)) in columns.iter().enumerate() {
            places.insert((*field).to_owned(), json!(place));
            names.insert((*field).to_owned(), json!(name));
        }
        let options = json!({
            "excludeByName": {"Time": true}, "includeByName": {},
            "indexByName": places, "renameByName": names,
        });
        self.transformed("organize", options)
    }

    /// Its rows in the order of a column.
    #[must_use]
    pub fn sorted_by(self, column: &str, descending: bool) -> Self {
        self.transformed(
            "sortBy",
            json!({
                "fields": {}, "sort": [{"field": column, "desc": descending}],
            }),
        )
    }

    /// A bar for each row, named by the field `x`.
    pub fn bar_chart(
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
        unit: Unit,
        x: &str,
    ) -> Self {
        let options = json!({
            "xField": x, "orientation": "vertical", "barWidth": 0.8, "groupWidth": 0.8,
            "stacking": "none", "showValue": "never", "xTickLabelRotation": 0,
            "fullHighlight": false, "barRadius": 0,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "multi", "sort": "none"},
        });
        Self::new("barchart", title, description, options)
            .unit(unit)
            .field("min", 0)
            .field("color", json!({"mode": "thresholds"}))
            .field("custom", json!({"lineWidth": 0, "fillOpacity": 85, "axisPlacement": "auto"}))
    }

    /// A row for each series, coloured by its value for as long as that holds.
    pub fn state_timeline(title: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::coloured_rows("state-timeline", title, description)
            .unit(Unit::None)
            .option("mergeValues", true)
            .option("alignValue", "left")
    }

    /// A row for each series, a cell for each of its values. Where there is none, no cell.
    pub fn status_history(
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
        unit: Unit,
    ) -> Self {
        Self::coloured_rows("status-history", title, description)
            .unit(unit)
            .option("colWidth", 0.95)
            .option("legend", json!({"showLegend": false}))
    }

    fn coloured_rows(
        kind: &'static str,
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        let options = json!({
            "showValue": "never", "rowHeight": 0.9,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "single", "sort": "none"},
        });
        Self::new(kind, title, description, options)
            .field("color", json!({"mode": "thresholds"}))
            .field("custom", json!({"lineWidth": 0, "fillOpacity": 85, "spanNulls": false}))
    }

    /// Words and colours for some of its values, in the order of the legend.
    #[must_use]
    pub fn words(self, words: &[(i64, &str, Colour)]) -> Self {
        self.field("mappings", mappings(words))
    }
}

/// Words and colours for some values, as a property of fields.
pub fn mappings(words: &[(i64, &str, Colour)]) -> Value {
    let mut options = Map::new();
    for (index, (value, text, colour)) in words.iter().enumerate() {
        let word = json!({"text": text, "color": colour, "index": index});
        options.insert(value.to_string(), word);
    }
    json!([{"type": "value", "options": options}])
}
