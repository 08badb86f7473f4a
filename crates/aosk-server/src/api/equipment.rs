//! The models and tools that the kernel has.

use aosk_abi::{Ability, OffPeak as Other, Price, Quality, Rates as Prices};
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
    /// What they cost at other hours; none if it is the same at all hours.
    off_peak: Option<OffPeak>,
    /// How good its answers are: `low`, `medium` or `high`; none if that is not known.
    #[schema(value_type = Option<String>)]
    quality: Option<Quality>,
    /// What it can do: `tools`, `images`, `schema`; none if that is not known.
    #[schema(value_type = Option<Vec<String>>)]
    abilities: Option<Vec<Ability>>,
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

/// What a million tokens cost in requests that begin outside of some hours.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OffPeak {
    /// The hours at which the usual price holds, in UTC, such as `mon-fri 01:00-04:00`.
    outside: String,
    /// What it costs at others.
    price: ModelPrice,
}

impl OffPeak {
    fn of(price: &Price) -> Option<Self> {
        let Other { rates, peak } = price.off_peak?;
        Some(Self { outside: peak.to_string(), price: ModelPrice::from(&rates) })
    }
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
    /// Which of them is asked, of those that can take the call and are free.
    choice: RouteChoice,
    /// The class that its models have at least: `low`, `medium` or `high`; none if any will do.
    #[schema(value_type = Option<String>)]
    quality: Option<Quality>,
    /// How long a call waits for a better one that is busy while another is free, in milliseconds.
    wait_ms: u64,
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
    /// The one where the call is expected to cost least.
    ByCost,
    /// The one of the best class, and of several the cheapest.
    ByQuality,
    /// The one that is expected to have answered first.
    ByLatency,
}

/// A model of a route.
#[derive(Debug, Serialize, ToSchema)]
struct Backend {
    /// The model.
    model: String,
    /// Its weight.
    weight: u32,
    /// Its class in this route, if that is another than its own: `low`, `medium` or `high`.
    #[schema(value_type = Option<String>)]
    class: Option<Quality>,
}

impl Model {
    fn of(device: &ModelDevice) -> Self {
        let rates = &device.rates;
        Self {
            name: device.name.clone(),
            slots: device.slots,
            window: device.context.map(|tokens| tokens.0),
            price: ModelPrice::from(&device.price.usual),
            off_peak: OffPeak::of(&device.price),
            quality: device.quality,
            abilities: device.abilities.map(|abilities| abilities.iter().collect()),
            stream: device.stream,
            continues: device.continues,
            per_minute: Rate::from(&rates.per_minute),
        }
    }
}

impl ModelRoute {
    fn of((name, route): (&String, &Route)) -> Self {
        let models = route.backends.iter();
        let models = models.map(|(model, weight)| Backend {
            model: model.clone(),
            weight: *weight,
            class: route.classes.get(model).copied(),
        });
        let choice = match route.choice {
            Choice::InOrder => RouteChoice::InOrder,
            Choice::ByWeight => RouteChoice::ByWeight,
            Choice::ByCost => RouteChoice::ByCost,
            Choice::ByQuality => RouteChoice::ByQuality,
            Choice::ByLatency => RouteChoice::ByLatency,
        };
        Self {
            name: name.clone(),
            choice,
            quality: route.quality,
            wait_ms: route.wait.0,
            models: models.collect(),
        }
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
