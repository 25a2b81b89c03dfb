//! The suite that every transport passes, and layouts that must not be read as they are.

use cask_image::Manifest;
use cask_testkit::conformance::{self, Place};
use cask_testkit::generate::hostile::{Fault, write_layouts};
use cask_transport::{ErrorKind, Result, Selector, Transport as _, Transports};
use cask_transport_oci::OciTransport;

#[tokio::test]
async fn oci_keeps_the_promises_of_the_seam() {
    let directory = tempfile::tempdir().unwrap();
    let transports = Transports::new().with(OciTransport::default());
    let place = Place::new(transports, directory.path(), |path, name| match name {
        Some(name) => format!("oci:{}:{name}", path.display()),
        None => format!("oci:{}", path.display()),
    });
    assert_eq!(conformance::run(&place).await, 22);
}

/// Reads everything that the only image of a layout has.
async fn read_all(text: &str) -> Result<()> {
    let source = OciTransport::default().parse(text)?.source().await?;
    let top = source.resolve(&Selector::Chosen).await?;
    let manifest = source.manifest(&top).await?.parse();
    if let Ok(Manifest::Image(image)) = manifest {
        for blob in std::iter::once(&image.config).chain(&image.layers) {
            source.blob(blob).await?.drain().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn hostile_layouts_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cases = write_layouts(directory.path(), 1).unwrap();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let error = read_all(&format!("{}:good", case.value.display())).await.unwrap_err();
        let expected: &[ErrorKind] = match case.fault {
            Fault::Escape | Fault::SpecialFile | Fault::Malformed => {
                &[ErrorKind::Corrupt, ErrorKind::Unsupported]
            }
            Fault::Digest => &[ErrorKind::DigestMismatch],
            Fault::Limit => &[ErrorKind::LimitExceeded],
            Fault::Missing => &[ErrorKind::NotFound, ErrorKind::Missing],
            fault => panic!("{}: {fault:?} is new", case.name),
        };
        assert!(expected.contains(&error.kind()), "{}: {error:?}", case.name);
    }
}
