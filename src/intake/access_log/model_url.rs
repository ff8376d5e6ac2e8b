//! The model in a URL, where an API has it there.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parts of a path that a model follows: Gemini and Vertex AI, Bedrock, Azure OpenAI.
const BEFORE: [&str; 3] = ["/models/", "/model/", "/deployments/"];

/// The model named in a path or URL. A path that ends with the name asks for the model's
/// description and calls nothing.
pub(super) fn model(url: &str) -> Option<Cow<'_, str>> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    BEFORE.iter().find_map(|before| {
        let (_, rest) = path.split_once(before)?;
        let (segment, more) = rest.split_once('/').map_or((rest, None), |(s, m)| (s, Some(m)));
        let name = match more {
            Some(_) => segment,
            // The action is behind the last colon: `gemini-3-pro:generateContent`.
            None => segment.rsplit_once(':')?.0,
        };
        let name = percent_decode_str(name).decode_utf8().ok()?;
        (!name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_model_is_found_where_each_api_has_it() {
        for (url, expected) in [
            ("/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse", Some("gemini-3-pro")),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4-7:rawPredict",
                Some("claude-opus-4-7"),
            ),
            (
                "/model/anthropic.claude-opus-4-7-v1%3A0/converse-stream",
                Some("anthropic.claude-opus-4-7-v1:0"),
            ),
            ("https://x.openai.azure.com/openai/deployments/prod/chat/completions", Some("prod")),
            ("/v1/messages", None),
            ("/v1/models", None),
            ("/v1/models/gpt-5.5", None),
            ("/v1/models/:x", None),
        ] {
            assert_eq!(super::model(url).as_deref(), expected, "{url}");
        }
    }
}
