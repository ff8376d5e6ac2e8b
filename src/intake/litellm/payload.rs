//! The fields that are read of a payload, as they lie in the body.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::intake::sighting::head;

/// The fields that are read of a payload. Their types vary with versions, so a field of another
/// type counts as absent.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub(super) id: Loose<'a>,
    #[serde(borrow)]
    pub(super) status: Loose<'a>,
    #[serde(borrow)]
    pub(super) litellm_call_id: Loose<'a>,
    #[serde(borrow)]
    pub(super) cache_hit: Loose<'a>,
    #[serde(borrow)]
    pub(super) custom_llm_provider: Loose<'a>,
    #[serde(borrow)]
    pub(super) api_base: Loose<'a>,
    #[serde(borrow)]
    pub(super) model: Loose<'a>,
    #[serde(borrow)]
    pub(super) model_group: Loose<'a>,
    #[serde(borrow)]
    pub(super) trace_id: Loose<'a>,
    #[serde(borrow)]
    pub(super) metadata: Loose<'a>,
    #[serde(borrow, rename = "startTime")]
    pub(super) start_time: Loose<'a>,
    #[serde(borrow, rename = "endTime")]
    pub(super) end_time: Loose<'a>,
    #[serde(borrow, rename = "completionStartTime")]
    pub(super) completion_start_time: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_str: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_information: Option<ErrorInformation<'a>>,
    #[serde(borrow)]
    pub(super) hidden_params: Option<HiddenParams<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorInformation<'a> {
    #[serde(borrow)]
    pub(super) error_code: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_class: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_message: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_provider_request_id: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_rate_limit_category: Loose<'a>,
    #[serde(borrow)]
    pub(super) normalized_error: Loose<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct HiddenParams<'a> {
    #[serde(borrow)]
    pub(super) litellm_model_name: Loose<'a>,
    #[serde(borrow)]
    pub(super) additional_headers: Option<Headers<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Headers<'a> {
    #[serde(borrow, rename = "x-litellm-attempted-retries")]
    pub(super) attempted_retries: Loose<'a>,
    #[serde(borrow, rename = "x-litellm-attempted-fallbacks")]
    pub(super) attempted_fallbacks: Loose<'a>,
    #[serde(borrow, rename = "request-id")]
    pub(super) request_id: Loose<'a>,
    #[serde(borrow, rename = "llm_provider-request-id")]
    pub(super) provider_request_id: Loose<'a>,
}

/// What only the proxy knows of a request; looked at for being there, and not kept.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) user_api_key_request_route: Loose<'a>,
    #[serde(borrow)]
    pub(super) user_api_key_hash: Loose<'a>,
    #[serde(borrow)]
    pub(super) requester_ip_address: Loose<'a>,
}

/// A value as it lies in the body.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Loose<'a>(#[serde(borrow)] pub(super) Option<&'a RawValue>);

impl<'a> Loose<'a> {
    /// A text or a number as text, if it is not empty.
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        let raw = self.0?.get();
        let text = match raw.as_bytes().first()? {
            b'"' => match serde_json::from_str::<&str>(raw) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => Cow::Owned(serde_json::from_str(raw).ok()?),
            },
            b'0'..=b'9' | b'-' => Cow::Borrowed(raw),
            _ => return None,
        };
        (!text.trim().is_empty()).then_some(text)
    }

    /// The head of such a text: a message may be as long as a prompt, and all of it is searched.
    pub(super) fn owned(&self) -> Option<String> {
        self.text().map(|text| head(&text).to_owned())
    }

    pub(super) fn number(&self) -> Option<f64> {
        self.text()?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub(super) fn is_true(&self) -> bool {
        self.0.is_some_and(|raw| matches!(raw.get(), "true" | "\"True\"" | "\"true\""))
    }
}
