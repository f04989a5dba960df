//! What went wrong, for the person on call.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use ::http::HeaderName;
use rustls::CertificateError;
use url::Url;

use crate::remote::egress::{ConnectError, Refusal, ResolveError};

/// What a request was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The status line and headers, including connecting and sending.
    ForAnswer,
    /// The rest of the body.
    ForBody,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForAnswer => "did not answer",
            Self::ForBody => "began to answer but did not finish",
        })
    }
}

/// Why there is no answer. No message holds a URL's user, password or query, nor a header's value.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the url is invalid: {reason}")]
    InvalidUrl { reason: String },
    #[error("header {name} belongs to the connection and is set by it; remove it from the request")]
    ConnectionHeader { name: HeaderName },
    #[error("failed to resolve the host of {url}: {reason}")]
    Dns { url: String, reason: String },
    #[error("refused to connect to {url}: {refusal}")]
    Refused { url: String, refusal: Refusal },
    #[error("failed to connect to {url}: connection refused: nothing listens there")]
    ConnectionRefused { url: String },
    #[error("failed to connect to {url}: {reason}")]
    Connect { url: String, reason: String },
    #[error("{url} shows a certificate from an authority that is not trusted here; if the authority is yours, add it with --ca-file")]
    Untrusted { url: String },
    #[error("{url} shows a certificate that is not valid: {reason}")]
    Certificate { url: String, reason: String },
    #[error("failed to agree on TLS with {url}: {reason}")]
    Tls { url: String, reason: String },
    #[error("{url} {waiting} within {after:?}")]
    TimedOut { url: String, after: Duration, waiting: Waiting },
    #[error("{url} answered with more than {limit} bytes")]
    TooLarge { url: String, limit: usize },
    #[error("{url} answered with something that is not HTTP: {reason}")]
    Malformed { url: String, reason: String },
    #[error("the connection to {url} ended before the answer was complete: {reason}")]
    Interrupted { url: String, reason: String },
    #[error("{url} answered with a redirect that cannot be followed: {reason}")]
    InvalidRedirect { url: String, reason: &'static str },
    #[error("{url} is still a redirect after {limit} of them")]
    TooManyRedirects { url: String, limit: usize },
}

/// A URL as an error may show it: without user, password, query and fragment, and no longer than 200 characters.
#[must_use]
pub fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let text = format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The message at the end of the chain of causes, which says what happened rather than what was being done. That of the
/// [`reqwest::Error`] itself is left out: it holds the whole URL.
pub fn innermost(error: &reqwest::Error) -> String {
    error
        .source()
        .and_then(|source| causes(source).last())
        .map_or_else(|| "for an unknown reason".to_owned(), ToString::to_string)
}

/// `error` and what it was caused by. An [`io::Error`] leaves out the error that it wraps, so that is put in.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

fn cause<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).find_map(|cause| cause.downcast_ref::<T>())
}

impl HttpError {
    /// From an error before the head of the answer had arrived.
    pub(super) fn from_exchange(error: &reqwest::Error, url: &Url) -> Self {
        let shown = shown(url);
        if let Some(resolve) = cause::<ResolveError>(error) {
            return Self::from_resolve(resolve, shown);
        }
        if let Some(tls) = cause::<rustls::Error>(error) {
            return Self::from_tls(tls, shown);
        }
        if error.is_builder() {
            return Self::InvalidUrl { reason: innermost(error) };
        }
        match cause::<io::Error>(error) {
            Some(io) if error.is_connect() => Self::from_io(io, shown),
            None if error.is_connect() => Self::Connect {
                url: shown,
                reason: innermost(error),
            },
            _ => Self::from_answer(error, shown),
        }
    }

    /// From an error in the head or the body of the answer.
    pub(super) fn from_answer(error: &reqwest::Error, url: String) -> Self {
        let reason = innermost(error);
        let is_nonsense = match (cause::<hyper::Error>(error), cause::<io::Error>(error)) {
            (_, Some(io)) => matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput),
            // What has no source is hyper's own complaint about what it read, and not the end of the connection.
            (Some(hyper), None) if hyper.source().is_none() => !(hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled()),
            (Some(hyper), None) => hyper.is_parse(),
            (None, None) => error.is_decode(),
        };
        if is_nonsense {
            Self::Malformed { url, reason }
        } else {
            Self::Interrupted { url, reason }
        }
    }

    /// From a failure to open a TCP connection to `target`, a host and port.
    pub(super) fn from_connect(error: &ConnectError, target: String) -> Self {
        match error {
            ConnectError::Resolve(resolve) => Self::from_resolve(resolve, target),
            ConnectError::Connect { source, .. } => Self::from_io(source, target),
            ConnectError::TimedOut { after, .. } => Self::TimedOut {
                url: target,
                after: *after,
                waiting: Waiting::ForAnswer,
            },
        }
    }

    fn from_resolve(error: &ResolveError, url: String) -> Self {
        match error {
            ResolveError::Refused(refusal) => Self::Refused {
                url,
                refusal: refusal.clone(),
            },
            ResolveError::Lookup { source, .. } => Self::Dns {
                url,
                reason: source.to_string(),
            },
            ResolveError::NoAddress { .. } => Self::Dns {
                url,
                reason: "the name has no address".to_owned(),
            },
        }
    }

    fn from_io(error: &io::Error, url: String) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused { url },
            _ => Self::Connect {
                url,
                reason: error.to_string(),
            },
        }
    }

    fn from_tls(error: &rustls::Error, url: String) -> Self {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Self::Untrusted { url },
            rustls::Error::InvalidCertificate(certificate) => Self::Certificate {
                url,
                reason: certificate_reason(certificate),
            },
            rustls::Error::InvalidMessage(_) => Self::Tls {
                url,
                reason: "it does not speak TLS; is it plain http?".to_owned(),
            },
            other => Self::Tls {
                url,
                reason: other.to_string(),
            },
        }
    }
}

fn certificate_reason(error: &CertificateError) -> String {
    let reason = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is not for this host name or address",
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is that of an authority; the server needs one of its own (openssl req -x509 makes authorities unless told CA:FALSE)"
        }
        other => return other.to_string(),
    };
    reason.to_owned()
}
