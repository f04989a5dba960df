//! `http_request`: one request, its answer as `{status, headers, body}`.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::walk::{Answer, Fault};
use super::{World, whole_number};
use crate::remote::http::{Request, Response, parse_url};
use crate::runbook::substitute::text;

#[derive(Deserialize)]
pub struct Fields {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    expected_status: Option<Value>,
}

pub async fn run(fields: Fields, limit: Duration, world: &World) -> Result<Answer, Fault> {
    let request = Request {
        timeout: limit,
        ..request(&fields)?
    };
    let response = world.http.send(request).await?;
    let status = response.status.as_u16();
    let output = answer(&response);
    match unexpected(status, fields.expected_status.as_ref()) {
        None => Ok(Answer {
            output,
            message: Some(format!("status {status}")),
            ..Answer::default()
        }),
        Some(message) => Err(Fault {
            message,
            output,
            permanent: false,
        }),
    }
}

fn request(fields: &Fields) -> Result<Request, Fault> {
    let word = fields.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
    let method = Method::from_bytes(word.as_bytes()).map_err(|_| Fault::permanent(format!("method: {word:?} is no HTTP method")))?;
    let mut request = Request::new(method, parse_url(&fields.url)?);
    for (name, value) in &fields.headers {
        let wrong = |what: &str| Fault::permanent(format!("headers: {name:?} {what}"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("is no name of a header"))?;
        let value = HeaderValue::from_str(&text(value)).map_err(|_| wrong("has a value that no header can have"))?;
        request.headers.insert(header, value);
    }
    request.body = match &fields.body {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone().into_bytes()),
        Some(value) => {
            request
                .headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            Some(value.to_string().into_bytes())
        }
    };
    Ok(request)
}

/// Why a status is not what was expected; any 2xx is, where nothing else is asked.
pub fn unexpected(status: u16, expected: Option<&Value>) -> Option<String> {
    let wanted: Vec<i64> = match expected {
        None | Some(Value::Null) => {
            return (!(200..300).contains(&status)).then(|| format!("status {status}, expected 2xx"));
        }
        Some(Value::Array(list)) => list.iter().filter_map(whole_number).collect(),
        Some(value) => whole_number(value).into_iter().collect(),
    };
    let words: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    (!wanted.contains(&i64::from(status))).then(|| format!("status {status}, expected {}", words.join(" or ")))
}

fn answer(response: &Response) -> Value {
    let headers: serde_json::Map<String, Value> = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let is_json = headers
        .get("content-type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.contains("json"));
    let parsed = is_json.then(|| serde_json::from_slice(&response.body).ok()).flatten();
    let body = parsed.unwrap_or_else(|| json!(String::from_utf8_lossy(&response.body)));
    json!({"status": response.status.as_u16(), "headers": headers, "body": body})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_any_2xx_is_expected() {
        assert_eq!(unexpected(204, None), None);
        assert_eq!(unexpected(503, None).as_deref(), Some("status 503, expected 2xx"));
    }

    #[test]
    fn one_status_a_text_or_a_list_can_be_expected() {
        assert_eq!(unexpected(301, Some(&json!(301))), None);
        assert_eq!(unexpected(301, Some(&json!("301"))), None);
        assert_eq!(unexpected(404, Some(&json!([200, 404]))), None);
        assert_eq!(
            unexpected(500, Some(&json!([200, 404]))).as_deref(),
            Some("status 500, expected 200 or 404")
        );
    }
}
