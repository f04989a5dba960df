//! Text to tokens, one at a time.

use super::super::ParseError;
use super::super::embedded::embedded_end;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token {
    End,
    /// A name, a function or `true`, `false`, `null`: its text is that of the span.
    Word,
    /// An integer without its sign.
    Integer(u64),
    Double(f64),
    /// A quoted literal; the span holds prefix and quotes too.
    Quoted {
        raw: bool,
    },
    /// An operator or a bracket, in its CEL spelling: `AND` is `&&`. `NOT` and `in` are themselves.
    Symbol(&'static str),
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Longer symbols first.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ",", ".", "?", ":", "+", "-", "*", "/", "%", "!", "<", ">",
];

/// What other languages write, and what is meant. Tried before [`SYMBOLS`], longer ones first.
const FOREIGN: [(&str, &str); 7] = [
    ("===", "=="),
    ("!==", "!="),
    ("<>", "!="),
    ("=~", ".matches()"),
    ("??", "||"),
    ("**", "*"),
    ("//", "/"),
];

/// As [`FOREIGN`], tried after [`SYMBOLS`].
const HALVES: [(&str, &str); 3] = [("=", "=="), ("&", "&&"), ("|", "||")];

/// The token that starts at or after `from`. In a condition `${` is a bracket, and may stand in quoted literals.
pub(super) fn next(text: &str, from: usize, condition: bool) -> Result<Lexeme, ParseError> {
    let rest = text.get(from..).unwrap_or_default();
    let start = from + rest.len() - rest.trim_start().len();
    let rest = rest.trim_start();
    let lexer = Lexer { start, rest, condition };
    match rest.chars().next() {
        None => Ok(lexer.lexeme(Token::End, 0)),
        Some('\'' | '"') => lexer.quoted(0, false),
        Some(first) if first.is_ascii_digit() => lexer.number(),
        Some('.') if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => lexer.number(),
        Some(first) if is_word(first) => lexer.word(),
        Some(first) => lexer.symbol(first),
    }
}

/// Whether a character may stand in a name.
pub(super) fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

struct Lexer<'t> {
    start: usize,
    /// The text from there on.
    rest: &'t str,
    condition: bool,
}

impl Lexer<'_> {
    fn lexeme(&self, token: Token, length: usize) -> Lexeme {
        Lexeme {
            token,
            start: self.start,
            end: self.start + length,
        }
    }

    fn word(&self) -> Result<Lexeme, ParseError> {
        let length = self.rest.find(|next: char| !is_word(next)).unwrap_or(self.rest.len());
        let quote_follows = self.rest[length..].starts_with(['\'', '"']);
        match &self.rest[..length] {
            "r" | "R" if quote_follows => self.quoted(length, true),
            "b" | "B" if quote_follows => {
                Err(ParseError::new(self.start, "literals of bytes are not part of the language").fix("text without the `b`"))
            }
            "AND" => Ok(self.lexeme(Token::Symbol("&&"), length)),
            "OR" => Ok(self.lexeme(Token::Symbol("||"), length)),
            "NOT" => Ok(self.lexeme(Token::Symbol("NOT"), length)),
            "in" => Ok(self.lexeme(Token::Symbol("in"), length)),
            _ => Ok(self.lexeme(Token::Word, length)),
        }
    }

    fn symbol(&self, first: char) -> Result<Lexeme, ParseError> {
        if self.condition && self.rest.starts_with("${") {
            return Ok(self.lexeme(Token::Symbol("${"), 2));
        }
        let foreign = |table: &[(&str, &str)]| {
            table
                .iter()
                .find(|(theirs, _)| self.rest.starts_with(theirs))
                .copied()
                .map(mend(self.start))
        };
        if let Some(error) = foreign(&FOREIGN) {
            return Err(error);
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)) {
            return Ok(self.lexeme(Token::Symbol(symbol), symbol.len()));
        }
        Err(foreign(&HALVES).unwrap_or_else(|| self.unexpected(first)))
    }

    fn unexpected(&self, first: char) -> ParseError {
        let error = ParseError::new(self.start, format!("`{}` has no meaning here", first.escape_debug()));
        match first {
            '$' => error.fix("a name stands alone inside an expression: `name`, not `${name}`"),
            '‘' | '’' | '“' | '”' | '`' => error.fix("texts stand in straight quotes, `'` or `\"`"),
            _ => error,
        }
    }

    fn number(&self) -> Result<Lexeme, ParseError> {
        let length = number_length(self.rest.as_bytes());
        if self.rest[length..].starts_with(is_word) {
            return Err(ParseError::new(self.start, "a number ends where a letter follows it")
                .fix("text such as a duration stands in quotes: `'5m'`"));
        }
        let digits = &self.rest[..length];
        let token = if let Some(hexadecimal) = digits.strip_prefix("0x") {
            u64::from_str_radix(hexadecimal, 16).ok().map(Token::Integer)
        } else if digits.contains(['.', 'e', 'E']) {
            digits.parse().ok().filter(|double: &f64| double.is_finite()).map(Token::Double)
        } else {
            digits.parse().ok().map(Token::Integer)
        };
        token
            .map(|token| self.lexeme(token, length))
            .ok_or_else(|| ParseError::new(self.start, "this number is too large"))
    }

    /// A quoted literal whose opening quote stands after a prefix of this length.
    fn quoted(&self, prefix: usize, raw: bool) -> Result<Lexeme, ParseError> {
        let bytes = self.rest.as_bytes();
        let quote = bytes.get(prefix).copied().unwrap_or(b'\'');
        let mut at = prefix + 1;
        while let Some(&byte) = bytes.get(at) {
            at += match byte {
                _ if byte == quote => return Ok(self.lexeme(Token::Quoted { raw }, at + 1)),
                b'\\' if !raw => 2,
                b'$' if self.condition => self.embedded_length(at)?,
                _ => 1,
            };
        }
        let quote = char::from(quote);
        Err(
            ParseError::new(self.start, format!("nothing ends the text that starts with this {quote}"))
                .fix(format!("the text and a {quote} after it")),
        )
    }

    /// How long the `${...}`, the `$${` or the mere dollar is that stands at this offset in a quoted literal.
    fn embedded_length(&self, at: usize) -> Result<usize, ParseError> {
        let here = self.rest.get(at..).unwrap_or_default();
        if here.starts_with("$${") {
            return Ok(3);
        }
        let Some(inner) = here.strip_prefix("${") else { return Ok(1) };
        let end = embedded_end(inner).ok_or_else(|| ParseError::unterminated(self.start + at))?;
        Ok(end + 3)
    }
}

fn mend(offset: usize) -> impl Fn((&str, &str)) -> ParseError {
    move |(theirs, ours)| ParseError::new(offset, format!("`{theirs}` is no operator")).fix(format!("`{ours}`"))
}

/// The length of `12`, `0x1f`, `1.5`, `.5` or `1e-3`.
fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    if bytes.starts_with(b"0x") {
        let length = bytes.iter().skip(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
        return if length == 0 { 1 } else { 2 + length };
    }
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}
