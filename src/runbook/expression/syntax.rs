//! The parsed form. Chains of one precedence are flat, so the tree is never higher than the brackets of the text allow.

use indexmap::IndexSet;
use serde_json::Value;

use super::function::{Function, Macro};
use super::pattern::Pattern;

/// A parsed text.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) root: Node,
    /// What the expression reads from its scope; [`Node::Name`] is an index into it.
    pub(super) names: IndexSet<String>,
    /// Whether the text was `raw(...)`.
    pub(super) raw: bool,
}

#[derive(Debug)]
pub(super) enum Node {
    Literal(Value),
    Name(usize),
    /// A macro's variable, counted from the outermost macro.
    Local(usize),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// The values, rendered as text and joined.
    Text(Vec<Node>),
    /// Signs before a value, the outermost first.
    Signed(Vec<Sign>, Box<Node>),
    Arithmetic(Box<Node>, Vec<(Arithmetic, Node)>),
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// Conditions with their values, tried in order, and the value if none holds.
    Choice(Vec<(Node, Node)>, Box<Node>),
    /// A value, and what is done to it in turn.
    Chain(Box<Node>, Vec<Link>),
}

#[derive(Debug)]
pub(super) enum Link {
    Member(String),
    /// `has(value.member)`.
    Has(String),
    /// `.length`.
    Length,
    Index(Node),
    Call(Function, Vec<Node>),
    /// `matches` with a pattern that stands in the text.
    Matches(Pattern),
    Macro(Macro, Vec<Node>),
    /// `raw(...)` around the value; none is left once the text is parsed.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Not,
    Negate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Arithmetic {
    pub(super) fn from_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "%" => Self::Remainder,
            _ => return None,
        })
    }

    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// Whether it binds as addition does, and not as multiplication.
    pub(super) fn is_sum(self) -> bool {
        matches!(self, Self::Add | Self::Subtract)
    }
}

impl Comparison {
    pub(super) fn from_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "in" => Self::In,
            _ => return None,
        })
    }

    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

impl Node {
    /// Shows every node of the tree, this one first.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        visit(self);
        match self {
            Self::Literal(_) | Self::Name(_) | Self::Local(_) => {}
            Self::List(nodes) | Self::Text(nodes) | Self::And(nodes) | Self::Or(nodes) => walk_all(nodes, visit),
            Self::Map(pairs) => walk_pairs(pairs, visit),
            Self::Signed(_, node) => node.walk(visit),
            Self::Arithmetic(first, rest) => {
                first.walk(visit);
                for (_, node) in rest {
                    node.walk(visit);
                }
            }
            Self::Compare(first, rest) => {
                first.walk(visit);
                for (_, node) in rest {
                    node.walk(visit);
                }
            }
            Self::Choice(cases, otherwise) => {
                walk_pairs(cases, visit);
                otherwise.walk(visit);
            }
            Self::Chain(base, links) => {
                base.walk(visit);
                for link in links {
                    link.walk(visit);
                }
            }
        }
    }
}

impl Link {
    fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        match self {
            Self::Index(node) => node.walk(visit),
            Self::Call(_, nodes) | Self::Macro(_, nodes) => walk_all(nodes, visit),
            Self::Member(_) | Self::Has(_) | Self::Length | Self::Matches(_) | Self::Raw => {}
        }
    }
}

fn walk_all<'a>(nodes: &'a [Node], visit: &mut dyn FnMut(&'a Node)) {
    for node in nodes {
        node.walk(visit);
    }
}

fn walk_pairs<'a>(pairs: &'a [(Node, Node)], visit: &mut dyn FnMut(&'a Node)) {
    for (left, right) in pairs {
        left.walk(visit);
        right.walk(visit);
    }
}
