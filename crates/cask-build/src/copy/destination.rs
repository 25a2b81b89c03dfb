//! Where copies go.

use cask_containerfile::Behavior;
use cask_rootfs::Kind;

use super::CopyRequest;
use super::plan::Plan;
use super::prepared::Source;
use super::remote;
use crate::view::{Resolution, join, parent_and_name, shown};
use crate::{Error, ErrorKind, Result};

/// Where copies go, without links in it.
pub(super) enum Target {
    /// Into this directory.
    Directory(Vec<u8>),
    /// To this path: one file.
    File(Vec<u8>),
}

impl Target {
    pub(super) fn path(&self) -> &[u8] {
        match self {
            Self::Directory(path) | Self::File(path) => path,
        }
    }

    /// The path of a file with a name.
    pub(super) fn of(&self, name: &[u8]) -> Vec<u8> {
        match self {
            Self::Directory(path) => join(path, name),
            Self::File(path) => path.clone(),
        }
    }
}

/// Follows the destination through links, which stay in the image, and makes its directories.
pub(super) fn target(plan: &mut Plan, request: &CopyRequest, sources: &[Source]) -> Result<Target> {
    let text = request.destination.as_str();
    let absolute = match text.starts_with('/') {
        true => text.to_owned(),
        false => format!("{}/{text}", request.working_directory),
    };
    let path = super::select::clean(&absolute).into_bytes();
    let wants_directory = says_directory(text)
        || request.parents
        || sources.is_empty()
        || !(sources.len() == 1 || is_written_over(request))
        || sources.iter().any(is_directory);
    let found = match plan.resolve(&path)? {
        Resolution::Blocked(at) => return Err(super::plan::cannot_copy_to(&at)),
        Resolution::Missing(found)
            if wants_directory || becomes_directory(plan, request, &path)? =>
        {
            let target = plan.directory(&found).map(Target::Directory)?;
            return named(sources, target, request);
        }
        Resolution::Missing(found) => return named(sources, Target::File(found), request),
        Resolution::Found(found) => found,
    };
    let is_directory = plan.lookup(&found)?.is_some_and(|node| node.kind == Kind::Directory);
    match (is_directory, wants_directory) {
        (true, _) => {
            let target = plan.directory(&found).map(Target::Directory)?;
            named(sources, target, request)
        }
        (false, true) => {
            let subject = format!("destination {}", shown(&path));
            let detail = "already exists but is not a directory: cannot copy to non-directory";
            Err(Error::new(ErrorKind::Invalid, subject, detail))
        }
        (false, false) if request.dialect.does(Behavior::DestinationLinkIsFollowed) => {
            named(sources, Target::File(found), request)
        }
        (false, false) => {
            let (parent, name) = parent_and_name(&path);
            let path = join(&plan.directory(parent)?, name);
            named(sources, Target::File(path), request)
        }
    }
}

/// Whether a destination is a directory by the way it is written. Nothing at all is the working directory.
fn says_directory(text: &str) -> bool {
    matches!(text, "" | "." | "..") || ["/", "/.", "/.."].iter().any(|end| text.ends_with(end))
}

/// Whether the files of one pattern go to one name, each over the one before, where no directory has it: as with
/// BuildKit and buildah.
fn is_written_over(request: &CopyRequest) -> bool {
    request.sources.len() == 1 && !request.parents && !says_directory(&request.destination)
}

/// What to say of a destination that may be another one than was meant.
pub(super) fn warning(request: &CopyRequest, sources: &[Source]) -> Option<String> {
    if request.destination.is_empty() {
        let said = "the destination is empty, which is the working directory: a variable in it may have no value";
        return Some(said.to_owned());
    }
    let is_meant =
        sources.len() < 2 || !is_written_over(request) || sources.iter().any(is_directory);
    (!is_meant).then(|| {
        let (number, name) = (sources.len(), &request.destination);
        format!(
            "{number} files are written to {name}, each over the one before, if it is no directory: {name}/ is one"
        )
    })
}

/// Whether a link that leads nowhere becomes a directory with the file, as Buildah has it.
fn becomes_directory(plan: &mut Plan, request: &CopyRequest, path: &[u8]) -> Result<bool> {
    if request.dialect.does(Behavior::DanglingDestinationIsFollowed) {
        return Ok(false);
    }
    let (parent, name) = parent_and_name(path);
    let Resolution::Found(parent) = plan.resolve(parent)? else { return Ok(false) };
    let node = plan.lookup(&join(&parent, name))?;
    Ok(node.is_some_and(|node| node.kind == Kind::Symlink))
}

/// Refuses a file without a name where it needs one.
fn named(sources: &[Source], target: Target, request: &CopyRequest) -> Result<Target> {
    if let Target::Directory(_) = target {
        for source in sources {
            if let Source::Remote(remote) = source {
                let remote = remote::locked(remote);
                if remote.name.is_none() && !remote.unpack {
                    let detail = format!(
                        "cannot determine filename from URL, and the destination {:?} is a \
                         directory",
                        request.destination
                    );
                    return Err(Error::new(ErrorKind::Invalid, remote.shown_url(), detail)
                        .with_hint("end the destination with the name that the file shall have"));
                }
            }
        }
    }
    Ok(target)
}

/// Whether a source goes into a directory whatever the destination looks like.
fn is_directory(source: &Source) -> bool {
    match source {
        Source::Selection(found) => found.is_directory || found.leads_to_directory,
        Source::Archive(_) | Source::Repository { .. } => true,
        Source::Remote(remote) => remote::locked(remote).unpack,
        Source::File { .. } => false,
    }
}
