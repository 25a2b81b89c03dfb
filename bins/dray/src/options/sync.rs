//! What the arguments of `sync` mean together.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use cask::copy::{
    CopyOptions, ExistingImage, Instances, NameFilter, OnFailure, SyncDocument, SyncOptions,
    SyncRegistry, SyncSet, SyncTarget, Wanted, directories_with,
};
use cask::reference::Reference;
use cask::transport::{EventSink, Transports};
use cask_program::access::Access;
use cask_program::{platform, report, transports};

use super::copy;
use crate::commands::sync::Arguments;
use crate::context::Context;

/// Where images can come from and go to; a list of images can only be read.
const SCHEMES: [&str; 7] = [
    "docker",
    "dir",
    "oci",
    "oci-archive",
    "docker-archive",
    "docker-daemon",
    "containers-storage",
];

/// Fails for arguments that mean nothing together. The words are skopeo's.
pub(crate) fn check(arguments: &Arguments) -> Result<()> {
    let (from, to) = (arguments.src.as_str(), arguments.dest.as_str());
    if from.is_empty() {
        bail!("A source transport must be specified");
    }
    if from != "yaml" && !SCHEMES.contains(&from) {
        bail!("{from:?} is not a valid source transport");
    }
    if to.is_empty() {
        bail!("A destination transport must be specified");
    }
    if !SCHEMES.contains(&to) {
        bail!("{to:?} is not a valid destination transport");
    }
    if (from, to) == ("dir", "dir") {
        bail!("sync from 'dir' to 'dir' not implemented, consider using rsync instead");
    }
    arguments.signing.check()
}

/// How each image is copied, and what happens to the rest.
pub(crate) fn resolve(
    arguments: &Arguments,
    context: &Context,
    events: Arc<dyn EventSink>,
) -> Result<SyncOptions> {
    let platform = platform::wanted(&context.settings);
    let mut copied = CopyOptions::new(context.policy()?, platform);
    copied.require_signed = context.global.require_signed;
    if arguments.all {
        copied.instances = Instances::All;
    }
    copied.preserve_digests = arguments.preserve_digests;
    copied.format = arguments.format.as_deref().map(copy::format).transpose()?;
    copied.attached.remove_signatures = arguments.remove_signatures;
    copied.write.timestamp_seconds = copy::source_date_epoch()?;
    copied.parallel_blobs = copy::parallel_blobs(arguments.image_parallel_copies)?;
    if arguments.dest == "dir" {
        copied.existing = ExistingImage::Refused;
    }
    copied.events = events;
    let mut options = SyncOptions::new(copied);
    if let Some(images) = arguments.parallel_images {
        options.parallel_images = images;
    }
    if arguments.keep_going {
        options.on_failure = OnFailure::KeepGoing;
    }
    options.dry_run = arguments.dry_run;
    options.prune = arguments.prune;
    Ok(options)
}

/// Where the images go.
pub(crate) fn target(arguments: &Arguments, transports: Transports) -> SyncTarget {
    let scheme = arguments.dest.as_str();
    let place = match arguments.destination.as_str() {
        "/" => "",
        // As a path it is where one is.
        "" if matches!(scheme, "dir" | "oci") => ".",
        place => place.trim_end_matches('/'),
    };
    let is_archive = scheme.ends_with("-archive");
    let prefix = match scheme {
        "docker" => format!("docker://{place}/"),
        "docker-daemon" if place.is_empty() => "docker-daemon:".to_owned(),
        "containers-storage" if place.is_empty() || place.ends_with(']') => {
            format!("{scheme}:{place}")
        }
        _ if is_archive => format!("{scheme}:{place}:"),
        _ => format!("{scheme}:{place}/"),
    };
    let mut target = SyncTarget::new(transports, prefix);
    target.is_one_place = is_archive;
    if matches!(scheme, "dir" | "oci") {
        target.directory = Some(format!("{place}/").into());
    }
    target.scoped = arguments.scoped;
    target.suffix.clone_from(&arguments.append_suffix);
    target
}

/// Where the images come from; `access` is what the flags say of the source.
pub(crate) async fn sets(
    arguments: &Arguments,
    access: &Access,
    context: &Context,
) -> Result<Vec<SyncSet>> {
    let source = arguments.source.as_str();
    let transports = transports_of(arguments, access, context)?;
    let scheme = arguments.src.as_str();
    let set = |place: String, name: String, wanted: Wanted| SyncSet {
        transports: transports.clone(),
        place,
        name,
        wanted,
    };
    let all = || Wanted::Listed(NameFilter::All);
    Ok(match scheme {
        "yaml" => return document(arguments, access, context),
        "docker" => {
            let reference = reference(source, "docker")?;
            let wanted = if reference.is_name_only() { all() } else { Wanted::Itself };
            vec![set(format!("docker://{reference}"), reference.to_string(), wanted)]
        }
        "docker-daemon" => {
            let reference = reference(source, scheme)?.with_default_tag();
            vec![set(format!("{scheme}:{reference}"), reference.to_string(), Wanted::Itself)]
        }
        "containers-storage" => {
            // What is in brackets names the store.
            let (store, name) = source.split_at(source.rfind(']').map_or(0, |end| end + 1));
            let reference = reference(name, scheme)?;
            let wanted = if reference.is_name_only() { all() } else { Wanted::Itself };
            vec![set(format!("{scheme}:{store}{reference}"), reference.to_string(), wanted)]
        }
        "dir" | "oci" => {
            let (marker, wanted) = match scheme {
                "dir" => ("manifest.json", Wanted::Itself),
                _ => ("oci-layout", all()),
            };
            let base = source.trim_end_matches('/');
            let base = if base.is_empty() { source } else { base };
            let found = directories_with(Path::new(base), marker)
                .await
                .context("Invalid source directory specified")?;
            let found = found.into_iter().map(|path| match path.as_str() {
                "" => set(format!("{scheme}:{base}"), stem(base, false), wanted.clone()),
                path => set(format!("{scheme}:{base}/{path}"), path.to_owned(), wanted.clone()),
            });
            found.collect()
        }
        _ => vec![set(format!("{scheme}:{source}"), stem(source, true), all())],
    })
}

/// What the images of a file or directory are called.
fn stem(path: &str, is_file: bool) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = if is_file { name.split('.').next().unwrap_or(name) } else { name };
    name.to_owned()
}

fn reference(text: &str, scheme: &str) -> Result<Reference> {
    Reference::parse_normalized(text).with_context(|| {
        format!(
            "Cannot obtain a valid image reference for transport {scheme:?} and reference {text:?}"
        )
    })
}

fn transports_of(arguments: &Arguments, access: &Access, context: &Context) -> Result<Transports> {
    let settings = &context.settings;
    let mut options = transports::options(settings, arguments.src_shared_blob_dir.as_deref());
    let host = arguments.src_daemon_host.as_deref();
    transports::set_daemon(&mut options, "--src-daemon-host", host)?;
    transports::set_access(&mut options, access, settings);
    Ok(cask::transports(&options))
}

fn document(arguments: &Arguments, access: &Access, context: &Context) -> Result<Vec<SyncSet>> {
    let file = &arguments.source;
    let text = std::fs::read_to_string(file).with_context(|| format!("open {file}"))?;
    let document =
        SyncDocument::parse(&text).with_context(|| format!("Failed to unmarshal {file:?}"))?;
    let mut sets = Vec::new();
    for registry in document.registries {
        if registry.repositories.is_empty() {
            report::note(&format!("No images specified for registry {}", registry.name));
            continue;
        }
        let transports = transports_of(arguments, &access_to(access, &registry), context)?;
        for repository in registry.repositories {
            let text = format!("{}/{}", registry.name, repository.path);
            let name = Reference::parse_normalized(&text)
                .map_err(anyhow::Error::from)
                .and_then(|name| match name.is_name_only() {
                    true => Ok(name),
                    false => Err(anyhow!("input names a reference, not a repository")),
                })
                .with_context(|| format!("Error parsing repository name {text:?} of {file}"))?;
            sets.push(SyncSet {
                transports: transports.clone(),
                place: format!("docker://{name}"),
                name: name.to_string(),
                wanted: repository.wanted,
            });
        }
    }
    Ok(sets)
}

/// What the document says of a registry counts there more than what the flags say.
fn access_to(access: &Access, registry: &SyncRegistry) -> Access {
    let mut access = match &registry.credentials {
        Some(given) => access.with_credential(&given.username, &given.password),
        None => access.clone(),
    };
    access.tls.verify = registry.tls_verify.or(access.tls.verify);
    if let Some(directory) = &registry.certificate_directory {
        access.tls.certificate_directory = Some(directory.clone());
    }
    access
}
