//! Every dialect, on real sockets: what is asked, and every way in which it can be answered.

use brownout::domain::outcome::Class;
use brownout::ground::catalog::Dialect;
use serde_json::Value;

use super::fake::{ANTHROPIC, Act, CONTENT, KEY, START, STOP, Scene, response, stream};

/// Replies as providers send them, with the class each should get.
const CASES: &str = include_str!("../../data/errors/cases.jsonl");

const JSON: &str = "content-type: application/json\r\n";

const RESPONSES: Scene =
    Scene { dialect: Dialect::OpenAiResponses, provider: "openai", ..ANTHROPIC };
const GEMINI: Scene = Scene { dialect: Dialect::Gemini, provider: "gemini", ..ANTHROPIC };
const AZURE: Scene = Scene { dialect: Dialect::Azure, provider: "azure", ..ANTHROPIC };
const VERTEX: Scene = Scene { dialect: Dialect::VertexAnthropic, provider: "vertex", ..ANTHROPIC };

/// A dialect's smallest stream, in parts: what comes before the first content, the content, the
/// end; and the same as one document.
struct Script {
    scene: Scene,
    begin: &'static str,
    content: &'static str,
    end: &'static str,
    whole: &'static str,
    /// An error inside the stream that means an overload.
    overloaded: &'static str,
    /// The request line and the key's header, in lower case.
    asked: [&'static str; 2],
}

const SCRIPTS: [Script; 4] = [
    Script {
        scene: RESPONSES,
        begin: "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\
                \"status\":\"in_progress\",\"error\":null}}\n\n\
                data: {\"type\":\"response.in_progress\",\"response\":{}}\n\n",
        content: "data: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n",
        end: "event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"response\":{\
              \"status\":\"incomplete\",\"error\":null,\
              \"incomplete_details\":{\"reason\":\"max_output_tokens\"},\
              \"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n",
        whole: "{\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"output\":[],\
                \"usage\":{\"input_tokens\":10,\"output_tokens\":1}}",
        overloaded: "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\
                     \"status\":\"failed\",\"error\":{\"code\":\"server_is_overloaded\",\
                     \"message\":\"x\"}}}\n\n",
        asked: ["post /responses http/1.1\r\n", "authorization: bearer "],
    },
    Script {
        scene: GEMINI,
        begin: "data: {\"candidates\":[{\"content\":{\"role\":\"model\"}}]}\r\n\r\n",
        content: "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}],\
                  \"usageMetadata\":{\"promptTokenCount\":10}}\r\n\r\n",
        end: "data: {\"candidates\":[{\"finishReason\":\"MAX_TOKENS\"}],\
              \"usageMetadata\":{\"promptTokenCount\":10,\"thoughtsTokenCount\":1}}\r\n\r\n",
        whole: "[{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":\
                {\"promptTokenCount\":10,\"candidatesTokenCount\":1}}]",
        overloaded: "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"The model is \
                     overloaded. Please try again later.\",\n    \"status\": \"UNAVAILABLE\"\n  }\
                     \n}\n",
        asked: [
            "post /v1beta/models/m:streamgeneratecontent?alt=sse http/1.1\r\n",
            "x-goog-api-key: ",
        ],
    },
    Script {
        scene: AZURE,
        begin: "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n\
                data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        content: "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n",
        end: "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n\
              data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1}}\n\n\
              data: [DONE]\n\n",
        whole: "{\"choices\":[{\"finish_reason\":\"length\"}],\
                \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1}}",
        overloaded: "data: {\"error\":{\"code\":\"429\",\"message\":\"The system is currently \
                     experiencing high demand and cannot process your request.\"}}\n\n",
        asked: [
            "post /openai/deployments/m/chat/completions?api-version=2024-10-21 http/1.1\r\n",
            "api-key: ",
        ],
    },
    Script {
        scene: VERTEX,
        begin: START,
        content: CONTENT,
        end: STOP,
        whole: "{\"type\":\"message\",\"content\":[],\"stop_reason\":\"max_tokens\",\
                \"usage\":{\"input_tokens\":10,\"output_tokens\":1}}",
        overloaded: "event: error\ndata: {\"type\":\"error\",\"error\":{\
                     \"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        asked: [
            "post /publishers/anthropic/models/m:streamrawpredict http/1.1\r\n",
            "authorization: bearer ",
        ],
    },
];

#[tokio::test]
async fn each_dialect_asks_in_its_own_way() {
    for Script { scene, end, asked, .. } in SCRIPTS {
        let (report, request) = scene.seen(&stream(&[end])).await;
        assert_eq!(report.class, Class::Ok, "{report:?}");
        let request = request.to_ascii_lowercase();
        let key = format!("{}{}\r\n", asked[1], KEY.to_ascii_lowercase());
        for part in [asked[0], &key, "accept: application/json, text/event-stream\r\n"] {
            assert!(request.contains(part), "{part} is missing in {request}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_token_is_the_first_content_in_every_dialect() {
    let pause = std::time::Duration::from_secs(3);
    for Script { scene, begin, content, end, .. } in SCRIPTS {
        let mut acts = stream(&[begin]);
        acts.push(Act::Pause(pause));
        acts.push(super::fake::send(content));
        acts.push(Act::Pause(pause));
        acts.push(super::fake::send(end));
        let report = scene.report(&acts).await;
        assert_eq!(report.class, Class::Ok, "{begin}: {report:?}");
        let (ttfb, ttft) = (report.ttfb.unwrap(), report.ttft.unwrap());
        assert!(ttft >= ttfb + pause, "{begin}: {report:?}");
        assert!(report.total.unwrap() >= ttft + pause, "{begin}: {report:?}");
        assert!((report.cost_usd.unwrap() - 7.5e-5).abs() < 1e-12, "{begin}: {report:?}");

        // A model may spend its one token on a thought that it does not show.
        let report = scene.report(&stream(&[begin, end])).await;
        assert_eq!(report.class, Class::Ok, "{begin}: {report:?}");
        assert_eq!(report.ttft, report.total, "{begin}");
    }
}

#[tokio::test]
async fn each_dialect_is_ok_only_when_complete() {
    for Script { scene, begin, content, end, whole, overloaded, .. } in SCRIPTS {
        let overloaded_json =
            "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";
        for (name, acts, class) in [
            ("a stream", stream(&[begin, content, end]), Class::Ok),
            ("a document", response("200 OK", JSON, whole), Class::Ok),
            ("cut", stream(&[begin, content]), Class::Network),
            ("cut before content", stream(&[begin]), Class::Network),
            ("overload in the stream", stream(&[begin, overloaded]), Class::Overloaded),
            ("after content", stream(&[begin, content, overloaded]), Class::Overloaded),
            ("before", response("503 X", JSON, overloaded_json), Class::Overloaded),
            ("another's document", response("200 OK", JSON, "{\"ok\":true}"), Class::Other),
        ] {
            let report = scene.report(&acts).await;
            assert_eq!(report.class, class, "{begin} {name}: {report:?}");
        }
    }
}

/// The dialects that a recorded reply's provider may be probed in.
fn scenes(provider: &str) -> &'static [Scene] {
    match provider {
        "openai" => &[RESPONSES, super::fake::OPENAI],
        "azure" => &[AZURE],
        "gemini" => &[GEMINI],
        "vertex" => &[VERTEX, GEMINI],
        _ => &[],
    }
}

#[tokio::test]
async fn every_recorded_error_has_its_class_in_the_dialects_of_its_provider() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (class, status) = (case["expected_class"].as_str().unwrap(), &case["http_status"]);
        // A success or a cut depends on the dialect; an error does not.
        if class == "ok" || case["transport"].is_string() || status.is_null() {
            continue;
        }
        let headers: String = case["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
            .collect();
        let texts = ["body", "stream_event"].map(|key| case[key].as_str().unwrap_or_default());
        for scene in scenes(case["provider"].as_str().unwrap()) {
            seen += 1;
            let acts = response(&format!("{status} X"), &headers, &texts.concat());
            let report = scene.report(&acts).await;
            if report.class.as_str() != class {
                let dialect = scene.dialect.as_str();
                wrong.push(format!("{} {dialect}: {} for {class}", case["id"], report.class));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen > 60, "{seen}");
}
