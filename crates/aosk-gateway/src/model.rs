//! Which model a client means.

use aosk_abi::{Error, ErrorCode};
use aosk_runtime::model::client::Format;
use aosk_runtime::{Equipment, ModelDevice};

/// What the kernel calls the model that a client calls `name`: a model or route of this name, else the
/// one model that a provider calls so.
///
/// # Errors
/// If there is none, or there are several.
pub(crate) fn resolve(equipment: &Equipment, name: &str) -> Result<String, Error> {
    if equipment.answers(name) {
        return Ok(name.to_owned());
    }
    let is_meant =
        |device: &&ModelDevice| device.name.split_once(':').is_some_and(|(_, model)| model == name);
    let mut meant = equipment.models.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(device), None) => Ok(device.name.clone()),
        (Some(one), Some(other)) => {
            let text =
                format!("asking the model: {name:?} is {}, {} or more", one.name, other.name);
            Err(Error::new(ErrorCode::ModelUnknown, text).hint("name the provider too"))
        }
        (None, _) => {
            let text = format!("asking the model: this kernel has no model {name:?}");
            Err(Error::new(ErrorCode::ModelUnknown, text)
                .hint(format!("models: {}", names(equipment).join(", "))))
        }
    }
}

/// Every name that is answered.
pub(crate) fn names(equipment: &Equipment) -> Vec<&str> {
    let models = equipment.models.iter().map(|device| device.name.as_str());
    equipment.routes.keys().map(String::as_str).chain(models).collect()
}

/// The models that may answer to a name, in the order of their route.
pub(crate) fn behind<'e>(
    equipment: &'e Equipment,
    name: &str,
) -> impl Iterator<Item = &'e ModelDevice> {
    let route = equipment.routes.get(name);
    let names: Vec<&str> = match route {
        Some(route) => route.backends.iter().map(|(device, _)| device.as_str()).collect(),
        None => equipment.models.iter().map(|d| d.name.as_str()).filter(|d| *d == name).collect(),
    };
    let found = |name: &str| equipment.models.iter().find(|device| device.name == name);
    names.into_iter().filter_map(found).collect::<Vec<_>>().into_iter()
}

/// Whether every model that may answer is asked in the client's format.
pub(crate) fn all_pass(equipment: &Equipment, name: &str, format: Format) -> bool {
    behind(equipment, name).all(|device| device.driver.passes(format))
}

#[cfg(test)]
mod tests;
