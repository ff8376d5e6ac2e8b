//! Requests: what is asked, as far as the simulator cares, and why it may be refused.

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::domain::outcome::Class;

/// A request as it came over HTTP.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct Asked<'a> {
    /// The path as sent.
    pub(in crate::simulator) path: &'a str,
    /// What the path names, decoded: a model or deployment, and what is asked of it.
    pub(in crate::simulator) place: &'a str,
    /// What follows the question mark.
    pub(in crate::simulator) query: &'a str,
    /// The headers.
    pub(in crate::simulator) headers: &'a HeaderMap,
    /// The body.
    pub(in crate::simulator) body: &'a [u8],
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Request {
    /// The model, as sent.
    pub(in crate::simulator) model: String,
    /// Whether the answer is to be streamed.
    pub(in crate::simulator) stream: bool,
    /// Whether a stream is to end with a chunk of usage (`stream_options.include_usage`).
    pub(super) include_usage: bool,
    /// Whether a stream is to be a JSON array instead of events.
    pub(super) as_array: bool,
    /// Most tokens to answer with.
    pub(super) tokens_max: u64,
    /// Tokens that the model spends on thoughts before it says anything.
    pub(super) thoughts: u64,
    /// A rough count of the tokens sent.
    pub(super) input_tokens: u64,
}

/// A request or why it is refused, and the model if one was named.
pub(in crate::simulator) type Reading = (Result<Request, Refusal>, Option<String>);

/// Why a request is refused before any weather applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Refusal {
    /// No key was sent.
    NoKey,
    /// The body is no JSON object.
    NotJson,
    /// A required field is missing or of the wrong type.
    Field(&'static str),
    /// A field that does not belong here.
    Extra(&'static str),
    /// A number is below the least allowed.
    TooSmall(&'static str, u64),
    /// The path or its query names nothing that could be asked.
    NoSuchCall,
    /// The model is not in the scenario.
    NoSuchModel(String),
    /// The body is larger than the server reads.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
}

impl Refusal {
    /// What a right classifier calls it.
    pub(in crate::simulator) const fn class(&self) -> Class {
        match self {
            Self::NoKey => Class::Auth,
            Self::TooSlow => Class::Timeout,
            Self::NotJson
            | Self::Field(_)
            | Self::Extra(_)
            | Self::TooSmall(..)
            | Self::NoSuchCall
            | Self::NoSuchModel(_)
            | Self::TooLarge => Class::InvalidRequest,
        }
    }

    /// A sentence about it, for formats without words of their own.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::NoKey => "No credential was sent.".to_owned(),
            Self::NotJson => "The request body is not valid JSON.".to_owned(),
            Self::Field(name) => format!("{name}: Field required"),
            Self::Extra(name) => format!("{name}: Extra inputs are not permitted"),
            Self::TooSmall(name, least) => format!("{name}: must be at least {least}"),
            Self::NoSuchCall => "Not found".to_owned(),
            Self::NoSuchModel(model) => format!("model: {model}"),
            Self::TooLarge => "Request exceeds the maximum size".to_owned(),
            Self::TooSlow => "Request timeout".to_owned(),
        }
    }
}

impl Asked<'_> {
    /// The body as a JSON object.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Refusal> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) | Err(_) => Err(Refusal::NotJson),
        }
    }

    /// A plain request for this model; the format adds what its body says.
    pub(super) fn request(&self, model: &str) -> Request {
        Request {
            model: model.to_owned(),
            stream: false,
            include_usage: false,
            as_array: false,
            tokens_max: u64::MAX,
            thoughts: 0,
            // Four bytes a token is the usual rule of thumb.
            input_tokens: (self.body.len() as u64 / 4).max(1),
        }
    }

    /// Whether a header holds a key.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.header(name).is_some_and(|value| !value.trim().is_empty())
    }

    /// Whether a key is sent as a bearer.
    pub(super) fn has_bearer(&self) -> bool {
        let Some((scheme, key)) = self.header("authorization").and_then(|it| it.split_once(' '))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty()
    }

    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query, as sent.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Reads a body that names its model; `rest` reads the other fields.
pub(super) fn named_in_body(
    asked: &Asked<'_>,
    rest: impl FnOnce(&Map<String, Value>, Request) -> Result<Request, Refusal>,
) -> Reading {
    let object = match asked.object() {
        Ok(object) => object,
        Err(refusal) => return (Err(refusal), None),
    };
    let model = object.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    match model {
        None => (Err(Refusal::Field("model")), None),
        Some(model) => (rest(&object, asked.request(model)), Some(model.to_owned())),
    }
}

/// Reads a body whose model the path has named.
pub(super) fn named_in_path(
    asked: &Asked<'_>,
    model: &str,
    rest: impl FnOnce(&Map<String, Value>, Request) -> Result<Request, Refusal>,
) -> Reading {
    let request = asked.object().and_then(|object| rest(&object, asked.request(model)));
    (request, Some(model.to_owned()))
}

/// Whether a field is there and an array.
pub(super) fn array(object: &Map<String, Value>, name: &'static str) -> Result<(), Refusal> {
    object.get(name).filter(|value| value.is_array()).map(|_| ()).ok_or(Refusal::Field(name))
}

/// Whether a field is there and true.
pub(super) fn is_true(object: &Map<String, Value>, name: &str) -> bool {
    object.get(name) == Some(&Value::Bool(true))
}
