//! Inside an axum app. The only file that knows axum.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};

use super::upgrade::{is_upgrade, upgrade};
use crate::mesh::Mesh;

impl Mesh {
    /// A route that takes WebSockets: `.route("/mesh", mesh.route())`.
    pub fn route<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        let mesh = self.clone();
        any(move |request: Request| async move { upgrade(mesh, request).await })
    }

    /// A router with that route at `path`, and `/livez` and `/readyz`.
    pub fn router<S: Clone + Send + Sync + 'static>(&self, path: &str) -> Router<S> {
        let mesh = self.clone();
        let health = get(move |uri: Uri| async move { mesh.health(uri.path()).unwrap_or_default() });
        Router::new().route(path, self.route()).route("/livez", health.clone()).route("/readyz", health)
    }

    /// Take the WebSockets among the requests of a route and leave the others to `page`: one path for both.
    pub async fn or_else<R: IntoResponse>(
        &self,
        request: Request<Body>,
        page: impl AsyncFnOnce(Request<Body>) -> R,
    ) -> Response {
        if is_upgrade(request.headers()) {
            return upgrade(self.clone(), request).await.into_response();
        }
        page(request).await.into_response()
    }
}
