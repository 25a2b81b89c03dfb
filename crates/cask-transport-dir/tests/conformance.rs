//! The suite that every transport passes.

#![allow(missing_docs, reason = "tests")]

use cask_testkit::conformance::{self, Place};
use cask_transport::Transports;
use cask_transport_dir::DirTransport;

#[tokio::test]
async fn dir_keeps_the_promises_of_the_seam() {
    let directory = tempfile::tempdir().unwrap();
    let transports = Transports::new().with(DirTransport);
    let place =
        Place::new(transports, directory.path(), |path, _| format!("dir:{}", path.display()));
    assert_eq!(conformance::run(&place).await, 22);
}
