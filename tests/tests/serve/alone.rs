//! What it prints, how it ends, what it refuses.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use tests::{Access, Served, dray, scratch};

/// Sends a request and reads the answer.
fn ask(served: &Served, request: &str) -> String {
    let mut stream = TcpStream::connect(served.address()).expect("somebody listens");
    let request = format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is listened to");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn it_ends_by_signals_as_a_success() {
    for signal in [Signal::INT, Signal::TERM] {
        let scratch = scratch();
        let served = Served::start(&scratch, Access::Plain);
        let answer = ask(&served, "GET /v2/ HTTP/1.1");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(served.log().contains(" - \"GET /v2/ HTTP/1.1\" 200 2 "), "{}", served.log());
        served.stop(signal).ok();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    // The digest of nothing.
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let answer = ask(&served, &format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1"));
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let begun = ask(&served, "POST /v2/a/blobs/uploads/ HTTP/1.1");
    let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    served.stop(Signal::KILL).ends(137);
    let directory = scratch.join("served-Plain");
    let again = Served::directory(&directory, &scratch.join("log"), &[]);
    let answer = ask(&again, &format!("HEAD /v2/a/blobs/{digest} HTTP/1.1"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = ask(&again, &format!("GET {location} HTTP/1.1"));
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[test]
fn a_layout_is_one_repository() {
    let scratch = scratch();
    let image = cask_testkit::generate::ImageSpec::new(1).build();
    let layout = scratch.join("App");
    cask_testkit::generate::write_oci_layout(&layout, &[(Some("v1"), &image.content())])
        .expect("a new directory is writable");
    let log = scratch.join("log");
    let tags =
        |served: &Served, name: &str| ask(served, &format!("GET /v2/{name}/tags/list HTTP/1.1"));
    let served = Served::directory(&layout, &log, &["--read-only"]);
    assert!(tags(&served, "app").ends_with(r#"{"name":"app","tags":["v1"]}"#));
    let answer = ask(&served, "DELETE /v2/app/manifests/v1 HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let served = Served::directory(&layout, &log, &["--name", "team/it"]);
    assert!(tags(&served, "team/it").ends_with(r#""tags":["v1"]}"#));
    assert!(tags(&served, "app").starts_with("HTTP/1.1 404"));
}

#[test]
fn nobody_is_let_in_by_mistake() {
    let scratch = scratch();
    let directory = scratch.display();
    let open = dray(&format!("serve --listen 0.0.0.0:0 {directory}"));
    open.ends(1).says("others could reach 0.0.0.0:0");
    let open = dray(&format!("serve --listen 0.0.0.0:0 {directory}"));
    open.says("--insecure-listen");
    let timeout = "--command-timeout 100ms";
    dray(&format!("{timeout} serve --listen 0.0.0.0:0 --insecure-listen {directory}")).ok();
}

#[test]
fn what_is_wrong_is_said() {
    let scratch = scratch();
    let (directory, none) = (scratch.display(), scratch.at("none"));
    let check = |arguments: &str, words: &[&str]| {
        let outcome = dray(&format!("serve --listen 127.0.0.1:0 {arguments}"));
        let outcome = outcome.ends(1);
        assert!(words.iter().all(|word| outcome.stderr.contains(word)), "{outcome}");
    };
    check(&none, &[&none, "hint: serve a directory that exists"]);
    check(&format!("--listen x {directory}"), &["invalid address"]);
    check(&format!("--name UPPER {directory}"), &["invalid repository name"]);
    check(&format!("--name it {directory}"), &["it is no OCI layout"]);
    check(&format!("--tls-cert {none} {directory}"), &["--tls-key"]);
    std::fs::write(scratch.join("users"), "ann:plain\n").expect("it can be written");
    let users = scratch.at("users");
    check(
        &format!("--htpasswd {users} {directory}"),
        &["line 1", "hint: write it with htpasswd -B"],
    );
    check(&format!("--tls-cert {users} --tls-key {users} {directory}"), &["there is none in it"]);
}
