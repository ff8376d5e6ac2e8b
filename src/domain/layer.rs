//! The kinds of source that tell of outcomes, and what each of them can see.
//!
//! A source that reports only what went well, or that calls a failure inside a stream a success,
//! would make any target look healthy. What a source cannot see is known by its name, from what
//! the clients really send (`docs/telemetry.md` has the measurements).

/// What an outcome stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// One HTTP exchange with a provider.
    #[default]
    Attempt,
    /// The caller's call with its retries inside: 529, 529, 200 is one success.
    Operation,
}

impl Basis {
    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Operation => "operation",
        }
    }
}

/// What a source tells of the attempts of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retries {
    /// Each attempt by itself.
    Told,
    /// How many there were, not what each of them ended as.
    Counted,
    /// Nothing.
    Hidden,
}

impl Retries {
    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Counted => "counted",
            Self::Hidden => "hidden",
        }
    }
}

/// The layer of a client that told, best first among those of one process: what a lower one says
/// of a call is of no use where a higher one tells of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Our own synthetic probes.
    Probe,
    /// Native reports.
    Report,
    /// Spans that the Anthropic SDKs make themselves.
    AnthropicSdk,
    /// OpenTelemetry's instrumentations for generative AI.
    GenAi,
    /// The Vercel AI SDK.
    VercelAi,
    /// OpenInference.
    OpenInference,
    /// OpenLLMetry.
    OpenLlmetry,
    /// LiteLLM's generic API callback.
    LiteLlmCallback,
    /// LiteLLM's spans.
    LiteLlmSpan,
    /// Events and spans of Claude Code.
    ClaudeCode,
    /// Events of Codex CLI.
    Codex,
    /// Events of Gemini CLI.
    GeminiCli,
    /// Access logs of a proxy.
    AccessLog,
    /// Spans of an HTTP client.
    Http,
}

impl Layer {
    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Report => "report",
            Self::AnthropicSdk => "anthropic_sdk",
            Self::GenAi => "gen_ai",
            Self::VercelAi => "vercel_ai",
            Self::OpenInference => "open_inference",
            Self::OpenLlmetry => "open_llmetry",
            Self::LiteLlmCallback => "litellm_callback",
            Self::LiteLlmSpan => "litellm_span",
            Self::ClaudeCode => "claude_code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini_cli",
            Self::AccessLog => "access_log",
            Self::Http => "http",
        }
    }

    /// What its outcomes on this basis tell of the attempts of a call.
    pub const fn retries(self, basis: Basis) -> Retries {
        match (basis, self) {
            // First attempts, or those that a log has a line of; the others are numbers.
            (Basis::Attempt, Self::LiteLlmCallback | Self::LiteLlmSpan | Self::AccessLog)
            | (Basis::Operation, Self::AnthropicSdk) => Retries::Counted,
            (Basis::Attempt, _) | (Basis::Operation, Self::Report) => Retries::Told,
            (Basis::Operation, _) => Retries::Hidden,
        }
    }

    /// Whether it tells of a failure inside a stream, after the headers said 200.
    pub const fn sees_stream_failures(self) -> bool {
        match self {
            Self::Probe
            | Self::Report
            | Self::AnthropicSdk
            | Self::GenAi
            | Self::OpenInference
            | Self::LiteLlmCallback
            | Self::LiteLlmSpan
            | Self::ClaudeCode
            | Self::Codex
            | Self::GeminiCli => true,
            Self::VercelAi | Self::OpenLlmetry | Self::AccessLog | Self::Http => false,
        }
    }

    /// Whether it lives inside an application's process, where others of its kind may tell of the
    /// same calls.
    pub const fn instruments_a_process(self) -> bool {
        match self {
            Self::AnthropicSdk
            | Self::GenAi
            | Self::VercelAi
            | Self::OpenInference
            | Self::OpenLlmetry => true,
            Self::Probe
            | Self::Report
            | Self::LiteLlmCallback
            | Self::LiteLlmSpan
            | Self::ClaudeCode
            | Self::Codex
            | Self::GeminiCli
            | Self::AccessLog
            | Self::Http => false,
        }
    }

    /// Whether its successes on this basis are evidence that first attempts succeed: it must see
    /// the failures inside streams, and a retry must not hide behind a success.
    pub const fn can_clear(self, basis: Basis) -> bool {
        let sees_retries = match basis {
            Basis::Attempt => true,
            Basis::Operation => !matches!(self.retries(basis), Retries::Hidden),
        };
        self.sees_stream_failures() && sees_retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blind_source_cannot_clear_a_target() {
        for (layer, basis, can_clear) in [
            (Layer::Report, Basis::Attempt, true),
            (Layer::Report, Basis::Operation, true),
            (Layer::AnthropicSdk, Basis::Operation, true),
            (Layer::GenAi, Basis::Operation, false),
            (Layer::LiteLlmCallback, Basis::Attempt, true),
            (Layer::LiteLlmCallback, Basis::Operation, false),
            (Layer::VercelAi, Basis::Attempt, false),
            (Layer::OpenLlmetry, Basis::Operation, false),
            (Layer::Http, Basis::Attempt, false),
        ] {
            assert_eq!(layer.can_clear(basis), can_clear, "{layer:?} {basis:?}");
        }
    }
}
