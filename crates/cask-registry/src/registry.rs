//! A registry as a whole.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::Error;
use crate::error::Doing;
use crate::host::{Call, Host};
use crate::paging::Names;
use crate::token::Scopes;

/// A registry as a whole.
#[derive(Clone, Debug)]
pub struct Registry(pub(crate) Arc<Host>);

impl Registry {
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Self(host)
    }

    /// The registry's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Asks whether the registry is there and takes the credentials that are known for it.
    ///
    /// Without credentials, a registry that wants some is reached, too, if its token service gives
    /// tokens to everybody.
    ///
    /// # Errors
    /// `Unauthorized` if the credentials are missing or wrong; `Network` if nobody is there;
    /// `NotFound` or others if what answers is no registry.
    pub async fn ping(&self) -> Result<(), Error> {
        let doing = Doing::new("pinging container registry", self.name());
        let response = self.0.send(&Call::new(Method::GET, ""), &doing).await?;
        match response.status() {
            StatusCode::OK => Ok(()),
            _ => Err(doing.status(response).await),
        }
    }

    /// The names of all repositories that the registry is willing to tell.
    pub fn catalog(&self) -> Names {
        let doing = Doing::new("fetching catalog of", self.name());
        let mut call = Call::new(Method::GET, "_catalog");
        call.scopes = Scopes::catalog();
        Names::new(Arc::clone(&self.0), call, "repositories", doing)
    }
}
