//! The sample shop: a page for every path, which shows what arrived with the visitor.

use std::future::Future;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use tokio::net::TcpListener;

use crate::telemetry::http::serve;

/// Connections at the same time.
const CONNECTIONS: usize = 256;
/// The page around what is shown.
const PAGE: &str = include_str!("site.html");

/// Serves pages until `stop` resolves.
pub(super) async fn run(listener: TcpListener, stop: impl Future<Output = ()>) {
    serve(listener, CONNECTIONS, respond, stop).await;
}

fn respond(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => {
            Response::new(Full::from(page(request.uri().path(), request.uri().query())))
        }
        _ => Response::new(Full::from("the sample shop only shows pages\n")),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// Fills the page with what arrived. Everything from the address is escaped.
fn page(path: &str, query: Option<&str>) -> String {
    let parameters: Vec<(&str, &str)> = query
        .unwrap_or_default()
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .collect();
    let rows: String = parameters
        .iter()
        .map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>\n", escaped(name), escaped(value)))
        .collect();
    let rows = if rows.is_empty() { "<tr><td>no parameters</td></tr>\n".to_owned() } else { rows };
    let partner = parameters.iter().find(|(name, _)| *name == "ref").map_or("nobody", |(_, partner)| partner);
    PAGE.replace("{{path}}", &escaped(path))
        .replace("{{partner}}", &escaped(partner))
        .replace("{{rows}}", &rows)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '{' => escaped.push_str("&#123;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_shows_path_partner_and_parameters() {
        let page = page("/winter/coats", Some("utm_source=newsletter&ref=anna&x"));
        for part in ["/winter/coats", "<th>utm_source</th><td>newsletter</td>", "anna", "<th>x</th><td></td>"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("{{"));
    }

    #[test]
    fn nothing_from_the_address_becomes_markup() {
        let page = page("/<script>", Some("ref=<b>&{{rows}}=\"'&a=&lt;"));
        assert!(!page.contains("<script>") && !page.contains("<b>"));
        assert!(page.contains("&#123;&#123;rows}}"));
    }
}
