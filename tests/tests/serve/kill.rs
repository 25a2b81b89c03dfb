//! Killed at any moment: what was acknowledged is there, and nothing is there in half.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use cask_testkit::generate::ImageSpec;
use rustix::process::Signal;
use tests::{Access, Served, dray, scratch};

/// How often it is killed.
const ROUNDS: u64 = 6;

/// Sends a request; the status and the body of the answer, if one came.
fn send(address: &str, head: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let head =
        format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}

/// Pushes one image after the other until nobody answers, and takes down those that succeeded.
fn push(address: &str, seed: u64, acknowledged: &Mutex<Vec<String>>) {
    for number in seed.. {
        let image = ImageSpec::new(number).build().content();
        for blob in &image.blobs {
            let digest = &blob.descriptor.digest;
            let head = format!("POST /v2/r/blobs/uploads/?digest={digest} HTTP/1.1");
            let Some((status, body)) = send(address, &head, &blob.bytes) else { return };
            assert_eq!(status, 201, "{body}");
        }
        let manifest = image.manifests.last().expect("the top is among them");
        let media_type = &manifest.descriptor.media_type;
        let head = format!("PUT /v2/r/manifests/v{number} HTTP/1.1\r\ncontent-type: {media_type}");
        let Some((status, body)) = send(address, &head, &manifest.bytes) else { return };
        assert_eq!(status, 201, "{body}");
        acknowledged.lock().expect("nobody panicked").push(format!("v{number}"));
    }
}

#[test]
fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let scratch = scratch();
    let directory = scratch.join("served-Plain");
    let mut served = Served::start(&scratch, Access::Plain);
    let acknowledged = Mutex::new(Vec::new());
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            for pusher in 0..2 {
                let (address, acknowledged) = (served.address().to_owned(), &acknowledged);
                let seed = (round * 2 + pusher) * 1_000_000;
                scope.spawn(move || push(&address, seed, acknowledged));
            }
            std::thread::sleep(Duration::from_millis(150 + 37 * round));
            served.signal(Signal::KILL);
        });
        served = Served::directory(&directory, &scratch.join("log"), &[]);
    }
    let acknowledged = acknowledged.into_inner().expect("nobody panicked");
    assert!(acknowledged.len() as u64 >= ROUNDS, "too slow to say anything: {acknowledged:?}");
    let get = "GET /v2/r/tags/list HTTP/1.1";
    let (_, list) = send(served.address(), get, b"").expect("it answers");
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let tags: Vec<&str> =
        list["tags"].as_array().expect("tags").iter().flat_map(|tag| tag.as_str()).collect();
    for tag in &acknowledged {
        assert!(tags.contains(&tag.as_str()), "{tag} is lost");
    }
    // Also those that nobody was told of.
    for tag in tags {
        dray(&format!("validate -q {}:{tag}", served.layout("r"))).ok();
    }
}
