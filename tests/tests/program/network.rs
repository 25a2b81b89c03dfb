//! What the environment and flags say of networks.

use std::time::{Duration, Instant};

use tests::{Access, Served, command, dray, dray_built, run};

use crate::layout;

#[test]
fn authorities_come_from_where_the_environment_says() {
    let (scratch, image) = layout();
    let served = Served::start(&scratch, Access::Tls);
    let to = format!("docker://{}/it:1", served.address());
    let certificate = scratch.join("settings-Tls/certs/ca.crt");
    let copy = |variable: &str, value: &std::path::Path| {
        let mut dray = command(dray_built());
        dray.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR").env(variable, value);
        run(dray.args(["copy", "-q", &format!("{image}:it"), &to]))
    };
    copy("SSL_CERT_FILE", &certificate).ok();
    copy("UNUSED", &certificate).ends(1).says("certificate");
    // A file without certificates trusts nobody.
    let empty = scratch.join("empty");
    std::fs::write(&empty, "").expect("it is writable");
    copy("SSL_CERT_FILE", &empty).ends(1).says("certificate");
    // Names of a directory's files are hashes, as OpenSSL makes them; others count too.
    let directory = scratch.join("trusted");
    std::fs::create_dir(&directory).expect("it is writable");
    std::fs::copy(&certificate, directory.join("own.pem")).expect("it is writable");
    copy("SSL_CERT_DIR", &directory).ok();
}

#[test]
fn requests_are_as_few_within_a_second_as_asked_for() {
    let (scratch, image) = layout();
    let served = Served::start(&scratch, Access::Plain);
    let to = format!("docker://{}/it:1", served.address());
    let copy = |flags: &str, to: &str| {
        let start = Instant::now();
        let before = served.log().lines().count();
        dray(&format!("copy -q {flags} --dest-tls-verify=false {image}:it {to}")).ok();
        (served.log().lines().count() - before, start.elapsed())
    };
    let (requests, elapsed) = copy("--requests-per-second 4", &to);
    assert!(requests >= 8, "{requests}");
    let least = Duration::from_millis(250 * (requests as u64 - 4));
    assert!(elapsed >= least, "{requests} requests within {elapsed:?}");
    dray(&format!("copy --requests-per-second 0 {image}:it {to}")).ends(1);
}
