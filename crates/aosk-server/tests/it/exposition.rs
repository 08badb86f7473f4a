//! Reads the text form of metrics, and takes nothing that its standard does not allow.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a series, in order of their names.
type Labels = BTreeMap<String, String>;

/// What was written.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Exposition {
    /// Series by name, a blank and the labels in order.
    series: BTreeMap<String, f64>,
}

impl Exposition {
    /// Reads it.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let mut families: BTreeMap<&str, &str> = BTreeMap::new();
        let mut helped = BTreeSet::new();
        let mut series = BTreeMap::new();
        let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        let (body, end) = text.rsplit_once("# EOF\n").unwrap();
        assert_eq!(end, "");
        let mut current = "";
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(helped.insert(name) && !help.is_empty(), "{line}");
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(is_name(name) && helped.contains(name), "{line}");
                assert_eq!(families.insert(name, kind), None, "{line}");
                current = name;
                continue;
            }
            let (name, mut labels, value) = sample(line);
            let suffix = name.strip_prefix(current).unwrap_or_else(|| panic!("{line} is astray"));
            let allowed: &[&str] = match families[current] {
                "counter" => &["_total"],
                "gauge" => &[""],
                _ => &["_bucket", "_sum", "_count"],
            };
            assert!(allowed.contains(&suffix), "{line}");
            assert!(families[current] == "gauge" || value >= 0.0, "{line}");
            let key = key(&name, &labels);
            assert_eq!(series.insert(key, value), None, "twice: {line}");
            if suffix == "_bucket" {
                let bound = labels.remove("le").unwrap().replace("+Inf", "inf").parse().unwrap();
                let family = self::key(&format!("{current}_count"), &labels);
                buckets.entry(family).or_default().push((bound, value));
            }
        }
        for (count, buckets) in buckets {
            assert!(buckets.is_sorted(), "{count}: {buckets:?}");
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{count}: {buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, series[&count])), "{count}");
        }
        Self { series }
    }

    /// The value of a series, by its name and its labels in order: `name label=value`.
    #[track_caller]
    pub(crate) fn value(&self, series: &str) -> f64 {
        let value = self.series.get(series);
        *value.unwrap_or_else(|| panic!("no {series} in {:#?}", self.series))
    }

    /// What there is, without the values.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.series.keys().map(String::as_str).collect()
    }
}

fn key(name: &str, labels: &Labels) -> String {
    let labels = labels.iter().map(|(name, value)| format!(" {name}={value}"));
    format!("{name}{}", labels.collect::<String>())
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

/// A line: its name, its labels and its value.
fn sample(line: &str) -> (String, Labels, f64) {
    let (head, value) = line.rsplit_once(' ').unwrap();
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
    assert!(value.is_finite(), "{line}");
    let (name, inner) = match head.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (head, ""),
    };
    assert!(is_name(name), "{line}");
    let mut labels = Labels::new();
    for label in inner.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').unwrap();
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        assert!(is_name(name) && !value.contains(['"', '\\', '\n']), "{line}");
        assert_eq!(labels.insert(name.to_owned(), value.to_owned()), None, "{line}");
    }
    (name.to_owned(), labels, value)
}

#[test]
fn what_is_malformed_is_refused() {
    let whole = "# HELP a A.\n# TYPE a counter\na_total{b=\"c\"} 1\n# EOF\n";
    assert_eq!(Exposition::read(whole).value("a_total b=c"), 1.0);
    for (from, to) in [
        ("# EOF\n", ""),
        ("# HELP a A.\n", ""),
        ("# TYPE a counter\n", ""),
        ("counter", "info"),
        ("a_total", "a"),
        ("a_total", "b_total"),
        ("} 1", "} x"),
        ("} 1", "} NaN"),
        ("} 1", "} -1"),
        ("\"c\"", "c"),
        ("} 1\n", "} 1\na_total{b=\"c\"} 2\n"),
        ("} 1\n", "} 1\n# HELP a A.\n# TYPE a counter\n"),
    ] {
        let broken = whole.replace(from, to);
        assert_ne!(broken, whole);
        assert!(std::panic::catch_unwind(|| Exposition::read(&broken)).is_err(), "{broken}");
    }
    let histogram = "# HELP a A.\n# TYPE a histogram\na_sum 3.0\na_count 2\na_bucket{le=\"1.0\"} 1\n\
                     a_bucket{le=\"+Inf\"} 2\n# EOF\n";
    assert_eq!(Exposition::read(histogram).value("a_bucket le=+Inf"), 2.0);
    for (from, to) in [("count 2", "count 3"), ("\"} 1", "\"} 3"), ("1.0\"", "+Inf\"")] {
        let broken = histogram.replace(from, to);
        assert!(std::panic::catch_unwind(|| Exposition::read(&broken)).is_err(), "{broken}");
    }
}
