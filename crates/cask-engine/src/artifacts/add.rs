//! Making artifacts of files.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageFormat, ImageManifest, MediaType, Timestamp,
};
use cask_layout::{LayoutTransaction, NewEntry, ReferenceName};
use cask_reference::Reference;

use super::{
    CREATED, StoredArtifact, StoredArtifacts, check_name, failed, media_type, of_layout, unknown,
};
use crate::images::artifacts::{EMPTY, TITLE, inline};
use crate::{Error, ErrorKind, Result};

/// How many bytes are copied at a time.
const PIECE: usize = 256 << 10;

/// How an artifact is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddArtifactOptions {
    /// What is said of the artifact, and of each file that comes to it.
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// What the files are; `None` looks at their first bytes.
    pub file_type: Option<String>,
    /// What happens to an artifact that has the name.
    pub existing: ExistingArtifact,
    /// When it is made.
    pub created: Timestamp,
}

/// What happens to an artifact that has the name of a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingArtifact {
    /// It is an error.
    #[default]
    IsError,
    /// It must be there, and the files come to it.
    Grows,
    /// It goes, if it is there.
    Goes,
}

impl AddArtifactOptions {
    /// An artifact that is made now, of which nothing is said.
    pub fn new(created: Timestamp) -> Self {
        Self {
            annotations: BTreeMap::new(),
            artifact_type: None,
            file_type: None,
            existing: ExistingArtifact::default(),
            created,
        }
    }
}

impl StoredArtifacts {
    /// Makes an artifact of files, or brings files to one; gives the digest of its manifest. Nothing changes if anything
    /// fails.
    ///
    /// Source: containers/common, `libartifact/store`, `Add`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is no name, for two files of one name, and for what is no file;
    /// [`ErrorKind::NameInUse`]; [`ErrorKind::ArtifactNotKnown`]; [`ErrorKind::Io`] for files that cannot be read;
    /// [`ErrorKind::Storage`].
    pub fn add(
        &self,
        name: &str,
        files: &[PathBuf],
        options: &AddArtifactOptions,
    ) -> Result<Digest> {
        let is_appended = options.existing == ExistingArtifact::Grows;
        check_name(name)?;
        if is_appended && options.artifact_type.is_some() {
            let words = "append option is not compatible with type option";
            return Err(Error::new(ErrorKind::Invalid, words, ""));
        }
        let tag = new_name(name)?;
        self.make()?;
        let _held = self.hold(true)?;
        let mut all = self.read()?;
        let known = all.iter().position(|one| one.name.as_deref() == Some(name));
        let known = known.map(|position| all.swap_remove(position));
        let before = known.as_ref().map(|one| one.digest.clone());
        let mut manifest = first_manifest(name, known, options)?;
        let titles = titles(&manifest, files)?;
        let transaction = self.layout()?.begin().map_err(of_layout)?;
        for (file, title) in files.iter().zip(titles) {
            let mut layer = read_file(file, options.file_type.as_deref(), &transaction)?;
            layer.annotations.clone_from(&options.annotations);
            if let Some(title) = layer.annotations.get(TITLE)
                && manifest.layers.iter().any(|other| other.annotations.get(TITLE) == Some(title))
            {
                let words =
                    format!("duplicate layers {TITLE} labels within an artifact not allowed");
                return Err(Error::new(ErrorKind::Invalid, words, ""));
            }
            layer.annotations.entry(TITLE.to_owned()).or_insert(title);
            manifest.layers.push(layer);
        }
        if manifest.config.data.as_deref() == Some(EMPTY) {
            transaction.write_bytes(EMPTY).map_err(of_layout)?;
        }
        let manifest = manifest.encode();
        transaction.write_manifest(&manifest).map_err(of_layout)?;
        let entry = NewEntry { descriptor: manifest.descriptor(), name: Some(tag) };
        transaction.commit(&[entry]).map_err(of_layout)?;
        if let Some(before) = before {
            self.forget(&before)?;
        }
        Ok(manifest.digest().clone())
    }
}

/// A name that an artifact can be given: one that others can list, too.
fn new_name(name: &str) -> Result<ReferenceName> {
    let invalid = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Invalid, format!("invalid artifact name {name:?}"), "")
            .with_source(error)
    };
    let reference = Reference::parse_normalized(name).map_err(|error| invalid(error.into()))?;
    if reference.digest().is_some() {
        return Err(invalid("what is made has another digest: give it a tag".into()));
    }
    ReferenceName::parse(name).map_err(|error| invalid(error.into()))
}

/// What the files come to.
fn first_manifest(
    name: &str,
    known: Option<StoredArtifact>,
    options: &AddArtifactOptions,
) -> Result<ImageManifest> {
    match (options.existing, known) {
        (ExistingArtifact::Grows, Some(known)) => return known.manifest,
        (ExistingArtifact::Grows, None) => return Err(unknown(name)),
        (ExistingArtifact::IsError, Some(_)) => {
            return Err(Error::new(ErrorKind::NameInUse, name, "artifact already exists"));
        }
        (ExistingArtifact::IsError | ExistingArtifact::Goes, _) => {}
    }
    let (config, _) = inline(EMPTY, &MediaType::OciEmpty);
    let mut manifest = ImageManifest::new(ImageFormat::Oci, config, Vec::new());
    manifest.artifact_type = options.artifact_type.as_deref().map(MediaType::from);
    manifest.annotations.clone_from(&options.annotations);
    manifest.annotations.insert(CREATED.to_owned(), options.created.to_string());
    Ok(manifest)
}

/// What the files are called: each otherwise, and otherwise than those that are there.
fn titles(manifest: &ImageManifest, files: &[PathBuf]) -> Result<Vec<String>> {
    let there = manifest.layers.iter().filter_map(|layer| layer.annotations.get(TITLE));
    let mut known: HashSet<String> = there.cloned().collect();
    let mut titles = Vec::with_capacity(files.len());
    for file in files {
        let Some(title) = file.file_name().unwrap_or(file.as_os_str()).to_str() else {
            let words = "its name is no text, and cannot be written into a manifest";
            return Err(Error::new(ErrorKind::Invalid, file.display(), words));
        };
        if !known.insert(title.to_owned()) {
            let words = "file already exists in artifact";
            return Err(Error::new(ErrorKind::NameInUse, title, words));
        }
        titles.push(title.to_owned());
    }
    Ok(titles)
}

/// Copies a file into the layout.
fn read_file(
    path: &Path,
    file_type: Option<&str>,
    transaction: &LayoutTransaction,
) -> Result<Descriptor> {
    let file = File::open(path).map_err(|error| failed(error, "open", path))?;
    let mut reader = &file;
    let mut piece = vec![0; PIECE];
    let mut filled = 0;
    // A pipe gives less at a time than is looked at.
    while filled < media_type::LOOKED_AT {
        match reader.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error, "read", path)),
        }
    }
    let media_type = match file_type {
        Some(given) => given.to_owned(),
        None => media_type::of_beginning(&piece[..filled]).to_owned(),
    };
    let mut writer = transaction.blob_writer().map_err(of_layout)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while filled > 0 {
        hasher.update(&piece[..filled]);
        writer.write_all(&piece[..filled]).map_err(|error| failed(error, "copying", path))?;
        filled = loop {
            match reader.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| failed(error, "read", path))?,
            }
        };
    }
    let size = hasher.len();
    let descriptor = Descriptor::new(MediaType::from(media_type.as_str()), hasher.finish(), size);
    writer.finish(&descriptor).map_err(of_layout)?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use cask_storage::{Store, StoreOptions};

    use super::*;

    /// Recorded of podman 5.8.6: `artifact add --annotation k=v --annotation z=y --type application/x.y --file-type
    /// text/yaml localhost/an:1 c.txt a.txt`.
    #[test]
    fn the_same_files_are_the_artifact_that_podman_makes() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let store = Store::open(StoreOptions::new(at("root"), at("run"))).unwrap();
        let artifacts = StoredArtifacts::new(store);
        std::fs::write(at("c.txt"), "c\n").unwrap();
        std::fs::write(at("a.txt"), "hello\n").unwrap();
        let mut options =
            AddArtifactOptions::new("2026-11-22T22:22:54.598306439Z".parse().unwrap());
        let said = [("k", "v"), ("z", "y")];
        options.annotations = said.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        options.artifact_type = Some("application/x.y".to_owned());
        options.file_type = Some("text/yaml".to_owned());
        let made = artifacts.add("localhost/an:1", &[at("c.txt"), at("a.txt")], &options).unwrap();
        let expected = "30674f3ffc1a5c2580997241030b8b9d9b2920b91fa08ce0a9628db8c97f76c1";
        assert_eq!(made.hex(), expected);
        let index = std::fs::read_to_string(at("root/artifacts/index.json")).unwrap();
        let expected = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{made}","size":767,"annotations":{{"org.opencontainers.image.ref.name":"localhost/an:1"}}}}]}}"#
        );
        assert_eq!(index, expected);
    }
}
