//! What `--output` and `--tag` say.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::compression::Compress;
use super::values;

/// Where the result goes besides the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// The files, in a directory.
    Directory(PathBuf),
    /// The files, as an archive; `None` is standard output.
    Tar(Option<PathBuf>),
    /// The image, in a place that is written as for `push`, and how its layers are compressed.
    Place(String, Compress),
    /// Nowhere else, under another name.
    Named(String),
}

/// Reads an `--output`.
///
/// Source: buildah, `parse.GetBuildOutput`; docker/buildx, `ParseExports`.
pub(super) fn parse(text: &str) -> Result<Vec<Output>> {
    if text == "-" {
        return Ok(vec![Output::Tar(None)]);
    }
    if !text.contains('=') {
        return Ok(vec![Output::Directory(text.into())]);
    }
    let (mut kind, mut destination, mut name, mut push) = (None, None, None, false);
    let mut compress = Compress::default();
    for (key, value) in values::fields(text)? {
        let Some(value) = value else { bail!("{key:?} has no value: write KEY=VALUE,KEY=VALUE") };
        match key.as_str() {
            "type" => kind = Some(value),
            "dest" => destination = Some(value),
            "name" => name = Some(value),
            "push" => push = crate::access::boolean("output", Some(&value))? == Some(true),
            key if compress.field(key, &value)? => {}
            other => {
                bail!("{other:?} is not supported: use type, dest, name, push and compression")
            }
        }
    }
    compress.check()?;
    let kind = kind.context("there is no type: write type=local,dest=DIRECTORY")?;
    let names: Vec<String> =
        name.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    let path = || destination.clone().filter(|path| path != "-");
    Ok(match kind.as_str() {
        "local" => {
            vec![Output::Directory(path().context("type=local needs dest=DIRECTORY")?.into())]
        }
        "tar" => vec![Output::Tar(path().map(PathBuf::from))],
        "oci" | "docker" => {
            let scheme = if kind == "oci" { "oci-archive" } else { "docker-archive" };
            let path = path().unwrap_or_else(|| "/dev/stdout".to_owned());
            let name = names.first().map(|name| format!(":{name}")).unwrap_or_default();
            vec![Output::Place(format!("{scheme}:{path}{name}"), compress)]
        }
        "image" | "registry" => {
            if names.is_empty() {
                bail!("type={kind} needs name=NAME");
            }
            let is_pushed = push || kind == "registry";
            let each = names.into_iter().map(|name| match is_pushed {
                true => Output::Place(format!("docker://{name}"), compress.clone()),
                false => Output::Named(name),
            });
            each.collect()
        }
        other => {
            bail!("the type {other:?} is not known: use local, tar, oci, docker, image or registry")
        }
    })
}

/// What the image is called in the store, and where else it goes.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    /// Names with registry and tag.
    pub(super) names: Vec<String>,
    /// The first of the tags, as typed.
    pub(super) tag: Option<String>,
    pub(super) outputs: Vec<Output>,
    /// The list that the images come to.
    pub(super) list: Option<String>,
}

impl Destinations {
    /// Has layers compressed wherever they go: `--disable-compression=false`.
    pub(super) fn compress(&mut self) {
        for output in &mut self.outputs {
            if let Output::Place(_, compress) = output {
                compress.plain = false;
            }
        }
    }
}

impl Output {
    /// Whether it takes standard output.
    pub(super) fn is_standard_output(&self) -> bool {
        match self {
            Self::Tar(path) => path.is_none(),
            Self::Place(place, _) => place.contains(":/dev/stdout"),
            Self::Directory(_) | Self::Named(_) => false,
        }
    }
}

/// Puts together what `--tag`, `--output` and `--push` say.
pub(super) fn destinations(
    tags: &[String],
    outputs: &[String],
    push: bool,
    schemes: impl Fn(&str) -> bool,
) -> Result<Destinations> {
    let mut found = Destinations::default();
    for tag in tags {
        match tag.split_once(':') {
            // A place behind the scheme of a transport.
            Some((scheme, _)) if schemes(scheme) => {
                // Registries get compressed layers always.
                let compress = Compress { plain: scheme != "docker", ..Compress::default() };
                found.outputs.push(Output::Place(tag.clone(), compress));
            }
            _ => found.names.push(full_name(tag).with_context(|| format!("--tag {tag:?}"))?),
        }
    }
    found.tag = tags.first().cloned();
    for text in outputs {
        for output in parse(text).with_context(|| format!("--output {text:?}"))? {
            match output {
                Output::Named(name) => found.names.push(full_name(&name)?),
                output => found.outputs.push(output),
            }
        }
    }
    if found.outputs.iter().filter(|output| output.is_standard_output()).count() > 1 {
        bail!("standard output can be written once only");
    }
    if push {
        if found.names.is_empty() {
            bail!("--push needs a name to push to: give --tag");
        }
        let place = |name| Output::Place(format!("docker://{name}"), Compress::default());
        let places = found.names.iter().map(place);
        found.outputs.extend(places.collect::<Vec<_>>());
    }
    Ok(found)
}

/// A name with a registry and a tag: that of this machine, and `latest`, where there is none.
pub(super) fn full_name(name: &str) -> Result<String> {
    let name = cask_engine::whole_name(name)?;
    if name.digest().is_some() {
        bail!("{name}: an image cannot be given a name with a digest");
    }
    Ok(name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_written_as_for_the_peers() {
        let check =
            |text: &str, expected: &[Output]| assert_eq!(parse(text).unwrap(), expected, "{text}");
        let place = |text: &str| Output::Place(text.to_owned(), Compress::default());
        check("-", &[Output::Tar(None)]);
        check("out", &[Output::Directory("out".into())]);
        check("type=local,dest=a", &[Output::Directory("a".into())]);
        check("type=tar,dest=a.tar", &[Output::Tar(Some("a.tar".into()))]);
        check("type=tar", &[Output::Tar(None)]);
        check("type=oci,dest=a.tar,name=x:1", &[place("oci-archive:a.tar:x:1")]);
        check("type=docker,dest=-", &[place("docker-archive:/dev/stdout")]);
        check("type=registry,name=h/x:1", &[place("docker://h/x:1")]);
        check("type=image,name=h/x,push=true", &[place("docker://h/x")]);
        check("type=image,name=h/x", &[Output::Named("h/x".to_owned())]);
        let refused = |text: &str| parse(text).unwrap_err().to_string();
        assert!(refused("type=local").contains("needs dest"));
        assert!(refused("dest=a").contains("there is no type"));
        assert!(refused("type=x,dest=a").contains("is not known"));
        assert!(refused("type=tar,frob=x").contains("not supported"));
        assert!(refused("type=oci,compression=xz").contains("choose gzip, zstd or zstd:chunked"));
        let zstd = parse("type=registry,name=h/x,compression=zstd,compression-level=3").unwrap();
        let [Output::Place(_, compress)] = zstd.as_slice() else { panic!("{zstd:?}") };
        assert_eq!((compress.format.as_deref(), compress.level), (Some("zstd"), Some(3)));
    }

    #[test]
    fn tags_are_names_or_places() {
        let tags = ["a".to_owned(), "oci:dir:x".to_owned(), "h:5000/b:1".to_owned()];
        let found = destinations(&tags, &[], false, |scheme| scheme == "oci").unwrap();
        assert_eq!(found.names, ["localhost/a:latest", "h:5000/b:1"]);
        let plain = Compress { plain: true, ..Compress::default() };
        assert_eq!(found.outputs, [Output::Place("oci:dir:x".to_owned(), plain)]);
        destinations(&["A".to_owned()], &[], false, |_| false).unwrap_err();
        destinations(&[], &[], true, |_| false).unwrap_err();
    }
}
