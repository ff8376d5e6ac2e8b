//! An error in one line, with what caused it.

use std::error::Error;

/// The error's message and those of its causes, parted by colons.
pub fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_cause_is_told_once_and_in_order() {
        let layer = |text, cause| Some(Box::new(Layer(text, cause)));
        assert_eq!(with_causes(&Layer("alone", None)), "alone");
        let error = Layer("no page", layer("no answer", layer("refused", None)));
        assert_eq!(with_causes(&error), "no page: no answer: refused");
    }
}
