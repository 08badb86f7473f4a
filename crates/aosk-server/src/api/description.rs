//! The description of the interface, made from the types and handlers themselves.

use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::extract::Json;

/// What holds for the interface as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Agent OS Kernel",
        description = "The processes of a kernel, their past and what they may use.",
        license(name = "MIT")
    ),
    modifiers(&Bearer),
    security(("bearer" = []), ())
)]
pub(crate) struct Description;

/// Tokens, which the unix socket does not need.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The description, as OpenAPI 3.1.
#[must_use]
pub fn openapi() -> Document {
    super::router().split_for_parts().1
}

/// The description as text, the same each time.
#[must_use]
pub fn printed() -> String {
    openapi().to_pretty_json().unwrap_or_default()
}

/// The description of this interface.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "server",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn document() -> Json<Document> {
    Json(openapi())
}
