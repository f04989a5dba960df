//! Parser events to nodes, without recursion: the depth of a document costs no stack.

use std::collections::{HashMap, HashSet};

use serde_yaml::granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag};

use super::indentation::Misplaced;
use super::json::{too_deep, too_many_nodes, too_much_text};
use super::{Key, MAX_DEPTH, MAX_EXPANDED_TEXT, MAX_NODES, Node, NodeValue, scalar};
use crate::runbook::diagnostic::{Diagnostic, Diagnostics, Position};

/// Why a text is no document.
pub(super) struct Failure {
    pub(super) diagnostics: Diagnostics,
    /// The line at the wrong column, where that is what is wrong.
    pub(super) misplaced: Option<Misplaced>,
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            diagnostics: diagnostic.into(),
            misplaced: None,
        }
    }
}

/// The most problems collected before reading stops.
const MAX_PROBLEMS: usize = 100;

pub(super) fn load(text: &str) -> Result<Node, Failure> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut loader = Loader::new(text);
    for event in Parser::new_from_str_with_options(text, options) {
        let failure = match event {
            Ok((event, span)) => loader.event(event, span).err().map(Failure::from),
            Err(error) => Some(loader.unreadable(&error)),
        };
        if let Some(mut failure) = failure {
            failure.diagnostics.0.splice(0..0, loader.problems.0);
            return Err(failure);
        }
    }
    loader.end()
}

/// A list or map that is not complete yet.
pub(super) struct Frame {
    pub(super) position: Position,
    pub(super) block: bool,
    pub(super) content: Content,
    anchor: usize,
    /// How deep its deepest child is, itself included.
    height: usize,
    nodes_before: usize,
    text_before: usize,
}

pub(super) enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
        /// What stands under `<<`, once it has been seen.
        merged: Option<Node>,
        key_is_merge: bool,
    },
}

/// A node that aliases stand for, and what each of them costs.
struct Anchored {
    node: Node,
    height: usize,
    nodes: usize,
    text: usize,
}

struct Loader<'t> {
    source: &'t str,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    problems: Diagnostics,
    nodes: usize,
    text: usize,
}

fn position(marker: Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

impl<'t> Loader<'t> {
    fn new(source: &'t str) -> Self {
        Self {
            source,
            stack: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            problems: Diagnostics::default(),
            nodes: 0,
            text: 0,
        }
    }

    fn end(self) -> Result<Node, Failure> {
        if self.problems.has_errors() {
            return Err(Failure {
                diagnostics: self.problems,
                misplaced: None,
            });
        }
        let empty = || Diagnostic::error("empty-document", "", None, "the document is empty").into();
        self.root.ok_or_else(empty)
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let at = position(span.start);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                return Err(self
                    .error("multiple-documents", at, "the text holds more than one document")
                    .with_fix("put each into a file of its own".to_owned()));
            }
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span)?;
                self.charge(at, 1, value.len())?;
                self.scalar(&value, style, anchor, span)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span)?;
                self.open(at, style, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span)?;
                let content = Content::Map {
                    entries: Vec::new(),
                    key: None,
                    merged: None,
                    key_is_merge: false,
                };
                self.open(at, style, anchor, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.alias(anchor, at)?,
            _ => {}
        }
        Ok(())
    }

    fn error(&self, code: &'static str, at: Position, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, path(&self.stack), Some(at), message)
    }

    fn report(&mut self, problem: Diagnostic) -> Result<(), Diagnostic> {
        if self.problems.0.len() >= MAX_PROBLEMS {
            return Err(problem);
        }
        self.problems.0.push(problem);
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: Span) -> Result<(), Diagnostic> {
        let Some(tag) = tag else { return Ok(()) };
        let at = position(span.tag_start.unwrap_or(span.start));
        let problem = self.error("tag", at, format!("the tag {} has no meaning here", tag.original()));
        self.report(problem.with_fix("leave it out; quote a scalar that is to be text".to_owned()))
    }

    fn charge(&mut self, at: Position, nodes: usize, text: usize) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text = self.text.saturating_add(text);
        let problem = if self.nodes > MAX_NODES {
            too_many_nodes()
        } else if self.text > MAX_EXPANDED_TEXT {
            too_much_text()
        } else {
            return Ok(());
        };
        Err(Diagnostic {
            position: Some(at),
            ..problem
        })
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let at = position(span.start);
        if self.awaits_key() {
            self.remember(anchor, || Node::new(NodeValue::Text(text.to_owned())), 0, 1, text.len(), at)?;
            return self.key(text, style == ScalarStyle::Plain, at);
        }
        let value = match style {
            ScalarStyle::Plain => match scalar::resolve(text) {
                Ok(value) => value,
                Err(reason) => {
                    let problem = self.error("number", at, format!("{text} {reason}"));
                    self.report(problem.with_fix(format!("quote it if it is text: \"{text}\"")))?;
                    NodeValue::Null
                }
            },
            _ => NodeValue::Text(text.to_owned()),
        };
        let origin = origin(self.source, text, style, span.start);
        let node = Node {
            value,
            position: Some(at),
            origin,
        };
        self.remember(anchor, || node.clone(), 0, 1, text.len(), at)?;
        self.add(node, 0);
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.stack.last().map(|frame| &frame.content),
            Some(Content::Map {
                key: None,
                key_is_merge: false,
                ..
            })
        )
    }

    fn key(&mut self, text: &str, plain: bool, at: Position) -> Result<(), Diagnostic> {
        if plain && matches!(scalar::resolve(text), Ok(NodeValue::Null)) {
            let problem = self.error("key", at, "a key is empty");
            self.report(problem.with_fix("write a name before the colon, in quotes if it is to be null or ~".to_owned()))?;
        }
        let Some(Frame {
            content: Content::Map {
                key, merged, key_is_merge, ..
            },
            ..
        }) = self.stack.last_mut()
        else {
            return Ok(());
        };
        if plain && text == "<<" && merged.is_none() {
            *key_is_merge = true;
        } else if plain && text == "<<" {
            let problem = self.error("duplicate-key", at, "the key \"<<\" stands here twice");
            return Err(problem.with_fix("merge several maps with one list of them".to_owned()));
        } else {
            *key = Some(Key {
                name: text.to_owned(),
                position: Some(at),
            });
        }
        Ok(())
    }

    fn open(&mut self, at: Position, style: StructureStyle, anchor: usize, content: Content) -> Result<(), Diagnostic> {
        if self.awaits_key() {
            let problem = self.error("key", at, "a key is a list or a map");
            return Err(problem.with_fix("quote a value that starts with [ or {".to_owned()));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(Diagnostic {
                position: Some(at),
                ..too_deep()
            });
        }
        self.stack.push(Frame {
            position: at,
            block: style == StructureStyle::Block,
            content,
            anchor,
            height: 1,
            nodes_before: self.nodes,
            text_before: self.text,
        });
        self.charge(at, 1, 0)
    }

    fn close(&mut self) -> Result<(), Diagnostic> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.content {
            Content::List(items) => NodeValue::List(items),
            Content::Map { entries, merged, .. } => NodeValue::Map(self.complete(entries, merged, frame.position)?),
        };
        let node = Node {
            value,
            position: Some(frame.position),
            origin: None,
        };
        let (nodes, text) = (self.nodes - frame.nodes_before, self.text - frame.text_before);
        self.remember(frame.anchor, || node.clone(), frame.height, nodes, text, frame.position)?;
        self.add(node, frame.height);
        Ok(())
    }

    /// Refuses duplicate keys and adds the merged ones: a map's own win, then those of the first map merged.
    fn complete(&mut self, entries: Vec<(Key, Node)>, merged: Option<Node>, at: Position) -> Result<Vec<(Key, Node)>, Diagnostic> {
        let mut lines: HashMap<String, usize> = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let line = key.position.map_or(0, |position| position.line);
            if let Some(first) = lines.get(&key.name) {
                let message = format!("the key \"{}\" stands here twice; the first is on line {first}", key.name);
                let problem = self.error("duplicate-key", key.position.unwrap_or(at), message);
                self.report(problem.with_fix("remove one of the two".to_owned()))?;
            } else {
                lines.insert(key.name.clone(), line);
                kept.push((key, node));
            }
        }
        let mut names: HashSet<String> = lines.into_keys().collect();
        for source in merged.map(sources).into_iter().flatten() {
            let place = source.position;
            let NodeValue::Map(entries) = source.value else {
                let problem = self.error("merge-key", place.unwrap_or(at), "what is merged by << is not a map");
                self.report(problem)?;
                continue;
            };
            kept.extend(entries.into_iter().filter(|(key, _)| names.insert(key.name.clone())));
        }
        Ok(kept)
    }

    /// Keeps a copy of an anchored node. The copy is charged: many anchors, one inside the other, cost what they hold.
    fn remember(
        &mut self,
        anchor: usize,
        node: impl FnOnce() -> Node,
        height: usize,
        nodes: usize,
        text: usize,
        at: Position,
    ) -> Result<(), Diagnostic> {
        if anchor == 0 {
            return Ok(());
        }
        self.charge(at, nodes, text)?;
        let node = node();
        self.anchors.insert(anchor, Anchored { node, height, nodes, text });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Diagnostic> {
        let awaits_key = self.awaits_key();
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(self.error("alias", at, "this alias stands inside what it stands for"));
        };
        if self.stack.len() + anchored.height > MAX_DEPTH {
            return Err(Diagnostic {
                position: Some(at),
                ..too_deep()
            });
        }
        let (height, nodes, text) = (anchored.height, anchored.nodes, anchored.text);
        self.charge(at, nodes, text)?;
        let Some(anchored) = self.anchors.get(&anchor) else { return Ok(()) };
        if awaits_key {
            return match &anchored.node.value {
                NodeValue::Text(name) => {
                    let name = name.clone();
                    self.key(&name, false, at)
                }
                _ => Err(self.error("key", at, "this key is an alias of something that is not text")),
            };
        }
        let node = Node {
            position: Some(at),
            origin: None,
            ..anchored.node.clone()
        };
        self.add(node, height);
        Ok(())
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Node, height: usize) {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.height = frame.height.max(height + 1);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { merged, key_is_merge, .. } if *key_is_merge => {
                *key_is_merge = false;
                *merged = Some(node);
            }
            Content::Map { entries, key, .. } => entries.extend(key.take().map(|key| (key, node))),
        }
    }

    fn unreadable(&self, error: &ScanError) -> Failure {
        let at = position(*error.marker());
        if let Some(misplaced) = Misplaced::find(self.source, &self.stack, error.kind(), at) {
            return Failure {
                diagnostics: misplaced.diagnostic(path(&self.stack)).into(),
                misplaced: Some(misplaced),
            };
        }
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => Diagnostic {
                position: Some(at),
                ..too_deep()
            },
            kind => self.error("yaml", at, kind.to_string()),
        }
        .into()
    }
}

/// The maps that a merge key names.
fn sources(merged: Node) -> Vec<Node> {
    match merged.value {
        NodeValue::List(items) => items,
        value => vec![Node { value, ..merged }],
    }
}

/// The document path of what is being read.
fn path(stack: &[Frame]) -> String {
    let mut path = String::new();
    for frame in stack {
        match &frame.content {
            Content::List(items) => path.extend(["[", &items.len().to_string(), "]"]),
            Content::Map { key: Some(key), .. } if path.is_empty() => path += &key.name,
            Content::Map { key: Some(key), .. } => path.extend([".", &key.name]),
            Content::Map { .. } => {}
        }
    }
    path
}

/// Where a text's first character stands, if the source holds the text as it is.
fn origin(source: &str, text: &str, style: ScalarStyle, start: Marker) -> Option<Position> {
    let quote = usize::from(matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted));
    let there = source.get(start.byte_offset()? + quote..)?;
    let expected = match style {
        ScalarStyle::Literal => text.split('\n').next()?,
        _ => text.trim_end_matches('\n'),
    };
    let one_line = style == ScalarStyle::Literal || !expected.contains('\n');
    let at = position(start);
    (one_line && there.starts_with(expected)).then_some(Position {
        column: at.column + quote,
        ..at
    })
}
