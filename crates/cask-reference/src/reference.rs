//! Normalised references.

use std::fmt;
use std::str::FromStr;

use crate::normalize::read_normalized;
use crate::{Digest, Pattern, ReferenceError, Repository, Tag};

/// The full name of an image: a repository, and perhaps a tag, and perhaps a digest.
///
/// `Display` prints all that is known, and what it prints parses to the same value. Values are
/// ordered by repository, then tag, then digest, none before any; see
/// [`crate::sort_by_information`] for the order of the Go package.
///
/// ```
/// use cask_reference::Reference;
///
/// let reference: Reference = "busybox".parse()?;
/// assert_eq!(reference.to_string(), "docker.io/library/busybox");
/// assert_eq!(reference.with_default_tag().to_string(), "docker.io/library/busybox:latest");
/// # Ok::<(), cask_reference::ReferenceError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses a reference, and fills in the domain `docker.io` and the `library/` that are left
    /// out of familiar names. Fills in no tag.
    ///
    /// What stands before the first slash is a domain if it has a dot, a colon or upper case, or
    /// is `localhost`. `index.docker.io` becomes `docker.io`.
    ///
    /// Source: distribution/reference, `ParseNormalizedNamed`. That gives `foo_bar.com/app`, whose
    /// domain is none, a name without a domain; here it is refused.
    ///
    /// # Errors
    /// [`NotLowercase`] for upper case in the path, [`Identifier`] for 64 hexadecimal digits,
    /// [`NameTooLong`] and [`InvalidDigest`] for what their names say, and [`InvalidFormat`] for
    /// all else.
    ///
    /// [`NotLowercase`]: crate::ReferenceErrorKind::NotLowercase
    /// [`Identifier`]: crate::ReferenceErrorKind::Identifier
    /// [`NameTooLong`]: crate::ReferenceErrorKind::NameTooLong
    /// [`InvalidDigest`]: crate::ReferenceErrorKind::InvalidDigest
    /// [`InvalidFormat`]: crate::ReferenceErrorKind::InvalidFormat
    pub fn parse_normalized(text: &str) -> Result<Self, ReferenceError> {
        let checked = read_normalized(text)?;
        let repository = Repository::from_checked(&checked);
        Ok(Self { repository, tag: checked.tag, digest: checked.digest })
    }

    /// Parses a reference as Docker does where it has to choose one image: does what
    /// [`Self::parse_normalized`] does, then what [`Self::tag_or_digest_only`] does.
    ///
    /// Source: distribution/reference, `ParseDockerRef`.
    ///
    /// # Errors
    /// Those of [`Self::parse_normalized`].
    pub fn parse_docker_ref(text: &str) -> Result<Self, ReferenceError> {
        Self::parse_normalized(text).map(Self::tag_or_digest_only)
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Gives up the tag and the digest.
    pub fn into_repository(self) -> Repository {
        self.repository
    }

    /// The name of the repository: its domain and its path, with a slash between them.
    pub fn name(&self) -> &str {
        self.repository.name()
    }

    /// The domain of the repository. Never empty.
    pub fn domain(&self) -> &str {
        self.repository.domain()
    }

    /// The path of the repository.
    pub fn path(&self) -> &str {
        self.repository.path()
    }

    /// The tag, if one is given.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one is given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether there is neither a tag nor a digest.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// What identifies the image within its repository: the digest if there is one, else the tag.
    pub fn selector(&self) -> Option<&str> {
        self.digest.as_ref().map(Digest::as_str).or(self.tag.as_ref().map(Tag::as_str))
    }

    /// Sets the tag, and keeps the digest.
    pub fn with_tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// Removes the tag, and keeps the digest.
    pub fn without_tag(self) -> Self {
        Self { tag: None, ..self }
    }

    /// Sets the digest, and keeps the tag.
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// Removes the digest, and keeps the tag.
    pub fn without_digest(self) -> Self {
        Self { digest: None, ..self }
    }

    /// Adds the tag `latest` if there is neither a tag nor a digest.
    ///
    /// Source: distribution/reference, `TagNameOnly`.
    pub fn with_default_tag(self) -> Self {
        if self.is_name_only() { self.with_tag(Tag::latest()) } else { self }
    }

    /// Leaves exactly one of tag and digest: removes the tag where there is a digest, adds
    /// `latest` where there is neither.
    ///
    /// Source: distribution/reference, `ParseDockerRef`.
    pub fn tag_or_digest_only(self) -> Self {
        if self.digest.is_some() { self.without_tag() } else { self.with_default_tag() }
    }

    /// The reference as people write it: `busybox:1`. See [`Repository::familiar`] for when it
    /// parses to the same value.
    ///
    /// Source: distribution/reference, `FamiliarString`.
    pub fn familiar(&self) -> String {
        self.after(self.repository.familiar())
    }

    /// Tells whether the pattern matches [`Self::familiar`], or the familiar name without tag and
    /// digest.
    ///
    /// Source: distribution/reference, `FamiliarMatch`.
    pub fn familiar_matches(&self, pattern: &Pattern) -> bool {
        pattern.matches(&self.familiar()) || pattern.matches(self.repository.familiar())
    }

    /// The scope under which a signature policy mentions exactly this image, or `None` if there is
    /// not exactly one of tag and digest. Wider scopes are
    /// [those of the repository](Repository::policy_namespaces).
    ///
    /// Source: containers/image, `policyconfiguration.DockerReferenceIdentity`.
    pub fn policy_identity(&self) -> Option<String> {
        (self.tag.is_some() != self.digest.is_some()).then(|| self.to_string())
    }

    /// The tag and the digest, after some form of the name.
    fn after(&self, name: &str) -> String {
        let mut text = String::from(name);
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag.as_str());
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl From<Repository> for Reference {
    fn from(repository: Repository) -> Self {
        Self { repository, tag: None, digest: None }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.after(self.name()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.after(self.name()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Does what [`Reference::parse_normalized`] does.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse_normalized(text)
    }
}

impl TryFrom<&str> for Reference {
    type Error = ReferenceError;

    fn try_from(text: &str) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DigestErrorKind, ReferenceErrorKind};

    const DIGEST: &str = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// `@` in the cases stands for a digest.
    fn with_digest(text: &str) -> String {
        text.replace('@', DIGEST)
    }

    /// Checks what is printed, in full and for people, and what is left of tag and digest.
    fn check(input: &str, [full, familiar, docker_ref]: [&str; 3]) {
        let input = with_digest(input);
        let reference: Reference = input.parse().unwrap();
        assert_eq!(reference.to_string(), with_digest(full), "{input}");
        assert_eq!(reference.familiar(), with_digest(familiar), "{input}");
        let chosen = Reference::parse_docker_ref(&input).unwrap();
        assert_eq!(chosen.to_string(), with_digest(docker_ref), "{input}");
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        check("a", ["docker.io/library/a", "a", "docker.io/library/a:latest"]);
        check("a:T", ["docker.io/library/a:T", "a:T", "docker.io/library/a:T"]);
        check("a@", ["docker.io/library/a@", "a@", "docker.io/library/a@"]);
        check("a:t@", ["docker.io/library/a:t@", "a:t@", "docker.io/library/a@"]);
        check("a/b", ["docker.io/a/b", "a/b", "docker.io/a/b:latest"]);
        check(
            "localhost",
            ["docker.io/library/localhost", "localhost", "docker.io/library/localhost:latest"],
        );
        check(
            "localhost:80",
            ["docker.io/library/localhost:80", "localhost:80", "docker.io/library/localhost:80"],
        );
        check("localhost/a", ["localhost/a", "localhost/a", "localhost/a:latest"]);
        check("index.docker.io/a", ["docker.io/library/a", "a", "docker.io/library/a:latest"]);
        check(
            "registry-1.docker.io/a",
            ["registry-1.docker.io/a", "registry-1.docker.io/a", "registry-1.docker.io/a:latest"],
        );
        check("[::1]:80/a:t", ["[::1]:80/a:t", "[::1]:80/a:t", "[::1]:80/a:t"]);
        check("Host/a", ["Host/a", "Host/a", "Host/a:latest"]);
    }

    /// Checks the kind, the place and the words of an error.
    fn refuse(input: &str, kind: ReferenceErrorKind, offset: usize, words: &str) {
        let error = Reference::parse_normalized(input).unwrap_err();
        let found = (error.kind(), error.offset(), error.to_string());
        assert_eq!(found, (kind, offset, words.into()), "{input}");
        assert_eq!(error.input(), input);
    }

    #[test]
    fn a_refusal_says_where_and_in_the_words_of_go() {
        use ReferenceErrorKind::*;

        let format = "invalid reference format";
        refuse("", InvalidFormat, 0, format);
        refuse("docker.io/", InvalidFormat, 10, format);
        refuse("docker.io/a//b", InvalidFormat, 12, format);
        refuse("index.docker.io/a:", InvalidFormat, 18, format);
        refuse("a b", InvalidFormat, 1, format);
        refuse("a:t t", InvalidFormat, 3, format);
        refuse("https://quay.io/a", InvalidFormat, 0, format);
        refuse("a_b.com/c", InvalidFormat, 1, format);
        refuse("[a]/b", InvalidFormat, 0, format);

        let lower = |name| format!("{format}: repository name ({name}) must be lowercase");
        refuse("aB", NotLowercase, 1, &lower("library/aB"));
        refuse("docker.io/aB:C", NotLowercase, 11, &lower("library/aB"));
        refuse("a/É", NotLowercase, 2, &lower("a/É"));
        refuse("quay.io/a/B", NotLowercase, 10, &lower("a/B"));
        refuse("A_b/c", NotLowercase, 0, "repository name must be lowercase");
        refuse("a:\u{212a}", NotLowercase, 2, "repository name must be lowercase");

        let long = "repository name must not be more than 255 characters";
        refuse(&"a".repeat(248), NameTooLong, 247, long);
        refuse(&format!("docker.io/{}", "a".repeat(248)), NameTooLong, 257, long);
        refuse(&format!("x.y/{}", "a".repeat(256)), NameTooLong, 259, long);
        assert!("a".repeat(247).parse::<Reference>().is_ok());
        assert!(format!("x.y/{}", "a".repeat(255)).parse::<Reference>().is_ok());

        let id = &DIGEST[8..];
        let words =
            format!("invalid repository name ({id}), cannot specify 64-byte hexadecimal strings");
        refuse(id, Identifier, 0, &words);

        let length = InvalidDigest(DigestErrorKind::InvalidLength);
        refuse(&format!("a/b{DIGEST}0"), length, 75, "invalid checksum digest length");
        let unknown = InvalidDigest(DigestErrorKind::UnsupportedAlgorithm);
        refuse(&format!("a/b@md5:{id}"), unknown, 4, "unsupported digest algorithm");
        let upper = InvalidDigest(DigestErrorKind::InvalidFormat);
        let digest = format!("a/b@sha256:{}", id.to_uppercase());
        refuse(&digest, upper, 21, "invalid checksum digest format");
    }

    #[test]
    fn parts_are_set_and_removed_one_by_one() {
        let tagged: Reference = "a:t".parse().unwrap();
        let digest: Digest = DIGEST[1..].parse().unwrap();
        let both = tagged.clone().with_digest(digest.clone());
        assert_eq!(both.familiar(), with_digest("a:t@"));
        assert_eq!(both.selector(), Some(digest.as_str()));
        assert_eq!(both.policy_identity(), None);
        assert_eq!(both.clone().without_digest(), tagged);
        assert_eq!(both.without_tag().familiar(), with_digest("a@"));
        assert_eq!(tagged.clone().with_tag(Tag::latest()).familiar(), "a:latest");
        assert_eq!(tagged.selector(), Some("t"));
        let named = tagged.without_tag();
        assert!(named.is_name_only());
        assert_eq!((named.selector(), named.policy_identity()), (None, None));
        assert_eq!(Reference::from(named.clone().into_repository()), named);
    }
}
