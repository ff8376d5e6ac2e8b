//! Spans of LiteLLM, SDK and proxy: one of a dozen for each call tells of the provider.
//!
//! LiteLLM turns many errors into 500, Anthropic's overload among them, so its 500 is no evidence;
//! the message is.
//!
//! The proxy makes such a span of the first failed try of a call and of its success, as it does for
//! its callback. Spans of LiteLLM in a program do not say whether a router made them, which tells
//! of each try, or the client of OpenAI below, which hides its own.

use crate::intake::litellm::replay_key;
use crate::intake::sighting::{Basis, Ending, Ignored, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{gen_ai_sighting, ids, ignored, owned, seen};

pub(super) fn read(record: &Record) -> Option<Reading> {
    if &*record.scope != "litellm" {
        return None;
    }
    let attributes = &record.attributes;
    let model = attributes.text(&["litellm.provider.model", "gen_ai.request.model"]);
    if model.is_none() || record.name == "raw_gen_ai_request" {
        return ignored(Ignored::Wrapper);
    }
    // The route at the proxy that was called: nothing else has one.
    let basis = match attributes.text(&["metadata.user_api_key_request_route"]) {
        Some(_) => Basis::Attempt,
        None => Basis::Operation,
    };
    let call = attributes.text(&["litellm.call_id"]);
    let sighting = gen_ai_sighting(record, Layer::LiteLlmSpan, basis);
    let started = Some((record.started_ns + 500) / 1_000).filter(|_| record.started_ns > 0);
    let has_failed = matches!(sighting.ending, Ending::Failed(_));
    let shared = call.zip(started);
    let shared = shared.map(|(call, started)| replay_key(basis, call, has_failed, started));
    let mut request_ids = ids(record, &["gen_ai.response.id"]);
    // Of a failure it gives the id of the call.
    request_ids.retain(|id| Some(id.as_str()) != call);
    let mut sighting = Sighting {
        // The deployment, not the name of the group that callers use.
        model: owned(model),
        call: owned(call),
        request_ids,
        replay_key: shared.or(sighting.replay_key),
        ..sighting
    };
    if let Ending::Failed(evidence) = &mut sighting.ending {
        evidence.status.take_if(|status| *status == 500);
        evidence.in_stream = false;
    }
    seen(sighting)
}
