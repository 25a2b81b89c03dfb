//! `dray login`

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask_auth::{AuthFiles, Credential, Key, Origin, Secret};
use clap::Args;

use crate::access::{self, Tls};
use crate::credentials::FileArguments;
use crate::registry::{self, Verdict};
use crate::settings::Settings;
use crate::{background, output, prompt, registries};

/// Log in to a registry, or to a namespace or a repository in it
#[derive(Args, Debug)]
pub struct Arguments {
    /// The registry, as HOST[:PORT][/NAMESPACE]
    registry: Vec<String>,
    /// Log in as this user
    #[arg(short, long)]
    username: Option<String>,
    /// Use this password; others on the machine may see it
    #[arg(short, long)]
    password: Option<Secret>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print who is logged in, and change nothing
    #[arg(long)]
    get_login: bool,
    #[command(flatten)]
    files: FileArguments,
    /// Use the certificates in this directory (*.crt, *.cert, *.key)
    #[arg(long, value_name = "DIRECTORY")]
    cert_dir: Option<PathBuf>,
    /// Require HTTPS and valid certificates
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    tls_verify: Option<String>,
    /// Say where the credential was put
    #[arg(short, long)]
    verbose: bool,
}

impl Arguments {
    /// For an engine: of no registry, the first one that is searched for short names is meant.
    ///
    /// Source: containers/common, `auth.go`, `defaultRegistryWhenUnspecified`.
    ///
    /// # Errors
    /// That there is none; those of registries.conf.
    pub fn or_searched(mut self, settings: &Settings) -> Result<Self> {
        self.registry = or_searched(self.registry, settings)?;
        Ok(self)
    }

    /// Whether a password was given, if not through standard input.
    pub fn has_password(&self) -> bool {
        self.password.as_ref().is_some_and(|password| !password.is_empty())
    }

    /// With the password that is kept under a name, which is the user's too if nobody says another.
    #[must_use]
    pub fn with_secret(mut self, name: &str, password: Secret) -> Self {
        let given = self.username.filter(|username| !username.is_empty());
        self.username = Some(given.unwrap_or_else(|| name.to_owned()));
        self.password = Some(password);
        self
    }
}

/// The registries that were said, or else the first one that is searched.
pub(crate) fn or_searched(said: Vec<String>, settings: &Settings) -> Result<Vec<String>> {
    match said.as_slice() {
        [] => match registries::read(settings)?.search_registries() {
            [] => bail!("no registries found in registries.conf, a registry must be provided"),
            [first, ..] => Ok(vec![first.clone()]),
        },
        [_] => Ok(said),
        more => bail!("accepts at most 1 arg(s), received {}", more.len()),
    }
}

/// Logs in: only what the registry accepts is kept.
///
/// Source: containers/common, `auth.Login`.
pub async fn run(arguments: Arguments, settings: &Settings) -> Result<()> {
    let files = arguments.files.open(settings)?;
    let key = match arguments.registry.as_slice() {
        [] => bail!("please provide a registry to login to"),
        [registry] => Key::parse_argument(registry)?,
        _ => bail!("login accepts only one registry to login to"),
    };
    let tls =
        access::tls(arguments.tls_verify.as_deref(), arguments.cert_dir.as_ref(), "", settings)?;
    let existing = find(&files, &key).await?;
    if arguments.get_login {
        return match existing.as_ref().and_then(Credential::username) {
            Some(username) => output::line(username),
            None => bail!("not logged into {key}"),
        };
    }
    if let Some(Credential::IdentityToken { .. }) = existing {
        bail!("currently logged in, auth file contains an Identity token");
    }
    let password = given_password(&arguments).await?;
    if arguments.username.is_none()
        && password.is_none()
        && let Some(existing) = &existing
        && is_still_good(existing, &key, &tls, settings).await?
    {
        return Ok(());
    }
    let username = existing.as_ref().and_then(Credential::username);
    let credential = ask(arguments.username.clone(), password, username)
        .await
        .context("getting username and password")?;
    match registry::check(key.registry(), &credential, &tls, settings).await {
        Ok(Verdict::Accepted) => {}
        Ok(Verdict::Refused) => bail!("logging into {:?}: invalid username/password", key.as_str()),
        Err(error) => {
            return Err(error.context(format!("authenticating creds for {:?}", key.as_str())));
        }
    }
    let origin = background::run(move || files.set(&key, &credential)).await??;
    if arguments.verbose {
        output::line(&format!("Used:  {}", place(&origin)))?;
    }
    output::line("Login Succeeded!")
}

/// What is kept already.
pub async fn find(files: &AuthFiles, key: &Key) -> Result<Option<Credential>> {
    let (files, key) = (files.clone(), key.clone());
    let found = background::run(move || files.find(&key)).await?;
    Ok(found.context("get credentials")?.map(|found| found.credential))
}

async fn given_password(arguments: &Arguments) -> Result<Option<Secret>> {
    let given = arguments.password.clone().filter(|password| !password.is_empty());
    if !arguments.password_stdin {
        return Ok(given);
    }
    if given.is_some() {
        bail!("Can't specify both --password-stdin and --password");
    }
    if arguments.username.is_none() {
        bail!("Must provide --username with --password-stdin");
    }
    let password = prompt::password_from_pipe().await.context("reading password")?;
    if password.is_empty() {
        bail!("reading password: standard input is empty");
    }
    Ok(Some(password))
}

/// Whether the registry takes what is kept; the user is told.
async fn is_still_good(
    existing: &Credential,
    key: &Key,
    tls: &Tls,
    settings: &Settings,
) -> Result<bool> {
    let Credential::Basic { username, password } = existing else { return Ok(false) };
    if username.is_empty() || password.is_empty() {
        return Ok(false);
    }
    output::line(&format!("Authenticating with existing credentials for {key}"))?;
    let verdict = registry::check(key.registry(), existing, tls, settings).await;
    if matches!(verdict, Ok(Verdict::Accepted)) {
        let registry = key.registry();
        output::line(&format!("Existing credentials are valid. Already logged in to {registry}"))?;
        return Ok(true);
    }
    output::line("Existing credentials are invalid, please enter valid username and password")?;
    Ok(false)
}

/// Asks for what is not known yet.
async fn ask(
    username: Option<String>,
    password: Option<Secret>,
    existing: Option<&str>,
) -> Result<Credential> {
    let username = match (username.filter(|username| !username.is_empty()), existing) {
        (Some(username), _) => username,
        (None, None) => prompt::line("Username: ").await.context("reading username")?,
        (None, Some(existing)) => {
            let question = format!("Username ({existing}): ");
            let answer = prompt::line(&question).await.context("reading username")?;
            if answer.trim().is_empty() { existing.to_owned() } else { answer }
        }
    };
    let password = match password {
        Some(password) => password,
        None => prompt::password().await.context("reading password")?,
    };
    Ok(Credential::basic(username.trim(), password))
}

/// Where a credential was put, in skopeo's words.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::File { path, .. } => path.display().to_string(),
        Origin::Helper { name, .. } => format!("credential helper: {name}"),
        other => other.to_string(),
    }
}
