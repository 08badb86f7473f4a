//! The HTTP face of a kernel: a server on a unix socket and, if asked for, on TCP.
//!
//! | room | what it holds |
//! |---|---|
//! | [`Server`] | listens, serves, ends in order |
//! | [`app`] | what every request can reach, and the router that joins the parts |
//! | [`api`] | the REST interface under `/api/v1`, and its description |
//! | [`access`] | who asks: tokens, roles, tenants, and how often |
//! | `node` | the id of the data directory |
//! | `metrics` | what is counted, as Prometheus reads it |
//! | `request` | what happens to every request: its id, its line in the log |
//! | [`Reload`] | the way to whoever reads the configuration |
//! | `reads` | reads of the store, so many at once |
//! | [`problem`] | errors as RFC 9457 has them, and the one table of HTTP statuses |
//! | [`limits`] | every bound of the server, with its reason |
//!
//! It decides nothing that the kernel could decide, and reaches the kernel through
//! [`Handle`](aosk_runtime::Handle) and [`inspect`](aosk_runtime::inspect) alone.

pub mod access;
pub mod api;
pub mod app;
mod connection;
mod extract;
mod file;
pub mod limits;
mod listen;
mod metrics;
mod node;
pub mod problem;
mod random;
mod reads;
mod reload;
mod request;
mod server;

pub use app::{App, Further, Setup};
pub use extract::body;
pub use listen::{ADDRESS_FILE, SOCKET};
pub use reload::{Reload, ReloadRequest, Reloaded};
pub use request::{REQUEST_ID, current as request_id, trace_parent};
pub use server::{Listening, Server};
