use std::path::PathBuf;
use std::time::Duration;

/// The name that stands for auth files in a list of credential helpers.
pub const AUTH_FILES_HELPER: &str = "containers-auth.json";

/// How the entries of an auth file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `auth.json` of podman, buildah and skopeo: keys may name a namespace.
    Containers,
    /// Docker's `config.json`: read as the former; a key written to it is a registry, or Docker's
    /// URL for its own.
    Docker,
    /// `.dockercfg`, as Docker had it before 2015: no wrapper around the entries, keys are URLs.
    /// Only read.
    Legacy,
}

/// A file of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it is laid out.
    pub format: Format,
}

impl AuthFile {
    /// A file of a format.
    pub fn new(path: impl Into<PathBuf>, format: Format) -> Self {
        Self { path: path.into(), format }
    }
}

/// Where [`AuthFiles`](crate::AuthFiles) looks and writes.
/// [`Environment`](crate::Environment) fills it in as the field's tools do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthFilesOptions {
    /// The files to read, in their order: the first one with a match answers. One that does not
    /// exist is passed over.
    pub files: Vec<AuthFile>,
    /// The file to write; without one nothing can be stored or removed.
    pub writable: Option<AuthFile>,
    /// A directory that has to be there before anything is written: `$XDG_RUNTIME_DIR`, which
    /// only the system may make.
    pub runtime_directory: Option<PathBuf>,
    /// The credential helpers to ask, in their order: names that follow `docker-credential-`, or
    /// [`AUTH_FILES_HELPER`] for the files. `credential-helpers` of `registries.conf`.
    pub helpers: Vec<String>,
    /// The directories in which helper programs are looked for; those that are not absolute are
    /// passed over. The entries of `$PATH`.
    pub helper_search_path: Vec<PathBuf>,
    /// How long a helper may take before it is killed; one may be waiting for a person.
    pub helper_timeout: Duration,
}

impl AuthFilesOptions {
    /// The time that a helper may take unless told otherwise.
    pub const DEFAULT_HELPER_TIMEOUT: Duration = Duration::from_secs(60);

    /// One file that is read and written, and no other.
    pub fn only(file: AuthFile) -> Self {
        Self { files: vec![file.clone()], writable: Some(file), ..Self::default() }
    }
}

impl Default for AuthFilesOptions {
    /// No file, no program, and the helper that stands for the files.
    fn default() -> Self {
        Self {
            files: Vec::new(),
            writable: None,
            runtime_directory: None,
            helpers: vec![AUTH_FILES_HELPER.to_owned()],
            helper_search_path: Vec::new(),
            helper_timeout: Self::DEFAULT_HELPER_TIMEOUT,
        }
    }
}
