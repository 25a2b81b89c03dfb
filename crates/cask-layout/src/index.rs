//! `index.json` as a document that can be edited without losing what others wrote in it.

use cask_image::{Descriptor, ImageFormat, Index, MAX_INDEX_ENTRIES, MAX_JSON_DEPTH};
use cask_image::{Digest, MAX_JSON_VALUES, MAX_MANIFEST_BYTES, Manifest, MediaType, RawManifest};
use cask_json::{Fields, Node, Object, Rules, Style};

use crate::{Entry, Error, ErrorKind, ReferenceName, Result};

/// The annotation that holds an image's name.
///
/// Source: OCI image specification, `annotations.md`.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The rules of an index that was parsed as one before.
const RULES: Rules =
    Rules::new(MAX_MANIFEST_BYTES).with_max_depth(MAX_JSON_DEPTH).with_max_values(MAX_JSON_VALUES);

/// An `index.json` that can be changed without losing what others wrote in it.
#[derive(Clone, Debug)]
pub struct IndexDocument {
    fields: Object,
    entries: Vec<EntryDocument>,
}

/// One entry: what it says, and how it was written.
#[derive(Clone, Debug)]
struct EntryDocument {
    fields: Object,
    descriptor: Descriptor,
}

impl IndexDocument {
    /// An index without entries, as containers/image begins one.
    pub fn empty() -> Self {
        let empty = Index::new(ImageFormat::Oci, Vec::new()).encode();
        Self::parse(empty.bytes(), "").expect("our own encoding is an index")
    }

    /// Parses the bytes of an `index.json`; `path` is for messages.
    ///
    /// # Errors
    /// `Corrupt` if they are no index, or one that two tools could read in two ways.
    pub fn parse(bytes: &[u8], path: &str) -> Result<Self> {
        let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Corrupt, "parsing", path).with_source(source).with_hint(
                "restore the file; or remove it, and the next write begins an empty index",
            )
        };
        let document = RawManifest::new(bytes.to_vec(), MediaType::OciIndex);
        let Manifest::Index(index) = document.parse().map_err(|e| corrupt(e.into()))? else {
            return Err(Error::new(ErrorKind::Corrupt, "parsing", path)
                .with_detail("it is not an image index"));
        };
        let (fields, entries) = objects(bytes).map_err(|e| corrupt(e.into()))?;
        let entries = entries.into_iter().zip(index.manifests);
        let entries =
            entries.map(|(fields, descriptor)| EntryDocument { fields, descriptor }).collect();
        Ok(Self { fields, entries })
    }

    /// What the index lists.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Descriptor> {
        self.entries.iter().map(|entry| &entry.descriptor)
    }

    /// What the index lists, with positions.
    pub fn to_entries(&self) -> Vec<Entry> {
        self.entries()
            .enumerate()
            .map(|(position, descriptor)| Entry::listed(position, descriptor.clone()))
            .collect()
    }

    /// The bytes to write.
    ///
    /// # Errors
    /// `LimitExceeded` if there are too many entries, or too many bytes for a manifest.
    pub fn encode(&self, path: &str) -> Result<Vec<u8>> {
        let too_large = |detail| {
            Err(Error::new(ErrorKind::LimitExceeded, "writing", path)
                .with_detail(detail)
                .with_hint("delete images that nobody needs, or use another layout"))
        };
        if self.entries.len() > MAX_INDEX_ENTRIES {
            return too_large(format!("more than {MAX_INDEX_ENTRIES} entries"));
        }
        let mut fields = self.fields.clone();
        let entries = self.entries.iter().map(|entry| Node::from(entry.fields.clone()));
        fields.set("manifests", entries.collect::<Vec<_>>());
        let bytes = fields.encode(Style::compact());
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return too_large(format!("more than {MAX_MANIFEST_BYTES} bytes"));
        }
        Ok(bytes)
    }

    /// Adds an entry as containers/image does.
    ///
    /// The first entry that has the name loses it and stays. An entry of the same digest that has
    /// no name becomes the new one; what it said besides type, digest and size is kept unless the
    /// new one says otherwise. Else the new one comes last.
    ///
    /// Source: containers/image, `oci/layout/oci_dest.go`, `addManifest`, which however forgets
    /// what an entry without a name said besides.
    ///
    /// # Errors
    /// `Corrupt` if the descriptor is not one that can be written.
    pub fn add(&mut self, descriptor: &Descriptor, name: Option<&ReferenceName>) -> Result<()> {
        let mut new = EntryDocument::new(descriptor)?;
        new.set_name(name.map(ReferenceName::as_str));
        self.add_entry(new)
    }

    /// Gives another name to the image at a position; nothing where there is none.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_name(&mut self, position: usize, name: &ReferenceName) -> Result<()> {
        let Some(entry) = self.entries.get(position) else { return Ok(()) };
        if entry.name() == Some(name.as_str()) {
            return Ok(());
        }
        let mut copy = entry.clone();
        copy.set_name(Some(name.as_str()));
        self.add_entry(copy)
    }

    fn add_entry(&mut self, new: EntryDocument) -> Result<()> {
        if let Some(name) = new.name()
            && let Some(old) = self.entries.iter_mut().find(|old| old.name() == Some(name))
        {
            old.set_name(None);
        }
        let same = |old: &&mut EntryDocument| old.digest() == new.digest() && old.name().is_none();
        match self.entries.iter_mut().find(same) {
            Some(old) => old.merge(&new)?,
            None => self.entries.push(new),
        }
        Ok(())
    }

    /// Takes a name away wherever it is. An entry that has none then goes if another one is of
    /// the same digest. `false` if there is no such name.
    pub fn remove_name(&mut self, name: &str) -> bool {
        let mut found = false;
        while let Some(position) = self.entries.iter().position(|entry| entry.name() == Some(name))
        {
            found = true;
            self.entries[position].set_name(None);
            let digest = self.entries[position].digest().clone();
            if self.entries.iter().filter(|entry| entry.digest() == &digest).count() > 1 {
                self.entries.remove(position);
            }
        }
        found
    }

    /// Removes entries by position.
    pub fn remove(&mut self, positions: &[usize]) {
        let mut position = 0;
        self.entries.retain(|_| {
            position += 1;
            !positions.contains(&(position - 1))
        });
    }
}

/// The fields of an index, and those of each entry.
fn objects(bytes: &[u8]) -> std::result::Result<(Object, Vec<Object>), cask_json::Error> {
    let document = cask_json::parse(bytes, RULES)?;
    let entries = Fields::of(document.root())?.array("manifests")?;
    Ok((
        Object::of(document.root())?,
        entries.map(Object::of).collect::<std::result::Result<_, _>>()?,
    ))
}

impl EntryDocument {
    fn new(descriptor: &Descriptor) -> Result<Self> {
        // The codec of indexes knows how Go writes a descriptor.
        let index = Index::new(ImageFormat::Oci, vec![descriptor.clone()]).encode();
        let document = IndexDocument::parse(index.bytes(), "the new entry")?;
        Ok(document.entries.into_iter().next().expect("an index of one entry has one"))
    }

    /// An entry of fields that were put together.
    fn of(fields: Object) -> Result<Self> {
        let mut index = Object::new();
        index.set("schemaVersion", 2_u64);
        index.set("manifests", vec![Node::from(fields)]);
        let document = IndexDocument::parse(&index.encode(Style::compact()), "the new entry")?;
        Ok(document.entries.into_iter().next().expect("an index of one entry has one"))
    }

    fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    fn name(&self) -> Option<&str> {
        self.descriptor
            .annotations
            .get(REF_NAME)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    fn set_name(&mut self, name: Option<&str>) {
        let mut annotations = self.annotations();
        match name {
            Some(name) => {
                annotations.set(REF_NAME, name);
                self.descriptor.annotations.insert(REF_NAME.to_owned(), name.to_owned());
            }
            None => {
                annotations.remove(REF_NAME);
                self.descriptor.annotations.remove(REF_NAME);
            }
        }
        self.set_annotations(annotations);
    }

    fn annotations(&self) -> Object {
        self.fields.field("annotations").and_then(Node::to_object).unwrap_or_default()
    }

    fn set_annotations(&mut self, annotations: Object) {
        if annotations.is_empty() {
            self.fields.remove("annotations");
        } else {
            self.fields.set("annotations", annotations);
        }
    }

    /// Takes over what `new` says, and keeps what it does not speak of.
    fn merge(&mut self, new: &Self) -> Result<()> {
        let mut merged = self.clone();
        let mut annotations = self.annotations();
        for (key, value) in new.annotations().fields() {
            annotations.set(key, value.clone());
        }
        for (name, value) in new.fields.fields() {
            merged.fields.set(name, value.clone());
        }
        merged.set_annotations(annotations);
        *self = Self::of(merged.fields)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cask_image::{Algorithm, Hasher};

    fn digest(content: &str) -> Digest {
        Hasher::digest(Algorithm::Sha256, content.as_bytes())
    }

    fn descriptor(content: &str) -> Descriptor {
        Descriptor::new(MediaType::OciManifest, digest(content), 7)
    }

    fn name(text: &str) -> ReferenceName {
        ReferenceName::parse(text).unwrap()
    }

    fn parse(json: &str) -> IndexDocument {
        IndexDocument::parse(json.as_bytes(), "index.json").unwrap()
    }

    fn text(index: &IndexDocument) -> String {
        String::from_utf8(index.encode("index.json").unwrap()).unwrap()
    }

    /// Digest and name of every entry; the digest as the content it was made of.
    fn listed(index: &IndexDocument) -> String {
        let entries = index.entries.iter().map(|entry| {
            let content = ["a", "b"].into_iter().find(|c| digest(c) == *entry.digest()).unwrap();
            format!("{content}:{}", entry.name().unwrap_or("-"))
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn entries_are_added_as_containers_image_does() {
        let mut index = IndexDocument::empty();
        let mut check = |content: &str, new: &str, expected: &str| {
            let new = (new != "-").then(|| name(new));
            index.add(&descriptor(content), new.as_ref()).unwrap();
            assert_eq!(listed(&index), expected, "after {content}:{new:?}");
        };
        check("a", "v1", "a:v1");
        check("a", "v2", "a:v1 a:v2");
        check("a", "-", "a:v1 a:v2 a:-");
        check("a", "v1", "a:v1 a:v2 a:-");
        check("a", "v3", "a:v1 a:v2 a:v3");
        check("b", "v1", "a:- a:v2 a:v3 b:v1");
        check("b", "-", "a:- a:v2 a:v3 b:v1 b:-");
        check("b", "-", "a:- a:v2 a:v3 b:v1 b:-");
    }

    #[test]
    fn names_are_taken_away_and_duplicates_with_them() {
        let mut index = IndexDocument::empty();
        for (content, new) in [("a", "v1"), ("a", "v2"), ("b", "v3")] {
            index.add(&descriptor(content), Some(&name(new))).unwrap();
        }
        let mut check = |old: &str, found: bool, expected: &str| {
            assert_eq!(index.remove_name(old), found, "{old}");
            assert_eq!(listed(&index), expected, "{old}");
        };
        check("v1", true, "a:v2 b:v3");
        check("v3", true, "a:v2 b:-");
        check("v3", false, "a:v2 b:-");
        check("v2", true, "a:- b:-");
    }

    #[test]
    fn what_others_wrote_survives() {
        let a = digest("a");
        let json = format!(
            r#"{{ "x": [1, 2.50], "schemaVersion": 2, "manifests": [
                {{"new": {{"k": "<"}}, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                 "size": 7, "digest": "{a}", "platform": {{"os": "linux", "architecture": "arm", "zz": 1}},
                 "annotations": {{"z": "\u0041", "org.opencontainers.image.ref.name": "v1", "a": "&"}}}}
            ], "annotations": {{"of": "index"}} }}"#
        );
        let mut index = parse(&json);
        index.add(&descriptor("b"), Some(&name("v1"))).unwrap();
        let b = digest("b");
        let expected = format!(
            r#"{{"x":[1,2.50],"schemaVersion":2,"manifests":[{{"new":{{"k":"\u003c"}},"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,"digest":"{a}","platform":{{"os":"linux","architecture":"arm","zz":1}},"annotations":{{"z":"\u0041","a":"\u0026"}}}},{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{b}","size":7,"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}],"annotations":{{"of":"index"}}}}"#
        );
        assert_eq!(text(&index), expected);
        // The unnamed entry gets a name again and keeps the rest.
        index.add(&descriptor("a"), Some(&name("v2"))).unwrap();
        assert!(text(&index).contains(
            r#""annotations":{"z":"\u0041","a":"\u0026","org.opencontainers.image.ref.name":"v2"}"#
        ));
        assert!(text(&index).contains(r#""zz":1"#));
        index.add_name(0, &name("v3")).unwrap();
        assert_eq!(listed(&index), "a:v2 b:v1 a:v3");
        assert_eq!(text(&index).matches(r#""zz":1"#).count(), 2, "a new name brings all with it");
    }

    #[test]
    fn the_bytes_are_those_of_skopeo() {
        let mut index = IndexDocument::empty();
        assert_eq!(
            text(&index),
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
        index.add(&descriptor("a"), None).unwrap();
        let a = digest("a");
        assert_eq!(
            text(&index),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{a}","size":7}}]}}"#
            )
        );
    }

    #[test]
    fn entries_are_removed_by_position() {
        let mut index = IndexDocument::empty();
        for new in ["v1", "v2", "v3"] {
            index.add(&descriptor("a"), Some(&name(new))).unwrap();
        }
        index.remove(&[0, 2]);
        assert_eq!(listed(&index), "a:v2");
    }

    #[test]
    fn a_missing_list_is_an_empty_one() {
        let mut index = parse(r#"{"schemaVersion":2,"manifests":null}"#);
        assert_eq!(index.entries().len(), 0);
        index.add(&descriptor("a"), None).unwrap();
        assert!(text(&index).starts_with(r#"{"schemaVersion":2,"manifests":[{"#));
    }

    #[test]
    fn indexes_that_two_tools_read_in_two_ways_are_refused() {
        let entry = |digest: &str| format!(r#"{{"mediaType":"m/t","digest":"{digest}","size":1}}"#);
        let good = entry(digest("a").as_str());
        let check = |json: String, words: &str| {
            let error = IndexDocument::parse(json.as_bytes(), "index.json").unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{json}");
            assert!(source.contains(words), "{json}: {source}");
        };
        check(format!(r#"{{"schemaVersion":2,"manifests":[],"manifests":[{good}]}}"#), "manifests");
        check(format!(r#"{{"schemaVersion":2,"manifests":[],"Manifests":[{good}]}}"#), "anifests");
        check(format!(r#"{{"schemaVersion":2,"manifests":[{good}],"layers":[]}}"#), "layers");
        check(r#"{"schemaVersion":3,"manifests":[]}"#.into(), "3");
        check(r#"{"schemaVersion":2,"manifests":["#.into(), "unexpected end");
        check(String::new(), "unexpected end");
        for digest in ["sha256:../../etc/passwd", "../x", "", "sha256:AB", "sha256:%2f", "md5:00"] {
            let json = format!(r#"{{"schemaVersion":2,"manifests":[{good},{}]}}"#, entry(digest));
            check(json, "manifests[1].digest");
        }
    }
}
