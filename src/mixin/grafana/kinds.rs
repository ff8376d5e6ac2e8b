//! The kinds of panels, each with the options that ours share.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Colour, Panel, Unit, by_threshold};

impl Panel {
    /// One number or word on a coloured ground.
    pub fn stat(
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
        unit: Unit,
    ) -> Self {
        let options = json!({
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            "colorMode": "background_solid", "graphMode": "none", "justifyMode": "auto",
            "orientation": "auto", "textMode": "value", "wideLayout": true,
        });
        Self::new("stat", title, description, options)
            .unit(unit)
            .field("color", json!({"mode": "thresholds"}))
    }

    /// Lines over time.
    pub fn time_series(
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
        unit: Unit,
    ) -> Self {
        let options = json!({
            "legend": {
                "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        });
        Self::new("timeseries", title, description, options)
            .unit(unit)
            .field("min", 0)
            .field("color", json!({"mode": "palette-classic"}))
            .field(
                "custom",
                json!({
                    "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1,
                    "fillOpacity": 0, "showPoints": "never", "spanNulls": false,
                    "stacking": {"mode": "none", "group": "A"}, "axisPlacement": "auto",
                    "thresholdsStyle": {"mode": "off"},
                }),
            )
    }

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
    /// Grafana calls the value of the second query `Value #B`; the column of times is hidden, and
    /// so are those without a name.
    #[must_use]
    pub fn columns(self, columns: &[(&str, &str)]) -> Self {
        let mut places = Map::new();
        let mut names = Map::new();
        let mut hidden = json!({"Time": true});
        for (place, (field, name)) in columns.iter().enumerate() {
            if name.is_empty() {
                hidden[field] = json!(true);
                continue;
            }
            places.insert((*field).to_owned(), json!(place));
            names.insert((*field).to_owned(), json!(name));
        }
        let options = json!({
            "excludeByName": hidden, "includeByName": {},
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
        // One step: of more, Grafana's own among them, the legend tells instead of the words.
        Self::coloured_rows("state-timeline", title, description)
            .unit(Unit::None)
            .thresholds(&by_threshold(Colour::Grey, &[]))
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

    /// How often values lay between two bounds, over time: for the buckets of a histogram.
    pub fn heatmap(
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
        unit: Unit,
    ) -> Self {
        let options = json!({
            "calculate": false, "cellGap": 0, "cellValues": {"unit": Unit::Count},
            // By lightness alone, the same to every eye.
            "color": {
                "mode": "scheme", "scheme": "Cividis", "fill": "dark-orange", "steps": 64,
                "reverse": false, "scale": "exponential", "exponent": 0.5,
            },
            "filterValues": {"le": 1e-9}, "rowsFrame": {"layout": "auto"},
            "yAxis": {"axisPlacement": "left", "reverse": false, "unit": unit},
            "legend": {"show": true}, "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "tooltip": {"mode": "single", "yHistogram": true, "showColorScale": false},
            "showValue": "never",
        });
        // The unit of a cell, which counts; that of the bounds is the axis's.
        Self::new("heatmap", title, description, options).unit(Unit::Count)
    }

    /// Lines as bars that stand on each other, for counts of several kinds.
    #[must_use]
    pub fn stacked_bars(self) -> Self {
        self.drawn("drawStyle", "bars")
            .drawn("lineWidth", 0)
            .drawn("fillOpacity", 90)
            .drawn("stacking", json!({"mode": "normal", "group": "A"}))
    }

    /// Lines as areas that stand on each other, for parts of a whole.
    #[must_use]
    pub fn stacked_areas(self) -> Self {
        self.drawn("lineWidth", 0)
            .drawn("fillOpacity", 80)
            .drawn("stacking", json!({"mode": "normal", "group": "A"}))
    }

    /// Dashed lines at the thresholds.
    #[must_use]
    pub fn dashed(self) -> Self {
        self.drawn("thresholdsStyle", json!({"mode": "dashed"}))
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
