//! What is to be built, from the flags and the environment.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cask::image::{ImageFormat, Platform, PlatformWanted};
use cask_build::{
    BuildFile, BuildRequest, ConfigEdits, Dates, InheritAnnotations, InheritLabels, LayerMode,
    PullPolicy, SavedStages,
};
use cask_containerfile::{Behavior, BuildArguments};

use super::arguments::{Arguments, ImageArguments, InputArguments};
use super::values;
use crate::access::boolean;
use crate::containerfile::build_arguments;
use crate::duration::GoDuration;
use crate::platform;

/// What commands are told that the machine is called where the image is dated. Source: buildah 1.41, `imagebuildah/stage_executor.go`, `prepare`.
const SANDBOX: &str = "sandbox";

/// The request that the flags and the environment make.
pub(super) fn request(
    arguments: &Arguments,
    files: Vec<BuildFile>,
    names: &[String],
) -> Result<BuildRequest> {
    refuse(arguments)?;
    let targets = platforms(&arguments.input)?;
    let first = files.first().cloned().context("there is a Containerfile")?;
    let mut request = BuildRequest::new(first, PlatformWanted::of_this_build());
    request.files = files;
    request.platforms.targets = targets;
    request.platforms.are_named = has_platforms(&arguments.input);
    request.dialect = arguments.image.dialect();
    request.target.clone_from(&arguments.input.target);
    let skips = boolean("skip-unused-stages", arguments.input.skip_unused_stages.as_deref())?;
    request.unused_stages = skips == Some(false);
    request.arguments = arguments_of_build(&arguments.input)?;
    request.base.clone_from(&arguments.input.from);
    request.pull = pull(&arguments.input)?;
    request.jobs = arguments.cache.jobs();
    request.cache.none = arguments.cache.no_cache;
    let most_age = arguments.cache.cache_ttl.map(|GoDuration(age)| age);
    // Nothing is that young.
    request.cache.none |= most_age.is_some_and(|age| age.is_zero());
    request.cache.most_age = most_age;
    request.cache.none_for.clone_from(&arguments.cache.no_cache_filter);
    request.run = arguments.run.options(arguments.show.debug)?;
    let image = &arguments.image;
    request.image.names = names.to_vec();
    request.image.format = format(image)?;
    request.image.keeps_format_of_base =
        image.format.is_none() && std::env::var_os("BUILDAH_FORMAT").is_none();
    request.image.layers = layers(image)?;
    request.image.edits = edits(image)?;
    request.image.dates = dates(image, &request.arguments)?;
    let dates = request.image.dates;
    if dates.timestamp.or(dates.source_date_epoch).is_some() {
        SANDBOX.clone_into(&mut request.run.names.host_name);
    }
    request.image.omit_history = image.omit_history;
    let created = boolean("created-annotation", image.created_annotation.as_deref())?;
    request.image.created_annotation = created == Some(true);
    request.image.stages = saved_stages(image)?;
    Ok(request)
}

/// What is known and cannot be done, and what contradicts itself.
fn refuse(arguments: &Arguments) -> Result<()> {
    if let Some((flag, instead)) = arguments.refused.given {
        bail!("--{flag} is not supported: {instead}");
    }
    for text in &arguments.output.sbom {
        if !matches!(boolean("sbom", Some(text)), Ok(Some(false))) {
            bail!("--sbom is not supported: run a scanner on the image, and attach what it writes");
        }
    }
    for (flag, text) in [("rm", &arguments.cache.rm), ("force-rm", &arguments.cache.force_rm)] {
        if boolean(flag, text.as_deref())? == Some(false) {
            bail!(
                "--{flag}=false is not supported: there are no containers between steps to be kept"
            );
        }
    }
    Ok(())
}

/// The platforms that all of several images have, in the order of the first; none without images.
pub(super) fn common(mut images: impl Iterator<Item = Vec<Platform>>) -> Vec<PlatformWanted> {
    let key = |platform: &Platform| {
        let variant = platform.variant.clone().filter(|variant| !variant.is_empty());
        // Lists name one variant of this architecture or leave it out, and mean the same.
        let variant = variant.filter(|variant| platform.architecture != "arm64" || variant != "v8");
        (platform.os.clone(), platform.architecture.clone(), variant)
    };
    let first = images.next().unwrap_or_default();
    let mut found: Vec<_> = Vec::new();
    first.iter().map(key).for_each(|platform| {
        if !found.contains(&platform) {
            found.push(platform);
        }
    });
    for image in images {
        found.retain(|platform| image.iter().any(|other| key(other) == *platform));
    }
    let wanted = |(os, architecture, variant)| {
        let mut wanted = PlatformWanted::of_this_build();
        (wanted.os, wanted.architecture, wanted.variant) = (os, architecture, variant);
        wanted
    };
    found.into_iter().map(wanted).collect()
}

/// Whether the flags say which platforms the images are for.
fn has_platforms(input: &InputArguments) -> bool {
    input.all_platforms || has_parts(input) || !input.platform.is_empty()
}

fn has_parts(input: &InputArguments) -> bool {
    [&input.arch, &input.os, &input.variant].iter().any(|given| given.is_some())
}

/// The platforms; the words are podman's.
pub(super) fn platforms(input: &InputArguments) -> Result<Vec<PlatformWanted>> {
    let parts = has_parts(input);
    if input.all_platforms && (parts || !input.platform.is_empty()) {
        bail!(
            "--all-platforms finds the platforms itself: leave --platform, --arch, --os and --variant out"
        );
    }
    if input.platform.is_empty() {
        let mut wanted = PlatformWanted::of_this_build();
        if let Some(os) = &input.os {
            wanted.os.clone_from(os);
        }
        if let Some(architecture) = &input.arch {
            (wanted.architecture, wanted.variant) = (architecture.clone(), None);
        }
        wanted.variant = input.variant.clone().or(wanted.variant);
        return Ok(vec![wanted]);
    }
    if parts {
        bail!("--platform option can not be specified with --arch, --os or --variant");
    }
    platform::list(&input.platform)
}

/// `--build-arg-file` and `--build-arg`, which wins.
pub(super) fn arguments_of_build(input: &InputArguments) -> Result<BuildArguments> {
    let mut given = Vec::new();
    for path in &input.build_arg_file {
        given.extend(argument_lines(path)?);
    }
    given.extend(input.build_arg.iter().cloned());
    build_arguments(&given)
}

fn argument_lines(path: &Path) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// Source: buildah, `parse.PullPolicyFromOptions`.
fn pull(input: &InputArguments) -> Result<PullPolicy> {
    let flags = usize::from(input.pull.is_some())
        + usize::from(input.pull_always)
        + usize::from(input.pull_never);
    if flags > 1 {
        bail!("can only set one of 'pull', 'pull-always' and 'pull-never'");
    }
    if input.pull_always {
        return Ok(PullPolicy::Always);
    }
    if input.pull_never {
        return Ok(PullPolicy::Never);
    }
    match input.pull.as_deref().map(str::to_lowercase).as_deref() {
        None | Some("false" | "missing" | "ifmissing" | "notpresent") => Ok(PullPolicy::Missing),
        Some("true" | "always") => Ok(PullPolicy::Always),
        Some("never") => Ok(PullPolicy::Never),
        Some("newer" | "ifnewer") => Ok(PullPolicy::Newer),
        Some(other) => {
            bail!("unsupported pull policy {other:?}: use true, missing, never or newer")
        }
    }
}

fn format(image: &ImageArguments) -> Result<ImageFormat> {
    let named = image.format.clone().or_else(|| std::env::var("BUILDAH_FORMAT").ok());
    match named.as_deref().unwrap_or_default() {
        "" | "oci" => Ok(ImageFormat::Oci),
        "docker" => Ok(ImageFormat::Docker),
        other => bail!("unrecognized image type {other:?}"),
    }
}

fn layers(image: &ImageArguments) -> Result<LayerMode> {
    if image.squash_all {
        return Ok(LayerMode::SquashAll);
    }
    if boolean("squash", image.squash.as_deref())? == Some(true) {
        return Ok(match image.squash_keeps_base {
            true => LayerMode::SquashNew,
            false => LayerMode::SquashAll,
        });
    }
    let of_environment = || -> Result<Option<bool>> {
        match std::env::var("BUILDAH_LAYERS").unwrap_or_default().to_lowercase().as_str() {
            "" => Ok(None),
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            other => bail!("BUILDAH_LAYERS is {other:?}, and not true or false"),
        }
    };
    let each = match boolean("layers", image.layers.as_deref())? {
        Some(each) => Some(each),
        None => of_environment()?,
    };
    let usual = image.dialect().does(Behavior::LayersByDefault);
    Ok(if each.unwrap_or(usual) { LayerMode::Each } else { LayerMode::SquashNew })
}

fn saved_stages(image: &ImageArguments) -> Result<SavedStages> {
    let is_wanted = |name, given: &Option<String>| -> Result<bool> {
        Ok(boolean(name, given.as_deref())? == Some(true))
    };
    let saved = is_wanted("save-stages", &image.save_stages)?;
    match (saved, is_wanted("stage-labels", &image.stage_labels)?) {
        (true, true) => Ok(SavedStages::Labelled),
        (true, false) => Ok(SavedStages::Saved),
        // The words are buildah's.
        (false, true) => bail!("\"--stage-labels\" requires \"--save-stages\""),
        (false, false) => Ok(SavedStages::No),
    }
}

fn edits(image: &ImageArguments) -> Result<ConfigEdits> {
    let mut edits = ConfigEdits::default();
    edits.labels = values::pairs(&image.label, "label")?;
    edits.remove_labels.clone_from(&image.unsetlabel);
    edits.layer_labels = values::pairs(&image.layer_label, "layer-label")?;
    if boolean("inherit-labels", image.inherit_labels.as_deref())? == Some(false) {
        edits.inherit_labels = InheritLabels::Drop;
    }
    if boolean("inherit-annotations", image.inherit_annotations.as_deref())? == Some(false) {
        edits.inherit_annotations = InheritAnnotations::Drop;
    }
    if boolean("identity-label", image.identity_label.as_deref())? == Some(true) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        edits.identity_label = Some(("io.cask.version".to_owned(), version));
    }
    edits.os_version.clone_from(&image.os_version);
    edits.os_features.clone_from(&image.os_feature);
    edits.environment = environment(&image.env)?;
    edits.remove_environment.clone_from(&image.unsetenv);
    edits.annotations = values::pairs(&image.annotation, "annotation")?;
    edits.remove_annotations.clone_from(&image.unsetannotation);
    Ok(edits)
}

/// `NAME=VALUE`, or `NAME` for the caller's.
fn environment(given: &[String]) -> Result<Vec<(String, String)>> {
    let each = given.iter().map(|text| match text.contains('=') {
        true => values::pair(text, "env"),
        false => Ok((text.clone(), std::env::var(text).unwrap_or_default())),
    });
    each.collect()
}

fn dates(image: &ImageArguments, arguments: &BuildArguments) -> Result<Dates> {
    let mut dates = Dates::default();
    dates.timestamp = image.timestamp;
    let variable = || std::env::var("SOURCE_DATE_EPOCH").ok();
    // An argument is nearer than the environment, and may be more than a number.
    let is_argument = arguments.contains_key("SOURCE_DATE_EPOCH");
    let variable = || variable().filter(|_| !is_argument);
    let named = image.source_date_epoch.clone().or_else(variable);
    if let Some(text) = named.filter(|text| !text.is_empty()) {
        let seconds = text.parse().with_context(|| {
            format!("--source-date-epoch {text:?} is not a number of seconds since 1970")
        })?;
        dates.source_date_epoch = Some(seconds);
    }
    if dates.timestamp.is_some() && image.source_date_epoch.is_some() {
        bail!("--timestamp and --source-date-epoch contradict each other: give one of them");
    }
    dates.rewrite = boolean("rewrite-timestamp", image.rewrite_timestamp.as_deref())? == Some(true);
    Ok(dates)
}
