//! What is measured of builds: our builder beside buildah.

use super::rows::{Line, Row};
use Line::{Exec, Shell};

/// A store of the run's own.
macro_rules! builder {
    ($job:literal) => {
        concat!("{builder} --storage-driver overlay --root {out}/root --runroot {out}/run ", $job)
    };
}

/// A store of the side, which is kept: what was built in it is cached.
macro_rules! kept {
    ($job:literal) => {
        concat!(
            "{builder} --storage-driver overlay --root {stores}/build/{side}/root --runroot \
             {stores}/build/{side}/run ",
            $job
        )
    };
}

/// Makes what is built, if it is not there: 20,000 small files in 200 directories, a base of one program, a file of
/// 100 MB.
macro_rules! contexts {
    () => {
        "at={stores}/contexts; if ! [ -e $at/done ]; then rm -rf $at; mkdir -p $at/many $at/base $at/env $at/run; \
         for d in $(seq 200); do mkdir $at/many/$d; \
         seq ${d}0000 ${d}9999 | split -l 100 -a 2 - $at/many/$d/; done; \
         { echo FROM scratch; echo COPY . /; echo WORKDIR /1; echo USER 1; echo EXPOSE 80; echo VOLUME /v; \
         echo STOPSIGNAL 9; echo CMD a; echo ENTRYPOINT b; for i in 1 2 3; do echo ENV A$i=1; done; } \
         >$at/many.containerfile; \
         cp $(command -v busybox) $at/base/sh; \
         { echo FROM scratch; echo COPY sh /bin/sh; } >$at/base/Containerfile; \
         { echo FROM base; for i in $(seq 10); do echo ENV A$i=$i; done; } >$at/env/Containerfile; \
         { echo FROM base; for i in $(seq 10); do echo RUN echo $i \\>/f$i; done; } >$at/run/Containerfile; \
         head -c 100000000 /dev/urandom >$at/100mb; touch $at/done; fi; "
    };
}

/// Peers mount the directory of the driver onto itself.
const UNMOUNT: Line = Shell("umount -l {out}/root/overlay 2>/dev/null || true");

/// The same in the store that is kept.
const UNMOUNT_KEPT: Line =
    Shell("umount -l {stores}/build/{side}/root/overlay 2>/dev/null || true");

/// The base in a store of its own.
const BASE: Line =
    Shell(concat!(contexts!(), builder!("build -q -t base {stores}/contexts/base >/dev/null")));

/// Builds into the store that is kept, so that the next build finds all of it.
const CACHED_FILES: Line = Shell(concat!(
    contexts!(),
    kept!(
        "build -q --layers -t many -f {stores}/contexts/many.containerfile {stores}/contexts/many >/dev/null"
    )
));
const CACHED_ENV: Line = Shell(concat!(
    contexts!(),
    kept!("build -q -t base {stores}/contexts/base >/dev/null && "),
    kept!("build -q --layers -t env {stores}/contexts/env >/dev/null")
));

/// A working container with a new file of 100 MB.
const CHANGED: Line = Shell(concat!(
    contexts!(),
    builder!("build -q -t base {stores}/contexts/base >/dev/null && "),
    builder!("from -q --name work base >/dev/null && "),
    builder!("copy -q work {stores}/contexts/100mb /data >/dev/null")
));

/// Every row about builds, in the order in which they run.
pub(super) const ROWS: &[Row] = &[
    Row::same(
        "build: COPY of 20000 files and 10 steps, cold",
        &[],
        builder!(
            "build -q --layers -t many -f {stores}/contexts/many.containerfile {stores}/contexts/many"
        ),
        Shell("tar -cf - -C {stores}/contexts/many . | sha256sum"),
        "wall ≤ 0.15 × peer",
    )
    .after(Shell(concat!(contexts!(), "true")))
    .before(UNMOUNT),
    Row::same(
        "build: COPY of 20000 files and 10 steps, cached",
        &[],
        kept!(
            "build -q --layers -t many -f {stores}/contexts/many.containerfile {stores}/contexts/many"
        ),
        Exec("du -s {stores}/contexts/many"),
        "wall ≤ 0.02 × peer",
    )
    .after(CACHED_FILES)
    .before(UNMOUNT_KEPT),
    Row::same(
        "build: 10 ENV, cached",
        &[],
        kept!("build -q --layers -t env {stores}/contexts/env"),
        Exec("busybox true"),
        "≤ 0.02 s",
    )
    .after(CACHED_ENV)
    .before(UNMOUNT_KEPT),
    Row::same(
        "build: 10 RUN, cold",
        &[],
        builder!("build -q --layers -t run {stores}/contexts/run"),
        Shell("for i in $(seq 10); do unshare -mpiu --fork busybox sh -c \"echo $i >{out}/f$i\"; done"),
        "wall ≤ 0.1 × peer",
    )
    .peer(Exec(builder!("build -q --layers --isolation chroot -t run {stores}/contexts/run")))
    .after(BASE)
    .before(UNMOUNT),
    Row::same(
        "build: commit of 100 MB",
        &[],
        builder!("commit -q work changed"),
        Shell("tar -cf - -C {stores}/contexts 100mb | sha256sum"),
        "wall ≤ 2 × floor",
    )
    .after(CHANGED)
    .before(UNMOUNT),
];
