//! Writes an OCI layout by hand, so that no program under test has made what it reads.

use std::env::consts::ARCH;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bench::report::megabytes;
use crate::process::{command, output_to_file};

/// What an image turned out to be.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Made {
    name: String,
    layers: usize,
    files: usize,
    plain_bytes: u64,
    gzip_bytes: u64,
}

impl Made {
    /// A line of text.
    pub(crate) fn text(&self) -> String {
        format!(
            "{}: layers {}, entries {}, plain {:.1} MB, gzip {:.1} MB",
            self.name,
            self.layers,
            self.files,
            megabytes(self.plain_bytes),
            megabytes(self.gzip_bytes),
        )
    }
}

const PREFIX: &str = "application/vnd.oci.image";

/// Writes the image of these plain tar files, tagged `latest`, to `folder`.
///
/// # Errors
///
/// Where a file cannot be read or written, and where pigz or tar fail. The folder is not there then.
pub(crate) fn write_layout(folder: &Path, tars: &[PathBuf]) -> Result<Made> {
    let partial = folder.with_extension("partial");
    let gone = if partial.exists() { fs::remove_dir_all(&partial) } else { Ok(()) };
    gone.and_then(|()| fs::create_dir_all(partial.join("blobs/sha256")))
        .with_context(|| format!("cannot make {}", partial.display()))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut made = Made { name, layers: tars.len(), files: 0, plain_bytes: 0, gzip_bytes: 0 };
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for tar in tars {
        let (diff_id, plain_bytes) = digest_file(tar)?;
        let packed = partial.join("layer");
        output_to_file(command("pigz", ["-n", "-c"]).arg(tar), &packed)?;
        let layer = add_blob(&partial, &packed, "layer.v1.tar+gzip")?;
        made.files += entries(tar)?;
        made.plain_bytes += plain_bytes;
        made.gzip_bytes += layer["size"].as_u64().unwrap_or_default();
        layers.push(layer);
        diff_ids.push(diff_id);
    }
    let config = json!({
        "architecture": match ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other },
        "os": "linux",
        "config": { "Cmd": ["sh"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = add_json(&partial, &config, "config.v1+json")?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format!("{PREFIX}.manifest.v1+json"),
        "config": config,
        "layers": layers,
    });
    let mut manifest = add_json(&partial, &manifest, "manifest.v1+json")?;
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    write_json(
        &partial.join("index.json"),
        &json!({ "schemaVersion": 2, "manifests": [manifest] }),
    )?;
    write_json(&partial.join("oci-layout"), &json!({ "imageLayoutVersion": "1.0.0" }))?;
    let gone = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    gone.and_then(|()| fs::rename(&partial, folder))
        .with_context(|| format!("cannot move {} to its place", partial.display()))?;
    Ok(made)
}

/// Moves a file among the blobs; gives its descriptor.
fn add_blob(layout: &Path, file: &Path, media_type: &str) -> Result<Value> {
    let (digest, size) = digest_file(file)?;
    let blob = layout.join("blobs").join(digest.replace(':', "/"));
    fs::rename(file, &blob).with_context(|| format!("cannot write {}", blob.display()))?;
    Ok(json!({ "mediaType": format!("{PREFIX}.{media_type}"), "digest": digest, "size": size }))
}

fn add_json(layout: &Path, value: &Value, media_type: &str) -> Result<Value> {
    let file = layout.join("document");
    write_json(&file, value)?;
    add_blob(layout, &file, media_type)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, value.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

/// The digest and the length of a file.
fn digest_file(path: &Path) -> Result<(String, u64)> {
    let mut hash = Sha256::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut bytes = 0;
    loop {
        let chunk = reader.fill_buf().with_context(|| format!("cannot read {}", path.display()))?;
        if chunk.is_empty() {
            break;
        }
        hash.update(chunk);
        let length = chunk.len();
        bytes += length as u64;
        reader.consume(length);
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("sha256:{digest}"), bytes))
}

/// How many entries a tar file has.
fn entries(tar: &Path) -> Result<usize> {
    let mut listing = command("tar", ["-tf"]);
    let mut child = listing.arg(tar).stdout(Stdio::piped()).spawn().context("cannot run tar")?;
    let names = child.stdout.take().expect("piped above");
    let lines =
        BufReader::new(names).split(b'\n').try_fold(0, |count, line| line.map(|_| count + 1));
    let status = child.wait().context("cannot wait for tar")?;
    if !status.success() {
        bail!("tar -tf {}: {status}", tar.display());
    }
    lines.context("cannot read what tar lists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_digested_whole() {
        let path = std::env::temp_dir().join(format!("xtask-digest-{}", std::process::id()));
        fs::write(&path, "abc").unwrap();
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_file(&path).unwrap(), (expected.to_owned(), 3));
        fs::remove_file(path).unwrap();
    }
}
