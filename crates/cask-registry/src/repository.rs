//! A repository of a registry.

use std::sync::Arc;

use cask_reference::Repository as RepositoryName;
use http::Method;

use crate::error::Doing;
use crate::host::{Call, Host, Target};
use crate::paging::Names;
use crate::token::Scopes;

/// A repository of a registry. Clones are cheap.
///
/// As [`Client::repository`](crate::Client::repository) gives it, it asks for the right to read;
/// [`for_writing`](Self::for_writing) asks for both from the start, which saves a token.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(crate) host: Arc<Host>,
    pub(crate) name: RepositoryName,
    writing: bool,
}

impl Repository {
    pub(crate) fn new(host: Arc<Host>, name: RepositoryName) -> Self {
        Self { host, name, writing: false }
    }

    /// The same repository, to be written to: all requests ask for the right to push.
    #[must_use]
    pub fn for_writing(mut self) -> Self {
        self.writing = true;
        self
    }

    /// The name of the repository.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// The tags of the repository, in the registry's order, which is nearly always by name.
    ///
    /// Names that are no tags, and digests, which old registries list too, are left out.
    pub fn tags(&self) -> Names {
        let doing = Doing::new("fetching tags list", self.name.to_string());
        Names::new(Arc::clone(&self.host), self.call(Method::GET, "tags/list"), "tags", doing)
    }

    /// What is asked of the repository: a path below its own.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        let path = format!("{}/{path}", self.name.path());
        self.call_at(method, Target::Path(path))
    }

    pub(crate) fn call_at(&self, method: Method, target: Target) -> Call {
        let mut call = Call::at(method, target);
        let actions: &[&str] = if self.writing { &["pull", "push"] } else { &["pull"] };
        call.scopes = Scopes::repository(self.name.path(), actions);
        call.repository = Some(self.name.path().to_owned());
        call
    }

    /// As [`call`](Self::call), with the right to push whatever the handle is for.
    pub(crate) fn push_call(&self, method: Method, target: Target) -> Call {
        let mut call = self.call_at(method, target);
        call.scopes = Scopes::repository(self.name.path(), &["pull", "push"]);
        call
    }

    /// A path below the repository's own.
    pub(crate) fn path(&self, path: &str) -> Target {
        Target::Path(format!("{}/{path}", self.name.path()))
    }
}
