//! What all dialects have in common, and where plain events stand for any.

use super::super::sse::Decoder;
use super::*;

/// Replies as recorded and documented, with the class of each.
const CASES: &str = include_str!("../../../../tests/data/errors/cases.jsonl");

/// The cases of RFC 7396, appendix A, whose patch is an object.
#[test]
fn patches_merge_as_the_rfc_says() {
    for (target, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!(["a", "b"]), json!({"a": "b"}), json!({"a": "b"})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        let mut found = target.clone();
        merge(&mut found, patch.as_object().unwrap());
        assert_eq!(found, expected, "{target} {patch}");
    }
}

/// Names and data of events.
type Events = &'static [(&'static str, &'static str)];

/// Events of good answers, as the providers document them.
const ANTHROPIC: Events = &[
    (
        "message_start",
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",
        "content":[],"model":"m","stop_reason":null,"stop_sequence":null,
        "usage":{"input_tokens":8,"output_tokens":1,"service_tier":"standard"}}}"#,
    ),
    (
        "content_block_start",
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    ),
    ("ping", r#"{"type": "ping"}"#),
    (
        "content_block_delta",
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta",
        "text":"a\n"}}"#,
    ),
    ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
    (
        "message_delta",
        r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},
        "usage":{"output_tokens":1}}"#,
    ),
    ("message_stop", r#"{"type":"message_stop"}"#),
];
const OPENAI: Events = &[
    (
        "",
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{
        "index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,
        "finish_reason":null}],"usage":null}"#,
    ),
    (
        "",
        r#"{"object":"chat.completion.chunk","choices":[{"index":0,
        "delta":{"content":"a\n"}}]}"#,
    ),
    (
        "",
        r#"{"object":"chat.completion.chunk","choices":[{"delta":{},
        "finish_reason":"length"}]}"#,
    ),
    (
        "",
        r#"{"object":"chat.completion.chunk","choices":[],
        "usage":{"prompt_tokens":8,"completion_tokens":1,"prompt_tokens_details":{}}}"#,
    ),
    ("", "[DONE]"),
];

#[test]
fn what_is_plain_is_read_as_if_it_were_not() {
    type Read = fn(&str, &str, &mut Progress);
    let dialects: [(Events, Read, Read); 2] = [
        (ANTHROPIC, anthropic::read, anthropic::read_any),
        (OPENAI, openai_chat::read, openai_chat::read_any),
    ];
    for (events, read, read_any) in dialects {
        let (mut found, mut expected) = (Progress::default(), Progress::default());
        for (index, (name, data)) in events.iter().enumerate() {
            read(name, data, &mut found);
            read_any(name, data, &mut expected);
            expected.plain = index + 1;
            assert_eq!(found, expected, "{data}");
        }
        assert!(found.content && found.terminal && found.usage.output_tokens == Some(1));
    }
}

#[test]
fn an_event_that_says_anything_else_is_not_plain() {
    for (name, data) in [
        ("error", r#"{"type":"ping"}"#),
        ("", r#"{"type":"error"}"#),
        ("", r#"{"type":"ping","error":{"type":"overloaded_error"}}"#),
        ("", r#"{"type":"message_delta","delta":{"stop_reason":"error"}}"#),
        ("", r#"{"type":"message_delta","delta":{"type":"error"}}"#),
        ("", r#"{"type":"content_block_delta","delta":{"error":{"type":"api_error"}}}"#),
        ("", r#"{"type":"ping","code":529,"message":"overloaded"}"#),
        ("error", r#"{"object":"chat.completion.chunk","choices":[]}"#),
        ("error", "[DONE]"),
        ("", r#"{"object":"error","choices":[]}"#),
        ("", r#"{"object":"chat.completion.chunk","choices":[],"error":{"code":503}}"#),
        ("", r#"{"object":"chat.completion.chunk","choices":[{"delta":{},"error":"x"}]}"#),
        (
            "",
            r#"{"object":"chat.completion.chunk","choices":[{"delta":{},
            "finish_reason":"error"}]}"#,
        ),
        (
            "",
            r#"{"object":"chat.completion.chunk","choices":[{"delta":{},
            "native_finish_reason":"overloaded"}]}"#,
        ),
        ("", "no JSON"),
    ] {
        let mut progress = Progress::default();
        anthropic::read(name, data, &mut progress);
        openai_chat::read(name, data, &mut progress);
        assert_eq!(progress.plain, 0, "{name} {data}");
    }
}

#[test]
fn an_empty_text_is_no_content_in_any_dialect() {
    let anthropic = r#"{"type":"content_block_delta","index":0,"delta":"#;
    let openai = r#"{"object":"chat.completion.chunk","choices":[{"delta":"#;
    let gemini = r#"{"candidates":[{"content":{"parts":"#;
    for (dialect, name, head, part, tail) in [
        (Dialect::Anthropic, "", anthropic, r#"{"type":"text_delta","text":"TEXT"}"#, "}"),
        (Dialect::Anthropic, "", anthropic, r#"{"type":"x_delta","thinking":"TEXT"}"#, "}"),
        (Dialect::VertexAnthropic, "", anthropic, r#"{"partial_json":"TEXT"}"#, "}"),
        (Dialect::OpenAiChat, "", openai, r#"{"content":"TEXT"}"#, "}]}"),
        (Dialect::OpenAiChat, "", openai, r#"{"reasoning_content":"TEXT"}"#, "}]}"),
        (Dialect::Azure, "", openai, r#"{"reasoning":"TEXT"}"#, "}]}"),
        (Dialect::OpenAiResponses, "x.delta", r#"{"delta":"#, r#""TEXT""#, "}"),
        (Dialect::Gemini, "", gemini, r#"[{"text":"TEXT","thought":true}]"#, "}}]}"),
        (Dialect::Bedrock, "contentBlockDelta", r#"{"delta":"#, r#"{"text":"TEXT"}"#, "}"),
        (
            Dialect::Bedrock,
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":"#,
            r#"{"reasoningContent":{"text":"TEXT"}}"#,
            "}",
        ),
    ] {
        for text in ["", "a"] {
            let mut progress = Progress::default();
            let data = format!("{head}{}{tail}", part.replace("TEXT", text));
            wire(dialect).read(name, &data, &mut progress);
            assert_eq!(progress.content, !text.is_empty(), "{dialect:?} {data}");
        }
    }
}

#[test]
fn no_recorded_trouble_is_plain() {
    let mut streams = 0;
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let Some(stream) = case["stream_event"].as_str() else { continue };
        streams += 1;
        for wire in [wire(Dialect::Anthropic), wire(Dialect::OpenAiChat)] {
            let mut progress = Progress::default();
            let mut decoder = Decoder::default();
            let mut read = |name: &str, data: &str| {
                wire.read(name, data, &mut progress);
            };
            decoder.feed(stream.as_bytes(), &mut read);
            decoder.finish(&mut read);
            let is_plain = progress.terminal && decoder.events_alone() == Some(progress.plain);
            assert!(!is_plain || case["expected_class"] == "ok", "{line}");
        }
    }
    assert!(streams > 15, "only {streams} streams");
}
