//! What Docker before 1.10 reads: one directory per layer, with an image of its own in it.
//!
//! Nothing current reads it, but `skopeo` writes it, and its archives are reproduced to the byte.

use std::collections::BTreeMap;

use cask_image::{Algorithm, Digest, Hasher, MAX_CONFIG_BYTES};
use cask_json::{Node, Object, Rules, Style, Writer};

/// The layer's data in its directory: a link to the real one.
pub(crate) const LAYER: &str = "layer.tar";
/// The version of the format in each directory, and what it says.
pub(crate) const VERSION: (&str, &[u8]) = ("VERSION", b"1.0");
/// The image's description in its directory.
pub(crate) const JSON: &str = "json";

/// What of a config stands in the description of the topmost layer.
const CARRIED_OVER: [&str; 7] =
    ["architecture", "config", "container", "container_config", "created", "docker_version", "os"];

/// The image of one layer.
pub(crate) struct LegacyImage {
    /// The name of its directory.
    pub(crate) id: String,
    /// The content of its `json`.
    pub(crate) json: Vec<u8>,
}

/// Describes an image as a chain of images, the base first.
///
/// Source: containers/image 5.22, `docker/internal/tarfile`: an ID is the SHA-256 of the
/// description without the ID but with the layer's chain ID.
pub(crate) fn images(diff_ids: &[Digest], config: &[u8]) -> Vec<LegacyImage> {
    let mut images: Vec<LegacyImage> = Vec::new();
    let mut chain: Option<Digest> = None;
    for (position, diff_id) in diff_ids.iter().enumerate() {
        let mut fields: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        if let Some(parent) = images.last() {
            fields.insert("parent", text(&parent.id));
        }
        if position + 1 == diff_ids.len() {
            fields.extend(carried_over(config));
        }
        let chain_id = match chain {
            None => diff_id.clone(),
            Some(below) => sha256(format!("{below} {diff_id}").as_bytes()),
        };
        fields.insert("layer_id", text(chain_id.as_str()));
        let id = sha256(&object(&fields)).hex().to_owned();
        fields.remove("layer_id");
        fields.insert("id", text(&id));
        images.push(LegacyImage { json: object(&fields), id });
        chain = Some(chain_id);
    }
    images
}

fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

/// The fields of the config by their exact names, as Go writes them; null where there is none.
fn carried_over(config: &[u8]) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    // Text that is no UTF-8 is no hindrance to Go, and none to a description that nobody reads.
    let config = String::from_utf8_lossy(config);
    let object = Object::parse(config.as_bytes(), RULES).unwrap_or_default();
    CARRIED_OVER.into_iter().map(move |name| {
        let value = object.fields().filter(|(key, _)| *key == name).last();
        (name, value.map_or(Node::null(), |(_, value)| value.clone()).encode(Style::compact()))
    })
}

/// The config was parsed before, by rules of its own; a byte that is no text has become three.
const RULES: Rules = Rules::new(3 * MAX_CONFIG_BYTES)
    .with_max_depth(usize::MAX)
    .with_max_values(usize::MAX)
    .keeping_duplicates()
    .replacing_bad_text();

fn text(text: &str) -> Vec<u8> {
    Node::from(text).encode(Style::compact())
}

fn object(fields: &BTreeMap<&str, Vec<u8>>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.object(|w| fields.iter().for_each(|(key, json)| w.key(key).copy(json)));
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_skopeo() {
        let layers: Vec<Digest> = [
            "b7cb7daa8e4c3dfef66bcdc021f3f4335bdb2fb729949100b70e720c86c5059c",
            "a2a0ccc6d7c5b5cbf4bad67b8a74a00f22e7b332f89552edcd8a520d2b6b20e2",
            "b7cb7daa8e4c3dfef66bcdc021f3f4335bdb2fb729949100b70e720c86c5059c",
        ]
        .iter()
        .map(|hex| format!("sha256:{hex}").parse().unwrap())
        .collect();
        let config = r#"{ "architecture": "amd64", "os": "linux", "author": "x",
            "config": { "Cmd": ["sh", "-c", "a && b > c"], "Env": ["PATH=/bin"] },
            "created": "2020-01-01T00:00:00Z" }"#;
        // Recorded from skopeo 1.9.3.
        let expected = [
            "ca38b81e304ef6a3b221dd1479b98ccf2cf49d08f1b2171727ac1931ca0e7a1f",
            "9f9f81a5eeef5e217fc22680a9c8aa288e755ecf91130192fe7c6439b11393cf",
            "4e72ee8d01d4294ca2e1465703b872d425506c82e7b5238f14d523cf3467b69a",
        ];
        let images = images(&layers, config.as_bytes());
        let ids: Vec<&str> = images.iter().map(|image| &*image.id).collect();
        assert_eq!(ids, expected);
        let top = r#"{"architecture":"amd64","config":{"Cmd":["sh","-c","a \u0026\u0026 b \u003e c"],"Env":["PATH=/bin"]},"container":null,"container_config":null,"created":"2020-01-01T00:00:00Z","docker_version":null,"id":"4e72ee8d01d4294ca2e1465703b872d425506c82e7b5238f14d523cf3467b69a","os":"linux","parent":"9f9f81a5eeef5e217fc22680a9c8aa288e755ecf91130192fe7c6439b11393cf"}"#;
        assert_eq!(String::from_utf8_lossy(&images[2].json), top);
        assert_eq!(images[0].json, format!("{{\"id\":\"{}\"}}", expected[0]).as_bytes());
    }
}
