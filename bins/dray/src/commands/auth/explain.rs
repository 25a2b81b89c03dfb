//! `dray auth explain`

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask::reference::Reference;
use cask_auth::{Credential, Explanation, Found, Key};
use cask_program::credentials::UserFiles;
use cask_program::{output, registries};
use clap::Args;
use serde::Serialize;

use crate::context::Context;

/// Tell which file, key or helper the credential for an image comes from, and why; never the secret
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as docker://NAME, or a registry or a namespace, as for login
    image: String,
    /// Take credentials from this file [default: $REGISTRY_AUTH_FILE, else the usual files]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Explained {
    place: String,
    mirror: bool,
    credential: Option<Shown>,
    steps: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    origin: String,
}

impl Shown {
    /// What may be shown of a credential.
    fn new(found: &Found) -> Self {
        Self {
            kind: match found.credential {
                Credential::Basic { .. } => "password",
                Credential::IdentityToken { .. } => "identity token",
                _ => "bearer token",
            },
            username: found.credential.username().map(str::to_owned),
            origin: found.origin.to_string(),
        }
    }
}

impl Explained {
    fn new(explained: &Explanation, mirror: bool) -> Self {
        Self {
            place: explained.key.to_string(),
            mirror,
            credential: explained.found.as_ref().map(Shown::new),
            steps: explained.steps.iter().map(ToString::to_string).collect(),
            error: explained.error.clone(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let mirror = if self.mirror { ", a mirror" } else { "" };
        let answer = match (&self.credential, &self.error) {
            (Some(Shown { kind, username: Some(name), origin }), _) => {
                format!("the {kind} of {name:?}: {origin}")
            }
            (Some(Shown { kind, origin, .. }), _) => format!("the {kind}: {origin}"),
            (None, Some(_)) => "not known".to_owned(),
            (None, None) => "no credential, access is anonymous".to_owned(),
        };
        let steps = self.steps.iter().map(|step| format!("  {step}"));
        std::iter::once(format!("{}{mirror}: {answer}", self.place)).chain(steps).collect()
    }
}

/// Tells.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let files = UserFiles::new(&arguments.authfile, &context.settings);
    let places = places(&arguments.image, context)?;
    let explained = places.iter().map(|(key, mirror)| Explained::new(&files.explain(key), *mirror));
    let explained: Vec<_> = explained.collect();
    if arguments.json {
        output::json(&explained)?;
    } else {
        for line in explained.iter().flat_map(Explained::lines) {
            output::line(&line)?;
        }
    }
    match explained.into_iter().find_map(|explained| explained.error) {
        Some(error) => bail!(error),
        None => Ok(()),
    }
}

/// What credentials are looked for, and whether that is for a mirror.
fn places(text: &str, context: &Context) -> Result<Vec<(Key, bool)>> {
    let Some(image) = text.strip_prefix("docker://") else {
        return Ok(vec![(Key::parse_argument(text)?, false)]);
    };
    let reference = Reference::parse_normalized(image)
        .with_context(|| format!("Invalid image name {text:?}"))?;
    let places = registries::read_places(&reference.with_default_tag(), &context.settings)?;
    let key = |place: registries::ReadPlace| {
        let reference = place.reference;
        Ok((Key::of(reference.domain(), Some(reference.path()))?, place.is_mirror))
    };
    places.into_iter().map(key).collect()
}
