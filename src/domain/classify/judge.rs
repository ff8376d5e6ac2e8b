//! One error, judged: the rules from the quoted upstream down to the vague tokens.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::outcome::Class;

use super::evidence::{Evidence, Upstream};
use super::family::Family;
use super::{MatchedBy, Verdict, errors, message, prose, status, tokens};

/// Deepest upstream in an upstream.
const DEPTH_MAX: usize = 3;

/// What is known about a reply beside its errors.
#[derive(Clone, Copy)]
pub(super) struct Scene {
    /// Whose own rules apply.
    pub(super) family: Family,
    /// The HTTP status.
    pub(super) status: Option<u16>,
    /// Anthropic's headers say that the plan's allowance is used up.
    pub(super) plan_limit: bool,
}

/// The verdict on one error; `None` when only the status is left to decide.
pub(super) fn judge(evidence: &Evidence<'_>, scene: Scene) -> Option<Verdict> {
    judge_at(evidence, scene, 0)
}

fn judge_at(evidence: &Evidence<'_>, scene: Scene, depth: usize) -> Option<Verdict> {
    let status = status::effective(scene.status, evidence.code);
    let text = message::normalise(&evidence.message);
    if has_token(evidence, tokens::IN_FLIGHT_BUDGET) {
        return Some(Verdict::new(Class::RateLimited, MatchedBy::Token));
    }
    let own = by_token(evidence, scene, status, &text);
    // A gateway that says "overloaded" in so many words knows better than the upstream's 429 to
    // the gateway's own account.
    if let Some(verdict) = own.filter(|verdict| verdict.class == Class::Overloaded) {
        return Some(verdict);
    }
    if let Some(class) = by_upstream(evidence, scene, status, depth) {
        return Some(Verdict::new(class, MatchedBy::Upstream));
    }
    own.or_else(|| {
        let class = message::class(&text, status)?;
        Some(Verdict::new(class, MatchedBy::Message))
    })
    .or_else(|| {
        let class = status::provider_class(scene.family, status?)?;
        Some(Verdict::new(class, MatchedBy::ProviderStatus))
    })
    .or_else(|| {
        let classes = evidence.tokens.iter().filter_map(|it| tokens::generic_class(it, status));
        let class = classes.max_by_key(|class| tokens::rank(*class))?;
        Some(Verdict::new(class, MatchedBy::GenericToken))
    })
}

fn has_token(evidence: &Evidence<'_>, name: &str) -> bool {
    evidence.tokens.iter().any(|token| token.eq_ignore_ascii_case(name))
}

/// The provider's own tokens, then those that mean the same everywhere.
fn by_token(
    evidence: &Evidence<'_>,
    scene: Scene,
    status: Option<u16>,
    text: &str,
) -> Option<Verdict> {
    let best =
        |classes: &mut dyn Iterator<Item = Class>| classes.max_by_key(|class| tokens::rank(*class));
    let words = || evidence.tokens.iter();
    let own = &mut words().filter_map(|word| tokens::provider_class(scene.family, word));
    if let Some(class) = best(own) {
        return Some(Verdict::new(class, MatchedBy::ProviderToken));
    }
    let everywhere = words().filter_map(|word| tokens::specific_class(word, status));
    if let Some(class) = best(&mut everywhere.chain(evidence.quota)) {
        let refined = refine(class, text);
        let is_plan = scene.plan_limit && refined == Class::RateLimited && status == Some(429);
        return Some(if is_plan { PLAN_LIMIT } else { Verdict::new(refined, MatchedBy::Token) });
    }
    (scene.plan_limit && status == Some(429)).then_some(PLAN_LIMIT)
}

/// A subscription's allowance is used up: Anthropic says so in a header.
const PLAN_LIMIT: Verdict = Verdict::new(Class::QuotaExhausted, MatchedBy::ProviderToken);

/// What the wording adds to a token: how long the window is, whether money is the matter.
fn refine(class: Class, text: &str) -> Class {
    match class {
        Class::RateLimited if message::is_long_window(text) => Class::QuotaExhausted,
        Class::QuotaExhausted if message::is_unpaid(text) => Class::Billing,
        // Bedrock denies the model as it denies a wrong key, and gives the reason in words.
        Class::Auth if message::is_unpayable(text) => Class::Billing,
        Class::Ok
        | Class::Overloaded
        | Class::RateLimited
        | Class::QuotaExhausted
        | Class::Unavailable
        | Class::ServerError
        | Class::Timeout
        | Class::Network
        | Class::Auth
        | Class::Billing
        | Class::InvalidRequest
        | Class::Other => class,
    }
}

/// The error that this one quotes, if it says what it is.
fn by_upstream(
    evidence: &Evidence<'_>,
    scene: Scene,
    status: Option<u16>,
    depth: usize,
) -> Option<Class> {
    if depth >= DEPTH_MAX {
        return None;
    }
    let scene = Scene { status, plan_limit: false, ..scene };
    if let Some(original) = evidence.original_status {
        let message = Cow::Borrowed(evidence.message.as_ref());
        let inner = Evidence { message, code: Some(original), ..Evidence::default() };
        return Some(judge_inner(&inner, scene, depth).unwrap_or(status::class(original)));
    }
    let named = evidence.upstream_name.map_or(Family::General, Family::named);
    match &evidence.raw {
        Some(Upstream::Value(value)) => return quoted_class(value, named, scene, depth),
        Some(Upstream::Text(text)) => {
            let class = judge_inner(&prose::evidence(text, false), scene, depth);
            if class.is_some() {
                return class;
            }
        }
        None => {}
    }
    // Elsewhere the message may quote what the caller wrote.
    if !message::is_open(status) && !prose::is_wrapper(&evidence.message) {
        return None;
    }
    let value = prose::quoted(&evidence.message)?;
    quoted_class(&value, prose::upstream_family(&evidence.message), scene, depth)
}

fn quoted_class(value: &Value, family: Family, scene: Scene, depth: usize) -> Option<Class> {
    let family = if family == Family::General { scene.family } else { family };
    let scene = Scene { family, ..scene };
    errors::find(value, true)
        .into_iter()
        .filter_map(|found| judge_inner(&Evidence::of(found), scene, depth))
        .max_by_key(|class| tokens::rank(*class))
}

/// A quoted error's class; its own number counts, the outer status only opens the message rules.
fn judge_inner(evidence: &Evidence<'_>, scene: Scene, depth: usize) -> Option<Class> {
    let status = evidence.code.or(scene.status);
    let verdict = judge_at(evidence, Scene { status, ..scene }, depth + 1);
    verdict.map(|verdict| verdict.class).or_else(|| evidence.code.map(status::class))
}
