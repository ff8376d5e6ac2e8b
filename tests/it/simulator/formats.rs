//! The wire formats as a plain client speaks them, and what it sees of an answer.

use brownout::domain::classify::{Reply, Transport, classify};
use brownout::domain::outcome::Class;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::frames;

/// More of an answer than this is not read, as by a probe.
const READ_BYTES_MAX: usize = 256 * 1024;

/// How a client of one format asks.
pub(super) struct Format {
    pub(super) name: &'static str,
    pub(super) provider: &'static str,
    /// What classification calls the format.
    dialect: &'static str,
    /// Where to ask for a whole answer, and for a stream.
    paths: [&'static str; 2],
    key: (&'static str, &'static str),
    body: fn(bool) -> Value,
}

/// A signature of the right form; there is nobody who could check more of it.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-east-1/bedrock/\
     aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=\
     5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

pub(super) const VERTEX: [&str; 2] = [
    "vertex/v1/projects/p/locations/global/publishers/anthropic/models/m:rawPredict",
    "vertex/v1/projects/p/locations/global/publishers/anthropic/models/m:streamRawPredict",
];

pub(super) const FORMATS: [Format; 7] = [
    Format {
        name: "messages",
        provider: "anthropic",
        dialect: "anthropic",
        paths: ["anthropic/v1/messages"; 2],
        key: ("x-api-key", "any"),
        body: |stream| json!({"model": "m", "max_tokens": 64, "messages": [], "stream": stream}),
    },
    Format {
        name: "chat",
        provider: "openai",
        dialect: "openai",
        paths: ["openai/v1/chat/completions"; 2],
        key: ("authorization", "Bearer any"),
        body: |stream| json!({"model": "m", "messages": [], "stream": stream}),
    },
    Format {
        name: "responses",
        provider: "openai",
        dialect: "openai",
        paths: ["openai/v1/responses"; 2],
        key: ("authorization", "Bearer any"),
        body: |stream| json!({"model": "m", "input": ".", "stream": stream}),
    },
    Format {
        name: "azure",
        provider: "azure",
        dialect: "openai",
        paths: ["azure/openai/deployments/m/chat/completions?api-version=2024-10-21"; 2],
        key: ("api-key", "any"),
        body: |stream| json!({"messages": [], "stream": stream}),
    },
    Format {
        name: "gemini",
        provider: "gemini",
        dialect: "gemini",
        paths: [
            "gemini/v1beta/models/m:generateContent",
            "gemini/v1beta/models/m:streamGenerateContent?alt=sse",
        ],
        key: ("x-goog-api-key", "any"),
        body: |_| json!({"contents": []}),
    },
    Format {
        name: "vertex",
        provider: "vertex",
        dialect: "anthropic",
        paths: VERTEX,
        key: ("authorization", "Bearer any"),
        body: |stream| {
            let version = "vertex-2023-10-16";
            json!({"anthropic_version": version, "max_tokens": 64, "messages": [],
                   "stream": stream})
        },
    },
    Format {
        name: "bedrock",
        provider: "bedrock",
        dialect: "bedrock",
        paths: ["bedrock/model/m/converse", "bedrock/model/m/converse-stream"],
        key: ("authorization", SIGNATURE),
        body: |_| json!({"messages": []}),
    },
];

impl Format {
    pub(super) fn request(&self, client: &Client, base: &str, stream: bool) -> RequestBuilder {
        let url = format!("{base}/{}", self.paths[usize::from(stream)]);
        let request = client.post(url).header(self.key.0, self.key.1);
        request.header("x-amz-date", "20261125T000000Z").json(&(self.body)(stream))
    }

    pub(super) fn named(name: &str) -> &'static Self {
        FORMATS.iter().find(|format| format.name == name).unwrap()
    }

    /// What of an answer a client sees, in the form that classification takes.
    pub(super) async fn seen(&self, client: &Client, base: &str, stream: bool) -> Seen {
        let mut seen = Seen::default();
        let mut response = match self.request(client, base, stream).send().await {
            Ok(response) => response,
            Err(_) => {
                seen.transport = Some(Transport::ResetBeforeHeaders);
                return seen;
            }
        };
        seen.status = Some(response.status().as_u16());
        let headers = response.headers().iter();
        seen.headers = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => {
                    seen.transport = Some(Transport::ResetMidStream);
                    break;
                }
            }
            if bytes.len() > READ_BYTES_MAX {
                seen.transport = Some(Transport::ClientAbort);
                break;
            }
        }
        let is_binary = seen.header("content-type") == "application/vnd.amazon.eventstream";
        seen.body = if is_binary { frames::text(&bytes).into_bytes() } else { bytes };
        seen
    }
}

/// What was seen of one answer.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    body: Vec<u8>,
    transport: Option<Transport>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(4_000).collect()
    }

    pub(super) fn class(&self, format: &Format, stream: bool) -> Class {
        let is_stream = stream && self.status == Some(200) && !self.is_page();
        let (body, stream) =
            if is_stream { (&[][..], &*self.body) } else { (&*self.body, &[][..]) };
        let verdict = classify(&Reply {
            provider: format.provider,
            dialect: Some(format.dialect),
            status: self.status,
            headers: &self.headers,
            body,
            stream,
            transport: self.transport,
        });
        verdict.class
    }

    fn is_page(&self) -> bool {
        self.header("content-type").starts_with("text/html")
    }
}

/// A client that follows nobody.
pub(super) fn client() -> Client {
    drop(super::client());
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}
