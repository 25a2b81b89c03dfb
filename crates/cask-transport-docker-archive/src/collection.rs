//! The images of an archive.

use async_trait::async_trait;
use cask_docker_tar::DockerArchive;
use cask_image::Descriptor;
use cask_transport::{Collection, Entry, Error, ErrorKind, Result, Selector};
use futures_util::stream::{self, BoxStream, StreamExt as _};

/// An opened archive as a set of images.
pub(crate) struct DockerArchiveCollection {
    archive: DockerArchive,
}

impl DockerArchiveCollection {
    pub(crate) fn new(archive: DockerArchive) -> Self {
        Self { archive }
    }

    fn refused<T>(&self, operation: &'static str, detail: &'static str) -> Result<T> {
        let path = self.archive.archive().path().display();
        Err(Error::new(ErrorKind::Unsupported, operation, path).with_detail(detail))
    }
}

#[async_trait]
impl Collection for DockerArchiveCollection {
    fn entries(&self) -> BoxStream<'_, Result<Entry>> {
        let entries = self.archive.entries().iter().map(|entry| {
            Ok(Entry {
                names: entry.names().to_vec(),
                position: Some(entry.position()),
                // Making the manifest may need to decompress every layer.
                descriptor: None,
            })
        });
        stream::iter(entries).boxed()
    }

    async fn tag(&self, _manifest: &Descriptor, _name: &str) -> Result<()> {
        self.refused("naming an image of", "names in a docker archive are given when it is written")
    }

    async fn untag(&self, _name: &str) -> Result<()> {
        self.refused("naming an image of", "names in a docker archive are given when it is written")
    }

    async fn delete(&self, _selector: &Selector) -> Result<()> {
        // The words of skopeo.
        let detail = "Deleting images not implemented for docker-archive: images";
        self.refused("deleting an image of", detail)
    }
}
