//! COPY and ADD in a stage.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use cask_containerfile::instruction::{Add, Copy, CopySource};
use cask_containerfile::{Behavior, Heredoc, Word, expand};
use cask_layer::FileTimes;
use cask_runtime::Cancel;
use cask_storage::{Id, StageOptions, StagedLayer, Store};

use super::engine::Engine;
use super::sources::NamedContext;
use super::stage::{Ground, Layered, Made, StageRun, unbuilt};
use crate::context::Context;
use crate::copy::{AddOptions, CopyItem, CopyRequest, CopyTools, Prepared, WriteOptions, prepare};
use crate::key::KeyParts;
use crate::view::View;
use crate::{Error, ErrorKind, Result, history};

/// The most files whose digests are kept with a record.
const MAX_COMPONENTS: usize = 2000;

/// How many bytes of a layer are handed over at a time, and how many times.
const BLOCK_BYTES: usize = 256 << 10;
const BLOCKS: usize = 4;

/// Where `--from` takes files.
pub(crate) enum From {
    /// A named context.
    Files(Arc<Context>),
    /// The files of a stage or an image, by its uppermost layer.
    Layers { name: String, top: Option<Id> },
}

/// The name of the file that a heredoc becomes. As with BuildKit, `..` leads nowhere, and directories
/// would have to be there.
fn heredoc_name(name: &str) -> Result<String> {
    let mut parts = Vec::new();
    for part in name.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    match parts.as_slice() {
        [name] => Ok((*name).to_owned()),
        _ => {
            let text = "a heredoc is named as a file: name its directory in the destination";
            Err(Error::new(ErrorKind::Invalid, format!("<<{name}"), text))
        }
    }
}

impl From {
    /// What can be copied of.
    pub(crate) fn context(&self, store: &Store) -> Result<Arc<Context>> {
        match self {
            Self::Files(context) => Ok(Arc::clone(context)),
            Self::Layers { name, top } => {
                let view = View::of_store(store, top.as_ref())?;
                Ok(Arc::new(Context::of_view(name.clone(), view)))
            }
        }
    }
}

impl Engine {
    /// Does something with what copying is done with.
    pub(crate) fn with_copy_tools<T>(
        &self,
        action: impl FnOnce(&CopyTools<'_>) -> Result<T>,
    ) -> Result<T> {
        let sources = &self.tools.sources;
        let mut tools = CopyTools::new(self.scratch()?);
        tools.stat_cache = self.tools.stat_cache.as_deref();
        tools.fetch = sources.fetch.as_deref().map(|fetch| fetch as _);
        tools.git = sources.git.as_deref();
        action(&tools)
    }
}

impl StageRun<'_> {
    /// COPY.
    pub(crate) fn copy(&mut self, copy: &Copy) -> Result<Layered> {
        let context = match &copy.from {
            None => Arc::clone(&self.engine.tools.sources.context),
            Some(word) => self.from(&word.text)?.context(&self.engine.tools.store)?,
        };
        let mut request = self.request(context, &copy.sources, &copy.destination)?;
        request.owner = self.optional(copy.owner.as_ref())?;
        request.mode = self.optional(copy.mode.as_ref())?;
        request.excludes = self.expand_all(&copy.excludes)?;
        request.parents = copy.parents;
        request.link = copy.link;
        self.copy_layer("COPY", &request)
    }

    /// ADD.
    pub(crate) fn add(&mut self, add: &Add) -> Result<Layered> {
        let context = Arc::clone(&self.engine.tools.sources.context);
        let mut request = self.request(context, &add.sources, &add.destination)?;
        request.owner = self.optional(add.owner.as_ref())?;
        request.mode = self.optional(add.mode.as_ref())?;
        request.excludes = self.expand_all(&add.excludes)?;
        request.link = add.link;
        request.add = Some(AddOptions {
            checksum: self.optional(add.checksum.as_ref())?,
            unpack: add.unpack,
            keep_git_dir: add.keep_git_dir,
        });
        self.copy_layer("ADD", &request)
    }

    /// FROM a named context that has files: they are the first layer.
    pub(crate) fn base_files(&mut self, context: Arc<Context>) -> Result<Layered> {
        let mut request = CopyRequest::new(context, "/");
        request.dialect = self.dialect();
        request.sources.push(CopyItem::Path(".".to_owned()));
        self.copy_layer("COPY", &request)
    }

    /// What `--from` means: a named context, a stage, or an image.
    pub(crate) fn from(&self, word: &str) -> Result<From> {
        let name = match self.dialect().does(Behavior::CopyFromExpands) {
            true => self.expand(word)?,
            false => word.to_owned(),
        };
        let platform = self.engine.platform(self.id);
        let named = |name: &str| self.engine.tools.sources.named(name);
        let meant = match (named(&name), platform.stage_named(&name, self.id.1)) {
            (Some(meant), _) => Some(meant),
            // A stage that the caller gave another meaning has it by its number too, as with peers.
            (None, Some(index)) => platform.replaced(index).and_then(named),
            (None, None) => None,
        };
        let reference = match meant {
            Some(NamedContext::Files(context)) => return Ok(From::Files(Arc::clone(context))),
            Some(NamedContext::Image(reference)) => reference.clone(),
            None => match platform.stage_named(&name, self.id.1) {
                Some(index) => {
                    let stage = self.engine.stage((self.id.0, index));
                    let state = stage.ok_or_else(|| unbuilt(index))?;
                    return Ok(From::Layers { name, top: state.top().cloned() });
                }
                None => name.clone(),
            },
        };
        if reference == "scratch" {
            return Ok(From::Layers { name, top: None });
        }
        let image = self.engine.base(&reference, &platform.bases[self.id.1].platform);
        let image = image.map_err(|error| platform.no_stage_either(error, &name))?;
        let record = self.engine.tools.store.image(&image.id);
        let record = record.map_err(|error| Error::storage(error, &name))?;
        let record = record.ok_or_else(|| {
            Error::new(ErrorKind::Missing, &name, "the image is no longer in the store")
        })?;
        Ok(From::Layers { name, top: record.top_layer.clone() })
    }

    fn optional(&self, word: Option<&Word>) -> Result<Option<String>> {
        word.map(|word| self.expand(&word.text)).transpose()
    }

    fn expand_all(&self, words: &[Word]) -> Result<Vec<String>> {
        words.iter().map(|word| self.expand(&word.text)).collect()
    }

    fn request(
        &self,
        context: Arc<Context>,
        sources: &[CopySource],
        destination: &Word,
    ) -> Result<CopyRequest> {
        let mut request = CopyRequest::new(context, self.expand(&destination.text)?);
        request.working_directory.clone_from(&self.state.config.config.working_dir);
        request.dialect = self.dialect();
        for source in sources {
            request.sources.push(match source {
                CopySource::Path(word) => CopyItem::Path(self.expand(&word.text)?),
                CopySource::Heredoc(heredoc) => self.heredoc(heredoc)?,
                _ => {
                    return Err(Error::new(
                        ErrorKind::Invalid,
                        "COPY",
                        "a source is of no known kind",
                    ));
                }
            });
        }
        Ok(request)
    }

    fn heredoc(&self, heredoc: &Heredoc) -> Result<CopyItem> {
        let mut text = heredoc.content();
        if heredoc.expands {
            let mut options = self.plan.expansion(self.dialect());
            options.literal_quotes = true;
            text = expand(&text, &self.state.scope, &options)
                .map_err(|error| Error::new(ErrorKind::Invalid, "", error.to_string()))?
                .text;
        }
        Ok(CopyItem::File { name: heredoc_name(&heredoc.name)?, contents: text.into_bytes() })
    }

    fn copy_layer(&mut self, verb: &str, request: &CopyRequest) -> Result<Layered> {
        let engine = self.engine;
        let prepared = engine.with_copy_tools(|tools| prepare(request, tools))?;
        engine.warn_of(Some(&self.step), &prepared);
        super::engine::lock(&engine.materials).extend(prepared.materials());
        let ground = match prepared.depends_on_stage() {
            true => Ground::Stage,
            false => Ground::Nothing,
        };
        let mut parts = match ground {
            Ground::Stage => self.key_parts(verb),
            Ground::Nothing => self.key_parts_of_link(verb),
        };
        parts.add("instruction", shown(verb, request));
        if request.link {
            parts.add("--link", "");
        }
        for pattern in &request.excludes {
            parts.add("--exclude", pattern);
        }
        parts.add("working directory", &request.working_directory);
        parts.add("files", prepared.digest());
        for component in prepared.components(MAX_COMPONENTS) {
            parts.detail(component.path, component.digest);
        }
        let layered = self.layered(&parts, ground, |run| run.write_layer(&prepared, ground))?;
        let created_by = match self.dialect().does(Behavior::HistoryHasMarker) {
            true => history::buildkit(&shown(verb, request), true),
            false => {
                let what = format!("{}:{}", prepared.kind(), prepared.digest().hex());
                history::buildah_copy(verb, &what, &request.destination)
            }
        };
        self.note_as(created_by, true);
        Ok(layered)
    }

    /// The parts that the key of a layer begins with that rests on nothing of the stage.
    fn key_parts_of_link(&self, verb: &str) -> KeyParts {
        let mut parts = KeyParts::new(verb);
        parts.add("parent", "any");
        let date = self.engine.pinned_date().map(|date| date.to_string());
        parts.add("date", date.unwrap_or_default());
        self.add_dates(&mut parts);
        parts
    }

    /// Writes what was prepared, straight into the store.
    fn write_layer(&mut self, prepared: &Prepared, ground: Ground) -> Result<Made> {
        let engine = self.engine;
        let store = &engine.tools.store;
        let view = View::of_store(store, self.state.top())?;
        let dates = &engine.request.image.dates;
        let times = match (dates.timestamp, dates.source_date_epoch) {
            (Some(time), _) => FileTimes::Set(time),
            (None, Some(time)) if dates.rewrite => FileTimes::Clamp(time),
            _ => FileTimes::Keep,
        };
        let newest = prepared.newest_seconds().unwrap_or(0);
        let created_seconds = match ground {
            Ground::Stage => self.state.date,
            // Whatever the stage is: the layer is the same.
            Ground::Nothing => engine.pinned_date().unwrap_or(newest),
        };
        let mut options = WriteOptions { created_seconds, times, ..WriteOptions::default() };
        if let Ground::Stage = ground {
            let user = &self.state.config.config.user;
            options.directories.clone_from(&self.state.pending.volumes);
            options.working_directory =
                self.state.pending.working.clone().map(|path| (path, user.clone()));
        }
        let staged = engine.with_copy_tools(|tools| {
            stage_written(store, &engine.cancel, |output| {
                prepared.write(&view, tools, &options, output).map(drop)
            })
        })?;
        // What was downloaded says only now how old it is.
        let newest = prepared.newest_seconds().unwrap_or(0);
        let date = match ground {
            Ground::Stage => newest.max(self.state.date),
            Ground::Nothing => newest,
        };
        Ok(Made { staged: Some(staged), date, cpu: Duration::ZERO })
    }
}

/// The instruction as BuildKit's history has it: what is in the context before what is in the Containerfile.
///
/// Source: BuildKit, `dispatchCopy`.
fn shown(verb: &str, request: &CopyRequest) -> String {
    let mut words = vec![verb.to_owned()];
    if request.parents {
        words.push("--parents".to_owned());
    }
    words.extend(request.owner.as_ref().map(|owner| format!("--chown={owner}")));
    words.extend(request.mode.as_ref().map(|mode| format!("--chmod={mode}")));
    words.extend(request.sources.iter().filter_map(|source| match source {
        CopyItem::Path(path) => Some(crate::context::redacted(path)),
        CopyItem::File { .. } => None,
    }));
    words.extend(request.sources.iter().filter_map(|source| match source {
        CopyItem::Path(_) => None,
        CopyItem::File { name, .. } => Some(format!("<<{name}")),
    }));
    words.push(request.destination.clone());
    words.join(" ")
}

/// Stages a layer that is being written on another thread.
pub(crate) fn stage_written(
    store: &Store,
    cancel: &Cancel,
    write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
) -> Result<StagedLayer> {
    let (sender, blocks) = sync_channel(BLOCKS);
    thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let mut output = Output { sender: Some(sender), block: Vec::new(), cancel };
            let written = write(&mut output).and_then(|()| {
                output
                    .send()
                    .map_err(|error| Error::io(error, "cannot be written", Path::new("the layer")))
            });
            if written.is_err() {
                // What came so far must not look whole.
                output.fail();
            }
            written
        });
        let input = Input { blocks, block: Vec::new(), position: 0 };
        let staged = store.stage_layer(input, &StageOptions::default());
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (written, staged) {
            (Ok(()), Ok(staged)) => Ok(staged),
            _ if cancel.is_cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "the build", "it was stopped"))
            }
            // The writer fails, too, where the store does not take more.
            (_, Err(error)) if error.kind() != cask_storage::ErrorKind::Input => {
                Err(Error::storage(error, "the new layer"))
            }
            (Err(error), _) => Err(error),
            (Ok(()), Err(error)) => Err(Error::storage(error, "the new layer")),
        }
    })
}

type Block = io::Result<Vec<u8>>;

struct Output<'a> {
    sender: Option<SyncSender<Block>>,
    block: Vec<u8>,
    cancel: &'a Cancel,
}

impl Output<'_> {
    fn send(&mut self) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("the build was stopped"));
        }
        let block = std::mem::take(&mut self.block);
        let sender = self.sender.as_ref().filter(|_| !block.is_empty());
        match sender.map(|sender| sender.send(Ok(block))) {
            Some(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            _ => Ok(()),
        }
    }

    fn fail(&mut self) {
        if let Some(sender) = self.sender.take() {
            // Nobody may listen any more.
            let _ = sender.send(Err(io::Error::other("the layer was not written to its end")));
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.capacity() == 0 {
            self.block.reserve(BLOCK_BYTES);
        }
        let count = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() >= BLOCK_BYTES {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

struct Input {
    blocks: Receiver<Block>,
    block: Vec<u8>,
    position: usize,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.block.len() {
            match self.blocks.recv() {
                Ok(block) => (self.block, self.position) = (block?, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.block.len() - self.position);
        buffer[..count].copy_from_slice(&self.block[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}
