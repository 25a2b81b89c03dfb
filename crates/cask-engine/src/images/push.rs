//! Images that go to registries and other places.

use cask_copy::{CopyOptions, Report, copy};
use cask_transport::{Location, Transports};

use crate::{Images, Result};

impl Images {
    /// Pushes an image: to the registry that its name names, or to a destination. That is a name
    /// of a registry's image, or anything behind the scheme of a transport.
    ///
    /// Where layers are plain, as they lie in the store, and the place wants them compressed, they
    /// are compressed; the options say how.
    ///
    /// Source: containers/common, `libimage/push.go`.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Transfer`](crate::ErrorKind::Transfer).
    pub async fn push(
        &self,
        image: &str,
        destination: &str,
        transports: &Transports,
        options: &CopyOptions,
    ) -> Result<Report> {
        let found = self.find_on_thread(image).await?;
        let from = self.location(&found, transports)?;
        let to = push_destination(destination, transports)?;
        Ok(copy(&*from, &*to, options).await?)
    }
}

/// What the destination of a push means.
fn push_destination(text: &str, transports: &Transports) -> Result<Box<dyn Location>> {
    transports.parse(text).or_else(|error| {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        match scheme.is_some_and(|scheme| transports.find(scheme).is_some()) {
            true => Err(error.into()),
            // The words about what it would be as a name say more.
            false => Ok(transports.parse(&format!("docker://{text}"))?),
        }
    })
}
