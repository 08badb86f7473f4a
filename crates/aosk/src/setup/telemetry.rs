//! What a daemon tells a collector, if one is named.

use aosk::Handle;
use aosk::abi::Error;

use crate::config::Otel;
use crate::term::note;

/// Somebody who tells a collector what the kernel does, or nobody.
#[cfg(feature = "otel")]
#[derive(Debug, Default)]
pub(crate) struct Telling(Option<aosk_otel::Telemetry>);

#[cfg(feature = "otel")]
impl Telling {
    /// Begins to, if the configuration or the environment names a collector.
    pub(crate) fn begin(handle: &Handle, otel: &Otel) -> Result<Self, Error> {
        use secrecy::ExposeSecret;
        let exposed = |(name, value): (&String, &secrecy::SecretString)| {
            (name.clone(), value.expose_secret().to_owned())
        };
        let said = aosk_otel::Said {
            endpoint: otel.endpoint.clone(),
            headers: otel.headers.iter().map(exposed).collect(),
            content: otel.content,
        };
        let settings = aosk_otel::Settings::read(&said, &|name| std::env::var(name).ok())?;
        let Some(settings) = settings else { return Ok(Self(None)) };
        note(&format!("traces and metrics go to {}", settings.place()));
        aosk_otel::Telemetry::start(handle, settings).map(|telemetry| Self(Some(telemetry)))
    }

    /// Tells the rest. The kernel has stopped.
    pub(crate) async fn finish(self) {
        if let Some(telemetry) = self.0 {
            telemetry.finish().await;
        }
    }
}

/// Nobody: this program was built without.
#[cfg(not(feature = "otel"))]
#[derive(Debug, Default)]
pub(crate) struct Telling;

#[cfg(not(feature = "otel"))]
impl Telling {
    /// Says that nobody is told, if somebody should be.
    pub(crate) fn begin(_: &Handle, otel: &Otel) -> Result<Self, Error> {
        let is_named = otel.endpoint.is_some() || !otel.headers.is_empty() || otel.content;
        if is_named {
            note("this program was built without the feature otel: no collector is told anything");
        }
        Ok(Self)
    }

    /// Nothing is left to be told.
    pub(crate) async fn finish(self) {}
}
