//! Log lines on standard error: `THERMOSTAT_LOG` says which, `info` if it is not set.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The environment variable that says what is logged, as `info` or `warn,thermostat=debug`.
pub const VARIABLE: &str = "THERMOSTAT_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line, for what collects logs.
    Json,
}

impl FromStr for Format {
    type Err = LoggingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(LoggingError::Format(other.to_owned())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("{0:?} is no log format; it is text or json")]
    Format(String),
    #[error("{VARIABLE} is not a filter: {0}; one looks like info or warn,thermostat=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("failed to set up logging: {0}")]
    Init(#[from] TryInitError),
}

/// Sends log lines to standard error from now on; `filter` is the value of [`VARIABLE`]. To be called once.
///
/// # Errors
/// If the filter cannot be read, or logging is set up already.
pub fn init(format: Format, filter: Option<&str>) -> Result<(), LoggingError> {
    let registry = tracing_subscriber::registry().with(parse_filter(filter)?);
    match format {
        Format::Text => {
            let colours =
                std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            registry
                .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours))
                .try_init()?;
        }
        Format::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init()?,
    }
    Ok(())
}

fn parse_filter(filter: Option<&str>) -> Result<EnvFilter, LoggingError> {
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    Ok(builder.parse(filter.unwrap_or_default())?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_refused_with_an_example() {
        let message = parse_filter(Some("thermostat=loud")).unwrap_err().to_string();
        assert!(
            message.starts_with("THERMOSTAT_LOG is not a filter: ") && message.ends_with("warn,thermostat=debug"),
            "{message}"
        );
    }

    #[test]
    fn without_a_filter_everything_from_info_up_is_logged() {
        for filter in [None, Some("")] {
            assert_eq!(parse_filter(filter).unwrap().to_string(), "info");
        }
        assert_eq!(parse_filter(Some("warn")).unwrap().to_string(), "warn");
    }

    #[test]
    fn a_format_is_written_as_it_is_read() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        assert_eq!(
            "xml".parse::<Format>().unwrap_err().to_string(),
            "\"xml\" is no log format; it is text or json"
        );
    }
}
