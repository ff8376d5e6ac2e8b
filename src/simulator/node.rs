//! A scenario as written: a tree of YAML or JSON that remembers its lines.
//!
//! Derived deserialisation stops at the first problem. Here the whole tree is read first and then
//! walked by hand, so that every problem is reported with its line and path.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Something wrong in a scenario or an admin request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file, from 1; `None` for JSON over HTTP.
    pub line: Option<u64>,
    /// Where in the document, for example `providers.openai.gpt-5.5.overloaded`; may be empty.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A value in the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Placed>),
    Map(Vec<(String, Placed)>),
}

/// A value with the place it was found at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) line: Option<u64>,
    pub(super) path: String,
    pub(super) node: Node,
}

impl Placed {
    /// Reads a YAML document.
    pub(super) fn from_yaml(text: &str) -> Result<Self, Problem> {
        let parsed: Result<Spanned<Node>, _> = serde_saphyr::from_str(text);
        match parsed {
            Ok(spanned) => Ok(placed(spanned).rooted("")),
            Err(error) => Err(Problem {
                line: error.location().map(|location| location.line()),
                path: String::new(),
                message: error.without_snippet().to_string(),
            }),
        }
    }

    /// Reads a JSON document.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, Problem> {
        let parsed: Result<Node, _> = serde_json::from_slice(bytes);
        match parsed {
            Ok(node) => Ok(Self { line: None, path: String::new(), node }.rooted("")),
            Err(error) => Err(Problem {
                line: None,
                path: String::new(),
                message: format!("not valid JSON: {error}"),
            }),
        }
    }

    /// A problem at this place.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { line: self.line, path: self.path.clone(), message: message.into() }
    }

    /// The entries of a map; a problem if it is none.
    pub(super) fn entries(&self) -> Result<&[(String, Self)], Problem> {
        match &self.node {
            Node::Map(entries) => Ok(entries),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => {
                Err(self.problem(format!("expected a map, found {}", self.node.name())))
            }
        }
    }

    /// A number, or a percentage as text (`9%` is 0.09).
    pub(super) fn number(&self) -> Result<f64, Problem> {
        let percentage = |text: &str| {
            let number = text.strip_suffix('%')?.trim_end().parse::<f64>().ok()?;
            Some(number / 100.0)
        };
        let number = match &self.node {
            Node::Number(number) => Some(*number),
            Node::Text(text) => percentage(text),
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
        };
        number.ok_or_else(|| {
            self.problem(format!("expected a number or a percentage, found {}", self.node.name()))
        })
    }

    /// Gives every node below its path.
    fn rooted(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self.node = match self.node {
            Node::Map(entries) => Node::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let path =
                            if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                        (key, value.rooted(&path))
                    })
                    .collect(),
            ),
            Node::List(items) => Node::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| item.rooted(&format!("{path}[{index}]")))
                    .collect(),
            ),
            leaf @ (Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_)) => leaf,
        };
        self
    }
}

impl Node {
    /// What it is, for messages. A text is quoted, cut to a length that a terminal can bear.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("{:?}", text.chars().take(64).collect::<String>()),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
        }
    }
}

fn placed(spanned: Spanned<Node>) -> Placed {
    // Line 0 means unknown.
    let line = Some(spanned.referenced.line()).filter(|line| *line > 0);
    Placed { line, path: String::new(), node: spanned.value }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<MaybeSpanned>()? {
            items.push(item.0);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Placed)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<MaybeSpanned>()?.0;
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(serde::de::Error::custom(format_args!("duplicate key {key:?}")));
            }
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }
}

/// A child: with its line in YAML; JSON has none, and `Spanned` reads line 0 there.
struct MaybeSpanned(Placed);

impl<'de> Deserialize<'de> for MaybeSpanned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(placed(Spanned::<Node>::deserialize(deserializer)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_keeps_lines_and_paths_and_json_keeps_paths() {
        let root = Placed::from_yaml("a:\n  b: 9%\n  c: [1, true]\n").unwrap();
        let a = &root.entries().unwrap()[0].1;
        let b = &a.entries().unwrap()[0].1;
        assert_eq!((b.line, b.path.as_str(), b.number()), (Some(2), "a.b", Ok(0.09)));
        let root = Placed::from_json(br#"{"a": {"b": [null, 0.5]}}"#).unwrap();
        let list = &root.entries().unwrap()[0].1.entries().unwrap()[0].1;
        let Node::List(items) = &list.node else { panic!("{list:?}") };
        assert_eq!((items[1].line, items[1].path.as_str()), (None, "a.b[1]"));
        assert_eq!(items[1].number(), Ok(0.5));
        let problem = items[0].number().unwrap_err();
        let text = "a.b[0]: expected a number or a percentage, found nothing";
        assert_eq!(problem.to_string(), text);
    }

    #[test]
    fn what_cannot_be_read_is_one_problem_with_its_line() {
        for text in ["a: [1,\n", "a: 1\na: 2\n", "a: &x [*x]\n", "\u{0}"] {
            assert!(Placed::from_yaml(text).is_err(), "{text:?}");
        }
        let problem = Placed::from_yaml("a: 1\na: 2\n").unwrap_err();
        assert_eq!(problem.line, Some(2));
        assert!(!problem.message.contains('\n'), "{problem}");
        let deep = "[".repeat(100_000);
        assert!(Placed::from_json(deep.as_bytes()).is_err());
        assert!(Placed::from_yaml(&deep).is_err());
    }
}
