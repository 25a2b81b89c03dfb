//! What is measured of containers: our engine beside podman with runc.

use super::rows::{Line, Row};
use Line::{Exec, Shell};

/// A store of the side, which is kept.
macro_rules! ours {
    ($store:literal, $job:literal) => {
        concat!(
            "{engine} --storage-driver overlay --root {stores}/",
            $store,
            "/{side}/root --runroot {stores}/",
            $store,
            "/{side}/run ",
            $job
        )
    };
}

/// The same, for podman: with the runtime that is asked for, and with limits that every machine allows.
macro_rules! peer {
    ($store:literal, $job:literal) => {
        concat!(
            "{engine} --runtime runc --cgroup-manager cgroupfs --tmpdir {stores}/",
            $store,
            "/{side}/tmp --storage-driver overlay --root {stores}/",
            $store,
            "/{side}/root --runroot {stores}/",
            $store,
            "/{side}/run ",
            $job
        )
    };
}

/// Makes a store with an image of one program, if it is not there, and containers from it.
macro_rules! store {
    ($store:literal, $containers:literal) => {
        Shell(made!($store, $containers))
    };
}

/// The text that makes it.
macro_rules! made {
    ($store:literal, $containers:literal) => {
        concat!(
            "at={stores}/",
            $store,
            "/{side}; [ -e $at/done ] && exit; umount -l $at/root/overlay 2>/dev/null; rm -rf $at; \
             mkdir -p {out}/base/bin; cp $(command -v busybox) {out}/base/bin/sh; \
             mkdir {out}/base/proc {out}/base/sys {out}/base/dev {out}/base/etc; \
             tar -cf {out}/t.tar -C {out}/base .; rm -r {out}/base; ",
            "more=; [ {side} = peer ] && more=\"--tmpdir $at/tmp --runtime runc --cgroup-manager cgroupfs\"; ",
            "run=\"{engine} $more --storage-driver overlay --root $at/root --runroot $at/run\"; ",
            "$run import -q {out}/t.tar base >/dev/null || exit; for i in $(seq ",
            $containers,
            "); do $run create --network none base sh >/dev/null || exit; done; touch $at/done"
        )
    };
}

const RUNNING: Line = store!("run", "0");

/// A container that was not started yet, in the place of the one that was. Podman's usual limits are not allowed on every
/// machine.
const CREATED: Line = Shell(concat!(
    "( ",
    made!("run", "0"),
    " ) || exit; at={stores}/run/{side}; more=; limits=; if [ {side} = peer ]; then \
     more=\"--tmpdir $at/tmp --runtime runc --cgroup-manager cgroupfs\"; \
     limits=\"--ulimit nofile=1024:1024 --ulimit nproc=1024:1024\"; fi; \
     run=\"{engine} $more --storage-driver overlay --root $at/root --runroot $at/run\"; \
     $run rm -f -t 0 one >/dev/null 2>&1; \
     $run create --name one --network none $limits base sh -c true >/dev/null"
));

/// Every row about containers, in the order in which they run.
pub(super) const ROWS: &[Row] = &[
    Row::same(
        "run: run --rm true",
        &[],
        ours!("run", "run --rm --network none base sh -c true"),
        Exec("unshare -mpiu --fork busybox true"),
        "≤ 0.05 s",
    )
    .peer(Exec(peer!("run", "run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 base sh -c true")))
    .after(RUNNING),
    Row::same(
        "run: create",
        &[],
        ours!("run", "create --network none base sh"),
        Exec("busybox true"),
        "≤ 0.02 s",
    )
    .peer(Exec(peer!("run", "create --network none base sh")))
    .after(RUNNING),
    Row::same(
        "run: start",
        &[],
        ours!("run", "start one"),
        Exec("unshare -mpiu --fork busybox true"),
        "≤ 0.05 s",
    )
    .peer(Exec(peer!("run", "start one")))
    .after(CREATED),
    Row::same(
        "run: ps, 1000 containers",
        &[],
        ours!("ps", "ps -a"),
        Exec("busybox true"),
        "≤ 0.025 s",
    )
    .peer(Exec(peer!("ps", "ps -a")))
    .after(store!("ps", "1000")),
    Row::same(
        "run: 100 at once",
        &[],
        "",
        Shell("seq 100 | xargs -P 100 -I N unshare -mpiu --fork busybox true"),
        "no failure",
    )
    .ours(Shell(concat!(
        "seq 100 | xargs -P 100 -I N ",
        ours!("run", "run --rm --network none base sh -c true")
    )))
    .peer(Shell(concat!(
        "seq 100 | xargs -P 100 -I N ",
        peer!("run", "run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 base sh -c true")
    )))
    .after(RUNNING),
];
