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
    /// The hash of the token that was shown; none for the owner.
    proof: Option<blake3::Hash>,
}

/// Who shares bounds: all tokens of a tenant, and each token that is of none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Share {
    Tenant(String),
    Token(String),
}

impl Caller {
    /// The owner of the data directory, who asks over the unix socket.
    #[must_use]
    pub fn owner() -> Self {
        Self { role: Role::Admin, tenant: None, name: "local".to_owned(), proof: None }
    }

    /// Whoever shows the token of this hash and name.
    pub(super) fn with_token(
        proof: blake3::Hash,
        name: String,
        (role, tenant): (Role, Option<String>),
    ) -> Self {
        Self { role, tenant, name, proof: Some(proof) }
    }

    /// The hash of the token that was shown; none for the owner.
    pub(super) fn proof(&self) -> Option<blake3::Hash> {
        self.proof
    }

    /// Whose bounds it has; none for the owner, whom nothing is kept from.
    pub(crate) fn share(&self) -> Option<Share> {
        self.proof?;
        Some(match &self.tenant {
            Some(tenant) => Share::Tenant(tenant.clone()),
            None => Share::Token(self.name.clone()),
        })
    }

    #[cfg(test)]
    pub(super) fn for_tests(name: &str, tenant: Option<&str>) -> Self {
        let proof = blake3::hash(name.as_bytes());
        Self::with_token(proof, name.to_owned(), (Role::Viewer, tenant.map(str::to_owned)))
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

/// A caller who is at least an operator. As part of the head of a request it is judged before the body
/// is read.
pub(crate) struct Operator(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must(Role::Operator)?;
        Ok(Self(caller))
    }
}

/// A caller who is an admin, of a tenant or of all; judged as [`Operator`] is.
pub(crate) struct Admin(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must(Role::Admin)?;
        Ok(Self(caller))
    }
}
