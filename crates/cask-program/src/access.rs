//! How registries are accessed: credentials and TLS, for each side of a command.
//!
//! Source: skopeo, `dockerImageFlags`, `imageOptions.newSystemContext`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use cask_auth::{Anonymous, Credential, Fixed, Keychain, Secret};
use clap::Args;

use crate::credentials::{UserFiles, check_authfiles};
use crate::prompt;
use crate::settings::Settings;

/// What a client of registries has to know to be let in.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who knows the credentials.
    pub keychain: Arc<dyn Keychain>,
    /// Who knows the credentials of registries that the user did not name, such as mirrors: what
    /// was typed is not for them.
    pub keychain_elsewhere: Arc<dyn Keychain>,
    /// How the registry is known.
    pub tls: Tls,
}

/// How the registry is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether HTTPS and certificates are required; `None` leaves it to the configuration.
    pub verify: Option<bool>,
    /// The directory with certificates, instead of those for the host below `certs.d`.
    pub certificate_directory: Option<PathBuf>,
}

impl Access {
    /// The same, but with this name and password for whatever the user names.
    #[must_use]
    pub fn with_credential(&self, username: &str, password: &Secret) -> Self {
        let credential = Credential::basic(username, password.clone());
        Self { keychain: Arc::new(Fixed::new(credential)), ..self.clone() }
    }
}

/// What was typed for one side.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    authfile: Option<PathBuf>,
    creds: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    registry_token: Option<Secret>,
    no_creds: bool,
    cert_dir: Option<PathBuf>,
    tls_verify: Option<String>,
}

/// What counts for both sides of a copy, unless one says otherwise.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Access to registries")]
pub struct BothArguments {
    /// Take credentials from this file [default: $REGISTRY_AUTH_FILE, else the usual files]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Require HTTPS and valid certificates of both registries
    #[arg(
        long,
        hide = true,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    tls_verify: Option<String>,
}

/// Declares the arguments of one side: the same with another prefix.
macro_rules! side {
    ($(#[$about:meta])* $name:ident, $prefix:literal, $heading:literal $(, $alias:literal)?) => {
        $(#[$about])*
        #[derive(Args, Clone, Debug, Default)]
        #[command(next_help_heading = $heading)]
        pub struct $name {
            /// Take credentials from this file [default: $REGISTRY_AUTH_FILE, else the usual files]
            #[arg(id = concat!($prefix, "authfile"), long = concat!($prefix, "authfile"),
                value_name = "FILE")]
            authfile: Option<PathBuf>,
            /// Use this name and password; the password is asked for if it is left out
            #[arg(id = concat!($prefix, "creds"), long = concat!($prefix, "creds"), $(alias = $alias,)?
                value_name = "USERNAME[:PASSWORD]")]
            creds: Option<Secret>,
            /// Use this name
            #[arg(id = concat!($prefix, "username"), long = concat!($prefix, "username"),
                value_name = "USERNAME")]
            username: Option<String>,
            /// Use this password
            #[arg(id = concat!($prefix, "password"), long = concat!($prefix, "password"),
                value_name = "PASSWORD")]
            password: Option<Secret>,
            /// Use this bearer token
            #[arg(id = concat!($prefix, "registry-token"), value_name = "TOKEN",
                long = concat!($prefix, "registry-token"))]
            registry_token: Option<Secret>,
            /// Be anonymous
            #[arg(id = concat!($prefix, "no-creds"), long = concat!($prefix, "no-creds"))]
            no_creds: bool,
            /// Use the certificates in this directory (*.crt, *.cert, *.key)
            #[arg(id = concat!($prefix, "cert-dir"), long = concat!($prefix, "cert-dir"),
                value_name = "DIRECTORY")]
            cert_dir: Option<PathBuf>,
            /// Require HTTPS and valid certificates
            #[arg(id = concat!($prefix, "tls-verify"), long = concat!($prefix, "tls-verify"),
                value_name = "true|false", num_args = 0..=1, require_equals = true,
                default_missing_value = "true")]
            tls_verify: Option<String>,
        }

        impl $name {
            /// What was typed, without the prefix.
            fn typed(&self) -> Typed {
                let Self {
                    authfile, creds, username, password, registry_token, no_creds, cert_dir,
                    tls_verify,
                } = self.clone();
                Typed {
                    authfile, creds, username, password, registry_token, no_creds, cert_dir,
                    tls_verify,
                }
            }
        }
    };
}

side! {
    /// Access to the one registry of a command.
    OneArguments, "", "Access to the registry"
}
side! {
    /// Access to the source.
    SourceArguments, "src-", "Access to the source", "screds"
}
side! {
    /// Access to the destination.
    DestinationArguments, "dest-", "Access to the destination", "dcreds"
}

impl OneArguments {
    /// Fails if credentials are to be taken from a file that is not there.
    pub fn check_authfile(&self) -> Result<()> {
        check_authfiles([&self.authfile])
    }

    /// The access that the arguments give.
    pub async fn resolve(&self, settings: &Settings) -> Result<Access> {
        resolve(self.typed(), "", settings).await
    }
}

impl SourceArguments {
    /// The access that the arguments give.
    pub async fn resolve(&self, both: &BothArguments, settings: &Settings) -> Result<Access> {
        resolve(self.typed().or(both), "src-", settings).await
    }
}

impl DestinationArguments {
    /// The access that the arguments give.
    pub async fn resolve(&self, both: &BothArguments, settings: &Settings) -> Result<Access> {
        resolve(self.typed().or(both), "dest-", settings).await
    }
}

impl Typed {
    fn or(self, both: &BothArguments) -> Self {
        Self {
            authfile: self.authfile.or_else(|| both.authfile.clone()),
            tls_verify: self.tls_verify.or_else(|| both.tls_verify.clone()),
            ..self
        }
    }
}

async fn resolve(typed: Typed, prefix: &str, settings: &Settings) -> Result<Access> {
    let tls = tls(typed.tls_verify.as_deref(), typed.cert_dir.as_ref(), prefix, settings)?;
    let keychain_elsewhere: Arc<dyn Keychain> = match typed.no_creds {
        true => Arc::new(Anonymous),
        false => Arc::new(UserFiles::new(&typed.authfile, settings)),
    };
    let keychain = match credential(&typed).await? {
        Some(credential) => Arc::new(Fixed::new(credential)),
        None => Arc::clone(&keychain_elsewhere),
    };
    Ok(Access { keychain, keychain_elsewhere, tls })
}

/// What `--tls-verify` and `--cert-dir` say, and for what they leave open the whole program.
pub fn tls(
    verify: Option<&str>,
    certificate_directory: Option<&PathBuf>,
    prefix: &str,
    settings: &Settings,
) -> Result<Tls> {
    let verify = boolean(&format!("{prefix}tls-verify"), verify)?.or(settings.tls_verify);
    let certificate_directory =
        certificate_directory.filter(|path| !path.as_os_str().is_empty()).cloned();
    Ok(Tls { verify, certificate_directory })
}

/// What a flag says that takes `true` or `false`, if it is given.
pub fn boolean(flag: &str, text: Option<&str>) -> Result<Option<bool>> {
    text.map(|text| boolean_value(flag, text)).transpose()
}

/// What a flag says that takes `true` or `false`; the words are those of Go's tools.
pub fn boolean_value(flag: &str, text: &str) -> Result<bool> {
    match cask_config::truth(text) {
        Some(value) => Ok(value),
        None => bail!(
            "invalid argument {text:?} for \"--{flag}\" flag: \
             strconv.ParseBool: parsing {text:?}: invalid syntax"
        ),
    }
}

/// The credential that was typed. The words are skopeo's.
async fn credential(typed: &Typed) -> Result<Option<Credential>> {
    let Typed { creds, username, password, registry_token, no_creds, .. } = typed;
    if creds.is_some() && *no_creds {
        bail!("creds and no-creds cannot be specified at the same time");
    }
    if username.is_some() && *no_creds {
        bail!("username and no-creds cannot be specified at the same time");
    }
    if creds.is_some() && username.is_some() {
        bail!("creds and username cannot be specified at the same time");
    }
    let given = match (creds, username, password) {
        (_, Some(_), None) => bail!("password must be specified when username is specified"),
        (_, None, Some(_)) => bail!("username must be specified when password is specified"),
        (_, Some(username), Some(password)) => {
            Some(Credential::basic(username.as_str(), password.clone()))
        }
        (Some(creds), None, None) => Some(split(creds).await?),
        (None, None, None) => None,
    };
    // A token says all: the registry is not asked for another one.
    Ok(registry_token.clone().map(Credential::registry_token).or(given))
}

async fn split(creds: &Secret) -> Result<Credential> {
    let text = creds.expose();
    if text.is_empty() {
        bail!("credentials can't be empty");
    }
    let (username, password) = match text.split_once(':') {
        Some((username, password)) => (username, Some(Secret::from(password))),
        None => (text, None),
    };
    if username.is_empty() {
        bail!("username can't be empty");
    }
    let password = match password {
        Some(password) => password,
        None if prompt::is_possible() => prompt::password().await?,
        None => Secret::default(),
    };
    Ok(Credential::basic(username, password))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Both {
        #[command(flatten)]
        source: SourceArguments,
        #[command(flatten)]
        destination: DestinationArguments,
        #[command(flatten)]
        both: BothArguments,
    }

    #[derive(Debug, Parser)]
    struct One {
        #[command(flatten)]
        one: OneArguments,
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn one(line: &str) -> Result<Access> {
        let words = std::iter::once("dray").chain(line.split(' ').filter(|word| !word.is_empty()));
        wait(
            One::try_parse_from(words.map(|word| word.trim_matches('\'')))?
                .one
                .resolve(&Settings::default()),
        )
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused_in_skopeo_s_words() {
        let check = |line: &str, expected: &str| {
            assert_eq!(one(line).unwrap_err().to_string(), expected, "{line}");
        };
        check("--creds ''", "credentials can't be empty");
        check("--creds :x", "username can't be empty");
        check("--creds a:b --no-creds", "creds and no-creds cannot be specified at the same time");
        check(
            "--username a --no-creds",
            "username and no-creds cannot be specified at the same time",
        );
        check(
            "--creds a:b --username c --password d",
            "creds and username cannot be specified at the same time",
        );
        check("--username a", "password must be specified when username is specified");
        check("--password a", "username must be specified when password is specified");
        check(
            "--tls-verify=foo",
            "invalid argument \"foo\" for \"--tls-verify\" flag: \
             strconv.ParseBool: parsing \"foo\": invalid syntax",
        );
    }

    #[test]
    fn a_flag_of_a_command_counts_before_that_of_the_program() {
        let check = |flag: Option<&str>, program: Option<bool>, expected: Option<bool>| {
            let settings = Settings { tls_verify: program, ..Settings::default() };
            let found = tls(flag, None, "", &settings).unwrap();
            assert_eq!(found.verify, expected, "{flag:?} {program:?}");
        };
        check(None, None, None);
        check(None, Some(false), Some(false));
        check(Some("true"), Some(false), Some(true));
        check(Some("0"), None, Some(false));
    }

    #[test]
    fn flags_give_a_credential() {
        let check = |line: &str, expected: Option<Credential>| {
            let access = one(line).unwrap();
            let found = access.keychain.credential("a.example", None).unwrap();
            assert_eq!(found.map(|found| found.credential), expected, "{line}");
        };
        check("--no-creds", None);
        check("--authfile /nowhere", None);
        check("--creds a:b:c", Some(Credential::basic("a", "b:c")));
        check("--creds a:", Some(Credential::basic("a", "")));
        check("--username a --password b", Some(Credential::basic("a", "b")));
        check("--registry-token t --creds a:b", Some(Credential::registry_token("t")));
    }

    #[test]
    fn each_side_has_its_own_and_what_both_have_is_the_rest() {
        let line = "dray --screds a:b --dcreds c:d --tls-verify=0 --dest-tls-verify \
                    --src-cert-dir /certs";
        let arguments = Both::try_parse_from(line.split_whitespace()).unwrap();
        let settings = Settings::default();
        let source = wait(arguments.source.resolve(&arguments.both, &settings)).unwrap();
        let destination = wait(arguments.destination.resolve(&arguments.both, &settings)).unwrap();
        let certificate_directory = Some("/certs".into());
        assert_eq!(source.tls, Tls { verify: Some(false), certificate_directory });
        assert_eq!(destination.tls, Tls { verify: Some(true), certificate_directory: None });
        let user = |access: &Access| {
            let found = access.keychain.credential("a", None).unwrap().unwrap();
            found.credential.username().unwrap().to_owned()
        };
        assert_eq!((user(&source), user(&destination)), ("a".to_owned(), "c".to_owned()));
        assert!(!format!("{arguments:?}").contains("a:b"));
    }
}
