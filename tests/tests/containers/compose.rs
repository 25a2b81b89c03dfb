//! Programs of others that drive podman find this one behind its name.

use std::fs;
use std::os::unix::fs::symlink;

use tests::{cellar_built, has};

use crate::network::{cellar, stage};

const COMPOSE: &str = r#"
version: "3"
services:
  web:
    build: {context: web, dockerfile: Containerfile}
    image: localhost/web:1
    ports: ["127.0.0.1:8080:80"]
    depends_on: [data]
    environment: {WORD: hello}
    networks: [front, back]
    healthcheck: {test: ["CMD", "test", "-e", "/bin/sh"], interval: 30s}
  data:
    image: localhost/box:1
    command: sh -c 'echo begun >>/data/lives; while true; do busybox nc -l -p 81 -e cat /conf/answer; done'
    volumes: ["kept:/data", "./conf:/conf:ro"]
    networks: [back]
    restart: unless-stopped
volumes: {kept: {}}
networks: {front: {}, back: {}}
"#;

/// Each request is answered with what the other service answers.
const WEB: &str = "FROM localhost/box:1\n\
    RUN printf '#!/bin/sh\\nread line; echo $WORD; busybox nc -w 2 data 81 </dev/null\\n' >/answer \
     && busybox chmod +x /answer\n\
    CMD while true; do busybox nc -l -p 80 -e /answer; done\n";

#[test]
fn podman_compose_builds_starts_asks_and_takes_down() {
    if !has(&["podman-compose"]) {
        return;
    }
    let Some(cellar) = cellar() else { return };
    for (name, text) in [
        ("app/docker-compose.yml", COMPOSE),
        ("app/web/Containerfile", WEB),
        ("app/conf/answer", "of data\n"),
    ] {
        let path = cellar.path(name);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("it is writable");
        fs::write(path, text).expect("it is writable");
    }
    fs::create_dir(cellar.path("bin")).expect("it is new");
    symlink(cellar_built(), cellar.path("bin/podman")).expect("it is new");
    let at = |name: &str| cellar.path(name).display().to_string();
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = {:?}\nrunroot = {:?}\n",
        at("root"),
        at("run")
    );
    fs::write(cellar.path("storage.conf"), storage).expect("it is writable");
    let networks = format!("[network]\nnetwork_config_dir = {:?}\n", at("networks"));
    fs::write(cellar.path("compose.conf"), networks).expect("it is writable");
    let said = stage(
        &cellar,
        r#"
        export PATH=$PWD/bin:$PATH CONTAINERS_STORAGE_CONF=$PWD/storage.conf CONTAINERS_CONF=$PWD/compose.conf
        compose() { podman-compose "$@" >>$D/log 2>&1 </dev/null || { cat $D/log >&2; return 1; }; }
        # It prints the commands that it runs too.
        shown() { podman-compose "$@" 2>/dev/null </dev/null | grep -v -e "^\['podman'" -e '^podman ' -e '^using ' -e '^exit code'; }
        ask() { for i in $(seq 100); do busybox nc -w 3 127.0.0.1 8080 </dev/null | grep . && return; sleep 0.1; done; }
        D=$PWD; cd app
        compose up -d --build
        ask
        shown ps | grep -c ' Up '
        shown exec -T web sh -c 'echo $WORD again'
        compose restart -t 0
        ask; shown exec -T data cat /data/lives
        compose stop -t 0; podman ps -q; compose start; ask
        compose down -t 0 -v
        podman ps -aq; podman pod ps -q; podman volume ls -q; podman network rm app_front app_back; podman images -q | wc -l
        "#,
    )
    .ok();
    let answer = "hello\nof data\n";
    let expected =
        format!("{answer}2\nhello again\n{answer}begun\nbegun\n{answer}app_front\napp_back\n2");
    assert_eq!(said.text(), expected, "{said}");
}
