//! In which format a manifest or an index is written: a pure decision.

use cask_image::{ImageFormat, MediaType};

use super::fixed::Refusal;

/// What is asked about one manifest or index.
pub(crate) struct FormatQuestion<'a> {
    /// The format that it has.
    pub(crate) source: ImageFormat,
    /// The format that the user wants.
    pub(crate) asked: Option<ImageFormat>,
    /// Layers shall become zstd layers, which Docker's format has no type for.
    pub(crate) wants_zstd: bool,
    /// What the destination can hold.
    pub(crate) held: &'a [MediaType],
    /// The destination's scheme.
    pub(crate) destination: &'a str,
    /// The media type of a format's manifests, or of its indexes.
    pub(crate) type_of: fn(ImageFormat) -> MediaType,
}

const NO_ZSTD: &str = "Docker manifests cannot hold zstd layers";

/// The format to write, and why it is another one, if it is.
///
/// Source: containers/image, `determineManifestConversion` and `determineListConversion`.
pub(crate) fn decide(
    question: &FormatQuestion<'_>,
) -> Result<(ImageFormat, Option<String>), Refusal> {
    let FormatQuestion { source, asked, wants_zstd, held, destination, type_of } = *question;
    let holds = |format| held.contains(&type_of(format));
    let changed =
        |format: ImageFormat, reason: String| (format, (format != source).then_some(reason));
    match asked {
        Some(ImageFormat::Docker) if wants_zstd => {
            Err(Refusal::new(NO_ZSTD).with_hint("leave out --format, or use --format oci"))
        }
        Some(format) if !holds(format) => {
            Err(Refusal::new(format!("{destination} cannot hold {}", type_of(format))))
        }
        Some(format) => Ok(changed(format, "--format asks for it".into())),
        None if wants_zstd && holds(ImageFormat::Oci) => {
            Ok(changed(ImageFormat::Oci, NO_ZSTD.into()))
        }
        None if wants_zstd && holds(ImageFormat::Docker) => Err(Refusal::new(format!(
            "{NO_ZSTD}, and {destination} cannot hold {}",
            type_of(ImageFormat::Oci)
        ))),
        None if holds(source) => Ok((source, None)),
        None if holds(other(source)) => {
            Ok(changed(other(source), format!("{destination} cannot hold {}", type_of(source))))
        }
        None => Err(Refusal::new(format!(
            "{destination} can hold neither {} nor what it could become",
            type_of(source)
        ))),
    }
}

pub(crate) fn other(format: ImageFormat) -> ImageFormat {
    match format {
        ImageFormat::Oci => ImageFormat::Docker,
        ImageFormat::Docker => ImageFormat::Oci,
    }
}

#[cfg(test)]
mod tests {
    use cask_image::ImageFormat::{Docker, Oci};

    use super::*;

    const BOTH: &[MediaType] = &[MediaType::OciManifest, MediaType::DockerManifest];
    const ONLY_OCI: &[MediaType] = &[MediaType::OciManifest];
    const ONLY_DOCKER: &[MediaType] = &[MediaType::DockerManifest];
    const NEITHER: &[MediaType] = &[MediaType::DockerSchema1];

    /// `expected` is a format and a reason, or why not.
    #[track_caller]
    fn check(
        source: ImageFormat,
        asked: Option<ImageFormat>,
        wants_zstd: bool,
        held: &[MediaType],
        expected: Result<(ImageFormat, &str), &str>,
    ) {
        let type_of = ImageFormat::manifest_type;
        let question =
            FormatQuestion { source, asked, wants_zstd, held, destination: "place", type_of };
        let found = decide(&question);
        let found = found
            .map(|(format, reason)| (format, reason.unwrap_or_default()))
            .map_err(|refusal| refusal.detail);
        let expected =
            expected.map(|(format, reason)| (format, reason.into())).map_err(String::from);
        assert_eq!(found, expected);
    }

    const NO_OCI: &str = "place cannot hold application/vnd.oci.image.manifest.v1+json";
    const NO_DOCKER: &str =
        "place cannot hold application/vnd.docker.distribution.manifest.v2+json";

    #[test]
    fn a_format_stays_where_it_can() {
        for source in [Oci, Docker] {
            check(source, None, false, BOTH, Ok((source, "")));
            check(source, Some(source), false, BOTH, Ok((source, "")));
        }
        check(Oci, None, false, ONLY_OCI, Ok((Oci, "")));
        check(Docker, None, false, ONLY_DOCKER, Ok((Docker, "")));
    }

    #[test]
    fn a_format_changes_where_it_must() {
        check(Oci, None, false, ONLY_DOCKER, Ok((Docker, NO_OCI)));
        check(Docker, None, false, ONLY_OCI, Ok((Oci, NO_DOCKER)));
        check(Oci, Some(Docker), false, BOTH, Ok((Docker, "--format asks for it")));
        check(Docker, Some(Oci), false, BOTH, Ok((Oci, "--format asks for it")));
        check(Docker, None, true, BOTH, Ok((Oci, NO_ZSTD)));
        check(Docker, None, true, ONLY_OCI, Ok((Oci, NO_ZSTD)));
        check(Oci, None, true, BOTH, Ok((Oci, "")));
        check(Docker, Some(Oci), true, BOTH, Ok((Oci, "--format asks for it")));
    }

    #[test]
    fn a_format_is_refused_where_nothing_helps() {
        check(Oci, Some(Docker), false, ONLY_OCI, Err(NO_DOCKER));
        check(Docker, Some(Oci), false, ONLY_DOCKER, Err(NO_OCI));
        check(Docker, Some(Docker), true, BOTH, Err(NO_ZSTD));
        check(Oci, Some(Docker), true, BOTH, Err(NO_ZSTD));
        let no_oci = format!("{NO_ZSTD}, and {NO_OCI}");
        check(Docker, None, true, ONLY_DOCKER, Err(&no_oci));
        check(Oci, None, true, ONLY_DOCKER, Err(&no_oci));
        let neither = |source: ImageFormat| {
            format!("place can hold neither {} nor what it could become", source.manifest_type())
        };
        check(Oci, None, false, NEITHER, Err(&neither(Oci)));
        check(Docker, None, false, &[], Err(&neither(Docker)));
        check(Docker, None, true, &[], Err(&neither(Docker)));
    }
}
