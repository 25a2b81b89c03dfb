//! `cellar login`

use anyhow::{Context as _, Result, bail};
use cask_program::login;
use clap::Args;

use crate::context::Context;

#[derive(Args, Debug)]
pub(crate) struct LoginArguments {
    #[command(flatten)]
    login: login::Arguments,
    /// Use the password that is this secret
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
}

/// Logs in.
///
/// Source: podman, `cmd/podman/login.go`.
pub(crate) async fn run(arguments: LoginArguments, context: &Context) -> Result<()> {
    let mut login = arguments.login;
    if let Some(name) = arguments.secret.filter(|name| !name.is_empty()) {
        if login.has_password() {
            bail!("--secret can not be used with --password options");
        }
        let secrets = context.containers()?.secrets();
        let secret = secrets.find(&name)?;
        let password = String::from_utf8(secrets.data(&secret)?);
        let password = password.with_context(|| format!("the secret {name:?} is no text"))?;
        login = login.with_secret(&name, password.into());
    }
    login::run(login.or_searched(&context.settings)?, &context.settings).await
}
