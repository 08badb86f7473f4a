//! The description of the interface, made from the types and handlers themselves.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, Ref, RefOr, Response as Answer, ResponseBuilder,
};
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
    let mut document = super::router().split_for_parts().1;
    for item in document.paths.paths.values_mut() {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in methods.into_iter().flatten() {
            let answers = &mut operation.responses.responses;
            let unknown = problem("Nobody knows who asks: over TCP a token is needed");
            answers.insert("401".to_owned(), unknown);
            answers.insert("default".to_owned(), problem("Any other failure"));
        }
    }
    document
}

/// An answer that every operation may give.
fn problem(description: &str) -> RefOr<Answer> {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let answer = ResponseBuilder::new().description(description);
    answer.content("application/problem+json", content).build().into()
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
