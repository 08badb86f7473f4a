//! Tools by name. Checks arguments, bounds time and output, and turns whatever comes of a call into
//! a result message.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use aosk_abi::message::{Body, Message};
use aosk_abi::tool::{ToolSpec, ToolTraits};

use crate::arguments::Schema;
use crate::bound;
use crate::error::{RegisterError, ToolError};
use crate::kernel_calls;
use crate::limits;
use crate::near::near_names;
use crate::tool::{Invocation, Output, Tool};

/// The tools of one kernel.
///
/// Invariant: every tool's schema is compiled, and no tool has the name of a kernel call.
#[derive(Debug)]
pub struct Registry {
    devices: BTreeMap<String, Device>,
    output_bytes_max: usize,
}

#[derive(Debug)]
struct Device {
    tool: Arc<dyn Tool>,
    schema: Schema,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// No tools, and [`limits::OUTPUT_BYTES_MAX`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_output_bytes_max(limits::OUTPUT_BYTES_MAX)
    }

    /// No tools. Results keep at most `bytes_max` bytes of output, and never less than
    /// [`limits::OUTPUT_BYTES_MIN`].
    #[must_use]
    pub fn with_output_bytes_max(bytes_max: usize) -> Self {
        let output_bytes_max = bytes_max.max(limits::OUTPUT_BYTES_MIN);
        Self { devices: BTreeMap::new(), output_bytes_max }
    }

    /// Adds a tool.
    ///
    /// # Errors
    /// If its name is taken or malformed, or its parameters are no JSON Schema.
    pub fn add(&mut self, tool: Arc<dyn Tool>) -> Result<(), RegisterError> {
        let spec = tool.spec();
        let name = spec.name.clone();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(RegisterError::Name(name));
        }
        if self.devices.contains_key(&name) || kernel_calls::spec(&name).is_some() {
            return Err(RegisterError::Duplicate(name));
        }
        let schema = Schema::compile(spec)?;
        self.devices.insert(name, Device { tool, schema });
        Ok(())
    }

    /// The tool called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.devices.get(name).map(|device| &device.tool)
    }

    /// The names of all tools, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    /// What the kernel decides by, for the tool called `name`.
    #[must_use]
    pub fn traits(&self, name: &str) -> Option<&ToolTraits> {
        self.devices.get(name).map(|device| device.tool.traits())
    }

    /// What a model is shown of the tools and kernel calls called `names`, in that order.
    ///
    /// # Errors
    /// `tool.unknown` for the first name that is neither.
    pub fn specs<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<&ToolSpec>, ToolError> {
        names
            .iter()
            .map(|name| {
                let name = name.as_ref();
                kernel_calls::spec(name).map_or_else(|| Ok(self.find(name)?.tool.spec()), Ok)
            })
            .collect()
    }

    /// Makes a call and gives its result message; a failure is one too, and its text begins with
    /// the stable code. Dropping the future cancels the call.
    pub async fn call(&self, invocation: &Invocation) -> Body {
        let outcome = self.run(invocation).await;
        self.result(invocation, outcome)
    }

    /// Makes a call at once, if its tool is inline; none otherwise.
    #[must_use]
    pub fn call_inline(&self, invocation: &Invocation) -> Option<Body> {
        let device = self.devices.get(&invocation.tool)?;
        if !device.tool.traits().inline {
            return None;
        }
        let outcome = match device.schema.check(&invocation.arguments) {
            Ok(arguments) => {
                let call = || device.tool.call_inline(invocation, &arguments);
                catch_unwind(AssertUnwindSafe(call))
                    .unwrap_or_else(|panic| Some(Err(panicked(panic.as_ref()))))?
            }
            Err(error) => Err(error),
        };
        Some(self.result(invocation, outcome))
    }

    async fn run(&self, invocation: &Invocation) -> Result<Output, ToolError> {
        let device = self.find(&invocation.tool)?;
        let arguments = device.schema.check(&invocation.arguments)?;
        let timeout = device.tool.traits().timeout;
        let call = catch_panic(async { device.tool.call(invocation, arguments).await });
        tokio::time::timeout(timeout.duration(), call)
            .await
            .unwrap_or(Err(ToolError::Timeout { after: timeout, output: String::new() }))
    }

    fn find(&self, name: &str) -> Result<&Device, ToolError> {
        let calls = kernel_calls::specs().map(|spec| spec.name.as_str());
        self.devices.get(name).ok_or_else(|| ToolError::Unknown {
            name: bound::cut(name, limits::OUTPUT_BYTES_MIN / 2),
            near: near_names(name, self.names().chain(calls)),
        })
    }

    fn result(&self, invocation: &Invocation, outcome: Result<Output, ToolError>) -> Body {
        let Invocation { use_id, tool, .. } = invocation;
        let cut = |text: &str| bound::cut(text, self.output_bytes_max);
        Body::new(match outcome {
            Ok(output) => Message::returned(use_id, tool, cut(&output.text)),
            Err(error) => Message::failed(use_id, tool, error.code(), cut(&error.to_string())),
        })
    }
}

/// Drives `call`; a panic in it is `tool.failed`. Without a task of its own, so that dropping this
/// future drops `call` at that very moment.
async fn catch_panic(
    call: impl Future<Output = Result<Output, ToolError>> + Send,
) -> Result<Output, ToolError> {
    let mut call: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(call);
    poll_fn(move |context| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(panicked(panic.as_ref()))))
    })
    .await
}

fn panicked(panic: &(dyn Any + Send)) -> ToolError {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    ToolError::Failed(format!("the tool panicked: {said}"))
}
