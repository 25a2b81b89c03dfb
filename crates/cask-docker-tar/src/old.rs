//! What an archive holds that is added to.

use cask_archive::ArchiveReader;
use cask_image::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, MediaType, RawManifest};

use crate::error::{Error, ErrorKind, Result};
use crate::image::Image;
use crate::json::{MAX_MANIFEST_JSON_BYTES, Repositories, parse_repositories};
use crate::reader::{DockerArchive, INDEX_JSON, OCI_LAYOUT, REPOSITORIES, Selector};
use crate::state::State;
use crate::writer::Layout;

/// In which layout an archive is.
pub(crate) fn layout_of(archive: &ArchiveReader) -> Layout {
    let has = |name: &str| archive.find_file(name).is_ok();
    if has(OCI_LAYOUT) && has(INDEX_JSON) { Layout::Hybrid } else { Layout::Classic }
}

/// Reads everything of an archive that the new one has to know.
pub(crate) fn taken_over(old: &DockerArchive, layout: Layout) -> Result<State> {
    let mut state = State::of_items(old.items().to_vec());
    match layout {
        Layout::Classic => {
            state.repositories = read_repositories(old)?;
            for entry in old.entries() {
                let image = old.image(&Selector::Position(entry.position()))?;
                take_over_layers(&mut state, &image);
            }
        }
        Layout::Hybrid => {
            state.index = read_index(old)?;
            take_over_blobs(&mut state, old.archive());
        }
    }
    Ok(state)
}

fn take_over_layers(state: &mut State, image: &Image) {
    for layer in image.layers() {
        let member = layer.member().display_name().into_owned();
        state.take_over_layer(layer.diff_id(), member);
    }
}

fn take_over_blobs(state: &mut State, archive: &ArchiveReader) {
    for member in archive.members() {
        let name = member.display_name();
        let digest = name.strip_prefix("blobs/").map(|rest| rest.replace('/', ":"));
        if let Some(digest) = digest.and_then(|text| text.parse::<Digest>().ok()) {
            state.take_over_layer(&digest, name.into_owned());
        }
    }
}

fn read_repositories(old: &DockerArchive) -> Result<Repositories> {
    let bytes = match old.archive().read_member(REPOSITORIES, MAX_MANIFEST_JSON_BYTES) {
        Err(error) if error.kind() == cask_archive::ErrorKind::NoMember => {
            return Ok(Repositories::new());
        }
        bytes => bytes.map_err(|error| Error::archive("loading repositories", error))?,
    };
    parse_repositories(&bytes).map_err(|error| {
        old.error(ErrorKind::Malformed, "decoding tar repositories").caused_by(error)
    })
}

fn read_index(old: &DockerArchive) -> Result<Vec<Descriptor>> {
    let bytes = old.archive().read_member(INDEX_JSON, MAX_MANIFEST_BYTES);
    let bytes = bytes.map_err(|error| Error::archive("loading index.json", error))?;
    let parsed = RawManifest::new(bytes, MediaType::OciIndex)
        .parse()
        .map_err(|error| old.error(ErrorKind::Malformed, "decoding index.json").caused_by(error))?;
    match parsed {
        Manifest::Index(index) if index.unknown_fields.is_empty() => Ok(index.manifests),
        Manifest::Index(index) => {
            let detail =
                format!("index.json has a field that would be lost: {}", index.unknown_fields[0]);
            Err(old.error(ErrorKind::Unsupported, detail))
        }
        _ => Err(old.error(ErrorKind::Malformed, "index.json is no index")),
    }
}
