//! Directories that should not be read as they are.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::case::{Case, Fault};
use crate::generate::disk::{write_dir, write_oci_layout};
use crate::generate::image::ImageSpec;

/// A change to a directory that was honest before.
type Change = fn(&Path, &Names) -> io::Result<()>;

/// The file names of the image that the directories hold, and a file that is outside of them.
struct Names {
    manifest: String,
    layer: String,
    outside: PathBuf,
}

/// Writes OCI layouts into directories below `directory`, each with the one image `good`. Beside
/// them stands `outside`, a copy of the image's layer, to which links lead.
///
/// # Errors
/// Whatever the file system says.
pub fn write_layouts(directory: &Path, seed: u64) -> io::Result<Vec<Case<PathBuf>>> {
    let content = ImageSpec::new(seed).build().content();
    let blob = |digest: &cask_image::Digest| format!("blobs/sha256/{}", digest.hex());
    let names = Names {
        manifest: blob(&content.top.digest),
        layer: blob(content.blobs[1].digest()),
        outside: directory.join("outside"),
    };
    let changes: [(&str, Fault, Change); 14] = [
        ("blob that links outside", Fault::Escape, |path, names| {
            relink(&path.join(&names.layer), &names.outside)
        }),
        ("blobs that link outside", Fault::Escape, |path, names| {
            let outside = names.outside.with_extension("blobs");
            if !outside.exists() {
                fs::rename(path.join("blobs"), &outside)?;
            } else {
                fs::remove_dir_all(path.join("blobs"))?;
            }
            symlink(&outside, path.join("blobs"))
        }),
        ("index.json that links outside", Fault::Escape, |path, names| {
            let outside = names.outside.with_extension("index");
            fs::copy(path.join("index.json"), &outside)?;
            relink(&path.join("index.json"), &outside)
        }),
        ("blob that links to itself", Fault::Escape, |path, names| {
            let layer = path.join(&names.layer);
            relink(&layer, &layer)
        }),
        ("blob that is a directory", Fault::SpecialFile, |path, names| {
            fs::remove_file(path.join(&names.layer))?;
            fs::create_dir(path.join(&names.layer))
        }),
        ("manifest of other bytes", Fault::Digest, |path, names| {
            fs::write(path.join(&names.manifest), "{}")
        }),
        ("index.json of more than 4 MiB", Fault::Limit, |path, _| {
            let mut index = fs::read(path.join("index.json"))?;
            index.resize((4 << 20) + 1, b' ');
            fs::write(path.join("index.json"), index)
        }),
        ("index.json of a sparse terabyte", Fault::Limit, |path, _| {
            fs::File::options().write(true).open(path.join("index.json"))?.set_len(1 << 40)
        }),
        ("empty index.json", Fault::Malformed, |path, _| fs::write(path.join("index.json"), "")),
        ("index.json missing", Fault::Missing, |path, _| fs::remove_file(path.join("index.json"))),
        ("oci-layout missing", Fault::Missing, |path, _| fs::remove_file(path.join("oci-layout"))),
        ("oci-layout of another version", Fault::Malformed, |path, _| {
            fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#)
        }),
        ("blob missing", Fault::Missing, |path, names| fs::remove_file(path.join(&names.layer))),
        ("digest in index.json that leads outside", Fault::Malformed, |path, names| {
            let index = fs::read_to_string(path.join("index.json"))?;
            let hex = names.manifest.rsplit('/').next().unwrap_or_default();
            fs::write(path.join("index.json"), index.replace(hex, "../../../outside"))
        }),
    ];
    fs::create_dir_all(directory)?;
    fs::write(&names.outside, &content.blobs[1].bytes)?;
    write_all(directory, "layout", &changes, &names, |path| {
        write_oci_layout(path, &[(Some("good"), &content)])
    })
}

/// Writes `dir:` directories below `directory`, each with one image. Beside them stands `outside`,
/// a copy of the image's layer, to which links lead.
///
/// # Errors
/// Whatever the file system says.
pub fn write_dirs(directory: &Path, seed: u64) -> io::Result<Vec<Case<PathBuf>>> {
    let content = ImageSpec::new(seed).build().content();
    let names = Names {
        manifest: "manifest.json".into(),
        layer: content.blobs[1].digest().hex().into(),
        outside: directory.join("outside"),
    };
    let changes: [(&str, Fault, Change); 8] = [
        ("layer that links outside", Fault::Escape, |path, names| {
            relink(&path.join(&names.layer), &names.outside)
        }),
        ("manifest that links outside", Fault::Escape, |path, names| {
            let outside = names.outside.with_extension("manifest");
            fs::copy(path.join(&names.manifest), &outside)?;
            relink(&path.join(&names.manifest), &outside)
        }),
        ("layer that is a directory", Fault::SpecialFile, |path, names| {
            fs::remove_file(path.join(&names.layer))?;
            fs::create_dir(path.join(&names.layer))
        }),
        ("layer of other bytes", Fault::Digest, |path, names| {
            fs::write(path.join(&names.layer), "evil")
        }),
        ("layer missing", Fault::Missing, |path, names| fs::remove_file(path.join(&names.layer))),
        ("manifest missing", Fault::Missing, |path, names| {
            fs::remove_file(path.join(&names.manifest))
        }),
        ("manifest of a sparse terabyte", Fault::Limit, |path, names| {
            fs::File::options().write(true).open(path.join(&names.manifest))?.set_len(1 << 40)
        }),
        ("version of the future", Fault::Malformed, |path, _| {
            fs::write(path.join("version"), "Directory Transport Version: 9.9\n")
        }),
    ];
    fs::create_dir_all(directory)?;
    fs::write(&names.outside, &content.blobs[1].bytes)?;
    write_all(directory, "dir", &changes, &names, |path| write_dir(path, &content))
}

fn write_all(
    directory: &Path,
    prefix: &str,
    changes: &[(&str, Fault, Change)],
    names: &Names,
    write: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<Vec<Case<PathBuf>>> {
    let mut cases = Vec::new();
    for (index, (name, fault, change)) in changes.iter().enumerate() {
        let path = directory.join(format!("{prefix}-{index}"));
        write(&path)?;
        change(&path, names)?;
        cases.push(Case::new(*name, *fault, path));
    }
    Ok(cases)
}

/// Replaces a file by a symbolic link.
fn relink(path: &Path, target: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    symlink(target, path)
}
