//! What a process may touch. Capabilities only ever shrink on the way down the process tree.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::tool::Risk;

/// All of something, or only what is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Everything there is.
    All,
    /// Only these names.
    Only(BTreeSet<String>),
}

impl Grant {
    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    /// Only the names given.
    pub fn only<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    /// Whether `name` is granted.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }

    /// What both grant.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, grant) | (grant, Self::All) => grant.clone(),
            (Self::Only(a), Self::Only(b)) => Self::Only(a.intersection(b).cloned().collect()),
        }
    }
}

/// What a process may touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Tools it may call by name.
    pub tools: Grant,
    /// The riskiest tool it may call.
    pub risk_max: Risk,
    /// Models it may think with.
    pub models: Grant,
    /// Whether it may start processes.
    pub spawn: bool,
    /// Whether it may send to processes other than its parent, its children and its siblings.
    pub send_anywhere: bool,
}

/// Presets of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PermissionLevel {
    /// Pure tools only; no children.
    #[serde(alias = "restricted")]
    Restricted,
    /// Reads and writes the workspace; may start children.
    #[serde(alias = "standard")]
    Standard,
    /// Also runs programs.
    #[serde(alias = "advanced")]
    Advanced,
    /// Everything, and may speak to any process.
    #[serde(alias = "full")]
    Full,
}

impl PermissionLevel {
    /// The capabilities the preset stands for.
    #[must_use]
    pub fn capabilities(self) -> Capabilities {
        let (risk_max, spawn, send_anywhere) = match self {
            Self::Restricted => (Risk::Safe, false, false),
            Self::Standard => (Risk::Medium, true, false),
            Self::Advanced => (Risk::High, true, false),
            Self::Full => (Risk::High, true, true),
        };
        Capabilities { tools: Grant::All, risk_max, models: Grant::All, spawn, send_anywhere }
    }
}

impl Capabilities {
    /// What both sets allow: what a child gets when it asks for `wanted`.
    #[must_use]
    pub fn attenuate(&self, wanted: &Self) -> Self {
        Self {
            tools: self.tools.meet(&wanted.tools),
            risk_max: self.risk_max.min(wanted.risk_max),
            models: self.models.meet(&wanted.models),
            spawn: self.spawn && wanted.spawn,
            send_anywhere: self.send_anywhere && wanted.send_anywhere,
        }
    }

    /// Whether nothing here goes beyond `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.attenuate(other) == *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attenuation_never_adds() {
        let parent = Capabilities {
            tools: Grant::only(["read_file", "write_file"]),
            ..PermissionLevel::Standard.capabilities()
        };
        let child = parent.attenuate(&PermissionLevel::Full.capabilities());
        assert_eq!(child, parent);
        let narrow = Capabilities { tools: Grant::only(["read_file", "fetch"]), ..parent.clone() };
        let child = parent.attenuate(&narrow);
        assert_eq!(child.tools, Grant::only(["read_file"]));
        assert!(child.within(&parent));
        assert!(!narrow.within(&parent));
    }
}
