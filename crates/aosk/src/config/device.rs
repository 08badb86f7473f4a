//! Models in the configuration: what each takes.

use std::collections::BTreeMap;

use aosk::abi::{Bounds, Error, ErrorCode, Tokens};
use aosk::kernel::Rates;
use aosk::model::resolve;

use super::keys::{self, Key};
use super::leaf;
use super::section::{Read, Section};
use super::tree::Origin;

/// What is said of a model.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its address, in place of the usual one of its provider.
    pub(crate) base_url: Option<String>,
    /// Calls at once.
    pub(crate) slots: Option<u32>,
    /// Whether its calls yield when their time slice is over.
    pub(crate) slices: Option<bool>,
    /// What its provider takes.
    pub(crate) rates: Rates,
}

/// The models by the names they are written with.
pub(super) fn all(section: &Section<'_>) -> Read<BTreeMap<String, Device>> {
    let mut devices = BTreeMap::new();
    for (name, item) in section.names() {
        known(&name.text, "devices").map_err(|error| (Origin::Line(name.line), error))?;
        let device = read(
            &section.under(&name.text, item)?,
            [
                &keys::DEVICE_BASE_URL,
                &keys::DEVICE_SLOTS,
                &keys::DEVICE_SLICES,
                &keys::DEVICE_REQUESTS,
                &keys::DEVICE_TOKENS,
                &keys::DEVICE_USD,
            ],
        )?;
        devices.insert(name.text.clone(), device);
    }
    Ok(devices)
}

/// Reads what is said of one model under these keys: its address, its slots, whether they are given
/// up in time, and its rates of requests, tokens and dollars.
pub(super) fn read(
    section: &Section<'_>,
    [base_url, slots, slices, requests, tokens, usd]: [&'static Key; 6],
) -> Read<Device> {
    Ok(Device {
        base_url: leaf::address(section, base_url)?,
        slots: leaf::slots(section, slots)?,
        slices: leaf::boolean(section, slices)?,
        rates: Rates {
            per_minute: Bounds {
                calls: leaf::number(section, requests)?,
                tokens: leaf::number(section, tokens)?.map(Tokens),
                micro_usd: None,
            },
            per_day: leaf::money(section, usd)?,
        },
    })
}

/// Whether a model can have this name.
pub(super) fn known(name: &str, key: &str) -> Result<(), Error> {
    resolve::check_name(name).map_err(|error| {
        Error::new(ErrorCode::ConfigInvalid, format!("{key}: {}", error.message)).hint(error.hint)
    })
}
