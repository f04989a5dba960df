//! The functions and macros of the language: how each is called, and which one was meant.

use std::ops::RangeInclusive;

use super::ParseError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Int,
    Double,
    String,
    Bool,
    Split,
    Join,
    Trim,
    LowerAscii,
    UpperAscii,
    Replace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

/// How a function is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(value)`
    Global,
    /// `value.f()`
    Method,
    Either,
}

/// A function's row in the table.
pub(super) struct Signature {
    pub(super) function: Function,
    pub(super) name: &'static str,
    pub(super) style: Style,
    /// How many arguments it takes besides the value it works on.
    arguments: RangeInclusive<usize>,
    example: &'static str,
}

const fn row(function: Function, name: &'static str, style: Style, arguments: RangeInclusive<usize>, example: &'static str) -> Signature {
    Signature {
        function,
        name,
        style,
        arguments,
        example,
    }
}

static FUNCTIONS: [Signature; 15] = [
    row(Function::Size, "size", Style::Either, 0..=0, "size(items)"),
    row(Function::Contains, "contains", Style::Method, 1..=1, "text.contains('part')"),
    row(Function::StartsWith, "startsWith", Style::Method, 1..=1, "text.startsWith('start')"),
    row(Function::EndsWith, "endsWith", Style::Method, 1..=1, "text.endsWith('end')"),
    row(Function::Matches, "matches", Style::Either, 1..=1, "text.matches('^pattern$')"),
    row(Function::Int, "int", Style::Global, 0..=0, "int(text)"),
    row(Function::Double, "double", Style::Global, 0..=0, "double(text)"),
    row(Function::String, "string", Style::Global, 0..=0, "string(number)"),
    row(Function::Bool, "bool", Style::Global, 0..=0, "bool(text)"),
    row(Function::Split, "split", Style::Method, 1..=2, "text.split(',')"),
    row(Function::Join, "join", Style::Method, 0..=1, "items.join(', ')"),
    row(Function::Trim, "trim", Style::Method, 0..=0, "text.trim()"),
    row(Function::LowerAscii, "lowerAscii", Style::Method, 0..=0, "text.lowerAscii()"),
    row(Function::UpperAscii, "upperAscii", Style::Method, 0..=0, "text.upperAscii()"),
    row(Function::Replace, "replace", Style::Method, 2..=3, "text.replace('old', 'new')"),
];

static MACROS: [(&str, Macro); 5] = [
    ("all", Macro::All),
    ("exists", Macro::Exists),
    ("exists_one", Macro::ExistsOne),
    ("map", Macro::Map),
    ("filter", Macro::Filter),
];

/// What other languages call ours.
static FOREIGN: [(&str, &str); 22] = [
    ("len", "size"),
    ("length", "size"),
    ("count", "size"),
    ("lower", "lowerAscii"),
    ("tolower", "lowerAscii"),
    ("tolowercase", "lowerAscii"),
    ("upper", "upperAscii"),
    ("toupper", "upperAscii"),
    ("touppercase", "upperAscii"),
    ("strip", "trim"),
    ("includes", "contains"),
    ("match", "matches"),
    ("test", "matches"),
    ("any", "exists"),
    ("some", "exists"),
    ("every", "all"),
    ("existsone", "exists_one"),
    ("str", "string"),
    ("tostring", "string"),
    ("float", "double"),
    ("integer", "int"),
    ("boolean", "bool"),
];

impl Function {
    pub(super) fn signature(self) -> &'static Signature {
        // The table is in the order of the variants, which a test holds it to.
        &FUNCTIONS[self as usize]
    }

    pub(super) fn name(self) -> &'static str {
        self.signature().name
    }
}

impl Signature {
    /// The function of this name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|signature| signature.name == name)
    }

    /// Whether it may be written in this style, `Global` or `Method`.
    ///
    /// # Errors
    /// How it is written instead.
    pub(super) fn check_style(&self, style: Style, offset: usize) -> Result<(), ParseError> {
        if self.style == style || self.style == Style::Either {
            return Ok(());
        }
        Err(ParseError::new(offset, format!("`{}` is written `{}`", self.name, self.example)).fix(format!("`{}`", self.example)))
    }

    /// Whether it takes this many arguments, of which one is the value it works on where that is `extra`.
    ///
    /// # Errors
    /// How many it takes.
    pub(super) fn check_arguments(&self, given: usize, extra: usize, offset: usize) -> Result<(), ParseError> {
        let (least, most) = (self.arguments.start() + extra, self.arguments.end() + extra);
        if (least..=most).contains(&given) {
            return Ok(());
        }
        let message = format!("`{}` takes {}, got {given}", self.name, arguments(least, most));
        Err(ParseError::new(offset, message).fix(format!("`{}`", self.example)))
    }
}

fn arguments(least: usize, most: usize) -> String {
    match (least, most) {
        (0, 0) => "no arguments".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{most} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    }
}

impl Macro {
    /// The macro of this name.
    pub(super) fn find(name: &str) -> Option<Self> {
        MACROS.iter().find(|(macro_name, _)| *macro_name == name).map(|&(_, found)| found)
    }

    pub(super) fn name(self) -> &'static str {
        MACROS.iter().find(|&&(_, named)| named == self).map_or("", |&(name, _)| name)
    }

    pub(super) fn example(self) -> &'static str {
        match self {
            Self::All => "`items.all(x, x.ready)`",
            Self::Exists => "`items.exists(x, x.ready)`",
            Self::ExistsOne => "`items.exists_one(x, x.ready)`",
            Self::Map => "`items.map(x, x.name)` or `items.map(x, x.ready, x.name)`",
            Self::Filter => "`items.filter(x, x.ready)`",
        }
    }
}

/// That a function is not of the language, and the one that was most likely meant.
pub(super) fn unknown(name: &str, offset: usize) -> ParseError {
    let error = ParseError::new(offset, format!("there is no function `{name}`"));
    match nearest(name) {
        Some(meant) => error.fix(format!("`{meant}`")),
        None if name == "default" => error.fix("`value || 'default'`"),
        None => error,
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let wanted = plain(name);
    if let Some((_, meant)) = FOREIGN.iter().find(|(theirs, _)| *theirs == wanted) {
        return Some(meant);
    }
    let known = FUNCTIONS
        .iter()
        .map(|signature| signature.name)
        .chain(MACROS.iter().map(|&(name, _)| name))
        .chain(["has", "raw"]);
    known
        .map(|known| (strsim::osa_distance(&plain(known), &wanted), known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, MACROS, Macro, nearest};

    #[test]
    fn every_function_and_macro_is_found_by_its_own_row() {
        for signature in &FUNCTIONS {
            assert_eq!(signature.function.name(), signature.name);
        }
        for (name, found) in MACROS {
            assert_eq!((Macro::find(name), found.name()), (Some(found), name));
        }
    }

    #[test]
    fn a_misspelt_or_foreign_function_is_told_its_name_here() {
        for (written, meant) in [
            ("len", Some("size")),
            ("toLowerCase", Some("lowerAscii")),
            ("starts_with", Some("startsWith")),
            ("contain", Some("contains")),
            ("mathces", Some("matches")),
            ("any", Some("exists")),
            ("existsOne", Some("exists_one")),
            ("frobnicate", None),
            ("", None),
        ] {
            assert_eq!(nearest(written), meant, "{written}");
        }
    }
}
