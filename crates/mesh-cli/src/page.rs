//! The page of the demo, part of the binary.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// Nothing from elsewhere, nothing inline. Named with the schemes of WebSocket, because `'self'` alone leaves them out
/// in some browsers.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The file that a path names.
pub(crate) async fn file(uri: Uri) -> Response {
    let (content_type, body): (_, &'static [u8]) = match uri.path() {
        "/" => (HTML, include_bytes!("../web/index.html")),
        "/style.css" => (CSS, include_bytes!("../web/style.css")),
        "/demo.js" => (JS, include_bytes!("../web/demo.js")),
        "/icon.svg" => (SVG, include_bytes!("../web/icon.svg")),
        "/mesh.min.js" => (JS, include_bytes!("../../../packages/client/dist/mesh.min.js")),
        _ => return (StatusCode::NOT_FOUND, "there is no such page\n").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}
