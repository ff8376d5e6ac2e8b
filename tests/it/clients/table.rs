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
    /// What the health document calls its kind of source.
    pub(super) source: &'static str,
    /// Whether its requests say which retry they are (`x-stainless-retry-count`).
    pub(super) numbers_retries: bool,
    /// What is known of attempts.
    pub(super) attempts: Attempts,
    /// What is known of operations.
    pub(super) operations: Operations,
    /// What is known of the attempts before the last of an operation.
    pub(super) retries: Retries,
}

/// What is known of attempts.
#[derive(Clone, Copy)]
pub(super) enum Attempts {
    /// They are the ledger's, class by class.
    Equal,
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
    /// Nothing.
    Hidden,
}

impl Client {
    /// What the health document must say of the source, but for the time.
    pub(super) fn coverage(&self) -> Value {
        let is_attempt = !matches!(self.attempts, Attempts::Nothing);
        let stream_failures = matches!(self.attempts, Attempts::Equal)
            || matches!(self.operations, Operations::Equal);
        let retries = self.retries.words().split(',').next();
        let shows_retries = is_attempt || !matches!(self.retries, Retries::Hidden);
        json!([{
            "source": self.source,
            "basis": if is_attempt { "attempt" } else { "operation" },
            "retries": retries,
            "stream_failures": stream_failures,
            "can_clear": stream_failures && shows_retries,
        }])
    }
}

impl Attempts {
    const fn words(self) -> &'static str {
        match self {
            Self::Equal => "equal the ledger",
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

/// Tells of every attempt by itself.
const REPORTER: Client = Client {
    name: "",
    program: "",
    target: "anthropic/m",
    source: "report",
    numbers_retries: true,
    attempts: Attempts::Equal,
    operations: Operations::Nothing,
    retries: Retries::Told,
};

/// Tells of the caller's calls only.
const SPANS: Client = Client {
    source: "gen_ai",
    attempts: Attempts::Nothing,
    operations: Operations::Equal,
    retries: Retries::Hidden,
    ..REPORTER
};

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
        source: "vercel_ai",
        numbers_retries: false,
        attempts: Attempts::StreamFailuresAreOk,
        ..REPORTER
    };
    spans_of_the_anthropic_sdk_in_python: Client {
        name: "Anthropic SDK (Python), its own spans",
        program: "anthropic_native.py",
        source: "anthropic_sdk",
        retries: Retries::Counted,
        ..SPANS
    };
    spans_of_the_anthropic_sdk_in_node: Client {
        name: "Anthropic SDK (Node.js), its own spans",
        program: "anthropic_native.js",
        source: "anthropic_sdk",
        retries: Retries::Counted,
        ..SPANS
    };
    // The spans of httpx tell of every attempt and of no model: they are left out as `no_model`
    // until they are joined to the SDK's span around them.
    spans_of_the_anthropic_sdk_beside_those_of_httpx: Client {
        name: "Anthropic SDK (Python), its own spans and those of httpx2",
        program: "anthropic_native_httpx.py",
        source: "anthropic_sdk",
        retries: Retries::Counted,
        ..SPANS
    };
    genai_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python), opentelemetry genai-anthropic",
        program: "anthropic_genai.py",
        ..SPANS
    };
    genai_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Python), opentelemetry genai-openai",
        program: "openai_genai.py",
        target: "openai/m",
        ..SPANS
    };
    openinference_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python), OpenInference",
        program: "anthropic_openinference.py",
        source: "open_inference",
        ..SPANS
    };
    openinference_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Python), OpenInference",
        program: "openai_openinference.py",
        source: "open_inference",
        target: "openai/m",
        ..SPANS
    };
    openllmetry_of_the_anthropic_sdk: Client {
        name: "Anthropic SDK (Python), OpenLLMetry",
        program: "anthropic_openllmetry.py",
        source: "open_llmetry",
        operations: Operations::StreamFailuresAreMissing,
        ..SPANS
    };
    openllmetry_of_the_openai_sdk: Client {
        name: "OpenAI SDK (Python), OpenLLMetry",
        program: "openai_openllmetry.py",
        source: "open_llmetry",
        target: "openai/m",
        operations: Operations::StreamFailuresAreOk,
        ..SPANS
    };
}
