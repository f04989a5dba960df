//! Where a redirect leads, and what goes along. Pure.

use ::http::header::{self, HeaderMap, HeaderName};
use ::http::{Method, StatusCode};
use url::Url;

use super::error::{HttpError, shown};

/// One request of the chain that redirects make of a [`super::Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct Hop {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
}

/// Headers that say nothing about whoever sends them, and without which a body is no use.
const HARMLESS: [HeaderName; 2] = [header::ACCEPT, header::CONTENT_TYPE];

/// Headers that describe a body.
const ABOUT_BODY: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
];

/// The request that follows `hop` if the answer redirects; `None` if it does not.
pub fn follow(hop: &Hop, status: StatusCode, answer: &HeaderMap) -> Result<Option<Hop>, HttpError> {
    let (true, Some(location)) = (is_redirect(status), answer.get(header::LOCATION)) else {
        return Ok(None);
    };
    let invalid = |reason| HttpError::InvalidRedirect {
        url: shown(&hop.url),
        reason,
    };
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| invalid("its Location is not text"))?;
    let url = hop.url.join(location).map_err(|_| invalid("its Location is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(invalid("its Location is neither http nor https"));
    }
    let mut next = Hop { url, ..hop.clone() };
    if becomes_get(&hop.method, status) {
        next.method = Method::GET;
        next.body = None;
        for name in ABOUT_BODY {
            next.headers.remove(name);
        }
    }
    if next.url.origin() != hop.url.origin() {
        next.headers = HARMLESS
            .into_iter()
            .filter_map(|name| Some((name.clone(), next.headers.get(&name)?.clone())))
            .collect();
    }
    Ok(Some(next))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// RFC 9110, 15.4: what browsers made of 301 and 302 is what servers count on.
fn becomes_get(method: &Method, status: StatusCode) -> bool {
    match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use ::http::HeaderValue;

    const ALL: [(&str, &str); 5] = [
        ("accept", "a/b"),
        ("authorization", "Bearer s"),
        ("content-type", "text/plain"),
        ("cookie", "c=1"),
        ("x-auth-token", "t"),
    ];

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn redirected(method: &Method, status: u16, location: &'static str) -> Result<Option<Hop>, HttpError> {
        let url = "https://user:pass@a.example/x/y?q=1".parse().unwrap();
        let hop = Hop {
            method: method.clone(),
            url,
            headers: headers(&ALL),
            body: Some(b"body".to_vec()),
        };
        follow(&hop, StatusCode::from_u16(status).unwrap(), &headers(&[("location", location)]))
    }

    #[test]
    fn the_method_after_a_redirect_is_that_of_browsers() {
        for (method, status, expected, keeps_body) in [
            (Method::POST, 301, Method::GET, false),
            (Method::POST, 302, Method::GET, false),
            (Method::POST, 303, Method::GET, false),
            (Method::PUT, 302, Method::PUT, true),
            (Method::PUT, 303, Method::GET, false),
            (Method::HEAD, 303, Method::HEAD, true),
            (Method::GET, 302, Method::GET, true),
            (Method::POST, 307, Method::POST, true),
            (Method::DELETE, 308, Method::DELETE, true),
        ] {
            let next = redirected(&method, status, "/z").unwrap().unwrap();
            assert_eq!((&next.method, next.body.is_some()), (&expected, keeps_body), "{method} {status}");
            assert_eq!(next.headers.contains_key("content-type"), keeps_body, "{method} {status}");
        }
    }

    #[test]
    fn only_answers_that_redirect_are_followed() {
        for status in [200, 201, 300, 304, 305, 404, 500] {
            assert_eq!(redirected(&Method::GET, status, "/z").unwrap(), None, "{status}");
        }
        let hop = Hop {
            method: Method::GET,
            url: "http://a/".parse().unwrap(),
            headers: HeaderMap::new(),
            body: None,
        };
        assert_eq!(follow(&hop, StatusCode::FOUND, &HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn headers_stay_with_the_origin_they_were_written_for() {
        let same = redirected(&Method::POST, 307, "/z").unwrap().unwrap();
        assert_eq!((same.url.as_str(), same.headers), ("https://user:pass@a.example/z", headers(&ALL)));
        for location in ["https://b.example/", "http://a.example/", "https://a.example:8443/", "//b.example/"] {
            let other = redirected(&Method::POST, 307, location).unwrap().unwrap();
            assert_eq!(
                other.headers,
                headers(&[("accept", "a/b"), ("content-type", "text/plain")]),
                "{location}"
            );
            assert_eq!((other.url.username(), other.url.password()), ("", None), "{location}");
        }
    }

    #[test]
    fn a_location_that_leads_nowhere_is_an_error() {
        for location in ["ftp://a/", "file:///etc/passwd", "http://[", "http://", "data:text/plain,x"] {
            let error = redirected(&Method::GET, 302, location).unwrap_err().to_string();
            assert!(
                error.starts_with("https://a.example/x/y answered with a redirect that cannot be followed: its Location"),
                "{error}"
            );
        }
    }
}
