//! The limits that providers count down in their answers' headers.

use crate::domain::time::Timestamp;

use super::hints::reset;

/// One limit of the account, as a provider's answer states it.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// What is counted, one of a closed set: `requests`, `tokens`, `input_tokens`,
    /// `output_tokens`, `priority_input_tokens`, `priority_output_tokens`, `unspecified` (a bare
    /// `X-RateLimit-*`), and the subscription windows `unified_5h`, `unified_7d` (a fraction of 1).
    pub kind: &'static str,
    /// The allowance of a window.
    pub limit: Option<f64>,
    /// What is left of it.
    pub remaining: Option<f64>,
    /// When it is full again.
    pub reset: Option<Timestamp>,
}

/// Names of the limits: the kind, and the headers of limit, remaining and reset.
const LIMITS: &[(&str, [&str; 3])] = &[
    (
        "requests",
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
    ),
    (
        "tokens",
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ),
    (
        "input_tokens",
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
    ),
    (
        "output_tokens",
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
    ),
    (
        "priority_input_tokens",
        [
            "anthropic-priority-input-tokens-limit",
            "anthropic-priority-input-tokens-remaining",
            "anthropic-priority-input-tokens-reset",
        ],
    ),
    (
        "priority_output_tokens",
        [
            "anthropic-priority-output-tokens-limit",
            "anthropic-priority-output-tokens-remaining",
            "anthropic-priority-output-tokens-reset",
        ],
    ),
    (
        "requests",
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
    ),
    (
        "tokens",
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ),
    ("unspecified", ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]),
];

/// The subscription windows: the kind, and the headers of utilisation and reset.
const UNIFIED: &[(&str, [&str; 2])] = &[
    (
        "unified_5h",
        ["anthropic-ratelimit-unified-5h-utilization", "anthropic-ratelimit-unified-5h-reset"],
    ),
    (
        "unified_7d",
        ["anthropic-ratelimit-unified-7d-utilization", "anthropic-ratelimit-unified-7d-reset"],
    ),
];

/// The limits that an answer's headers state, each kind at most once; resets given as durations
/// count from `now`.
pub fn quotas(headers: &[(String, String)], now: Timestamp) -> Vec<Quota> {
    // Most answers have a dozen other headers, and each limit is looked for by name.
    let stated: Vec<_> = headers.iter().filter(|(name, _)| is_of_limits(name)).collect();
    let header = |wanted: &str| {
        let found = stated.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let mut found: Vec<Quota> = Vec::new();
    if stated.is_empty() {
        return found;
    }
    let limits = LIMITS.iter().map(|(kind, [limit, remaining, reset_at])| Quota {
        kind,
        limit: header(limit).and_then(count),
        remaining: header(remaining).and_then(count),
        reset: header(reset_at).and_then(|text| reset(text, now)),
    });
    let windows = UNIFIED.iter().map(|(kind, [utilisation, reset_at])| {
        let used = header(utilisation).and_then(count);
        Quota {
            kind,
            limit: used.map(|_| 1.0),
            remaining: used.map(|used| (1.0 - used).max(0.0)),
            reset: header(reset_at).and_then(|text| reset(text, now)),
        }
    });
    for quota in limits.chain(windows) {
        let says_nothing =
            quota.limit.is_none() && quota.remaining.is_none() && quota.reset.is_none();
        if !says_nothing && found.iter().all(|known| known.kind != quota.kind) {
            found.push(quota);
        }
    }
    found
}

/// Whether a header may be one of those above.
fn is_of_limits(name: &str) -> bool {
    ["x-ratelimit-", "anthropic-"].into_iter().any(|start| {
        name.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start))
    })
}

/// A count, or the first of a list (`100, 100;w=60`).
fn count(text: &str) -> Option<f64> {
    let first = text.split([',', ';']).next().unwrap_or_default().trim();
    first.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_stated_once() {
        let headers: Vec<_> = [
            ("Anthropic-RateLimit-Requests-Limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "1970-01-01T00:01:00Z"),
            ("anthropic-priority-input-tokens-remaining", "1000"),
            ("x-ratelimit-limit-requests", "7"),
            ("x-ratelimit-remaining-tokens", "5.5"),
            ("x-ratelimit-reset-tokens", "1s"),
            ("x-ratelimit-limit", "100, 100;w=60"),
            ("x-ratelimit-remaining", "many"),
            ("anthropic-ratelimit-unified-5h-utilization", "0.25"),
            ("anthropic-ratelimit-unified-5h-reset", "1800000000"),
            ("anthropic-ratelimit-unified-7d-utilization", "1.2"),
        ]
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
        let now = Timestamp::from_secs(10);
        let at = Timestamp::from_secs;
        let quota = |kind, limit, remaining, reset| Quota { kind, limit, remaining, reset };
        assert_eq!(
            quotas(&headers, now),
            [
                quota("requests", Some(50.0), Some(49.0), Some(at(60))),
                quota("priority_input_tokens", None, Some(1000.0), None),
                quota("tokens", None, Some(5.5), Some(at(11))),
                quota("unspecified", Some(100.0), None, None),
                quota("unified_5h", Some(1.0), Some(0.75), Some(at(1_800_000_000))),
                quota("unified_7d", Some(1.0), Some(0.0), None),
            ]
        );
        assert_eq!(quotas(&[], now), []);
    }
}
