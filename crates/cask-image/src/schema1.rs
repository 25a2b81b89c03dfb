//! Docker's first manifest format.

use bytes::Bytes;
use cask_json::{Document, Fields, Value, parse, quoted};
use cask_reference::Digest;

use crate::error::{Faulty, ManifestError, ManifestErrorKind as ErrorKind};
use crate::manifest::{check_count, check_declarations, refuse_other_kinds};
use crate::rules::rules;
use crate::{MAX_CONFIG_BYTES, MAX_LAYERS, MediaType, Timestamp, jws};

/// An image in Docker's first manifest format, schema 1: layers with a history, and no config.
///
/// The config is hidden in the history: each entry is a JSON document in a string, the newest one
/// describes the image. Convert it with [`Schema1::to_docker`] or [`Schema1::to_oci`].
///
/// Source: Docker's image manifest version 2, schema 1; `containers/image`,
/// `manifest/docker_schema1.go`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema1 {
    /// The repository's name, without a host.
    pub name: String,
    /// The tag.
    pub tag: String,
    /// The processor architecture.
    pub architecture: String,
    /// The layers, the base first. Never empty.
    pub layers: Vec<Schema1Layer>,
    /// Whether the document has signatures. They are not verified.
    pub is_signed: bool,
    /// The newest entry of the history, which describes the image: a JSON document.
    pub v1_compatibility: String,
}

/// One layer of a [`Schema1`] manifest, with its entry of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema1Layer {
    /// The digest of the layer's bytes.
    pub digest: Digest,
    /// Whether the layer changes nothing. The converted image does not have it.
    pub is_empty: bool,
    /// The entry's own name: 64 hexadecimal digits.
    pub id: String,
    /// When the layer was made; [`Timestamp::GO_ZERO`] if the entry does not say.
    pub created: Timestamp,
    /// The command that made the layer.
    pub command: Vec<String>,
    /// Who made the layer.
    pub author: String,
    /// What was said about the layer.
    pub comment: String,
}

/// A layer with what only checking needs.
struct Linked {
    layer: Schema1Layer,
    parent: String,
    v1_compatibility: String,
}

impl Schema1 {
    pub(crate) fn read(document: &Document<'_>, bytes: &Bytes) -> Result<Self, ManifestError> {
        let (mut schema1, mut linked) = Self::read_fields(document, bytes)?;
        // The newest first, as in the document.
        drop_repeated(document, &mut linked)?;
        schema1.v1_compatibility = linked[0].v1_compatibility.clone();
        schema1.layers = linked.into_iter().rev().map(|linked| linked.layer).collect();
        Ok(schema1)
    }

    fn read_fields(
        document: &Document<'_>,
        bytes: &Bytes,
    ) -> Result<(Self, Vec<Linked>), ManifestError> {
        let fields = Fields::of(document.root())?;
        check_declarations(&fields, 1, &MediaType::DockerSchema1Signed)?;
        let own = ["fsLayers", "history"];
        refuse_other_kinds(&fields, &own, &MediaType::DockerSchema1Signed)?;
        let is_signed = jws::payload_of(document, bytes)?.is_some();
        let (layers, history) = (fields.require("fsLayers")?, fields.require("history")?);
        let (digests, entries) = (layers.items()?, history.items()?);
        check_count(layers, digests.len(), MAX_LAYERS)?;
        if digests.len() != entries.len() {
            let detail = format!(
                "length of history not equal to number of layers: {} and {}",
                entries.len(),
                digests.len()
            );
            return Err(history.fault(ErrorKind::InvalidValue, detail));
        }
        if digests.len() == 0 {
            return Err(layers.fault(ErrorKind::InvalidValue, "no FSLayers in manifest"));
        }
        let linked =
            digests.zip(entries).map(|(d, e)| read_layer(d, e)).collect::<Result<_, _>>()?;
        let schema1 = Self {
            name: fields.text("name")?,
            tag: fields.text("tag")?,
            architecture: fields.text("architecture")?,
            layers: Vec::new(),
            is_signed,
            v1_compatibility: String::new(),
        };
        Ok((schema1, linked))
    }
}

fn read_layer(digest: Value<'_>, entry: Value<'_>) -> Result<Linked, ManifestError> {
    let digest = Fields::of(digest)?.require("blobSum")?.as_parsed::<Digest>()?;
    let text = Fields::of(entry)?.require("v1Compatibility")?;
    let v1_compatibility = text.as_str()?.to_owned();
    let invalid = |error: ManifestError| text.fault(error.kind(), error.to_string());
    let rules = rules(MAX_CONFIG_BYTES).replacing_bad_text();
    let document = parse(v1_compatibility.as_bytes(), rules).map_err(|e| invalid(e.into()))?;
    let (layer, parent) = read_v1(&document, digest).map_err(invalid)?;
    Ok(Linked { layer, parent, v1_compatibility })
}

fn read_v1(
    document: &Document<'_>,
    digest: Digest,
) -> Result<(Schema1Layer, String), ManifestError> {
    let fields = Fields::of_any_case(document.root())?;
    let id = fields.require("id")?;
    if !is_v1_id(id.as_str()?) {
        let detail = format!("image ID {} is invalid", quoted(id.as_str()?));
        return Err(id.fault(ErrorKind::InvalidValue, detail));
    }
    let command = match fields.get("container_config")? {
        Some(config) => Fields::of_any_case(config)?.strings("Cmd")?,
        None => Vec::new(),
    };
    let created = fields.get("created")?.map(Value::as_parsed).transpose()?;
    let layer = Schema1Layer {
        digest,
        is_empty: fields.boolean("throwaway")?,
        id: id.as_str()?.to_owned(),
        created: created.unwrap_or(Timestamp::GO_ZERO),
        command,
        author: fields.text("author")?,
        comment: fields.text("comment")?,
    };
    Ok((layer, fields.text("parent")?))
}

fn is_v1_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Checks that each entry names the next older one as its parent, and drops entries that repeat
/// the next older one's name.
///
/// Source: `containers/image`, `fixManifestLayers`.
fn drop_repeated(document: &Document<'_>, linked: &mut Vec<Linked>) -> Result<(), ManifestError> {
    let invalid = |detail: String| {
        ManifestError::new(ErrorKind::InvalidValue, document.place(0).below("history"), detail)
    };
    if linked.last().is_some_and(|base| !base.parent.is_empty()) {
        return Err(invalid("Invalid parent ID in the base layer of the image".into()));
    }
    for index in (0..linked.len() - 1).rev() {
        let (newer, older) = (&linked[index], &linked[index + 1]);
        if newer.layer.id != older.layer.id && newer.parent != older.layer.id {
            let detail = format!(
                "Invalid parent ID. Expected {}, got {}",
                older.layer.id,
                quoted(&newer.parent)
            );
            return Err(invalid(detail));
        }
    }
    // Of a run of equal names the oldest entry stays.
    let keep: Vec<bool> = (0..linked.len())
        .map(|i| linked.get(i + 1).is_none_or(|older| older.layer.id != linked[i].layer.id))
        .collect();
    let mut keep = keep.into_iter();
    linked.retain(|_| keep.next().unwrap_or(true));
    let mut ids: Vec<&str> = linked.iter().map(|linked| linked.layer.id.as_str()).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(invalid(format!("ID {} appears multiple times in manifest", pair[0]))),
        None => Ok(()),
    }
}
