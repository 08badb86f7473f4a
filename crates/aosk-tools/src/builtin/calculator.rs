//! Arithmetic, exact as long as it can be. Pure, and bounded in depth and time by construction, so
//! it may run on the event loop.

mod error;
mod number;
mod parse;

use aosk_abi::tool::{Risk, ToolSpec, ToolTraits};
use aosk_abi::unit::Millis;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arguments::typed;
use crate::error::ToolError;
use crate::limits;
use crate::tool::{Invocation, Output, Tool};

/// Evaluates an arithmetic expression.
#[derive(Debug)]
pub struct Calculator {
    spec: ToolSpec,
    traits: ToolTraits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    expression: String,
}

impl Calculator {
    /// The tool `calculator`.
    #[must_use]
    pub fn new() -> Self {
        let spec = ToolSpec {
            name: "calculator".into(),
            description: "Evaluates one arithmetic expression and returns its value. Use it for \
                every calculation instead of doing it in your head. Knows + - * / ^ (power), \
                % (remainder), ! (factorial), parentheses; the constants pi, e, tau; the functions \
                sqrt cbrt abs floor ceil round(x, digits) exp ln log2 log10 log(x, base) sin cos \
                tan asin acos atan (radians) min max gcd. Fractions are exact up to 38 digits; \
                results that are not exact begin with `≈`."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "expression": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": limits::EXPRESSION_CHARS_MAX,
                        "description": "For example `(1.05^10 - 1) * 2000` or `sqrt(2)/2`."
                    }
                },
                "required": ["expression"],
                "additionalProperties": false
            }),
        };
        let traits = ToolTraits {
            risk: Risk::Safe,
            idempotent: true,
            inline: true,
            parallel: true,
            timeout: Millis::from_secs(1),
        };
        Self { spec, traits }
    }
}

impl Default for Calculator {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Tool for Calculator {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn traits(&self) -> &ToolTraits {
        &self.traits
    }

    async fn call(&self, _: &Invocation, arguments: Value) -> Result<Output, ToolError> {
        calculate(&arguments)
    }

    fn call_inline(&self, _: &Invocation, arguments: &Value) -> Option<Result<Output, ToolError>> {
        Some(calculate(arguments))
    }
}

fn calculate(arguments: &Value) -> Result<Output, ToolError> {
    let Arguments { expression } = typed(arguments.clone())?;
    parse::evaluate(&expression)
        .map(|number| Output::text(number.to_string()))
        .map_err(|error| ToolError::Failed(format!("cannot calculate: {error}")))
}

#[cfg(test)]
mod tests;
