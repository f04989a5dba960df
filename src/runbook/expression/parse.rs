//! Tokens to the parsed form.

use indexmap::IndexSet;
use serde_json::Value;

use super::ParseError;
use super::function::{self, Macro, Signature, Style};
use super::lex::{self, Lexeme, Token};
use super::pattern::Pattern;
use super::syntax::{Arithmetic, Comparison, Link, Node, Program, Sign};

/// The longest text that is parsed, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// How deep brackets may nest, so that even an unoptimised build stays within half of a thread's stack.
pub(super) const DEEPEST: usize = 32;

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

pub(super) struct Parser<'t> {
    /// The text up to where the part ends that is being parsed.
    pub(super) text: &'t str,
    pub(super) condition: bool,
    pub(super) current: Lexeme,
    names: IndexSet<String>,
    /// The variables of the macros around, the outermost first.
    locals: Vec<&'t str>,
    depth: usize,
    /// Where `raw(` stands.
    raw: Vec<usize>,
}

impl<'t> Parser<'t> {
    /// `condition ? value : otherwise`, or what binds tighter.
    pub(super) fn expression(&mut self) -> Result<Node, ParseError> {
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

    fn global_call(&mut self, name: &'t str, offset: usize) -> Result<Node, ParseError> {
        if let Some(called) = Macro::find(name) {
            return Err(ParseError::new(offset, format!("`{name}` is written after a list")).fix(called.example()));
        }
        let signature = Signature::find(name);
        if signature.is_none() && !matches!(name, "has" | "raw") {
            return Err(function::unknown(name, offset));
        }
        self.advance()?;
        let mut arguments = self.until(")", false, Self::expression)?;
        let Some(signature) = signature else {
            return self.special_call(name, arguments, offset);
        };
        signature.check_style(Style::Global, offset)?;
        signature.check_arguments(arguments.len(), 1, offset)?;
        let value = arguments.remove(0);
        let link = self.call(signature, arguments, offset)?;
        Ok(Node::Chain(Box::new(value), vec![link]))
    }

    /// `has(value.member)` and `raw(value)`.
    fn special_call(&mut self, name: &str, mut arguments: Vec<Node>, offset: usize) -> Result<Node, ParseError> {
        let count = arguments.len();
        match (name, arguments.pop()) {
            ("raw", Some(node)) if count == 1 => {
                self.raw.push(offset);
                Ok(Node::Chain(Box::new(node), vec![Link::Raw]))
            }
            ("has", Some(Node::Chain(base, mut links))) if count == 1 => {
                let last = match links.pop() {
                    Some(Link::Member(member)) => Some(member),
                    Some(Link::Length) => Some("length".to_owned()),
                    _ => None,
                };
                links.push(Link::Has(last.ok_or_else(|| not_a_member(offset))?));
                Ok(Node::Chain(base, links))
            }
            ("has", Some(_)) if count == 1 => Err(not_a_member(offset)),
            _ => Err(ParseError::new(offset, format!("`{name}` takes one argument, got {count}"))),
        }
    }

    /// Whatever follows a value: members, indexes, calls.
    fn chain(&mut self, base: Node) -> Result<Node, ParseError> {
        let (base, mut links) = match base {
            Node::Chain(base, links) => (base, links),
            base => (Box::new(base), Vec::new()),
        };
        loop {
            if self.take("[")? {
                let index = self.nested(Self::expression)?;
                self.expect("]", "at the end of the index")?;
                links.push(Link::Index(index));
            } else if self.take(".")? {
                links.push(self.member()?);
            } else if links.is_empty() {
                return Ok(*base);
            } else {
                return Ok(Node::Chain(base, links));
            }
        }
    }

    fn member(&mut self) -> Result<Link, ParseError> {
        let lexeme = self.current;
        let name = self.slice(lexeme);
        if !name.starts_with(lex::is_word)
            || name.starts_with(|first: char| first.is_ascii_digit())
            || matches!(lexeme.token, Token::Quoted { .. })
        {
            return Err(self
                .unexpected("the name of a member")
                .fix("`['any text']` for a member whose name is no word"));
        }
        self.advance()?;
        if self.current.token == Token::Symbol("(") {
            return self.method(name, lexeme.start);
        }
        Ok(if name == "length" {
            Link::Length
        } else {
            Link::Member(name.to_owned())
        })
    }

    fn method(&mut self, name: &'t str, offset: usize) -> Result<Link, ParseError> {
        if let Some(called) = Macro::find(name) {
            return self.macro_call(called, offset);
        }
        let signature = Signature::find(name).ok_or_else(|| function::unknown(name, offset))?;
        self.advance()?;
        let arguments = self.until(")", false, Self::expression)?;
        signature.check_style(Style::Method, offset)?;
        signature.check_arguments(arguments.len(), 0, offset)?;
        self.call(signature, arguments, offset)
    }

    fn macro_call(&mut self, called: Macro, offset: usize) -> Result<Link, ParseError> {
        let wrong = || ParseError::new(offset, format!("`{}` takes a name and what is asked of it", called.name())).fix(called.example());
        self.advance()?;
        let variable = self.current;
        let name = self.slice(variable);
        if variable.token != Token::Word || matches!(name, "true" | "false" | "null") {
            return Err(wrong());
        }
        self.advance()?;
        if !self.take(",")? {
            return Err(wrong());
        }
        self.locals.push(name);
        let arguments = self.until(")", false, Self::expression)?;
        self.locals.pop();
        let most = if called == Macro::Map { 2 } else { 1 };
        if arguments.is_empty() || arguments.len() > most {
            Err(wrong())
        } else {
            Ok(Link::Macro(called, arguments))
        }
    }

    /// The call itself, its pattern checked if it stands in the text.
    fn call(&mut self, signature: &Signature, arguments: Vec<Node>, offset: usize) -> Result<Link, ParseError> {
        let (function::Function::Matches, [Node::Literal(Value::String(pattern))]) = (signature.function, arguments.as_slice()) else {
            return Ok(Link::Call(signature.function, arguments));
        };
        let pattern = Pattern::parse(pattern).map_err(|message| ParseError::new(offset, message))?;
        Ok(Link::Matches(pattern))
    }

    /// What stands between here and the closing bracket, separated by commas.
    fn until<T>(
        &mut self,
        close: &'static str,
        trailing_comma: bool,
        item: fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        while !self.take(close)? {
            if !items.is_empty() {
                self.expect(",", &format!("or `{close}` after this"))?;
                if trailing_comma && self.take(close)? {
                    break;
                }
            }
            items.push(self.nested(item)?);
        }
        Ok(items)
    }

    /// Parses one level of brackets further down.
    pub(super) fn nested<T>(&mut self, parse: fn(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth == DEEPEST {
            let message = format!("brackets nest deeper than {DEEPEST} levels here");
            return Err(ParseError::new(self.current.start, message).fix("a variable for a part of it"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Takes `raw(...)` off from around the whole, the one place where it may stand.
    fn unwrap_raw(&self, root: &mut Node) -> Result<bool, ParseError> {
        let Some(&offset) = self.raw.last() else { return Ok(false) };
        if self.condition {
            return Err(
                ParseError::new(offset, "`raw` is for what becomes a command, and a condition does not").fix("the value without `raw`"),
            );
        }
        match root {
            Node::Chain(_, links) if self.raw.len() == 1 && matches!(links.last(), Some(Link::Raw)) => {
                links.pop();
                Ok(true)
            }
            _ => Err(ParseError::new(offset, "`raw` stands around a whole expression").fix("`${raw(...)}`")),
        }
    }

    /// Takes the current token, and reads the next.
    pub(super) fn advance(&mut self) -> Result<Lexeme, ParseError> {
        let next = lex::next(self.text, self.current.end, self.condition)?;
        Ok(std::mem::replace(&mut self.current, next))
    }

    fn symbol(&self) -> Option<&'static str> {
        match self.current.token {
            Token::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    fn take(&mut self, symbol: &str) -> Result<bool, ParseError> {
        let found = self.symbol() == Some(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &'static str, place: &str) -> Result<(), ParseError> {
        if self.take(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}` {place}")))
        }
    }

    /// That nothing follows.
    pub(super) fn end(&self) -> Result<(), ParseError> {
        if self.current.token == Token::End {
            Ok(())
        } else {
            Err(self.unexpected("an operator or the end"))
        }
    }

    pub(super) fn slice(&self, lexeme: Lexeme) -> &'t str {
        self.text.get(lexeme.start..lexeme.end).unwrap_or_default()
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        let found = self.slice(self.current);
        let offset = self.current.start;
        if self.current.token == Token::End {
            return ParseError::new(offset, format!("{expected} is expected, and the text ends"));
        }
        let error = ParseError::new(offset, format!("{expected} is expected, and `{}` found", excerpt(found)));
        match (self.current.token, found) {
            (Token::Word, "and") => error.fix("`AND` or `&&`"),
            (Token::Word, "or") => error.fix("`OR` or `||`"),
            (Token::Word, "not") => error.fix("`NOT` or `!`"),
            (Token::Word, "is" | "eq" | "equals") => error.fix("`==`"),
            (Token::Symbol("NOT"), _) => error.fix("`NOT a in b`, with `NOT` before the whole comparison"),
            (Token::Double(_), index) if index.starts_with('.') => error.fix(format!("`[{}]`", &index[1..])),
            (Token::Quoted { .. }, _) => error.fix("`+` between two texts"),
            _ => error,
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

fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { short + "..." } else { short }
}

fn foreign_literal(word: &str, offset: usize, ours: &str) -> ParseError {
    ParseError::new(offset, format!("`{word}` is written `{ours}`")).fix(format!("`{ours}`"))
}

fn not_a_member(offset: usize) -> ParseError {
    ParseError::new(offset, "`has` asks for a member").fix("`has(value.member)`, or `'member' in value`")
}
