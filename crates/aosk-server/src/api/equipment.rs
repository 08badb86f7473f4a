//! The models and tools that the kernel has.

use aosk_abi::model::Rates as Prices;
use aosk_runtime::ModelDevice;
use aosk_runtime::kernel::{Choice, Route};
use aosk_runtime::tools::kernel_calls;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::Rate;
use crate::app::App;
use crate::extract::Json;

/// The models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Models {
    /// The one that is asked if none is named.
    default: String,
    /// Each by itself.
    models: Vec<Model>,
    /// Names that several models answer to.
    routes: Vec<ModelRoute>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Model {
    /// The name that processes ask for.
    name: String,
    /// How many calls may run at once.
    slots: u32,
    /// The most tokens that a request and its answer may have together; none if that is not known.
    window: Option<u64>,
    /// What a million tokens cost, in millionths of a dollar; zero where it is not known.
    price: ModelPrice,
    /// Whether answers can be watched while they are written.
    stream: bool,
    /// Whether it can go on from an answer that was begun.
    continues: bool,
    /// What it may be asked in a minute.
    per_minute: Rate,
}

/// What a million tokens cost, in millionths of a dollar.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelPrice {
    /// Input that no cache knew.
    input: u64,
    /// Input read from the provider's cache.
    cache_read: u64,
    /// Input written to it.
    cache_write: u64,
    /// Output.
    output: u64,
}

impl From<&Prices> for ModelPrice {
    fn from(rates: &Prices) -> Self {
        Self {
            input: rates.input.0,
            cache_read: rates.cache_read.0,
            cache_write: rates.cache_write.0,
            output: rates.output.0,
        }
    }
}

/// A name that several models answer to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelRoute {
    /// The name.
    name: String,
    /// Which of them is asked: the first that is free in their order, or by weight.
    choice: RouteChoice,
    /// The models.
    models: Vec<Backend>,
}

/// Which model of a route is asked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RouteChoice {
    /// The first in order.
    InOrder,
    /// The one that was asked least for its weight.
    ByWeight,
}

/// A model of a route.
#[derive(Debug, Serialize, ToSchema)]
struct Backend {
    /// The model.
    model: String,
    /// Its weight.
    weight: u32,
}

impl Model {
    fn of(device: &ModelDevice) -> Self {
        let rates = &device.rates;
        Self {
            name: device.name.clone(),
            slots: device.slots,
            window: device.context.map(|tokens| tokens.0),
            price: ModelPrice::from(&device.price.usual),
            stream: device.stream,
            continues: device.continues,
            per_minute: Rate::from(&rates.per_minute),
        }
    }
}

impl ModelRoute {
    fn of((name, route): (&String, &Route)) -> Self {
        let models = route.backends.iter();
        let models =
            models.map(|(model, weight)| Backend { model: model.clone(), weight: *weight });
        let choice = match route.choice {
            Choice::InOrder => RouteChoice::InOrder,
            Choice::ByWeight => RouteChoice::ByWeight,
        };
        Self { name: name.clone(), choice, models: models.collect() }
    }
}

/// The models that the kernel has.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    tag = "kernel",
    responses((status = 200, description = "The models", body = Models))
)]
pub(super) async fn models(State(app): State<App>) -> Json<Models> {
    let equipment = app.handle().equipment();
    Json(Models {
        default: app.setup().model.clone(),
        models: equipment.models.iter().map(Model::of).collect(),
        routes: equipment.routes.iter().map(ModelRoute::of).collect(),
    })
}

/// The tools.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tools {
    /// Each of them, calls on the kernel last.
    tools: Vec<ToolFace>,
}

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolFace {
    /// Its name.
    name: String,
    /// What it does, as a model is told.
    description: String,
    /// The JSON Schema of its arguments.
    #[schema(value_type = Object)]
    parameters: serde_json::Value,
    /// How it is called; none for a call on the kernel itself.
    traits: Option<Traits>,
}

/// How a tool is called.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Traits {
    /// How much harm it can do: `safe`, `low`, `medium` or `high`.
    #[schema(value_type = String)]
    risk: aosk_abi::Risk,
    /// Whether calling it twice is the same as calling it once.
    idempotent: bool,
    /// Whether several calls of it may run at the same time.
    parallel: bool,
    /// How long one call may take, in milliseconds.
    timeout_ms: u64,
}

/// The tools that agents may be given.
#[utoipa::path(
    get,
    path = "/api/v1/tools",
    tag = "kernel",
    responses((status = 200, description = "The tools", body = Tools))
)]
pub(super) async fn tools(State(app): State<App>) -> Json<Tools> {
    let equipment = app.handle().equipment();
    let registry = &equipment.tools;
    let names: Vec<&str> =
        registry.names().chain(kernel_calls::specs().map(|spec| spec.name.as_str())).collect();
    let specs = registry.specs(&names).unwrap_or_default();
    let tools = specs.into_iter().map(|spec| ToolFace {
        name: spec.name.clone(),
        description: spec.description.clone(),
        parameters: spec.parameters.clone(),
        traits: registry.traits(&spec.name).map(|traits| Traits {
            risk: traits.risk,
            idempotent: traits.idempotent,
            parallel: traits.parallel,
            timeout_ms: traits.timeout.0,
        }),
    });
    Json(Tools { tools: tools.collect() })
}
