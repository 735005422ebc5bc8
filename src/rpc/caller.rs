//! Who calls, and what they may do.

use super::status::Failure;
use crate::{domain::name::ShopId, proto::ErrorReason};

/// What a call wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read and write shops, programs, partners and links.
    Admin,
    /// Ask where visits go.
    Resolve,
    /// Read clicks and what is counted of them.
    Stats,
    /// Record conversions.
    Credit,
    /// Remove clicks for ever.
    Erase,
}

/// Who calls: put into the request by the authentication layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A server without a token listens where only its own machine can call.
    Local,
    /// The holder of the server's token.
    Token,
}

impl Caller {
    /// Returns who sent the request.
    ///
    /// A request that did not pass the authentication layer has no caller: it is refused, not trusted.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Failure> {
        let no_caller = || {
            Failure::new(
                ErrorReason::NoCredentials,
                "the call carries no token; send `authorization: Bearer …`",
            )
        };
        request.extensions().get().copied().ok_or_else(no_caller)
    }

    /// Returns whether the caller may do this in the shop; `None` = in no one shop.
    ///
    /// Asked before anything is looked up, so that a refusal does not tell what exists.
    pub fn may(self, scope: Scope, shop: Option<&ShopId>) -> Result<(), Failure> {
        match (self, scope, shop) {
            // The one token that a server has is the shop owner's: it opens everything.
            (
                Self::Local | Self::Token,
                Scope::Admin | Scope::Resolve | Scope::Stats | Scope::Credit | Scope::Erase,
                _,
            ) => Ok(()),
        }
    }

    /// Returns the name under which history remembers the caller.
    pub fn actor(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Token => "token",
        }
    }
}
