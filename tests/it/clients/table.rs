//! What each client lets the daemon know: the table that is tested, and its words for the
//! documentation.

use std::fmt::Write;

use serde_json::{Value, json};

use super::check;

/// One client and what the health document must say after it made its calls.
pub(super) struct Client {
    /// What it is called in the documentation.
    pub(super) name: &'static str,
    /// The file in `tests/clients`.
    pub(super) program: &'static str,
    /// What it asks.
    pub(super) target: &'static str,
    /// What the health document calls who tells of attempts.
    pub(super) attempts_by: &'static str,
    /// What it calls who tells of operations.
    pub(super) operations_by: &'static str,
    /// What it meets.
    pub(super) weather: Shares,
    /// Whether its requests say which retry they are (`x-stainless-retry-count`).
    pub(super) numbers_retries: bool,
    /// What is known of attempts.
    pub(super) attempts: Attempts,
    /// What is known of operations.
    pub(super) operations: Operations,
    /// What is known of the attempts before the last of an operation.
    pub(super) retries: Retries,
}

/// How many of the requests fail, and how.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    pub(super) overloaded: f64,
    pub(super) unavailable: f64,
    pub(super) rate_limited: f64,
    pub(super) stream_overloaded: f64,
    /// Whether so many fail that calls fail after their retries.
    pub(super) is_bad: bool,
}

/// What is known of attempts.
#[derive(Clone, Copy)]
pub(super) enum Attempts {
    /// They are the ledger's, class by class.
    Equal,
    /// The same, but of overload that a retry followed only the status is known, which is 503.
    RetriedOverloadIsUnavailable,
    /// The same, but what failed inside a stream looks well.
    StreamFailuresAreOk,
    /// None is told of.
    Nothing,
}

/// What is known of operations.
#[derive(Clone, Copy)]
pub(super) enum Operations {
    /// They are the caller's, class by class.
    Equal,
    /// The same, but what failed inside a stream looks well.
    StreamFailuresAreOk,
    /// The same, but what failed inside a stream is not told of.
    StreamFailuresAreMissing,
    /// None is told of.
    Nothing,
}

/// What is known of the attempts before the last.
#[derive(Clone, Copy)]
pub(super) enum Retries {
    /// Everything: they are attempts of their own.
    Told,
    /// How many there were.
    Counted,
    /// Everything by one layer, how many there were by the other.
    ToldAndCounted,
    /// Nothing.
    Hidden,
}

impl Client {
    /// What the health document must say of the sources, but for the time.
    pub(super) fn coverage(&self) -> Value {
        let attempts = (!matches!(self.attempts, Attempts::Nothing))
            .then(|| covered(self.attempts_by, "attempt"));
        let operations = (!matches!(self.operations, Operations::Nothing))
            .then(|| covered(self.operations_by, "operation"));
        attempts.into_iter().chain(operations).collect()
    }
}

/// What a layer lets the daemon see.
fn covered(layer: &str, basis: &str) -> Value {
    let (retries_of_calls, stream_failures) = match layer {
        "report" => ("told", true),
        "anthropic_sdk" => ("counted", true),
        "gen_ai" | "open_inference" => ("hidden", true),
        "vercel_ai" => ("told", false),
        "open_llmetry" => ("hidden", false),
        _ => panic!("{layer} has no row yet"),
    };
    let retries = if basis == "attempt" { "told" } else { retries_of_calls };
    json!({
        "layer": layer,
        "basis": basis,
        "retries": retries,
        "stream_failures": stream_failures,
        "can_clear": stream_failures && retries != "hidden",
    })
}

impl Attempts {
    const fn words(self) -> &'static str {
        match self {
            Self::Equal => "equal the ledger",
            Self::RetriedOverloadIsUnavailable => {
                "equal the ledger, overload before a retry as `unavailable`"
            }
            Self::StreamFailuresAreOk => "equal the ledger, failures inside streams as `ok`",
            Self::Nothing => "none",
        }
    }
}

impl Operations {
    const fn words(self) -> &'static str {
        match self {
            Self::Equal => "equal the caller's",
            Self::StreamFailuresAreOk => "equal the caller's, failures inside streams as `ok`",
            Self::StreamFailuresAreMissing => "equal the caller's, failures inside streams missing",
            Self::Nothing => "none",
        }
    }
}

impl Retries {
    const fn words(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Counted => "counted, class unknown",
            Self::ToldAndCounted => "told, and counted by the spans",
            Self::Hidden => "hidden",
        }
    }
}

/// The table as Markdown.
pub(super) fn markdown(clients: &[Client]) -> String {
    let mut table = "| client | attempts by class | operations by class | attempts before the \
                     last |\n|---|---|---|---|\n"
        .to_owned();
    for Client { name, attempts, operations, retries, .. } in clients {
        let (attempts, operations) = (attempts.words(), operations.words());
        writeln!(table, "| {name} | {attempts} | {operations} | {} |", retries.words()).unwrap();
    }
    table
}

/// The rows, and a test for each.
macro_rules! clients {
    ($($test:ident: $client:expr;)*) => {
        /// Every client that is tested.
        pub(super) const CLIENTS: &[Client] = &[$($client),*];

        $(#[tokio::test]
        async fn $test() {
            check(&$client).await;
        })*
    };
}

const FAIR: Shares = Shares {
    overloaded: 0.03,
    unavailable: 0.02,
    rate_limited: 0.02,
    stream_overloaded: 0.01,
    is_bad: false,
};

const BAD: Shares = Shares {
    overloaded: 0.5,
    unavailable: 0.2,
    rate_limited: 0.1,
    stream_overloaded: 0.05,
    is_bad: true,
};

/// Tells of every attempt by itself.
const REPORTER: Client = Client {
    name: "",
    program: "",
    target: "anthropic/m",
    attempts_by: "report",
    operations_by: "",
    weather: FAIR,
    numbers_retries: true,
    attempts: Attempts::Equal,
    operations: Operations::Nothing,
    retries: Retries::Told,
};

/// Tells of the caller's calls only.
const SPANS: Client = Client {
    attempts_by: "",
    operations_by: "gen_ai",
    attempts: Attempts::Nothing,
    operations: Operations::Equal,
    retries: Retries::Hidden,
    ..REPORTER
};

/// The Anthropic SDK's own spans tell how many attempts there were.
const NATIVE: Client =
    Client { operations_by: "anthropic_sdk", retries: Retries::Counted, ..SPANS };

/// The spans of the HTTP client below tell of each attempt.
const NATIVE_AND_HTTP: Client = Client {
    attempts_by: "anthropic_sdk",
    attempts: Attempts::Equal,
    retries: Retries::Told,
    ..NATIVE
};

/// The same below OpenTelemetry's instrumentation.
const GENAI_AND_HTTP: Client =
    Client { attempts_by: "gen_ai", attempts: Attempts::Equal, retries: Retries::Told, ..SPANS };

clients! {
    python_reporter_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python) with `clients/python`",
        program: "anthropic_reporter.py",
        ..REPORTER
    };
    python_reporter_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Python) with `clients/python`",
        program: "openai_reporter.py",
        target: "openai/m",
        ..REPORTER
    };
    node_reporter_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Node.js) with `clients/typescript`",
        program: "anthropic_reporter.js",
        ..REPORTER
    };
    node_reporter_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Node.js) with `clients/typescript`",
        program: "openai_reporter.js",
        target: "openai/m",
        ..REPORTER
    };
    node_reporter_of_the_ai_sdk: Client {
        name: "AI SDK with `@ai-sdk/anthropic` and `clients/typescript`",
        program: "ai_sdk_reporter.js",
        numbers_retries: false,
        ..REPORTER
    };
    spans_of_the_ai_sdk: Client {
        name: "AI SDK with `@ai-sdk/anthropic`, `experimental_telemetry`",
        program: "ai_sdk_spans.js",
        attempts_by: "vercel_ai",
        numbers_retries: false,
        attempts: Attempts::StreamFailuresAreOk,
        ..REPORTER
    };
    spans_of_the_ai_sdk_beside_those_of_undici: Client {
        name: "AI SDK with `@ai-sdk/anthropic`, `experimental_telemetry` and spans of undici",
        program: "ai_sdk_undici.js",
        attempts_by: "vercel_ai",
        numbers_retries: false,
        attempts: Attempts::StreamFailuresAreOk,
        ..REPORTER
    };
    spans_of_the_ai_sdk_with_openai_beside_those_of_undici: Client {
        name: "AI SDK with `@ai-sdk/openai`, `experimental_telemetry` and spans of undici",
        program: "ai_sdk_openai_undici.js",
        target: "openai/m",
        attempts_by: "vercel_ai",
        numbers_retries: false,
        ..REPORTER
    };
    spans_of_the_anthropic_sdk_in_python: Client {
        name: "Anthropic SDK (Python), its own spans",
        program: "anthropic_native.py",
        ..NATIVE
    };
    spans_of_the_anthropic_sdk_in_bad_weather: Client {
        name: "Anthropic SDK (Python), its own spans, bad weather",
        program: "anthropic_native.py",
        weather: BAD,
        ..NATIVE
    };
    spans_of_the_anthropic_sdk_in_node: Client {
        name: "Anthropic SDK (Node.js), its own spans",
        program: "anthropic_native.js",
        ..NATIVE
    };
    spans_of_the_anthropic_sdk_beside_those_of_httpx: Client {
        name: "Anthropic SDK (Python), its own spans and those of httpx2",
        program: "anthropic_native_httpx.py",
        ..NATIVE_AND_HTTP
    };
    spans_of_the_anthropic_sdk_beside_those_of_httpx_in_bad_weather: Client {
        name: "Anthropic SDK (Python), its own spans and those of httpx2, bad weather",
        program: "anthropic_native_httpx.py",
        weather: BAD,
        ..NATIVE_AND_HTTP
    };
    spans_of_the_anthropic_sdk_beside_those_of_undici: Client {
        name: "Anthropic SDK (Node.js), its own spans and those of undici",
        program: "anthropic_native_undici.js",
        ..NATIVE_AND_HTTP
    };
    three_layers_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python), its own spans, OpenLLMetry and httpx2",
        program: "anthropic_three_layers.py",
        ..NATIVE_AND_HTTP
    };
    spans_of_the_anthropic_sdk_beside_the_reporter: Client {
        name: "Anthropic SDK (Python), its own spans and `clients/python`",
        program: "anthropic_native_reporter.py",
        attempts_by: "report",
        attempts: Attempts::Equal,
        retries: Retries::ToldAndCounted,
        ..NATIVE
    };
    genai_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python), opentelemetry genai-anthropic",
        program: "anthropic_genai.py",
        ..SPANS
    };
    genai_of_the_anthropic_sdk_beside_httpx: Client {
        name: "Anthropic SDK (Python), opentelemetry genai-anthropic and httpx2",
        program: "anthropic_genai_httpx.py",
        ..GENAI_AND_HTTP
    };
    genai_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Python), opentelemetry genai-openai",
        program: "openai_genai.py",
        target: "openai/m",
        ..SPANS
    };
    genai_of_the_openai_sdk_beside_httpx: Client {
        name: "OpenAI SDK (Python), opentelemetry genai-openai and httpx2",
        program: "openai_genai_httpx.py",
        target: "openai/m",
        attempts: Attempts::RetriedOverloadIsUnavailable,
        ..GENAI_AND_HTTP
    };
    openinference_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python), OpenInference",
        program: "anthropic_openinference.py",
        operations_by: "open_inference",
        ..SPANS
    };
    openinference_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Python), OpenInference",
        program: "openai_openinference.py",
        operations_by: "open_inference",
        target: "openai/m",
        ..SPANS
    };
    openllmetry_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python), OpenLLMetry",
        program: "anthropic_openllmetry.py",
        operations_by: "open_llmetry",
        operations: Operations::StreamFailuresAreMissing,
        ..SPANS
    };
    // It does not make its span the current one, so those of the HTTP client have no parent.
    openllmetry_of_the_anthropic_sdk_beside_httpx: Client {
        name: "Anthropic SDK (Python), OpenLLMetry and httpx2",
        program: "anthropic_openllmetry_httpx.py",
        operations_by: "open_llmetry",
        operations: Operations::StreamFailuresAreMissing,
        ..SPANS
    };
    openllmetry_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Python), OpenLLMetry",
        program: "openai_openllmetry.py",
        operations_by: "open_llmetry",
        target: "openai/m",
        operations: Operations::StreamFailuresAreOk,
        ..SPANS
    };
}
