//! The description of the interface, made from the types and handlers themselves.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
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
    modifiers(&Schemes),
    security(("bearer" = []), ("key" = []), ())
)]
pub(crate) struct Description;

/// Tokens, which the unix socket does not need.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let key = ApiKey::Header(ApiKeyValue::new("x-api-key"));
        components.add_security_scheme("key", SecurityScheme::ApiKey(key));
    }
}

/// The description, as OpenAPI 3.1.
#[must_use]
pub fn openapi() -> Document {
    let mut document = super::router().split_for_parts().1;
    for item in document.paths.paths.values_mut() {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in methods.into_iter().flatten() {
            let has_body = operation.request_body.is_some();
            let answers = &mut operation.responses.responses;
            if has_body {
                answers.insert("408".to_owned(), problem("The body does not arrive"));
                answers.insert("413".to_owned(), problem("The body is too large"));
                answers.insert("415".to_owned(), problem("The body is not said to be JSON"));
            }
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
