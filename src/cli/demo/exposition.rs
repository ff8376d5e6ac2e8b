//! Scrapes gathered over time and written as one `OpenMetrics` text with time stamps.
//!
//! The format wants all points of a series together and all series of a family, so the scrapes
//! are kept as columns and written at the end: eight bytes for each sample.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use anyhow::Context as _;

use crate::domain::time::{SECOND_MS, Timestamp};

/// Scrapes of one instance.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    times: Vec<Timestamp>,
    families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
struct Family {
    /// `# HELP`, `# TYPE` and `# UNIT`.
    head: String,
    series: Vec<Series>,
    /// Positions in `series` by name and labels as they are written.
    index: HashMap<String, usize>,
}

#[derive(Debug)]
struct Series {
    /// Name and labels as scraped.
    name: String,
    /// The scrape that its first value is of.
    first: usize,
    /// A value for each scrape from `first` on; NaN where it was not there.
    values: Vec<f64>,
}

impl Exposition {
    /// Takes one scrape in `OpenMetrics` text.
    pub(super) fn take(&mut self, at: Timestamp, scrape: &str) -> anyhow::Result<()> {
        let scraped = self.times.len();
        self.times.push(at);
        let mut family: Option<&mut Family> = None;
        for line in scrape.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                if comment == "EOF" {
                    break;
                }
                let name = comment.split(' ').nth(1).unwrap_or_default();
                let of = self.families.entry(name.to_owned()).or_default();
                if !of.head.lines().any(|known| known == line) {
                    of.head.push_str(line);
                    of.head.push('\n');
                }
                family = Some(of);
                continue;
            }
            let family = family.as_mut().context("a sample stands before its family")?;
            let (series, value) = line.rsplit_once(' ').context("a sample has no value")?;
            let value = value.parse().with_context(|| format!("{series} is {value:?}"))?;
            family.push(series, scraped, value);
        }
        Ok(())
    }

    /// How many scrapes, series and samples there are.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let series = || self.families.values().flat_map(|family| &family.series);
        let values = series().flat_map(|one| &one.values).filter(|value| !value.is_nan());
        (self.times.len(), series().count(), values.count())
    }

    /// Writes everything, with `labels` before those of each series.
    pub(super) fn write(&self, out: &mut dyn Write, labels: &str) -> io::Result<()> {
        let times: Vec<_> = self.times.iter().map(|at| seconds(*at)).collect();
        for family in self.families.values() {
            out.write_all(family.head.as_bytes())?;
            for series in &family.series {
                let name = match series.name.split_once('{') {
                    Some((name, own)) => format!("{name}{{{labels},{own}"),
                    None => format!("{}{{{labels}}}", series.name),
                };
                for (value, at) in series.values.iter().zip(&times[series.first..]) {
                    if !value.is_nan() {
                        writeln!(out, "{name} {value} {at}")?;
                    }
                }
            }
        }
        out.write_all(b"# EOF\n")?;
        out.flush()
    }
}

impl Family {
    fn push(&mut self, name: &str, scraped: usize, value: f64) {
        let position = self.index.get(name).copied().unwrap_or_else(|| {
            let position = self.series.len();
            self.index.insert(name.to_owned(), position);
            self.series.push(Series { name: name.to_owned(), first: scraped, values: Vec::new() });
            position
        });
        let series = &mut self.series[position];
        // What was missing in between is known to be missing.
        series.values.resize(scraped - series.first, f64::NAN);
        series.values.push(value);
    }
}

/// Seconds since 1970, exactly.
fn seconds(at: Timestamp) -> String {
    format!("{}.{:03}", at.secs(), at.millis() % SECOND_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_a_series_stand_together_and_gaps_stay_gaps() {
        let mut exposition = Exposition::default();
        let scrapes = [
            "# HELP a Help.\n# TYPE a counter\na_total{b=\"c d\"} 1\n\
             # TYPE x gauge\nx 0.25\n# EOF\n",
            "# HELP a Help.\n# TYPE a counter\na_total{b=\"e\"} 7\n# TYPE x gauge\nx 1e-7\n# EOF\n",
            "# HELP a Help.\n# TYPE a counter\na_total{b=\"c d\"} 3\n# EOF\n",
        ];
        for (second, scrape) in (100..).zip(scrapes) {
            exposition.take(Timestamp::from_secs(second), scrape).unwrap();
        }
        let mut out = Vec::new();
        exposition.write(&mut out, "job=\"j\"").unwrap();
        let expected = "\
# HELP a Help.
# TYPE a counter
a_total{job=\"j\",b=\"c d\"} 1 100.000
a_total{job=\"j\",b=\"c d\"} 3 102.000
a_total{job=\"j\",b=\"e\"} 7 101.000
# TYPE x gauge
x{job=\"j\"} 0.25 100.000
x{job=\"j\"} 0.0000001 101.000
# EOF
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(exposition.size(), (3, 3, 5));
    }

    #[test]
    fn what_is_no_exposition_is_refused() {
        for scrape in ["a 1\n", "# TYPE a gauge\na\n", "# TYPE a gauge\na one\n"] {
            let mut exposition = Exposition::default();
            assert!(exposition.take(Timestamp::default(), scrape).is_err(), "{scrape:?}");
        }
    }
}
