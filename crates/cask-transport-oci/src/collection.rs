//! The images of a layout.

use async_trait::async_trait;
use cask_image::Descriptor;
use cask_layout::{ImageChoice, Layout, ReferenceName};
use cask_layout_seam::{entry, of_layout, of_name, with_selector};
use cask_transport::{Collection, Entry, Result, Selector, blocking};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

/// An opened layout as a set of images.
pub(crate) struct OciCollection {
    layout: Layout,
    chosen: ImageChoice,
}

impl OciCollection {
    pub(crate) fn new(layout: Layout, chosen: ImageChoice) -> Self {
        Self { layout, chosen }
    }
}

#[async_trait]
impl Collection for OciCollection {
    fn entries(&self) -> BoxStream<'_, Result<Entry>> {
        let layout = self.layout.clone();
        let list = blocking(move || layout.list().map_err(of_layout));
        stream::once(list)
            .map_ok(|entries| stream::iter(entries.into_iter().map(|listed| Ok(entry(listed)))))
            .try_flatten()
            .boxed()
    }

    async fn tag(&self, manifest: &Descriptor, name: &str) -> Result<()> {
        let name = ReferenceName::parse(name).map_err(|error| of_name(&error))?;
        let (layout, manifest) = (self.layout.clone(), manifest.clone());
        blocking(move || layout.tag(&manifest, &name).map_err(of_layout)).await
    }

    async fn untag(&self, name: &str) -> Result<()> {
        let (layout, name) = (self.layout.clone(), name.to_owned());
        blocking(move || layout.untag(&name).map_err(of_layout)).await
    }

    async fn delete(&self, selector: &Selector) -> Result<()> {
        let (layout, chosen) = (self.layout.clone(), self.chosen.clone());
        let selector = selector.clone();
        blocking(move || {
            let selector = with_selector(&selector, &chosen)?;
            layout.delete(selector).map(drop).map_err(of_layout)
        })
        .await
    }
}
