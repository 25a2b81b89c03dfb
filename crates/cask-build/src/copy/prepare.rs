//! Selecting and hashing.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use cask_containerfile::Behavior;
use cask_image::{Algorithm, Digest};

use super::content::hash;
use super::mode::ModeChange;
use super::prepared::{Prepared, Source};
use super::remote::{Place, Remote, place};
use super::select::{Selection, Selector};
use super::{AddOptions, CopyItem, CopyRequest, CopyTools, archive, glob};
use crate::context::GitLocation;
use crate::{Error, ErrorKind, Result};

/// A source before its files are hashed.
enum Found {
    /// The number of a selection.
    Selection(usize),
    Other(Source),
}

/// Selects and hashes what a COPY or ADD would bring, and copies nothing.
///
/// Files that the stat cache knows are not opened. What an ADD gets from an URL is fetched, unless
/// `--checksum` says what it is; of a repository, the commit is asked for unless the URL names it.
///
/// # Errors
/// [`ErrorKind::Missing`] for a source that is not there, or that an ignore file hides, with the line
/// that does, and for patterns where none of all sources has a match; [`ErrorKind::Invalid`] for
/// options that make no sense, URLs in a COPY, sockets, and names that begin with `.wh.`;
/// [`ErrorKind::Mismatch`] for a file that changes while it is read; [`ErrorKind::Fetch`];
/// [`ErrorKind::Limit`] for more than 5,000,000 files; [`ErrorKind::Io`].
pub fn prepare(request: &CopyRequest, tools: &CopyTools<'_>) -> Result<Prepared> {
    check(request)?;
    let mode = request.mode.as_deref().map(ModeChange::parse).transpose()?;
    if let (Some(ModeChange::Edit(_)), Some(text)) = (&mode, &request.mode)
        && !request.dialect.does(Behavior::ChmodMayBeSymbolic)
    {
        // The words are buildah's.
        let detail = format!("Error parsing chmod {text}");
        return Err(Error::new(ErrorKind::Invalid, request.verb(), detail));
    }
    let began = SystemTime::now();
    let mut selector = Selector::new(&request.context, &request.excludes, request.dialect)?;
    selector.keep_links = request.keep_links;
    let (found, mut selections) = match select(request, tools, &mut selector) {
        Ok(selected) => selected,
        // What is not there may have been meant by an exception.
        Err(error) => {
            return Err(match selector.lost_exceptions().first() {
                Some(lost) if error.kind() == ErrorKind::Missing => {
                    error.with_hint(lost.to_string())
                }
                _ => error,
            });
        }
    };
    hash(&mut selections, tools)?;
    let mut selections: Vec<Option<Selection>> = selections.into_iter().map(Some).collect();
    let mut sources = Vec::new();
    for one in found {
        sources.push(match one {
            Found::Other(source) => source,
            Found::Selection(index) => {
                let selection = selections[index].take().expect("each is named once");
                source(request, selection)?
            }
        });
    }
    let mut warnings = std::mem::take(&mut selector.warnings);
    warnings.extend(super::destination::warning(request, &sources));
    let lost = selector.lost_exceptions();
    let request = request.clone();
    let digest = Digest::from_hash(Algorithm::Sha256, &[0; 32]);
    let mut prepared = Prepared { request, sources, mode, began, warnings, lost, digest };
    prepared.seal();
    Ok(prepared)
}

/// What the sources are, before files are hashed.
fn select(
    request: &CopyRequest,
    tools: &CopyTools<'_>,
    selector: &mut Selector<'_>,
) -> Result<(Vec<Found>, Vec<Selection>)> {
    let mut selections: Vec<Selection> = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    let mut unmatched = Vec::new();
    for item in &request.sources {
        let text = match item {
            CopyItem::File { name, contents } => {
                let contents = contents.as_slice().into();
                found.push(Found::Other(Source::File { name: name.clone(), contents }));
                continue;
            }
            CopyItem::Path(text) => text,
        };
        if let Some(options) = &request.add
            && let Some(source) = elsewhere(text, options, tools)?
        {
            found.push(Found::Other(source));
            continue;
        }
        let selected = match request.parents {
            true => selector.select_with_parents(text)?,
            false => selector.select(text)?,
        };
        if selected.is_empty() && glob::is_pattern(text) {
            unmatched.push(text.as_str());
        }
        for selection in selected {
            found.push(Found::Selection(selections.len()));
            selections.push(selection);
        }
    }
    let may_be_nothing =
        request.allow_empty_wildcard || request.dialect.does(Behavior::GlobMayMatchNothing);
    if found.is_empty() && !unmatched.is_empty() && !may_be_nothing {
        return Err(no_match(request, &unmatched, selector.hidden));
    }
    Ok((found, selections))
}

/// Refuses what cannot be meant.
fn check(request: &CopyRequest) -> Result<()> {
    let verb = request.verb();
    let refuse = |detail: &str| Err(Error::new(ErrorKind::Invalid, verb, detail));
    if request.sources.is_empty() {
        return refuse("requires at least two arguments");
    }
    let Some(add) = &request.add else {
        for item in &request.sources {
            let CopyItem::Path(text) = item else { continue };
            match place(text)? {
                Place::Path => {}
                Place::Url => return refuse("source can't be a URL for COPY"),
                Place::Repository(_) => return refuse("source can't be a git ref for COPY"),
            }
        }
        return Ok(());
    };
    if request.parents {
        return refuse("--parents is of COPY alone");
    }
    if add.checksum.is_some() {
        let [CopyItem::Path(text)] = request.sources.as_slice() else {
            return refuse("checksum can't be specified for multiple sources");
        };
        if let Place::Path = place(text)? {
            return refuse("checksum requires HTTP(S) or Git sources");
        }
    }
    Ok(())
}

/// A source that is an URL.
fn elsewhere(text: &str, options: &AddOptions, tools: &CopyTools<'_>) -> Result<Option<Source>> {
    match place(text)? {
        Place::Path => Ok(None),
        Place::Url => {
            let remote = Remote::prepare(text, options, tools)?;
            Ok(Some(Source::Remote(Mutex::new(remote))))
        }
        Place::Repository(location) => repository(location, options, tools).map(Some),
    }
}

fn repository(
    mut location: Box<GitLocation>,
    options: &AddOptions,
    tools: &CopyTools<'_>,
) -> Result<Source> {
    if let Some(checksum) = &options.checksum {
        let is_hex = checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(7..=64).contains(&checksum.len()) {
            let detail = "of a repository is 7 to 64 hexadecimal digits of a commit";
            return Err(Error::new(ErrorKind::Invalid, format!("--checksum={checksum}"), detail));
        }
        if location.checksum.as_ref().is_some_and(|before| before != checksum) {
            let detail = "the URL demands another checksum";
            return Err(Error::new(ErrorKind::Invalid, format!("--checksum={checksum}"), detail));
        }
        location.checksum = Some(checksum.clone());
    }
    if let Some(keep) = options.keep_git_dir {
        location.keep_git_dir = Some(keep);
    }
    let git = tools.git.ok_or_else(|| {
        let detail = "no git program was given that could fetch it";
        Error::new(ErrorKind::Invalid, &location, detail)
    })?;
    let commit = git.resolve(&location)?;
    Ok(Source::Repository { location, commit })
}

/// A selection as a source: an archive if it is one, and an ADD takes archives apart.
fn source(request: &CopyRequest, selection: Selection) -> Result<Source> {
    let unpacks = request.add.as_ref().is_some_and(|add| add.unpack != Some(false));
    if unpacks
        && !selection.is_directory
        && let Some(entry) = selection.entries.first().filter(|entry| entry.status.is_file())
    {
        let mut walker = selection.view.walker();
        let mut file = walker.open(&selection.path(entry))?;
        if archive::is_archive(&mut file) {
            return Ok(Source::Archive(Arc::new(selection)));
        }
    }
    Ok(Source::Selection(Arc::new(selection)))
}

fn no_match(request: &CopyRequest, patterns: &[&str], hidden: usize) -> Error {
    let patterns: Vec<String> = patterns.iter().map(|pattern| format!("{pattern:?}")).collect();
    let context = request.context.name();
    let detail = match (hidden, request.context.ignore_file()) {
        (1.., Some(file)) => format!(
            "no items matching glob {} copied ({hidden} filtered out using {file}): no such file \
             or directory in {context}",
            patterns.join(", ")
        ),
        _ => format!(
            "no items matching glob {} copied: no such file or directory in {context}",
            patterns.join(", ")
        ),
    };
    Error::new(ErrorKind::Missing, request.verb(), detail)
}
