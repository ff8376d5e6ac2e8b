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
    /// Holds a control character, white space, or a mark that controls direction.
    #[error("holds white space or a control character")]
    Unprintable,
    /// Holds a character that is not seen, so that two different labels look alike.
    #[error("holds an invisible character")]
    Invisible,
    /// A provider's name with a slash, which ends it in `provider/model`.
    #[error("holds a slash")]
    Slash,
    /// A model's name that no path could end in.
    #[error("begins or ends with a slash")]
    EdgeSlash,
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
            return Err(NameError::Slash);
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
    /// [`NameError`] when the name cannot be a label, or not the end of a path.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let name = check(name)?;
        if name.starts_with('/') || name.ends_with('/') {
            return Err(NameError::EdgeSlash);
        }
        Ok(Self(name.into()))
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
    if name.chars().any(is_invisible) {
        return Err(NameError::Invisible);
    }
    Ok(name)
}

/// Control characters, any white space, and Unicode's direction marks.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
        )
}

/// Joining marks, fillers, variation selectors and tags, which leave no trace on a dashboard.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2065}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e007f}'
            | '\u{e0100}'..='\u{e01ef}'
    )
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
            ("/", NameError::EdgeSlash),
            ("//", NameError::EdgeSlash),
            ("/a", NameError::EdgeSlash),
            ("a/ ", NameError::EdgeSlash),
            (long.as_str(), NameError::TooLong),
        ] {
            assert_eq!(Model::new(name), Err(error), "{name:?}");
        }
        assert_eq!(Provider::new("a/b"), Err(NameError::Slash));
        assert_eq!(Target::parse("p//"), Err(NameError::EdgeSlash));
        assert!(Model::new("a/b").is_ok());
    }

    #[test]
    fn characters_that_are_not_seen_are_refused() {
        for c in [
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{17b5}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{e0000}',
            '\u{e0041}',
            '\u{e007f}',
            '\u{e0100}',
        ] {
            let name = format!("claude{c}-opus");
            assert_eq!(Model::new(&name), Err(NameError::Invisible), "{name:?}");
            assert_eq!(Provider::new(&name), Err(NameError::Invisible), "{name:?}");
        }
        for c in ['\u{61c}', '\u{200e}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{a0}'] {
            let name = format!("claude{c}-opus");
            assert_eq!(Model::new(&name), Err(NameError::Unprintable), "{name:?}");
        }
        for name in ["modèle", "通义千问", "й", "모델"] {
            assert!(Model::new(name).is_ok(), "{name}");
        }
    }
}
