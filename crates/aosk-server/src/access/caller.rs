//! Roles and tenants.

use std::net::IpAddr;

use aosk_abi::{Error, ErrorCode};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// What a caller may do. Ordered from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything, changes nothing.
    Viewer,
    /// Also starts, signals and speaks to processes.
    Operator,
    /// Also bounds budgets, chooses the policy, and lets agents run commands.
    Admin,
}

impl Role {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The unix socket.
    Socket,
    /// An address.
    Tcp(IpAddr),
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What they may do.
    pub role: Role,
    /// The tenant whose processes they see and touch; all if none.
    pub tenant: Option<String>,
    /// The name of their token, or `local` for the owner of the data directory.
    pub name: String,
}

impl Caller {
    /// The owner of the data directory.
    pub(crate) fn owner() -> Self {
        Self { role: Role::Admin, tenant: None, name: "local".to_owned() }
    }

    /// Checks that the caller has at least this role.
    ///
    /// # Errors
    /// If not.
    pub fn must(&self, role: Role) -> Result<(), Error> {
        if self.role >= role {
            return Ok(());
        }
        let (has, needed) = (self.role.word(), role.word());
        let text =
            format!("asking as {}: this needs the role {needed}, and it is {has}", self.name);
        Err(Error::new(ErrorCode::Forbidden, text)
            .hint(format!("`aosk token create --role {needed}` makes a token that may")))
    }

    /// Checks that the caller is bound to no tenant: what is asked for concerns all of them.
    ///
    /// # Errors
    /// If it is.
    pub fn must_be_of_all(&self) -> Result<(), Error> {
        match &self.tenant {
            None => Ok(()),
            Some(tenant) => {
                let text = format!("asking as {}: a token of {tenant} may not do this", self.name);
                Err(Error::new(ErrorCode::Forbidden, text).hint("use a token without a tenant"))
            }
        }
    }

    /// Whether the caller sees what belongs to this group, as `tenant` or `tenant/group`.
    #[must_use]
    pub fn sees(&self, group: &str) -> bool {
        let tenant = group.split('/').next().unwrap_or_default();
        self.tenant.as_deref().is_none_or(|own| own == tenant)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        // Every route is behind the check, which puts it there.
        caller.ok_or_else(|| {
            Error::new(ErrorCode::ApiUnauthorized, "asking: nobody knows who asks").into()
        })
    }
}
