//! A server as people run one: a database of Debian's, in an image that cooper built upon Debian.

use std::fs;

use tests::{command, cooper_built, debian, has, run};

use crate::network::{cellar, stage};
use crate::support::Cellar;

/// What Debian's package makes at its installation, the first database too, is in the image; where that is kept is a
/// volume.
const DATABASE: &str = "FROM localhost/debian:test\n\
    RUN apt-get -qq update && apt-get -qq -y install --no-install-recommends postgresql >/dev/null \
     && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin\n\
    RUN echo 'host all all all trust' | tee -a /etc/postgresql/*/main/pg_hba.conf\n\
    USER postgres\n\
    VOLUME /var/lib/postgresql\n\
    EXPOSE 5432\n\
    STOPSIGNAL SIGINT\n\
    CMD exec /usr/lib/postgresql/*/bin/postgres -c config_file=$(echo /etc/postgresql/*/main/postgresql.conf) \
        -c 'listen_addresses=*'\n";

/// Builds the image in the store, with the machine's own settings of apt.
fn build(cellar: &Cellar) {
    cellar.run(&["load", "-q", "-i", &debian().display().to_string()]).ok();
    let context = cellar.path("context");
    fs::create_dir(&context).expect("it is new");
    fs::write(context.join("Containerfile"), DATABASE).expect("it is new");
    let mut build = command(cooper_built());
    build.arg("--root").arg(cellar.path("root")).arg("--runroot").arg(cellar.path("run"));
    build.args(["build", "-q", "-v", "/etc/apt:/etc/apt:O", "-t", "localhost/database:1"]);
    run(build.arg(&context)).ok();
}

#[test]
fn a_database_of_debian_is_reached_through_its_port_and_keeps_what_it_was_given() {
    if !has(&["debootstrap"]) {
        return;
    }
    let Some(cellar) = cellar() else { return };
    build(&cellar);
    let said = stage(
        &cellar,
        r#"
        # All the while podman looks at the same store.
        while sleep 0.2; do S images -q && S ps -a --external -q || echo "code $?" >>failed; done >beside 2>&1 &
        beside=$!
        up() { for i in $(seq 300); do C exec db pg_isready -q && return; sleep 0.1; done; C logs db; }
        ask() { C run --rm --network host localhost/database:1 psql -h 127.0.0.1 -p 15432 -qtAc "$1"; }
        C run -d --name db -v base:/var/lib/postgresql -p 127.0.0.1:15432:5432 localhost/database:1 >/dev/null
        up; ask 'create table t as select generate_series(1, 100000) a'
        ask 'select sum(a) from t'
        C stop db; C inspect --format '{{.State.ExitCode}}' db
        C start db; up; ask 'select sum(a) from t'
        C logs db 2>&1 | grep -c 'not properly shut down' || true
        # Killed with its monitor, it finds everything again.
        kill -9 $(C inspect --format '{{.State.ConmonPid}}' db)
        while C ps --format '{{.Names}}' | grep -q db; do sleep 0.1; done
        C start db; up; ask 'select sum(a) from t'
        S rmi localhost/database:1 2>&1 | grep -c 'image is in use by a container' || true
        S ps -a --external --format '{{.Names}}'
        kill $beside; wait $beside || true; test ! -e failed || cat failed beside
        C rm -f db; C volume rm base
        "#,
    )
    .ok();
    let expected = "5000050000\ndb\n0\ndb\n5000050000\n0\ndb\n5000050000\n1\ndb\ndb\nbase";
    assert_eq!(said.text(), expected, "{said}");
    cellar.is_clean();
}
