//! What a probe costs: from the tokens the provider says it billed, or a bound before it says so.

use crate::ground::catalog::Price;

/// The price assumed for a model without a known one when a budget must be kept: that of the
/// dearest models on offer, so that a budget errs on the side of the bill.
pub const PRICE_ASSUMED: Price = Price { input_usd_per_mtok: 30.0, output_usd_per_mtok: 180.0 };

/// Input tokens that a one-word prompt is usually billed as.
pub const INPUT_TOKENS: u64 = 10;

/// Input tokens a one-word prompt is at most billed as: chat templates of some models add a few
/// dozen.
const INPUT_TOKENS_MAX: u64 = 64;

/// More tokens than any model can handle in one request; a count beyond it is a broken answer,
/// and must not turn a sum of money into infinity.
const TOKENS_MAX: u64 = 10_000_000;

/// Tokens assumed of an answer without a limit of its own: what a word of answer may take to think.
const OUTPUT_TOKENS_UNLIMITED: u64 = 4096;

/// Tokens in one million.
const MTOK: f64 = 1e6;

/// Tokens billed, as far as the provider told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens, thinking included.
    pub output_tokens: Option<u64>,
}

impl Usage {
    /// The cost in US dollars at this price; `None` when the provider told no usage.
    pub fn cost_usd(self, price: &Price) -> Option<f64> {
        if self == Self::default() {
            return None;
        }
        let tokens = |count: Option<u64>| count.unwrap_or(0).min(TOKENS_MAX) as f64;
        let input = tokens(self.input_tokens) * price.input_usd_per_mtok;
        let output = tokens(self.output_tokens) * price.output_usd_per_mtok;
        Some((input + output) / MTOK)
    }
}

/// The tokens that one probe is reckoned to be answered with: as many as its body allows.
pub(super) fn output_tokens(max_tokens: Option<u64>) -> u64 {
    max_tokens.unwrap_or(OUTPUT_TOKENS_UNLIMITED)
}

/// The most one probe may cost in US dollars, known before it is sent. Without a price,
/// [`PRICE_ASSUMED`] counts.
pub(super) fn bound_usd(price: Option<&Price>, max_tokens: Option<u64>) -> f64 {
    reckoned_usd(INPUT_TOKENS_MAX, price, max_tokens)
}

/// What one probe will usually cost, the answer as long as it may be.
pub(super) fn usual_usd(price: Option<&Price>, max_tokens: Option<u64>) -> f64 {
    reckoned_usd(INPUT_TOKENS, price, max_tokens)
}

fn reckoned_usd(input_tokens: u64, price: Option<&Price>, max_tokens: Option<u64>) -> f64 {
    let output_tokens = Some(output_tokens(max_tokens));
    let usage = Usage { input_tokens: Some(input_tokens), output_tokens };
    usage.cost_usd(price.unwrap_or(&PRICE_ASSUMED)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_tokens_times_price_and_never_endless() {
        let price = Price { input_usd_per_mtok: 5.0, output_usd_per_mtok: 25.0 };
        for (input, output, expected) in [
            (None, None, None),
            (Some(10), Some(1), Some(7.5e-5)),
            (Some(10), None, Some(5e-5)),
            (Some(u64::MAX), Some(0), Some(50.0)),
        ] {
            let usage = Usage { input_tokens: input, output_tokens: output };
            let cost = usage.cost_usd(&price);
            assert_eq!(cost.is_some(), expected.is_some());
            let difference = cost.unwrap_or(0.0) - expected.unwrap_or(0.0);
            assert!(difference.abs() < 1e-12, "{cost:?} {expected:?}");
        }
        assert!(bound_usd(None, Some(16)) > bound_usd(Some(&price), Some(16)));
    }
}
