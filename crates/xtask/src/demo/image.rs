//! A real image, made of this machine's own shell and tools.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cask::image::{
    Descriptor, ImageConfig, ImageFormat, ImageManifest, LayerCompression, MediaType, Platform,
    PlatformWanted,
};
use cask_testkit::generate::{Blob, Format, Image, Layer, SaveForm, docker_archive};

use crate::process;

/// The programs that the image has, as far as this machine has them.
const PROGRAMS: [&str; 12] =
    ["sh", "bash", "cat", "cp", "date", "env", "grep", "ls", "perl", "sed", "sort", "tar"];
/// Directories of data, each a layer of its own, as far as this machine has them.
const DATA: [&str; 2] = ["usr/share/zoneinfo", "usr/share/perl/5.36.0"];
/// The name that the image gets.
pub(super) const NAME: &str = "localhost/demo:1";

/// Writes what `docker save` would: an image whose layers are the programs with their libraries,
/// and some data.
///
/// # Errors
///
/// Where this machine lacks a shell, or something cannot be read or written.
pub(super) fn write(path: &Path) -> Result<()> {
    let mut layers = vec![programs()?];
    for directory in DATA {
        if Path::new("/").join(directory).is_dir() {
            layers.push(tar(&files_below(Path::new(directory))?)?);
        }
    }
    let archive = docker_archive(&[(&image(layers), &[NAME])], SaveForm::Flat);
    fs::write(path, archive).with_context(|| format!("writing {}", path.display()))
}

fn image(tars: Vec<Vec<u8>>) -> Image {
    let layers: Vec<Layer> = tars
        .into_iter()
        .map(|tar| {
            let blob = Blob::new(MediaType::DockerLayer(LayerCompression::None), tar);
            Layer { tar: blob.bytes.clone(), diff_id: blob.digest().clone(), blob }
        })
        .collect();
    let platform = Platform::new("linux", architecture());
    let mut config = ImageConfig::new("linux", architecture());
    config.config.cmd = Some(vec!["/bin/sh".into()]);
    config.config.env = vec!["PATH=/bin".into()];
    config.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = Blob::new(MediaType::DockerConfig, config.encode());
    let descriptors: Vec<Descriptor> =
        layers.iter().map(|layer| layer.blob.descriptor.clone()).collect();
    let manifest =
        ImageManifest::new(ImageFormat::Docker, config.descriptor.clone(), descriptors).encode();
    let manifest = Blob::new(MediaType::DockerManifest, manifest.bytes().clone());
    Image { manifest, config, layers, platform, format: Format::Docker }
}

/// Go's name of this machine's architecture.
fn architecture() -> String {
    PlatformWanted::of_this_build().architecture
}

/// A layer with the programs, at `/bin`, and the libraries that they are linked with.
fn programs() -> Result<Vec<u8>> {
    let mut files = BTreeSet::new();
    for program in PROGRAMS {
        let found = ["/bin", "/usr/bin"].map(|directory| Path::new(directory).join(program));
        let Some(path) = found.into_iter().find(|path| path.exists()) else { continue };
        files.extend(libraries(&path)?);
        files.insert((PathBuf::from("bin").join(program), path));
    }
    if !files.iter().any(|(name, _)| name.ends_with("sh")) {
        bail!("this machine has no /bin/sh to make an image of");
    }
    tar(&files)
}

/// The libraries of a program, as its own loader finds them.
fn libraries(program: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    // A static program has none, and `ldd` fails for it.
    let Ok(listed) = process::output(&mut process::command("ldd", [program])) else {
        return Ok(Vec::new());
    };
    let paths = listed.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(|path| Ok((Path::new(path).strip_prefix("/")?.to_owned(), path.into()))).collect()
}

fn files_below(directory: &Path) -> Result<BTreeSet<(PathBuf, PathBuf)>> {
    let mut files = BTreeSet::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let path = Path::new("/").join(&directory);
        let entries = fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            match entry.file_type()? {
                kind if kind.is_dir() => pending.push(name),
                kind if kind.is_file() => {
                    files.insert((name, entry.path()));
                }
                _ => {}
            }
        }
    }
    Ok(files)
}

/// A tar of files under other names; the same each time from the same files.
fn tar(files: &BTreeSet<(PathBuf, PathBuf)>) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, path) in files {
        let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if name.starts_with("usr/share") { 0o644 } else { 0o755 });
        header.set_mtime(0);
        builder.append_data(&mut header, name, content.as_slice())?;
    }
    Ok(builder.into_inner()?)
}
