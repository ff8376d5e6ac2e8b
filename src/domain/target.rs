//! Who serves and what is served: the names that every count is kept under.

use std::fmt;
use std::sync::Arc;

/// Longest provider or model name accepted, in bytes: a label, not a text.
pub const NAME_BYTES_MAX: usize = 128;

/// The model name that collects everything over the cap on targets. It never drives a state.
pub const OTHER: &str = "other";

/// Why a name cannot be a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing left after trimming.
    #[error("is empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("is longer than {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// Holds a control character, white space, or a bidirectional override.
    #[error("holds white space or a control character")]
    Unprintable,
}

/// The serving side: `anthropic`, `bedrock`, `openrouter`. Lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Provider(Arc<str>);

/// A model's canonical name, for example `claude-opus-4-7`. It may contain `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Model(Arc<str>);

impl Provider {
    /// Checks a provider's name and lower-cases it.
    ///
    /// # Errors
    /// [`NameError`] when the name cannot be a label.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let name = check(name)?;
        if name.contains('/') {
            return Err(NameError::Unprintable);
        }
        Ok(Self(name.to_lowercase().into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Model {
    /// Checks a model's name; it is kept as given, normalisation is a step before this.
    ///
    /// # Errors
    /// [`NameError`] when the name cannot be a label.
    pub fn new(name: &str) -> Result<Self, NameError> {
        Ok(Self(check(name)?.into()))
    }

    /// The overflow model.
    pub fn other() -> Self {
        Self(OTHER.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One (provider, model): the unit of states and series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Who serves.
    pub provider: Provider,
    /// What is served.
    pub model: Model,
}

impl Target {
    /// Pairs the two names.
    pub fn new(provider: Provider, model: Model) -> Self {
        Self { provider, model }
    }

    /// Splits `provider/model` at the first slash (a model may hold more of them).
    ///
    /// # Errors
    /// [`NameError`] when there is no slash or a half cannot be a label.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (provider, model) = text.split_once('/').ok_or(NameError::Empty)?;
        Ok(Self::new(Provider::new(provider)?, Model::new(model)?))
    }

    /// Whether this is a provider's overflow series, which never drives a state.
    pub fn is_other(&self) -> bool {
        self.model.as_str() == OTHER
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// Trims and checks what every label must satisfy.
fn check(name: &str) -> Result<&str, NameError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    if name.chars().any(is_unprintable) {
        return Err(NameError::Unprintable);
    }
    Ok(name)
}

/// Control characters, any white space, and the invisible direction and joining marks of Unicode
/// that make two different labels look alike.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_splits_at_the_first_slash() {
        let target = Target::parse("OpenRouter/anthropic/claude-opus-4-7").unwrap();
        assert_eq!(target.provider.as_str(), "openrouter");
        assert_eq!(target.model.as_str(), "anthropic/claude-opus-4-7");
        assert_eq!(target.to_string(), "openrouter/anthropic/claude-opus-4-7");
    }

    #[test]
    fn names_that_cannot_be_labels_are_refused() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for (name, error) in [
            ("", NameError::Empty),
            ("   ", NameError::Empty),
            ("a b", NameError::Unprintable),
            ("a\u{202e}b", NameError::Unprintable),
            ("a\nb", NameError::Unprintable),
            (long.as_str(), NameError::TooLong),
        ] {
            assert_eq!(Model::new(name), Err(error), "{name:?}");
        }
        assert_eq!(Provider::new("a/b"), Err(NameError::Unprintable));
    }
}
