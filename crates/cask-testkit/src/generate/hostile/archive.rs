//! Image archives that should not be read as they are.

use super::case::{Case, Fault};
use crate::generate::archive::{Item, flat_members, oci_archive};
use crate::generate::disk::oci_layout_files;
use crate::generate::document::to_bytes;
use crate::generate::image::{Image, ImageSpec};
use crate::generate::tar::{Tar, TarEntry};

/// A flat archive of an image, with a hook for its `manifest.json`.
fn flat(image: &Image, change: impl FnOnce(&mut Item<'_>)) -> Tar {
    let members = flat_members(image);
    let names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
    let (config, layers) = names.split_last().expect("an image has a config");
    let mut item = Item {
        config: config.clone(),
        repo_tags: &["docker.io/library/evil:latest"],
        layers: layers.to_vec(),
    };
    change(&mut item);
    let tar = Tar::new().file("manifest.json", to_bytes(&[item]));
    members.into_iter().fold(tar, |tar, (name, bytes)| tar.file(name, bytes))
}

/// Archives of the `docker save` form.
pub fn docker_archives(seed: u64) -> Vec<Case<Vec<u8>>> {
    let image = ImageSpec::new(seed).build();
    let other = ImageSpec::new(seed + 1).build();
    let honest = || flat(&image, |_| {});
    let tar = flat_members(&image)[0].0.clone();
    let mut cases = members_twice(&image, &other);
    let case = |name: &str, fault, tar: Tar| Case::new(name, fault, tar.finish());
    let layer = |path: &str| {
        let path = path.to_owned();
        flat(&image, |item| item.layers[0] = path)
    };
    let config = |path: &str| {
        let path = path.to_owned();
        flat(&image, |item| item.config = path)
    };
    let linked = |target: &str| {
        let item = |item: &mut Item<'_>| item.layers[0] = "layer.tar".into();
        flat(&image, item).symlink("layer.tar", target)
    };
    cases.extend([
        case("member outside", Fault::Escape, honest().file("../evil", "evil")),
        case("layer named by a path outside", Fault::Escape, layer("../../../../etc/passwd")),
        case("layer named by an absolute path", Fault::Escape, layer("/etc/passwd")),
        case("config named by a path outside", Fault::Escape, config("../../../../etc/passwd")),
        case("layer that links outside", Fault::Escape, linked("../../../../etc/passwd")),
        case("layer that links to an absolute path", Fault::Escape, linked("/etc/passwd")),
        case("layer that links to itself", Fault::Missing, linked("layer.tar")),
        case("layer that links nowhere", Fault::Missing, linked("nowhere")),
        case("layer missing", Fault::Missing, layer("nowhere.tar")),
        case("config missing", Fault::Missing, config("nowhere.json")),
        case("layer that is a directory", Fault::SpecialFile, layer("d").directory("d/")),
        case(
            "layer that is a fifo",
            Fault::SpecialFile,
            layer("p").entry(&TarEntry::new(b'6', "p")),
        ),
        case("config that is a layer", Fault::Malformed, config(&tar)),
        case("layer left out", Fault::Malformed, flat(&image, |item| drop(item.layers.pop()))),
        case(
            "layer too many",
            Fault::Malformed,
            flat(&image, |item| item.layers.push(tar.clone())),
        ),
        case("layers in another order", Fault::Digest, flat(&image, |item| item.layers.reverse())),
        case("no manifest.json", Fault::Missing, Tar::new().file("repositories", "{}")),
        case("empty manifest.json", Fault::Malformed, Tar::new().file("manifest.json", "")),
        case(
            "manifest.json that is no list",
            Fault::Malformed,
            Tar::new().file("manifest.json", "{}"),
        ),
        case(
            "manifest.json of more than a MiB",
            Fault::Limit,
            Tar::new().file("manifest.json", format!("[{}]", " ".repeat(1 << 20))),
        ),
        Case::new("archive cut short", Fault::Malformed, {
            let bytes = honest().finish();
            bytes[..bytes.len() / 2].to_vec()
        }),
        Case::new("nothing", Fault::Malformed, Vec::new()),
    ]);
    cases
}

fn members_twice(image: &Image, other: &Image) -> Vec<Case<Vec<u8>>> {
    let evil = flat_members(other);
    let good = flat_members(image);
    let honest = || flat(image, |_| {});
    let case = |name: &str, tar: Tar| Case::new(name, Fault::Ambiguous, tar.finish());
    let with_other = |tar| {
        evil.iter().fold(tar, |tar: Tar, (name, bytes)| tar.file(name.as_str(), bytes.clone()))
    };
    let last = |members: &[(String, bytes::Bytes)]| members.last().cloned().unwrap_or_default();
    let evil_item = Item {
        config: last(&evil).0,
        repo_tags: &[],
        layers: evil[..evil.len() - 1].iter().map(|(name, _)| name.clone()).collect(),
    };
    let second = to_bytes(&[evil_item]);
    vec![
        case("manifest.json twice", with_other(honest()).file("manifest.json", second.clone())),
        case(
            "manifest.json twice, by another name",
            with_other(honest()).file("./manifest.json", second),
        ),
        case("config twice", honest().file(last(&good).0, last(&evil).1)),
        case("layer twice", honest().file(good[0].0.as_str(), evil[0].1.clone())),
        case(
            "layer twice, as a link",
            honest()
                .symlink(good[0].0.as_str(), evil[0].0.as_str())
                .file(evil[0].0.as_str(), evil[0].1.clone()),
        ),
    ]
}

/// Archives of OCI layouts.
pub fn oci_archives(seed: u64) -> Vec<Case<Vec<u8>>> {
    let image = ImageSpec::new(seed).build();
    let content = image.content();
    let files = oci_layout_files(&[(Some("good"), &content)]);
    let other = oci_layout_files(&[(Some("good"), &ImageSpec::new(seed + 1).build().content())]);
    let honest = || {
        files.iter().fold(Tar::new(), |tar, (path, bytes)| tar.file(path.as_str(), bytes.clone()))
    };
    let without = |left_out: &str| {
        let kept = files.iter().filter(|(path, _)| path.as_str() != left_out);
        kept.fold(Tar::new(), |tar, (path, bytes)| tar.file(path.as_str(), bytes.clone()))
    };
    let layer = format!("blobs/sha256/{}", image.layers[0].blob.digest().hex());
    let manifest = format!("blobs/sha256/{}", image.digest().hex());
    let index = other["index.json"].clone();
    let case = |name: &str, fault, tar: Tar| Case::new(name, fault, tar.finish());
    let whole = oci_archive(&[(None, &content)]);
    vec![
        case("member outside", Fault::Escape, honest().file("../evil", "evil")),
        case("member by an absolute path", Fault::Escape, honest().file("/tmp/evil", "evil")),
        case(
            "blob that links outside",
            Fault::Escape,
            without(&layer).symlink(layer.as_str(), "/etc/passwd"),
        ),
        case(
            "blobs that link outside",
            Fault::Escape,
            Tar::new().symlink("blobs", "/etc").raw(&honest().unfinished()),
        ),
        case(
            "hard link outside",
            Fault::Escape,
            without(&layer).hardlink(layer.as_str(), "/etc/passwd"),
        ),
        case("index.json twice", Fault::Ambiguous, honest().file("index.json", index.clone())),
        case(
            "index.json twice, by another name",
            Fault::Ambiguous,
            honest().file("./index.json", index),
        ),
        case("blob twice", Fault::Ambiguous, honest().file(manifest.as_str(), "{}")),
        case("blob of other bytes", Fault::Digest, without(&layer).file(layer.as_str(), "evil")),
        case("index.json missing", Fault::Missing, without("index.json")),
        case("oci-layout missing", Fault::Missing, without("oci-layout")),
        case("layer missing", Fault::Missing, without(&layer)),
        case(
            "index.json that is a fifo",
            Fault::SpecialFile,
            without("index.json").entry(&TarEntry::new(b'6', "index.json")),
        ),
        Case::new("archive cut short", Fault::Malformed, whole[..whole.len() / 2].to_vec()),
        Case::new("nothing", Fault::Malformed, Vec::new()),
    ]
}
