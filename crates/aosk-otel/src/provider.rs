//! The names of providers as the conventions have them.

/// Provider and model of a device, whose name is `provider:model`.
pub(crate) fn of(device: &str) -> (&str, &str) {
    let Some((provider, model)) = device.split_once(':') else {
        return (OTHER, device);
    };
    let provider = match provider {
        "openai-responses" => "openai",
        "gemini" => "gcp.gemini",
        "moonshot" => "moonshot_ai",
        "mistral" => "mistral_ai",
        // The others are called there as they are here, or there is no word for them.
        other => other,
    };
    (provider, model)
}

/// A device that does not say whose it is.
const OTHER: &str = "_OTHER";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_provider_and_a_model() {
        assert_eq!(of("gemini:gemini-3-pro"), ("gcp.gemini", "gemini-3-pro"));
        assert_eq!(of("ollama:qwen3:8b"), ("ollama", "qwen3:8b"));
        assert_eq!(of("m"), ("_OTHER", "m"));
    }
}
