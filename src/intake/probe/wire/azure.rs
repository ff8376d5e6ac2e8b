//! Azure OpenAI: chat completions under a deployment's name.
//!
//! Two APIs serve them (learn.microsoft.com/azure/ai-foundry/openai/reference and
//! …/api-version-lifecycle). The dated one has the deployment in the path and the version in the
//! query; its last version that is not a preview is 2024-10-21, which knows `stream_options` but
//! neither `max_completion_tokens` nor `reasoning_effort`. The newer one, `/openai/v1`, is OpenAI's
//! own with the deployment as the model, and needs no version. Which of them is meant is said by
//! the base URL. Events are OpenAI's; the first one has no choice but the filter's verdict on the
//! prompt, which is no content.

use serde_json::Value;

use super::openai_chat::{self, ChatCompletions};
use super::{Answer, Place, Progress, Wire, join, segment};

/// The last dated version that is not a preview.
const VERSION: &str = "2024-10-21";

/// Deployments of OpenAI models.
pub(super) struct Deployments;

impl Wire for Deployments {
    /// The base URL may be given with or without `/openai`, as people write both.
    fn url(&self, place: &Place<'_>) -> String {
        let base_url = place.base_url.trim_end_matches('/');
        if base_url.ends_with("/openai/v1") {
            let version = place.api_version.map(|version| format!("?api-version={version}"));
            return join(base_url, &format!("chat/completions{}", version.unwrap_or_default()));
        }
        let resource = base_url.strip_suffix("/openai").unwrap_or(base_url);
        let deployment = segment(place.wire_model);
        let version = place.api_version.unwrap_or(VERSION);
        let path = format!("openai/deployments/{deployment}/chat/completions");
        join(resource, &format!("{path}?api-version={version}"))
    }

    fn body(&self, wire_model: &str) -> Value {
        ChatCompletions.body(wire_model)
    }

    fn fixed(&self) -> &'static [&'static str] {
        ChatCompletions.fixed()
    }

    fn token_limits(&self) -> &'static [&'static str] {
        ChatCompletions.token_limits()
    }

    fn read(&self, name: &str, data: &str, progress: &mut Progress) {
        openai_chat::read(name, data, progress);
    }

    fn answer(&self, document: &Value, progress: &mut Progress) -> Answer {
        openai_chat::answer(document, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_says_which_api_is_meant() {
        let resource = "https://r.openai.azure.com";
        let dated = format!("{resource}/openai/deployments/d%2Fx/chat/completions?api-version=");
        let v1 = format!("{resource}/openai/v1/chat/completions");
        for (path, api_version, expected) in [
            ("", None, format!("{dated}2024-10-21")),
            ("/", None, format!("{dated}2024-10-21")),
            ("/openai", Some("2025-04-01-preview"), format!("{dated}2025-04-01-preview")),
            ("/openai/v1", None, v1.clone()),
            ("/openai/v1/", Some("preview"), format!("{v1}?api-version=preview")),
        ] {
            let base_url = &*format!("{resource}{path}");
            let url = Deployments.url(&Place { base_url, wire_model: "d/x", api_version });
            assert_eq!(url, expected);
        }
    }

    #[test]
    fn the_filters_verdict_on_the_prompt_is_no_content() {
        let mut progress = Progress::default();
        let first = r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#;
        Deployments.read("", first, &mut progress);
        assert_eq!(progress, Progress::default());
    }
}
