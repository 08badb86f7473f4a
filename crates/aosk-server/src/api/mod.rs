//! The REST interface under `/api/v1`, and its description.
//!
//! A file for each thing there is. A handler takes what it needs from the request, says which role it
//! needs, asks the kernel or reads the store, and answers with a type of its own: what clients see
//! does not change when a type of the kernel does.

mod description;
mod health;

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use description::{openapi, printed};

/// All routes of the interface.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(description::Description::openapi())
        .routes(routes!(health::health))
        .routes(routes!(health::version))
        .routes(routes!(description::document))
}
