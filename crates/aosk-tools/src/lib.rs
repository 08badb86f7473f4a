//! Tools: the devices that let a process act on the world.
//!
//! | room | what it holds |
//! |---|---|
//! | [`tool`] | the trait a tool implements, and what a call brings along |
//! | [`registry`] | tools by name; checks arguments, bounds time and output, makes result messages |
//! | [`workspace`] | the one directory that file tools can reach |
//! | [`bound`] | head and tail of output of any size, in constant memory, safe to show |
//! | [`builtin`] | the tools that come with the kernel |
//! | [`kernel_calls`] | system calls in the form in which a model makes them |
//! | [`error`] | how a tool call fails |
//! | [`limits`] | every bound, with its reason |
//!
//! Nothing here decides whether a call is allowed: the kernel does, before it releases the call.
//! File tools reach nothing outside their workspace. A command is not confined by this crate: it
//! has the rights of the user who runs the kernel, which is why its risk is high.

pub mod bound;
pub mod builtin;
pub mod error;
pub mod kernel_calls;
pub mod limits;
pub mod registry;
pub mod tool;
pub mod workspace;

mod arguments;
mod blocking;
mod glob;
mod near;

pub use error::{RegisterError, ToolError};
pub use kernel_calls::KernelCall;
pub use near::near_names;
pub use registry::Registry;
pub use tool::{Invocation, Need, Output, Tool};
pub use workspace::{FilePart, Workspace};
