//! StageNetworks that commands have for themselves.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::run_options::BuildNetwork;
use super::stage::StageRun;
use crate::{Error, ErrorKind, Result};

/// Makes networks for the commands of stages: a bridge, or a network stack in a process.
pub trait StageNetworks: Send + Sync {
    /// Makes a network for the commands of one stage, when the first of them needs it. It is taken back when what
    /// this gives is dropped, by the same thread.
    ///
    /// # Errors
    /// [`ErrorKind::Runtime`] where it cannot be made, with what to do in the hint.
    fn connect(&self) -> Result<StageNetwork>;
}

/// A network of a stage's commands.
#[non_exhaustive]
pub struct StageNetwork {
    /// The namespace that commands join.
    pub namespace: Arc<OwnedFd>,
    /// Who answers for names there; without any, the machine's servers do, as far as they can be reached.
    pub servers: Vec<IpAddr>,
    /// Domains that names are looked for in.
    pub search: Vec<String>,
    /// The addresses of the commands.
    pub addresses: Vec<IpAddr>,
    /// Where commands reach this machine.
    pub gateway: Option<IpAddr>,
    _keep: Box<dyn Any>,
}

impl StageNetwork {
    /// A network of this namespace; dropping `keep` takes back what was made for it.
    pub fn new(namespace: OwnedFd, keep: impl Any) -> Self {
        Self {
            namespace: Arc::new(namespace),
            servers: Vec::new(),
            search: Vec::new(),
            addresses: Vec::new(),
            gateway: None,
            _keep: Box::new(keep),
        }
    }
}

impl fmt::Debug for StageNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageNetwork")
            .field("addresses", &self.addresses)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

impl StageRun<'_> {
    /// Makes the network that commands have, if that is one of their own and is not there yet.
    pub(crate) fn connect(&mut self, network: BuildNetwork) -> Result<()> {
        if network != BuildNetwork::Private || self.network.is_some() {
            return Ok(());
        }
        let tools = &self.engine.tools;
        let can = tools.executor.as_ref().is_some_and(|it| it.capabilities().networks);
        let refuse = |detail| Err(Error::new(ErrorKind::Invalid, "--network=private", detail));
        match &tools.networks {
            _ if !can => refuse("what runs the commands has no networks of its own"),
            None => refuse("there is nothing to make networks with"),
            Some(networks) => {
                self.network = Some(networks.connect()?);
                Ok(())
            }
        }
    }
}
