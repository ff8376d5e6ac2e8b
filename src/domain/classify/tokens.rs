//! What the structured words and numbers of an error envelope mean.
//!
//! A token is compared whole and without regard to case, and only where envelopes carry tokens.
//! The tables follow the providers' own documentation and SDKs; `docs/classification.md` names
//! the sources.

use crate::domain::outcome::Class;

use super::family::Family;

/// Decided by the token alone, whatever the status.
const SPECIFIC: &[(Class, &[&str])] = &[
    (
        Class::Overloaded,
        &[
            "overloaded_error",
            "overloaded",
            "server_is_overloaded",
            "engine_overloaded_error",
            "engine_overloaded",
            "model_overloaded_error",
            "provider_overloaded",
            "capacity_exceeded",
            "queue_exceeded",
            "model_capacity_exhausted",
            "compaction_unavailable",
            "insufficient_system_resource",
            "upstream_provider_shared_pool",
            // The exception class of the Anthropic SDKs, as client reports carry it.
            "overloadederror",
        ],
    ),
    (
        Class::Billing,
        &[
            "billing_error",
            "credit_balance_exhausted",
            "payment_required",
            "billing_not_active",
            "billing_disabled",
            "arrearage",
            "user_profile_not_billable",
            "user_profile_billing_not_authorized",
            "linked_organization_billing_unavailable",
        ],
    ),
    (
        Class::QuotaExhausted,
        &[
            "insufficient_quota",
            "exceeded_current_quota_error",
            "enforced_spend_limit_reached",
            "contract_spend_limit_reached",
            "linked_organization_spend_limit_reached",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "servicequotaexceededexception",
            "quota_exceeded",
            "personal-team-blocked:spending-limit",
        ],
    ),
    (
        Class::RateLimited,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limit_reached_error",
            "rate_limited",
            "ramp_limit_exceeded",
            "throttlingexception",
            "throttling",
            "throttling.ratequota",
            "throttling.allocationquota",
            "throttling.burstrate",
            "model_rate_limit",
            IN_FLIGHT_BUDGET,
            SLOW_DOWN,
        ],
    ),
    (
        Class::Auth,
        &[
            "authentication_error",
            "authentication",
            "invalid_authentication_error",
            "incorrect_api_key_error",
            "invalid_api_key",
            "api_key_invalid",
            "permission_error",
            "permission_denied",
            "permission_denied_error",
            "accessdeniedexception",
            "expiredtokenexception",
            "unrecognizedclientexception",
            "invalidsignatureexception",
            "unauthenticated",
            "unsupported_country_region_territory",
            "organization_on_hold",
            "invalidapikey",
            "accessdenied",
        ],
    ),
    (
        Class::InvalidRequest,
        &[
            "context_length_exceeded",
            "model_not_found",
            "not_found_error",
            "notfounderror",
            "resource_not_found_error",
            "resourcenotfoundexception",
            "request_too_large",
            "content_filter",
            "content_policy_violation",
            "validationexception",
            "badrequesterror",
            "deploymentnotfound",
            "integer_below_min_value",
            "invalid_prompt",
            "invalidparameter",
            "not_found",
        ],
    ),
    (
        Class::Timeout,
        &["timeout_error", "modeltimeoutexception", "deadline_exceeded", "gatewaytimeout"],
    ),
    (
        Class::Unavailable,
        &[
            "provider_unavailable",
            "modelnotreadyexception",
            "unavailable_error",
            "server_unavailable",
        ],
    ),
    (
        Class::ServerError,
        &[
            "modelstreamerrorexception",
            "modelerrorexception",
            "internalserverexception",
            "internalfailure",
        ],
    ),
    (
        Class::Other,
        &[
            "cmek_key_unreachable",
            "cmek_context_unavailable",
            "cmek_key_disabled",
            "registration_pending",
            "conflict_error",
        ],
    ),
];

/// Too vague to decide before the message had its say.
const GENERIC: &[(Class, &[&str])] = &[
    (
        Class::ServerError,
        &[
            "api_error",
            "server_error",
            "internal_server_error",
            "internalservererror",
            "internal_error",
            "internal",
            "server",
        ],
    ),
    (
        Class::InvalidRequest,
        &[
            "invalid_request_error",
            "invalid_argument",
            "failed_precondition",
            "unprocessableentityerror",
            "contextwindowexceedederror",
            "contentpolicyviolationerror",
        ],
    ),
    (
        Class::Unavailable,
        &[
            "service_unavailable",
            "service_unavailable_error",
            "serviceunavailable",
            "unavailable",
            "serviceunavailableerror",
            "serviceunavailableexception",
        ],
    ),
    (
        Class::RateLimited,
        &[
            "resource_exhausted",
            "too_many_requests",
            "too_many_requests_error",
            "throttling_error",
            "ratelimitexceeded",
            "rate limit",
            "ratelimiterror",
        ],
    ),
    (Class::Timeout, &["timeout"]),
    (Class::QuotaExhausted, &["budgetexceedederror"]),
    (Class::Auth, &["authenticationerror", "permissiondeniederror"]),
    (Class::Other, &["conflicterror"]),
];

/// OpenRouter's transient reservation of money for calls in flight: a rate limit even at 402.
pub(super) const IN_FLIGHT_BUDGET: &str = "openrouter_in_flight_budget";

/// OpenAI's word for two things: traffic that grew too fast (429), overload (503 and streams).
pub(super) const SLOW_DOWN: &str = "slow_down";

/// What a token means to this provider only.
pub(super) fn provider_class(family: Family, token: &str) -> Option<Class> {
    let is = |name: &str| token.eq_ignore_ascii_case(name);
    match family {
        Family::Bedrock => is("serviceunavailableexception").then_some(Class::Overloaded),
        // In the compatible mode this is the tokens-per-minute limit, back within a minute.
        Family::DashScope => is("insufficient_quota").then_some(Class::RateLimited),
        Family::Mistral => is("1300").then_some(Class::RateLimited),
        Family::Zai => token.parse().ok().and_then(zai_class),
        Family::CoreWeave
        | Family::Cohere
        | Family::DeepSeek
        | Family::Fireworks
        | Family::Groq
        | Family::Together
        | Family::General => None,
    }
}

/// z.ai's business codes (docs.z.ai and docs.bigmodel.cn, "error codes").
fn zai_class(code: u32) -> Option<Class> {
    match code {
        1113 => Some(Class::Billing),
        1000..=1009 | 1110..=1119 => Some(Class::Auth),
        1210..=1219 | 1261 | 1301 => Some(Class::InvalidRequest),
        1302 | 1303 | 1313 => Some(Class::RateLimited),
        1305 | 1312 => Some(Class::Overloaded),
        1304 | 1308..=1310 | 1316..=1321 => Some(Class::QuotaExhausted),
        _ => None,
    }
}

/// What a token means everywhere. `slow_down` depends on the effective status.
pub(super) fn specific_class(token: &str, status: Option<u16>) -> Option<Class> {
    if token.eq_ignore_ascii_case(SLOW_DOWN) {
        let is_client_side = matches!(status, Some(400..=499));
        return Some(if is_client_side { Class::RateLimited } else { Class::Overloaded });
    }
    look_up(SPECIFIC, token)
}

/// What a vague token says, where the effective status does not say it better.
///
/// A server that calls its 503 a `server_error`, or its 401 an `invalid_request_error`, is more
/// exact in the number; and no vague word talks a 529 away.
pub(super) fn generic_class(token: &str, status: Option<u16>) -> Option<Class> {
    let class = look_up(GENERIC, token)?;
    let status = status.unwrap_or(200);
    let yields = match class {
        Class::ServerError => matches!(status, 401..=403 | 408 | 429 | 502..),
        Class::InvalidRequest => matches!(status, 401..=403 | 408 | 429..),
        Class::Ok
        | Class::Overloaded
        | Class::RateLimited
        | Class::QuotaExhausted
        | Class::Unavailable
        | Class::Timeout
        | Class::Network
        | Class::Auth
        | Class::Billing
        | Class::Other => status == super::status::OVERLOADED,
    };
    (!yields).then_some(class)
}

/// Which of several classes wins: the one that says more about whose turn it is to act.
pub(super) const fn rank(class: Class) -> u8 {
    match class {
        Class::Other => 11,
        Class::Overloaded => 10,
        Class::Billing => 9,
        Class::QuotaExhausted => 8,
        Class::RateLimited => 7,
        Class::Auth => 6,
        Class::Timeout => 5,
        Class::InvalidRequest => 4,
        Class::Unavailable => 3,
        Class::ServerError => 2,
        Class::Network => 1,
        Class::Ok => 0,
    }
}

fn look_up(table: &[(Class, &[&str])], token: &str) -> Option<Class> {
    let known = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(token));
    table.iter().find(|(_, names)| known(names)).map(|(class, _)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_listed_once_in_lower_case() {
        let tables = SPECIFIC.iter().chain(GENERIC);
        let words: Vec<_> = tables.flat_map(|(_, words)| words.iter()).collect();
        for (at, word) in words.iter().enumerate() {
            assert_eq!(**word, word.to_ascii_lowercase());
            assert!(!words[..at].contains(word), "{word} twice");
        }
    }

    #[test]
    fn the_ranks_of_errors_follow_the_documented_order() {
        let order = [
            Class::Other,
            Class::Overloaded,
            Class::Billing,
            Class::QuotaExhausted,
            Class::RateLimited,
            Class::Auth,
            Class::Timeout,
            Class::InvalidRequest,
            Class::Unavailable,
            Class::ServerError,
            Class::Network,
            Class::Ok,
        ];
        assert!(order.windows(2).all(|pair| rank(pair[0]) > rank(pair[1])));
    }
}
