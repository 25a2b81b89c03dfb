//! `dray logout`

use anyhow::{Context as _, Result, bail};
use cask_auth::{Credential, ErrorKind, Key};
use clap::Args;

use crate::access;
use crate::credentials::FileArguments;
use crate::login::{find, or_searched};
use crate::registry::{self, Verdict};
use crate::settings::Settings;
use crate::{background, output};

/// Forget the credential for a registry, or for a namespace or a repository in it
#[derive(Args, Debug)]
pub struct Arguments {
    /// The registry, as HOST[:PORT][/NAMESPACE]
    registry: Vec<String>,
    /// Forget all credentials
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    files: FileArguments,
    /// Require HTTPS and valid certificates
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    tls_verify: Option<String>,
}

impl Arguments {
    /// For an engine: of no registry, the first one that is searched for short names is meant.
    ///
    /// # Errors
    /// As [`login`](crate::login::Arguments::or_searched).
    pub fn or_searched(mut self, settings: &Settings) -> Result<Self> {
        if !self.all {
            self.registry = or_searched(self.registry, settings)?;
        }
        Ok(self)
    }
}

/// Logs out.
///
/// Source: containers/common, `auth.Logout`.
pub async fn run(arguments: Arguments, settings: &Settings) -> Result<()> {
    arguments.files.check_existence()?;
    let files = arguments.files.open(settings)?;
    if arguments.all {
        if !arguments.registry.is_empty() {
            bail!("--all takes no arguments");
        }
        background::run(move || files.remove_all()).await??;
        return output::line("Removed login credentials for all registries");
    }
    let key = match arguments.registry.as_slice() {
        [] => bail!("please provide a registry to logout from"),
        [registry] => Key::parse_argument(registry)?,
        _ => bail!("logout accepts only one registry to logout from"),
    };
    let tls = access::tls(arguments.tls_verify.as_deref(), None, "", settings)?;
    let removed = {
        let (files, key) = (files.clone(), key.clone());
        background::run(move || files.remove(&key)).await?
    };
    match removed {
        Ok(()) => return output::line(&format!("Removed login credentials for {key}")),
        Err(error) if error.kind() == ErrorKind::NotLoggedIn => {}
        Err(error) => {
            return Err(error).with_context(|| format!("logging out of {:?}", key.as_str()));
        }
    }
    // It may be in a file that is only read.
    if let Some(credential @ Credential::Basic { .. }) = find(&files, &key).await?
        && let Ok(Verdict::Accepted) =
            registry::check(key.registry(), &credential, &tls, settings).await
    {
        return output::line(&format!(
            "Not logged into {key} with current tool. Existing credentials were established via \
             docker login. Please use docker logout instead."
        ));
    }
    bail!("not logged into {key}")
}
