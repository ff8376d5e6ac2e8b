//! One family of the table while its rows are being written.

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use crate::domain::histogram::Histogram;

use super::names::{Kind, Metric};

/// A row of the table with the samples written so far.
pub(super) struct Family {
    metric: &'static Metric,
    rows: Vec<proto::Metric>,
}

impl Family {
    /// No samples yet.
    pub(super) fn new(metric: &'static Metric) -> Self {
        Self { metric, rows: Vec::new() }
    }

    /// Adds a sample of a count. Label values are in the order of the table.
    pub(super) fn count(&mut self, labels: &[&str], count: u64) {
        self.value(labels, count as f64);
    }

    /// Adds a sample that is 1 or 0.
    pub(super) fn flag(&mut self, labels: &[&str], holds: bool) {
        self.value(labels, f64::from(u8::from(holds)));
    }

    /// Adds a sample.
    pub(super) fn value(&mut self, labels: &[&str], value: f64) {
        let mut row = self.row(labels);
        match self.metric.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                row.set_counter(counter);
            }
            Kind::Gauge | Kind::Info => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                row.set_gauge(gauge);
            }
            Kind::Histogram => debug_assert!(false, "a histogram has no single value"),
        }
        self.rows.push(row);
    }

    /// Adds a histogram; the bucket up to +Inf follows from its count.
    pub(super) fn histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        let mut row = self.row(labels);
        let mut wire = proto::Histogram::default();
        let buckets = histogram.cumulative().map(|(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        wire.set_bucket(buckets.collect());
        wire.set_sample_count(histogram.count());
        wire.set_sample_sum(histogram.sum_seconds());
        row.set_histogram(wire);
        self.rows.push(row);
    }

    /// The family as the registry takes it.
    pub(super) fn finish(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.metric.name.to_owned());
        family.set_help(self.metric.help.to_owned());
        family.set_field_type(match self.metric.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge | Kind::Info => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(self.rows);
        family
    }

    fn row(&self, values: &[&str]) -> proto::Metric {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "{}", self.metric.name);
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        proto::Metric::from_label(self.metric.labels.iter().zip(values).map(pair).collect())
    }
}
