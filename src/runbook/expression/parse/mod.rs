//! Tokens to the parsed form.

use indexmap::IndexSet;
use serde_json::Value;

use super::ParseError;
use super::syntax::{Arithmetic, Comparison, Node, Program, Sign};

mod call;
mod cursor;
mod lex;
mod literal;
mod quoted;

use lex::{Lexeme, Token};

/// The longest text that is parsed, in bytes.
const LONGEST: usize = 64 * 1024;

/// How deep brackets may nest, so that even an unoptimised build stays within half of a thread's stack.
const DEEPEST: usize = 32;

/// Parses a whole text.
pub(super) fn parse(text: &str, condition: bool) -> Result<Program, ParseError> {
    if text.len() > LONGEST {
        return Err(ParseError::new(
            0,
            format!("an expression has at most {LONGEST} bytes, this one {}", text.len()),
        ));
    }
    let mut parser = Parser {
        text,
        condition,
        current: lex::next(text, 0, condition)?,
        names: IndexSet::new(),
        locals: Vec::new(),
        depth: 0,
        raw: Vec::new(),
    };
    if parser.current.token == Token::End {
        return Err(ParseError::new(
            parser.current.start,
            "an expression is expected, and there is none",
        ));
    }
    let mut root = parser.expression()?;
    parser.end()?;
    let raw = parser.unwrap_raw(&mut root)?;
    Ok(Program {
        root,
        names: parser.names,
        raw,
    })
}

struct Parser<'t> {
    /// The text up to where the part ends that is being parsed.
    text: &'t str,
    condition: bool,
    current: Lexeme,
    names: IndexSet<String>,
    /// The variables of the macros around, the outermost first.
    locals: Vec<&'t str>,
    depth: usize,
    /// Where `raw(` stands.
    raw: Vec<usize>,
}

impl Parser<'_> {
    /// `condition ? value : otherwise`, or what binds tighter.
    fn expression(&mut self) -> Result<Node, ParseError> {
        let mut cases = Vec::new();
        loop {
            let node = self.or()?;
            if !self.take("?")? {
                return Ok(if cases.is_empty() {
                    node
                } else {
                    Node::Choice(cases, Box::new(node))
                });
            }
            let value = self.nested(Self::expression)?;
            self.expect(":", "between the two values of `?`")?;
            cases.push((node, value));
        }
    }

    fn or(&mut self) -> Result<Node, ParseError> {
        self.chain_of("||", Self::and, Node::Or)
    }

    fn and(&mut self) -> Result<Node, ParseError> {
        self.chain_of("&&", Self::not, Node::And)
    }

    fn chain_of(
        &mut self,
        symbol: &str,
        operand: fn(&mut Self) -> Result<Node, ParseError>,
        join: fn(Vec<Node>) -> Node,
    ) -> Result<Node, ParseError> {
        let mut nodes = vec![operand(self)?];
        while self.take(symbol)? {
            nodes.push(operand(self)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { join(nodes) })
    }

    fn not(&mut self) -> Result<Node, ParseError> {
        let mut signs = Vec::new();
        while self.take("NOT")? {
            signs.push(Sign::Not);
        }
        let node = self.comparison()?;
        Ok(if signs.is_empty() {
            node
        } else {
            Node::Signed(signs, Box::new(node))
        })
    }

    fn comparison(&mut self) -> Result<Node, ParseError> {
        let first = self.arithmetic(true)?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.symbol().and_then(Comparison::from_symbol) {
            self.advance()?;
            rest.push((comparison, self.arithmetic(true)?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Node::Compare(Box::new(first), rest)
        })
    }

    fn arithmetic(&mut self, sums: bool) -> Result<Node, ParseError> {
        let first = self.operand(sums)?;
        let mut rest = Vec::new();
        while let Some(operator) = self
            .symbol()
            .and_then(Arithmetic::from_symbol)
            .filter(|operator| operator.is_sum() == sums)
        {
            self.advance()?;
            rest.push((operator, self.operand(sums)?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Node::Arithmetic(Box::new(first), rest)
        })
    }

    fn operand(&mut self, of_a_sum: bool) -> Result<Node, ParseError> {
        if of_a_sum { self.arithmetic(false) } else { self.signed() }
    }

    fn signed(&mut self) -> Result<Node, ParseError> {
        let mut signs = Vec::new();
        loop {
            if self.take("!")? {
                signs.push(Sign::Not);
            } else if self.take("-")? {
                signs.push(Sign::Negate);
            } else {
                break;
            }
        }
        let number = matches!(self.current.token, Token::Integer(_) | Token::Double(_));
        let negative = number && signs.pop_if(|sign| *sign == Sign::Negate).is_some();
        let base = if number { self.number(negative)? } else { self.primary()? };
        let node = self.chain(base)?;
        Ok(if signs.is_empty() {
            node
        } else {
            Node::Signed(signs, Box::new(node))
        })
    }

    fn number(&mut self, negative: bool) -> Result<Node, ParseError> {
        let lexeme = self.advance()?;
        let value = match lexeme.token {
            Token::Double(double) => Some(Value::from(if negative { -double } else { double })),
            Token::Integer(size) if negative => 0_i64.checked_sub_unsigned(size).map(Value::from),
            Token::Integer(size) => i64::try_from(size).ok().map(Value::from),
            _ => None,
        };
        value
            .map(Node::Literal)
            .ok_or_else(|| ParseError::new(lexeme.start, "this number is too large"))
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        match self.current.token {
            Token::Word => self.word(),
            Token::Quoted { raw } => self.quoted(raw),
            Token::Symbol("(") => self.bracketed(")"),
            Token::Symbol("${") => self.bracketed("}"),
            Token::Symbol("[") => self.list(),
            Token::Symbol("{") => self.map(),
            Token::Symbol("NOT") => {
                Err(ParseError::new(self.current.start, "`NOT` stands before a whole comparison").fix("`!` before a single value"))
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    fn bracketed(&mut self, close: &'static str) -> Result<Node, ParseError> {
        self.advance()?;
        let node = self.nested(Self::expression)?;
        self.expect(close, "at the end of what was opened")?;
        Ok(node)
    }

    fn list(&mut self) -> Result<Node, ParseError> {
        self.advance()?;
        let nodes = self.until("]", true, Self::expression)?;
        Ok(match literals(&nodes) {
            Some(values) => Node::Literal(Value::Array(values)),
            None => Node::List(nodes),
        })
    }

    fn map(&mut self) -> Result<Node, ParseError> {
        self.advance()?;
        let pairs = self.until("}", true, |parser| {
            let key = parser.expression()?;
            parser.expect(":", "between a key and its value")?;
            Ok((key, parser.expression()?))
        })?;
        let literal = pairs.iter().map(|pair| match pair {
            (Node::Literal(Value::String(key)), Node::Literal(value)) => Some((key.clone(), value.clone())),
            _ => None,
        });
        Ok(match literal.collect::<Option<_>>() {
            Some(map) => Node::Literal(Value::Object(map)),
            None => Node::Map(pairs),
        })
    }

    fn word(&mut self) -> Result<Node, ParseError> {
        let lexeme = self.advance()?;
        let word = self.slice(lexeme);
        if self.current.token == Token::Symbol("(") {
            return self.global_call(word, lexeme.start);
        }
        match word {
            "true" => Ok(Node::Literal(Value::Bool(true))),
            "false" => Ok(Node::Literal(Value::Bool(false))),
            "null" => Ok(Node::Literal(Value::Null)),
            "True" | "TRUE" | "False" | "FALSE" => Err(foreign_literal(word, lexeme.start, &word.to_ascii_lowercase())),
            "None" | "nil" | "NULL" | "undefined" => Err(foreign_literal(word, lexeme.start, "null")),
            _ => Ok(self.name(word)),
        }
    }

    fn name(&mut self, name: &str) -> Node {
        match self.locals.iter().rposition(|local| *local == name) {
            Some(index) => Node::Local(index),
            None if self.names.contains(name) => Node::Name(self.names.get_index_of(name).unwrap_or_default()),
            None => Node::Name(self.names.insert_full(name.to_owned()).0),
        }
    }
}

/// The values, if all of these are literals.
fn literals(nodes: &[Node]) -> Option<Vec<Value>> {
    let value = |node: &Node| match node {
        Node::Literal(value) => Some(value.clone()),
        _ => None,
    };
    nodes.iter().map(value).collect()
}

fn foreign_literal(word: &str, offset: usize, ours: &str) -> ParseError {
    ParseError::new(offset, format!("`{word}` is written `{ours}`")).fix(format!("`{ours}`"))
}
