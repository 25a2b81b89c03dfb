//! What a configuration says of an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cask_reference::Reference;

use super::Lookaside;

/// Where the signatures of images in registries are kept.
///
/// The default says nothing: there are no signatures, and none can be written.
#[derive(Clone, Debug, Default)]
pub struct LookasideConf {
    /// What is said of everything that has no section, or whose section does not say it.
    pub(super) default: Option<Section>,
    /// What is said of an image, a repository, a namespace, a registry or `*.` and a domain.
    pub(super) scopes: BTreeMap<String, Section>,
    pub(super) warnings: Vec<String>,
    default_directory: Option<PathBuf>,
}

/// What is said of a scope.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// Where signatures are read, and written if nothing else is said.
    pub(super) reading: Option<Lookaside>,
    /// Where they are written.
    pub(super) writing: Option<Lookaside>,
    pub(super) uses_attachments: Option<bool>,
    /// The file that says so.
    pub(super) file: String,
}

impl LookasideConf {
    /// Has signatures in this directory of which nothing else is said.
    #[must_use]
    pub fn with_default_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.default_directory = Some(directory.into());
        self
    }

    /// What the files have that means nothing, and is passed over as everywhere: each a sentence
    /// without a full stop.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where the signatures of an image are read: the place of its repository.
    pub fn reading(&self, reference: &Reference) -> Option<Lookaside> {
        let said = self.first(reference, |section| section.reading.as_ref());
        self.place(said, reference)
    }

    /// Where the signatures of an image are written: the place of its repository.
    pub fn writing(&self, reference: &Reference) -> Option<Lookaside> {
        let said =
            self.first(reference, |section| section.writing.as_ref().or(section.reading.as_ref()));
        self.place(said, reference)
    }

    /// What is said of where signatures are read for a scope of a policy, such as `r.example/team`; an empty one is
    /// everything.
    pub fn of_scope(&self, scope: &str) -> Option<&Lookaside> {
        let mut around =
            std::iter::successors(Some(scope), |scope| Some(scope.rsplit_once('/')?.0));
        let found = around.find_map(|scope| self.scopes.get(scope)?.reading.as_ref());
        found.or_else(|| self.default.as_ref()?.reading.as_ref())
    }

    /// Whether the signatures of an image are also in its registry, where sigstore attaches them:
    /// `use-sigstore-attachments`.
    pub fn uses_sigstore_attachments(&self, reference: &Reference) -> bool {
        self.first(reference, |section| section.uses_attachments.as_ref()).is_some_and(|uses| *uses)
    }

    fn place(&self, said: Option<&Lookaside>, reference: &Reference) -> Option<Lookaside> {
        let base = match said {
            Some(base) => base.clone(),
            None => Lookaside::Directory(self.default_directory.clone()?),
        };
        Some(base.of_repository(reference.path()))
    }

    /// The first that says something: the section of the image itself, of what is around it, the
    /// nearest first, of a wildcard, and the default.
    ///
    /// Source: containers/image, `signatureTopLevel` and `PolicyConfigurationNamespaces`.
    fn first<'c, T>(
        &'c self,
        reference: &Reference,
        said: impl Fn(&'c Section) -> Option<&'c T>,
    ) -> Option<&'c T> {
        // Who gives both wants the digest.
        let exact = match reference.digest() {
            Some(_) => reference.clone().without_tag(),
            None => reference.clone(),
        };
        let around = reference.repository().policy_namespaces();
        let mut scopes = std::iter::once(exact.to_string()).chain(around);
        let section = scopes.find_map(|scope| said(self.scopes.get(&scope)?));
        section.or_else(|| said(self.default.as_ref()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = "
default-docker:
  lookaside: file:///default
  lookaside-staging: file:///default-staging
docker:
  r.example:
    lookaside: https://web.example/r
  r.example/team:
    use-sigstore-attachments: true
  r.example/team/app:
    sigstore: file:///app
    sigstore-staging: file:///app-staging
  r.example/team/app:1:
    lookaside: file:///one
    use-sigstore-attachments: false
  '*.wild.example':
    lookaside: file:///wild
  new.example:
    lookaside: file:///new
    sigstore: file:///old
";

    #[test]
    fn the_nearest_section_that_says_something_counts() {
        let conf = LookasideConf::parse(CONF, "a.yaml").unwrap();
        let check = |name: &str, reading: &str, writing: &str, attachments: bool| {
            let reference = Reference::parse_normalized(name).unwrap().with_default_tag();
            let show = |place: Option<Lookaside>| match place.unwrap() {
                Lookaside::Directory(path) => path.display().to_string(),
                Lookaside::Web(url) => url.to_string(),
            };
            assert_eq!(show(conf.reading(&reference)), reading, "{name}");
            assert_eq!(show(conf.writing(&reference)), writing, "{name}");
            assert_eq!(conf.uses_sigstore_attachments(&reference), attachments, "{name}");
        };
        let (default, staging) = ("/default/library/busybox", "/default-staging/library/busybox");
        check("busybox", default, staging, false);
        let web = "https://web.example/r/x";
        check("r.example/x", web, web, false);
        let web = "https://web.example/r/team/x";
        check("r.example/team/x", web, web, true);
        check("r.example/team/app:2", "/app/team/app", "/app-staging/team/app", true);
        check("r.example/team/app:1", "/one/team/app", "/one/team/app", false);
        let digest = format!("r.example/team/app:1@sha256:{}", "0".repeat(64));
        check(&digest, "/app/team/app", "/app-staging/team/app", true);
        check("a.wild.example/x", "/wild/x", "/wild/x", false);
        check("wild.example/x", "/default/x", "/default-staging/x", false);
        check("new.example/x", "/new/x", "/new/x", false);
    }

    #[test]
    fn without_a_configuration_the_default_directory_counts() {
        let reference = Reference::parse_normalized("r.example/a/b:1").unwrap();
        assert_eq!(LookasideConf::default().reading(&reference), None);
        let conf = LookasideConf::default().with_default_directory("/d");
        let expected = Lookaside::Directory("/d/a/b".into());
        assert_eq!(conf.reading(&reference), Some(expected.clone()));
        assert_eq!(conf.writing(&reference), Some(expected));
    }
}
