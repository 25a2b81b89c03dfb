//! What an image was made from and how, as a statement beside it: `--provenance`.

use anyhow::{Result, bail};
use cask::image::Descriptor;
use cask_build::{BuildReport, BuildRequest, BuiltImage, redacted};
use serde_json::{Map, Value, json};

use super::arguments::{Arguments, OutputArguments};
use super::values;
use crate::access::boolean_value;

/// What the predicate of the statement is.
///
/// Source: SLSA 1.0, `provenance/v1`.
pub(super) const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// Which names the parts of the predicate have that SLSA leaves to builders.
const BUILD_TYPE: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// What it was made from.
    #[default]
    Min,
    /// The arguments, the names of secrets, the steps and the Containerfile too.
    Max,
}

/// What is told, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Provenance {
    mode: Mode,
    builder: String,
}

impl Provenance {
    /// What the flags say; of several the last. `None` where nothing is to be told.
    ///
    /// Source: docker/buildx, `--provenance` and `--attest`.
    pub(super) fn of(arguments: &OutputArguments) -> Result<Option<Self>> {
        let mut found = None;
        for text in &arguments.attest {
            found = attest(text)?.unwrap_or(found);
        }
        for text in &arguments.provenance {
            found = match boolean_value("provenance", text) {
                Ok(wanted) => wanted.then(Self::default),
                Err(_) => Self::parse(values::fields(text)?)?,
            };
        }
        Ok(found)
    }

    fn parse(fields: Vec<(String, Option<String>)>) -> Result<Option<Self>> {
        let (mut provenance, mut is_wanted) = (Self::default(), true);
        for (key, value) in fields {
            let value = value.unwrap_or_default();
            match (key.as_str(), value.as_str()) {
                ("mode", "min") => provenance.mode = Mode::Min,
                ("mode", "max") => provenance.mode = Mode::Max,
                ("mode", other) => bail!("the mode {other:?} is not known: use min or max"),
                ("builder-id", id) => id.clone_into(&mut provenance.builder),
                ("version", "v1") => {}
                ("version", other) => bail!("the version {other:?} is not supported: use v1"),
                ("disabled", text) => is_wanted = !boolean_value("attest", text)?,
                (other, _) => bail!("{other:?} is not supported: use mode, version and builder-id"),
            }
        }
        Ok(is_wanted.then_some(provenance))
    }

    /// The statement about one of the images, whose manifest is this one where it goes. The same
    /// build makes the same statement: it has no dates.
    pub(super) fn statement(
        &self,
        build: &Described<'_>,
        image: &BuiltImage,
        manifest: &Descriptor,
    ) -> Value {
        let platform = image.platform.to_string();
        let subject = match build.request.image.names.first() {
            Some(name) => package(name, &platform),
            None => "_".to_owned(),
        };
        json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": PREDICATE,
            "subject": [{"name": subject, "digest": digest(manifest.digest.as_str())}],
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": self.external(build),
                    "internalParameters": {
                        "builderPlatform": platform_text(build.request),
                    },
                    "resolvedDependencies": dependencies(build.report, &platform),
                },
                "runDetails": {
                    "builder": {"id": self.builder},
                    "metadata": self.metadata(build),
                },
            },
        })
    }

    fn external(&self, build: &Described<'_>) -> Value {
        let request = build.request;
        let mut arguments = Map::new();
        arguments.extend(request.target.clone().map(|stage| ("target".to_owned(), stage.into())));
        let mut parameters = json!({
            "configSource": {"path": request.files.first().map(|file| redacted(&file.name))},
            "request": {"frontend": "dockerfile.v0"},
        });
        if let Some(context) = build.context.filter(|context| context.contains("://")) {
            parameters["configSource"]["uri"] = redacted(context).into();
        }
        if self.mode == Mode::Max {
            let given = request.arguments.iter();
            arguments.extend(
                given.map(|(name, value)| (format!("build-arg:{name}"), value.clone().into())),
            );
            let labels = request.image.edits.labels.iter();
            arguments.extend(
                labels.map(|(name, value)| (format!("label:{name}"), value.clone().into())),
            );
            let secrets = request.run.secrets.keys().map(|id| json!({"id": id}));
            let agents = request.run.agents.keys().map(|id| json!({"id": id}));
            parameters["request"]["secrets"] = secrets.collect();
            parameters["request"]["ssh"] = agents.collect();
        }
        parameters["request"]["args"] = arguments.into();
        parameters
    }

    fn metadata(&self, build: &Described<'_>) -> Value {
        if self.mode == Mode::Min {
            return json!({});
        }
        let files = build
            .request
            .files
            .iter()
            .map(|file| json!({"filename": redacted(&file.name), "data": file.tree.source()}));
        let steps = build.report.steps.iter().map(|step| super::show::title(&step.step));
        json!({
            "buildkit_metadata": {
                "source": {"infos": files.collect::<Vec<_>>()},
                "steps": steps.collect::<Vec<_>>(),
            },
        })
    }
}

/// Reads one `--attest`; `None` where it changes nothing.
#[expect(clippy::option_option, reason = "nothing said, nothing wanted, and what is wanted")]
fn attest(text: &str) -> Result<Option<Option<Provenance>>> {
    let mut fields = values::fields(text)?;
    let Some(position) = fields.iter().position(|(key, _)| key == "type") else {
        bail!("--attest {text:?} has no type: write type=provenance,mode=max")
    };
    let kind = fields.remove(position).1.unwrap_or_default();
    let is_disabled = fields.iter().any(|(key, value)| {
        key == "disabled" && value.as_deref().is_none_or(|text| text == "true" || text == "1")
    });
    match kind.as_str() {
        "provenance" => Provenance::parse(fields).map(Some),
        "sbom" if is_disabled => Ok(None),
        "sbom" => bail!(
            "--attest type=sbom is not supported: run a scanner on the image, and attach what it writes"
        ),
        other => bail!("--attest: the type {other:?} is not known: use provenance"),
    }
}

/// What a statement is about.
pub(super) struct Described<'a> {
    pub(super) request: &'a BuildRequest,
    pub(super) report: &'a BuildReport,
    /// The build context as it was typed.
    pub(super) context: Option<&'a str>,
}

impl<'a> Described<'a> {
    /// A build.
    pub(super) fn new(
        request: &'a BuildRequest,
        report: &'a BuildReport,
        arguments: &'a Arguments,
    ) -> Self {
        Self { request, report, context: arguments.context.as_deref() }
    }
}

fn platform_text(request: &BuildRequest) -> String {
    let build = &request.platforms.build;
    format!("{}/{}", build.os, build.architecture)
}

/// The base images, by name and digest, and what ADD got from elsewhere.
fn dependencies(report: &BuildReport, platform: &str) -> Vec<Value> {
    let of_platform = report.bases.iter().filter(|base| platform.starts_with(&base.platform));
    let each = of_platform.filter_map(|base| {
        let known = base.image.digest.as_ref()?;
        let name = package(&base.image.name, platform);
        Some(json!({"uri": name, "digest": digest(known.as_str())}))
    });
    // Source: BuildKit, `solver/llbsolver/provenance`, `slsaMaterials`.
    let fetched = report
        .materials
        .iter()
        .map(|material| json!({"uri": material.uri, "digest": digest(&material.digest)}));
    each.chain(fetched).collect()
}

/// An image as package URLs name it.
///
/// Source: package-url/purl-spec, `docker`; BuildKit, `util/purl`.
fn package(name: &str, platform: &str) -> String {
    let bare = name.strip_prefix("docker.io/library/").or(name.strip_prefix("docker.io/"));
    let bare = bare.unwrap_or(name);
    let slash = bare.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match bare[slash..].find(':') {
        Some(colon) => (&bare[..slash + colon], &bare[slash + colon + 1..]),
        None => (bare, "latest"),
    };
    let escaped = |text: &str| text.replace(':', "%3A");
    let platform = platform.replace('/', "%2F");
    format!("pkg:docker/{}@{tag}?platform={platform}", escaped(name))
}

fn digest(text: &str) -> Value {
    let (algorithm, hex) = text.split_once(':').unwrap_or(("sha256", text));
    json!({algorithm: hex})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<Option<Provenance>> {
        Provenance::parse(values::fields(text).unwrap())
    }

    #[test]
    fn what_is_told_is_said_in_fields() {
        let max = Provenance { mode: Mode::Max, builder: "https://h/ci".to_owned() };
        assert_eq!(fields("mode=max,builder-id=https://h/ci,version=v1").unwrap(), Some(max));
        assert_eq!(fields("mode=min").unwrap(), Some(Provenance::default()));
        assert_eq!(fields("disabled=true").unwrap(), None);
        for text in ["mode=most", "version=v0.2", "inline-only=true"] {
            fields(text).unwrap_err();
        }
        assert_eq!(attest("type=sbom,disabled=true").unwrap(), None);
        assert_eq!(attest("type=provenance").unwrap(), Some(Some(Provenance::default())));
        for text in ["type=sbom", "mode=max", "type=x"] {
            attest(text).unwrap_err();
        }
    }

    #[test]
    fn images_are_packages() {
        let check = |name: &str, expected: &str| {
            assert_eq!(package(name, "linux/amd64"), format!("{expected}?platform=linux%2Famd64"));
        };
        check("docker.io/library/debian:12", "pkg:docker/debian@12");
        check("docker.io/a/b:1", "pkg:docker/a/b@1");
        check("h:5000/a/b:1", "pkg:docker/h%3A5000/a/b@1");
        check("localhost/x", "pkg:docker/localhost/x@latest");
    }
}
