//! What is measured of stores: our engine beside podman.

use super::corpus::Corpus;
use super::rows::{Line, PYTHON_IN_REGISTRY, Row};
use Line::{Exec, Shell};

/// A store of the run's own.
macro_rules! engine {
    ($job:literal) => {
        concat!("{engine} --storage-driver overlay --root {out}/root --runroot {out}/run ", $job)
    };
}

/// A store that is made once, of images of one small layer each.
macro_rules! with_images {
    ($count:literal, $job:literal) => {
        concat!(
            "{engine} --storage-driver overlay --root {stores}/",
            $count,
            "/root --runroot {stores}/",
            $count,
            "/run ",
            $job
        )
    };
}

/// Makes such a store, if it is not there: whoever comes first makes it for all.
macro_rules! make_images {
    ($count:literal) => {
        Shell(concat!(
            "at={stores}/",
            $count,
            "; [ -e $at/done ] && exit; rm -rf $at; for i in $(seq ",
            $count,
            "); do echo $i >{out}/file; tar -cf {out}/t.tar -C {out} file; {engine} --storage-driver overlay \
             --root $at/root --runroot $at/run import -q {out}/t.tar image:$i >/dev/null || exit; done; \
             umount -l $at/root/overlay 2>/dev/null; touch $at/done"
        ))
    };
}

/// Podman mounts the directory of the driver onto itself.
const UNMOUNT: Line = Shell("umount -l {out}/root/overlay 2>/dev/null || true");

/// A store that holds the image.
const PYTHON_IN_STORE: Line = Exec(engine!("load -q -i {corpus}/python.oci.tar"));

/// The same, and a registry that holds nothing.
const PYTHON_IN_STORE_ONLY: Line = Shell(concat!(
    "rm -rf {registry-files}/docker; ",
    engine!("load -q -i {corpus}/python.oci.tar")
));

const MANY30_IN_REGISTRY: Line = Shell(
    "skopeo --insecure-policy copy -q --dest-tls-verify=false \
     oci:{corpus}/many30:latest docker://{registry}/many30:latest",
);

/// Unpacks each layer, which are the blobs that `gzip` knows.
macro_rules! unpack {
    ($name:literal) => {
        Shell(concat!(
            "for b in {corpus}/",
            $name,
            "/blobs/sha256/*; do gzip -t $b 2>/dev/null && gzip -dc $b | tar -xf - -C {out}; done; true"
        ))
    };
}

/// Every row about stores, in the order in which they run.
pub(super) const ROWS: &[Row] = &[
    Row::same(
        "storage: pull, python",
        &[Corpus::Python],
        engine!("pull -q --tls-verify=false {registry}/python:latest"),
        unpack!("python"),
        "wall ≤ 0.4 × peer, below the floor",
    )
    .after(PYTHON_IN_REGISTRY)
    .before(UNMOUNT),
    Row::same(
        "storage: pull, many30",
        &[Corpus::Many30],
        engine!("pull -q --tls-verify=false {registry}/many30:latest"),
        unpack!("many30"),
        "wall ≤ 0.25 × peer",
    )
    .after(MANY30_IN_REGISTRY)
    .before(UNMOUNT),
    Row::same(
        "storage: load oci-archive, python",
        &[Corpus::Python],
        engine!("load -q -i {corpus}/python.oci.tar"),
        unpack!("python"),
        "wall ≤ 0.2 × peer, written ≤ 1.1 × payload",
    )
    .before(UNMOUNT),
    Row::same(
        "storage: load docker-archive, python",
        &[Corpus::Python],
        engine!("load -q -i {corpus}/python.docker.tar"),
        Shell("for t in {corpus}/python.plain/*; do tar -xf $t -C {out}; done"),
        "wall ≤ 0.3 × peer",
    )
    .before(UNMOUNT),
    Row::same(
        "storage: save docker-archive, python",
        &[Corpus::Python],
        engine!("save -q -o {out}/saved.tar latest"),
        Exec("cp {corpus}/python.docker.tar {out}/copy"),
        "wall ≤ 0.3 × peer",
    )
    .after(PYTHON_IN_STORE)
    .before(UNMOUNT),
    Row::same(
        "storage: save oci-archive, python",
        &[Corpus::Python],
        engine!("save -q --format oci-archive -o {out}/saved.tar latest"),
        Exec("cp {corpus}/python.oci.tar {out}/copy"),
        "wall ≤ 0.1 × peer",
    )
    .after(PYTHON_IN_STORE)
    .before(UNMOUNT),
    Row::same(
        "storage: push, python, everything new",
        &[Corpus::Python],
        engine!("push -q --tls-verify=false latest {registry}/new:latest"),
        Exec("cp -r {corpus}/python {out}/copy"),
        "wall ≤ 0.15 × peer, digests unchanged",
    )
    .after(PYTHON_IN_STORE_ONLY)
    .before(UNMOUNT),
    Row::same(
        "storage: images, 1 image",
        &[],
        with_images!("1", "images"),
        Exec("cat {stores}/1/root/overlay-images/images.json"),
        "≤ 0.004 s, ≤ 20 MB",
    )
    .after(make_images!("1")),
    Row::same(
        "storage: images, 100 images",
        &[],
        with_images!("100", "images"),
        Exec("cat {stores}/100/root/overlay-images/images.json"),
        "≤ 0.006 s, ≤ 20 MB",
    )
    .after(make_images!("100")),
    Row::same(
        "storage: images, 1000 images",
        &[],
        with_images!("1000", "images"),
        Exec("cat {stores}/1000/root/overlay-images/images.json"),
        "≤ 0.025 s, ≤ 20 MB",
    )
    .after(make_images!("1000")),
    Row::same(
        "storage: image exists, 1000 images",
        &[],
        with_images!("1000", "image exists image:500"),
        Exec("cat {stores}/1000/root/overlay-images/images.json"),
        "≤ 0.008 s",
    )
    .after(make_images!("1000")),
];
