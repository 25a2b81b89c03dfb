//! What Docker before 1.10 reads: one directory per layer, with an image of its own in it.
//!
//! Nothing current reads it, but `skopeo` writes it, and its archives are reproduced to the byte.

use std::collections::BTreeMap;

use cask_image::{Algorithm, Digest, Hasher};
use serde::Serialize;
use serde_json::value::RawValue;

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
        let mut fields: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
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

/// The fields of the config by their exact names; null where there is none.
fn carried_over(config: &[u8]) -> impl Iterator<Item = (&'static str, Box<RawValue>)> {
    // Text that is no UTF-8 is no hindrance to Go, and none to a description that nobody reads.
    let config = String::from_utf8_lossy(config);
    let mut fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(&config).unwrap_or_default();
    CARRIED_OVER.into_iter().map(move |name| {
        let value = fields.remove(name).map(|value| compact(value.get()));
        (name, value.unwrap_or_else(|| RawValue::NULL.to_owned()))
    })
}

fn text(text: &str) -> Box<RawValue> {
    json(&text)
}

fn json(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("texts can be written as JSON")
}

fn object(fields: &BTreeMap<&str, Box<RawValue>>) -> Vec<u8> {
    serde_json::to_vec(fields).expect("texts and JSON can be written as JSON")
}

/// A JSON text without white space, and with the characters escaped that mean something in HTML.
///
/// Source: Go, `encoding/json`: `Compact` as `Marshal` applies it to a `RawMessage`.
fn compact(value: &str) -> Box<RawValue> {
    let mut out = String::with_capacity(value.len());
    let mut in_text = false;
    let mut escaped = false;
    for character in value.chars() {
        match character {
            ' ' | '\t' | '\n' | '\r' if !in_text => continue,
            '"' if !escaped => in_text = !in_text,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
                escaped = false;
                continue;
            }
            _ => {}
        }
        escaped = in_text && character == '\\' && !escaped;
        out.push(character);
    }
    RawValue::from_string(out).expect("JSON without white space is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compacted_as_go_does() {
        let check = |text: &str, expected: &str| assert_eq!(compact(text).get(), expected);
        check(" { \"a b\" : [ 1 , \"\\\" <\" ] } ", "{\"a b\":[1,\"\\\" \\u003c\"]}");
        check("\"\\\\\" ", "\"\\\\\"");
        check("\"&>\u{2028}\u{2029}é\"", "\"\\u0026\\u003e\\u2028\\u2029é\"");
        check("1e5", "1e5");
    }

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
