//! Where in a command a value stands, and how it is quoted there.

/// A place where a value can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Bare,
    SingleQuoted,
    DoubleQuoted {
        /// Right before it stands a `$name`, which must not take in the value's first characters.
        after_name: bool,
    },
    /// Up to the end of the line.
    Comment,
}

impl Place {
    /// The value, written for this place; it holds no NUL.
    pub(super) fn quote(self, value: &str) -> String {
        match self {
            Self::Bare => format!("'{}'", single_quoted(value)),
            Self::SingleQuoted => single_quoted(value),
            Self::DoubleQuoted { after_name: false } => double_quoted(value),
            Self::DoubleQuoted { after_name: true } => format!("\"\"{}", double_quoted(value)),
            Self::Comment => value.replace(char::is_control, " "),
        }
    }
}

fn single_quoted(value: &str) -> String {
    value.replace('\'', r"'\''")
}

fn double_quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
