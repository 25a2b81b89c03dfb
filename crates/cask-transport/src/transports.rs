//! The set of transports, as a value.

use std::fmt;
use std::sync::Arc;

use crate::{Error, ErrorKind, Location, Result};

/// Parses the names of one scheme.
pub trait Transport: Send + Sync {
    /// The scheme before the first colon.
    fn scheme(&self) -> &'static str;

    /// Parses what follows the scheme and its colon.
    ///
    /// # Errors
    /// `InvalidLocation`, with what is wrong in the text.
    fn parse(&self, rest: &str) -> Result<Box<dyn Location>>;

    /// Checks a scope of the signature policy's `transports` section.
    ///
    /// # Errors
    /// `InvalidLocation` if no location of this transport could ever have that scope.
    fn validate_policy_scope(&self, scope: &str) -> Result<()>;
}

/// A set of transports. There is no global one: a program makes the set that it wants.
#[derive(Clone, Default)]
pub struct Transports(Vec<Arc<dyn Transport>>);

impl Transports {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a transport; one that has the same scheme is replaced.
    #[must_use]
    pub fn with(mut self, transport: impl Transport + 'static) -> Self {
        self.0.retain(|held| held.scheme() != transport.scheme());
        self.0.push(Arc::new(transport));
        self
    }

    /// The transport of a scheme.
    pub fn find(&self, scheme: &str) -> Option<&dyn Transport> {
        self.0.iter().find(|held| held.scheme() == scheme).map(|held| &**held)
    }

    /// The schemes in the set, in the order in which they were added.
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|held| held.scheme())
    }

    /// Parses `scheme:rest`.
    ///
    /// # Errors
    /// `InvalidLocation` if there is no colon, no such scheme, or the transport refuses the rest.
    pub fn parse(&self, text: &str) -> Result<Box<dyn Location>> {
        // The words of containers/image, which scripts search for.
        let invalid = |detail: String| {
            Error::new(
                ErrorKind::InvalidLocation,
                "",
                format!("Invalid image name {text:?}, {detail}"),
            )
        };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(invalid("expected colon-separated transport:reference".into())
                .with_hint(self.hint()));
        };
        let Some(transport) = self.find(scheme) else {
            return Err(invalid(format!("unknown transport {scheme:?}")).with_hint(self.hint()));
        };
        transport.parse(rest)
    }

    fn hint(&self) -> String {
        format!("the transports are {}", self.schemes().collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.schemes()).finish()
    }
}
