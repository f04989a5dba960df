//! What follows a value: members, indexes, calls and macros.

use serde_json::Value;

use super::super::ParseError;
use super::super::function::{self, Function, Macro, Signature, Style};
use super::super::pattern::Pattern;
use super::super::syntax::{Link, Node};
use super::Parser;
use super::lex::{self, Token};

impl<'t> Parser<'t> {
    pub(super) fn global_call(&mut self, name: &'t str, offset: usize) -> Result<Node, ParseError> {
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
        let link = call(signature, arguments, offset)?;
        Ok(Node::Chain(Box::new(value), vec![link]))
    }

    /// Whatever follows a value: members, indexes, calls.
    pub(super) fn chain(&mut self, base: Node) -> Result<Node, ParseError> {
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

    /// Takes `raw(...)` off from around the whole, the one place where it may stand.
    pub(super) fn unwrap_raw(&self, root: &mut Node) -> Result<bool, ParseError> {
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
        call(signature, arguments, offset)
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
}

/// The call itself, its pattern checked if it stands in the text.
fn call(signature: &Signature, arguments: Vec<Node>, offset: usize) -> Result<Link, ParseError> {
    let (Function::Matches, [Node::Literal(Value::String(pattern))]) = (signature.function, arguments.as_slice()) else {
        return Ok(Link::Call(signature.function, arguments));
    };
    let pattern = Pattern::parse(pattern).map_err(|message| ParseError::new(offset, message))?;
    Ok(Link::Matches(pattern))
}

fn not_a_member(offset: usize) -> ParseError {
    ParseError::new(offset, "`has` asks for a member").fix("`has(value.member)`, or `'member' in value`")
}
