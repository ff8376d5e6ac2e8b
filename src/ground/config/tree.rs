//! YAML text to a tree in which every key and value knows its place.
//!
//! Built on the parser's events rather than on serde, for two reasons: a derived reader stops at
//! its first problem while a user wants them all, and it does not say where a key stands. What a
//! configuration does not need is refused instead of interpreted: tags, merge keys, a second
//! document, keys that are not text. Everything is bounded, aliases included, so that a small
//! file cannot become a large tree.
//!
//! It knows nothing of our keys; that is `reader` and the sections.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, Span};

use super::problem::{Place, Problems, quoted, shortened};

/// Most nodes of a tree, copies made by aliases included: 500 targets need some 5,000.
const NODES_MAX: usize = 50_000;

/// Deepest nesting: our own sections need 5, the rest is for request bodies.
const DEPTH_MAX: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) place: Place,
    /// What it is.
    pub(super) value: Value,
    /// Nodes in it, itself included.
    size: usize,
    /// Levels of nodes in it, itself included.
    depth: usize,
}

/// What a node holds. Scalars stay text until a section says what they are to be.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar without quotes, which may be a number or a boolean.
    Plain(String),
    /// A scalar in quotes or a block, which is text.
    Quoted(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file, without duplicates.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Its text.
    pub(super) name: String,
    /// Where it stands.
    pub(super) place: Place,
}

/// Reads the one document of `text`; `None` for an empty one, or when a problem ended the reading.
pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    let mut builder = Builder { problems, open: Vec::new(), anchors: HashMap::new(), nodes: 0 };
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut root = None;
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(pair) => pair,
            Err(error) => {
                let info = error.info();
                let line = info.lines().next().unwrap_or_default();
                builder.stop(place(error.marker()), format!("is not YAML: {}", shortened(line)));
                return None;
            }
        };
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                builder.stop(place(&span.start), "holds a second document, keep one".to_owned());
                return None;
            }
        }
        match builder.event(event, &span) {
            Step::More => {}
            Step::Done(node) => root = Some(node),
            Step::Stop => return None,
        }
    }
    root
}

/// A collection being read.
struct Open {
    node: Node,
    anchor: usize,
    /// In a mapping: the key whose value comes next.
    key: Option<Key>,
    /// In a mapping: the line in which each key was first given.
    lines: HashMap<String, u64>,
}

struct Builder<'a> {
    problems: &'a mut Problems,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

enum Step {
    More,
    /// The root is complete.
    Done(Node),
    /// A problem that leaves nothing to read on with.
    Stop,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Step {
        let at = place(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                let value = match style {
                    ScalarStyle::Plain if is_null(&text) => Value::Null,
                    ScalarStyle::Plain => Value::Plain(text.into_owned()),
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => Value::Quoted(text.into_owned()),
                };
                self.complete(Node { place: at, value, size: 1, depth: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.begin(at, Value::List(Vec::new()), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.begin(at, Value::Map(Vec::new()), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.complete(open.node, open.anchor),
                None => Step::More,
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.complete(Node { place: at, ..node }, 0),
                None => self.stop(at, "is an alias inside of what it names".to_owned()),
            },
            Event::UnresolvedAlias(name) => {
                self.stop(at, format!("is an alias of {}, which is nowhere", quoted(&name)))
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..) => Step::More,
            // Comments, and what later parsers may add to tell about the text.
            _ => Step::More,
        }
    }

    fn begin(&mut self, at: Place, value: Value, anchor: usize) -> Step {
        if self.open.last().is_some_and(|open| open.expects_key()) {
            return self.stop(at, "a key must be text".to_owned());
        }
        let node = Node { place: at, value, size: 1, depth: 1 };
        self.open.push(Open { node, anchor, key: None, lines: HashMap::new() });
        Step::More
    }

    /// Puts a complete node where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Step {
        self.nodes += node.size;
        if anchor != 0 {
            self.nodes += node.size;
        }
        if self.nodes > NODES_MAX {
            let message = format!("holds more than {NODES_MAX} values, aliases counted in full");
            return self.stop(node.place, message);
        }
        // The parser limits what is written, but an alias may name something deep at a deep place.
        if self.open.len() + node.depth > DEPTH_MAX {
            let message = format!("is nested more than {DEPTH_MAX} levels deep");
            return self.stop(node.place, message);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let at = self.path();
        let Some(open) = self.open.last_mut() else { return Step::Done(node) };
        open.node.size += node.size;
        open.node.depth = open.node.depth.max(node.depth + 1);
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                None => match node.value {
                    Value::Plain(name) | Value::Quoted(name) => {
                        open.key = Some(Key { name, place: node.place });
                    }
                    Value::Null | Value::List(_) | Value::Map(_) => {
                        return self.stop(node.place, "a key must be text".to_owned());
                    }
                },
                Some(key) => match open.lines.get(&key.name) {
                    Some(line) => {
                        let message = format!("is a duplicate of line {line}, keep one of the two");
                        self.problems.push(&at, Some(key.place), message);
                    }
                    None if key.name == "<<" => {
                        let message = "merge keys are not supported, write the keys out";
                        self.problems.push(&at, Some(key.place), message);
                    }
                    None => {
                        open.lines.insert(key.name.clone(), key.place.line);
                        entries.push((key, node));
                    }
                },
            },
            Value::Null | Value::Plain(_) | Value::Quoted(_) => {}
        }
        Step::More
    }

    fn refuse_tag(&mut self, tagged: bool, at: Place) {
        if tagged {
            let path = self.path();
            self.problems.push(&path, Some(at), "tags (!…) are not supported, remove it");
        }
    }

    fn stop(&mut self, at: Place, message: String) -> Step {
        let path = self.path();
        self.problems.push(&path, Some(at), message);
        Step::Stop
    }

    /// The path of the value being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            path = match (&open.node.value, &open.key) {
                (Value::List(items), _) => item_path(&path, items.len()),
                (_, Some(key)) => key_path(&path, &key.name),
                (_, None) => path,
            };
        }
        path
    }
}

impl Open {
    fn expects_key(&self) -> bool {
        matches!(self.node.value, Value::Map(_)) && self.key.is_none()
    }
}

/// `path.name`, with the name in quotes where it would be ambiguous bare.
pub(super) fn key_path(path: &str, name: &str) -> String {
    let bare = !name.is_empty()
        && name.len() <= 60
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match (bare, path.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{path}.{name}"),
        (false, _) => format!("{path}[{}]", quoted(name)),
    }
}

/// `path[index]`.
pub(super) fn item_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The forms of nothing in YAML's core schema.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn place(marker: &Marker) -> Place {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Place { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> String {
        let mut problems = Problems::new("");
        read(text, &mut problems);
        problems.to_string()
    }

    #[test]
    fn what_a_configuration_does_not_need_is_refused() {
        for (text, expected) in [
            (
                "a: 1\na: 2\nb: {c: 1, c: 2}",
                "a: is a duplicate of line 1, keep one of the two\n\
                 b.c: is a duplicate of line 3, keep one of the two",
            ),
            ("a: !!str 1", "a: tags (!…) are not supported, remove it"),
            (
                "a: &x {b: 1}\nc: {<<: *x}",
                "c[\"<<\"]: merge keys are not supported, write the keys out",
            ),
            ("a: 1\n---\nb: 2", "holds a second document, keep one"),
            ("{[a]: 1}", "a key must be text"),
            ("a: &x [*x]", "a[0]: is an alias inside of what it names"),
        ] {
            assert_eq!(problems_of(text), expected, "{text}");
        }
    }

    #[test]
    fn an_alias_is_a_copy_and_an_alias_bomb_is_refused() {
        let mut problems = Problems::new("");
        let root = read("a: &x [1, 2]\nb: *x", &mut problems).unwrap();
        let Value::Map(entries) = root.value else { panic!("not a mapping") };
        assert!(matches!(&entries[1].1.value, Value::List(items) if items.len() == 2));
        assert_eq!(entries[1].1.place.line, 2);

        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert!(problems_of(&bomb).contains("more than 50000 values"));
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "a: {".repeat(100_000)] {
            let problems = problems_of(&text);
            let refused = problems.contains("is not YAML") || problems.contains("levels deep");
            assert!(refused, "{problems}");
        }
        let mut ladder = "a0: &a0 [[[[[[[[x]]]]]]]]\n".to_owned();
        for rung in 1..1_000 {
            ladder.push_str(&format!("a{rung}: &a{rung} [[[[[[[[*a{}]]]]]]]]\n", rung - 1));
        }
        let problems = problems_of(&ladder);
        assert!(problems.ends_with("is nested more than 32 levels deep"), "{problems}");
    }
}
