//! How a list of the store is shown: as one of Docker's, in whatever format it is kept.

use std::collections::BTreeMap;

use anyhow::Result;
use cask_engine::ImageList;
use cask_image::{Descriptor, ImageFormat, MediaType, Platform};
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use serde::Serialize;

/// Source: containers/image, `manifest/docker_schema2_list.go`, `Schema2List`. What is said of a list
/// itself comes behind it: Docker's has no place for that.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'l> {
    schema_version: u32,
    media_type: &'l str,
    manifests: Option<Vec<Entry<'l>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Entry<'l>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'l BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'l> {
    media_type: &'l str,
    size: u64,
    digest: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Shown<'l>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'l str, &'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'l str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    files: &'l [String],
}

#[derive(Default, Serialize)]
struct Shown<'l> {
    architecture: &'l str,
    os: &'l str,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<&'l str>,
    #[serde(rename = "os.features", skip_serializing_if = "<[_]>::is_empty")]
    os_features: &'l [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'l str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    features: &'l [String],
}

/// Prints a list.
pub(super) fn list(list: &ImageList) -> Result<()> {
    let mut output = Output::stdout();
    output.json(&shown(list), JsonStyle::indented(4))?;
    Ok(output.finish()?)
}

fn shown(list: &ImageList) -> List<'_> {
    fn of_list<'l>(list: &'l ImageList, descriptor: &'l Descriptor) -> Entry<'l> {
        Entry {
            files: list.files(&descriptor.digest),
            platform: Some(descriptor.platform.as_ref().map_or_else(Shown::default, platform)),
            ..entry(descriptor)
        }
    }
    let index = &list.index;
    let has_artifacts = index.manifests.iter().any(|entry| entry.artifact_type.is_some());
    // Old releases call it Docker's, and newer ones, which know artifacts, what it is.
    let named = if has_artifacts { index.format } else { ImageFormat::Docker };
    List {
        schema_version: 2,
        media_type: match named {
            ImageFormat::Oci => "application/vnd.oci.image.index.v1+json",
            ImageFormat::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        },
        // As Go prints a list that was never made.
        manifests: (!index.manifests.is_empty())
            .then(|| index.manifests.iter().map(|entry| of_list(list, entry)).collect()),
        subject: index.subject.as_ref().map(entry),
        annotations: &index.annotations,
    }
}

fn entry(descriptor: &Descriptor) -> Entry<'_> {
    Entry {
        media_type: descriptor.media_type.as_str(),
        size: descriptor.size,
        digest: descriptor.digest.as_str(),
        platform: descriptor.platform.as_ref().map(platform),
        annotations: descriptor
            .annotations
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        artifact_type: descriptor.artifact_type.as_ref().map(MediaType::as_str),
        files: &[],
    }
}

fn platform(platform: &Platform) -> Shown<'_> {
    Shown {
        architecture: &platform.architecture,
        os: &platform.os,
        os_version: platform.os_version.as_deref(),
        os_features: &platform.os_features,
        variant: platform.variant.as_deref(),
        features: &platform.features,
    }
}

/// A document of JSON as it is, in lines: the order of its fields stays.
pub(super) fn indented(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_the_order_of_their_fields() {
        fn check(json: &str, expected: &str) {
            assert_eq!(indented(json.as_bytes()), format!("{expected}\n"), "{json}");
        }
        check("{}", "{}");
        check("[ ]", "[]");
        check(r#"{"b":1, "a":[true]}"#, "{\n    \"b\": 1,\n    \"a\": [\n        true\n    ]\n}");
        check(r#"{"t":"a\"{,:}\\"}"#, "{\n    \"t\": \"a\\\"{,:}\\\\\"\n}");
    }
}
