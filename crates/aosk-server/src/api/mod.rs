//! The REST interface under `/api/v1`, and its description.
//!
//! A file for each thing there is. A handler takes what it needs from the request, says which role it
//! needs, asks the kernel or reads the store, and answers with a type of its own: what clients see
//! does not change when a type of the kernel does.

mod approval;
mod budget;
mod config;
mod control;
mod description;
mod equipment;
mod events;
mod file;
mod follow;
mod health;
mod journal;
mod log;
mod memory;
mod node;
mod policy;
mod process;
mod spawn;
mod sse;
mod view;
mod why;

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use approval::{Approval, ApprovalList};
pub use description::{openapi, printed};
pub use view::{Amount, Bound, Over, Process, Rate, Used};

/// All routes of the interface.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(description::Description::openapi())
        .routes(routes!(health::health))
        .routes(routes!(health::version))
        .routes(routes!(description::document))
        .routes(routes!(process::list, spawn::spawn))
        .routes(routes!(process::get))
        .routes(routes!(process::wait))
        .routes(routes!(control::signal))
        .routes(routes!(control::renice))
        .routes(routes!(log::messages, control::message))
        .routes(routes!(log::pages))
        .routes(routes!(memory::page))
        .routes(routes!(memory::recall))
        .routes(routes!(file::list))
        .routes(routes!(file::part))
        .routes(routes!(why::why))
        .routes(routes!(events::events))
        .routes(routes!(journal::list))
        .routes(routes!(follow::follow))
        .routes(routes!(budget::list))
        .routes(routes!(budget::set))
        .routes(routes!(approval::list))
        .routes(routes!(approval::answer))
        .routes(routes!(policy::list))
        .routes(routes!(policy::set))
        .routes(routes!(equipment::models))
        .routes(routes!(equipment::tools))
        .routes(routes!(config::reload))
        .routes(routes!(node::list))
        .routes(routes!(node::get))
}
