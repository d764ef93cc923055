//! The request of `tidegate explain`: `[METHOD] URL [-H 'name: value' ...]`, much as curl takes it.

use anyhow::{Context, Result, bail};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// A request to explain.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainRequest {
    /// `GET` unless another is given.
    pub method: Method,
    /// Absolute: scheme, host, path, query.
    pub url: Uri,
    /// Headers. `Host` is here only when it was given as a header.
    pub headers: HeaderMap,
}

impl ExplainRequest {
    /// Reads the text.
    ///
    /// # Errors
    /// The first word that makes no sense.
    pub fn parse(text: &str) -> Result<Self> {
        let words = words(text)?;
        let mut words = words.iter().map(String::as_str);
        let mut method = None;
        let mut url = None;
        let mut headers = HeaderMap::new();
        while let Some(word) = words.next() {
            match word {
                "-H" | "--header" => {
                    add_header(&mut headers, words.next().context("`-H` lacks its header")?)?
                }
                "-X" | "--request" => {
                    method = Some(read_method(words.next().context("`-X` lacks its method")?)?);
                }
                _ if word.contains("://") && url.is_none() => url = Some(read_url(word)?),
                _ if word.contains("://") => bail!("`{word}` is a second URL"),
                _ if url.is_none() && method.is_none() => method = Some(read_method(word)?),
                _ => bail!("`{word}` makes no sense here: expected `[METHOD] URL [-H 'name: value' ...]`"),
            }
        }
        let url =
            url.context("the URL is missing: expected `[METHOD] URL`, such as `GET https://host/path`")?;
        Ok(Self {
            method: method.unwrap_or(Method::GET),
            url,
            headers,
        })
    }

    /// The header `name` as text; `None` when it is absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn read_method(word: &str) -> Result<Method> {
    Method::from_bytes(word.as_bytes())
        .with_context(|| format!("`{word}` is neither a method nor an absolute URL"))
}

fn read_url(word: &str) -> Result<Uri> {
    let url: Uri = word.parse().with_context(|| format!("`{word}` is no URL"))?;
    match url.scheme_str() {
        Some("http" | "https" | "grpc" | "grpcs" | "ws" | "wss") => Ok(url),
        scheme => bail!(
            "`{}` is no scheme of a request to a gateway",
            scheme.unwrap_or_default()
        ),
    }
}

fn add_header(headers: &mut HeaderMap, text: &str) -> Result<()> {
    let (name, value) = text
        .split_once(':')
        .with_context(|| format!("header `{text}` lacks a `:`"))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .with_context(|| format!("`{name}` is no header name"))?;
    let value =
        HeaderValue::from_str(value.trim()).with_context(|| format!("the value of `{name}` is not legal"))?;
    headers.append(name, value);
    Ok(())
}

/// Splits at spaces outside quotes, as a shell would.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        bail!("a quote ({open}) is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_method_a_url_and_headers() {
        let request =
            ExplainRequest::parse("POST https://Api.example:8443/a%20b?x=1 -H k:v --header 'X-Two: a b'")
                .expect("legal");
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.url.host(), Some("Api.example"));
        assert_eq!(request.url.port_u16(), Some(8_443));
        assert_eq!(
            request.url.path_and_query().map(|p| p.as_str()),
            Some("/a%20b?x=1")
        );
        assert_eq!(request.header("k"), Some("v"));
        assert_eq!(request.header("x-two"), Some("a b"));
    }

    #[test]
    fn the_method_may_be_absent_or_given_as_curl_takes_it() {
        assert_eq!(
            ExplainRequest::parse("http://h/").expect("legal").method,
            Method::GET
        );
        assert_eq!(
            ExplainRequest::parse("-X PURGE http://h/")
                .expect("legal")
                .method
                .as_str(),
            "PURGE"
        );
        assert_eq!(
            ExplainRequest::parse("http://h/ -X PUT").expect("legal").method,
            Method::PUT
        );
    }

    #[test]
    fn one_header_may_be_given_several_times() {
        let request = ExplainRequest::parse(r#"http://h/ -H "a: 1" -H a:2"#).expect("legal");
        let values: Vec<_> = request.headers.get_all("a").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn a_text_that_is_no_request_is_refused_with_the_word_at_fault() {
        for (text, part) in [
            ("", "the URL is missing"),
            ("GET /path", "`/path` makes no sense here"),
            ("GET", "the URL is missing"),
            ("ftp://h/", "`ftp` is no scheme"),
            ("http://h/ http://i/", "a second URL"),
            ("http://h/ -H", "lacks its header"),
            ("http://h/ -H nocolon", "lacks a `:`"),
            ("http://h/ -H 'a b: c'", "`a b` is no header name"),
            ("http://h/ 'x", "is not closed"),
            ("http://h b/", "`b/` makes no sense here"),
        ] {
            let message = ExplainRequest::parse(text).expect_err(text).to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
