//! What puts members in order: the part of a writer that its slots share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::encode::{Entry, encode};
use crate::error::{Error, ErrorKind, Result};
use crate::file::shift;
use crate::header::BLOCK_BYTES;
use crate::member::{Member, MemberKind, padded};
use crate::name::{BadName, MAX_NAME_BYTES, normalised};
use crate::slot::{Body, Place, Slot};
use crate::writer::WriteOptions;

/// Two blocks of zeros end an archive.
const END_MARKER: [u8; 2 * BLOCK_BYTES as usize] = [0; 2 * BLOCK_BYTES as usize];

/// What slots and the writer share.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    options: WriteOptions,
    pub(crate) sink: Sink,
    pub(crate) spool_directory: PathBuf,
    state: Mutex<State>,
}

/// Where the bytes go.
pub(crate) enum Sink {
    File(Arc<File>),
    Stream(Mutex<Box<dyn Write + Send>>),
}

#[derive(Debug, Default)]
struct State {
    /// Where the next member begins that gets its place.
    end: u64,
    /// The first member whose place or size is not known yet, and all that follow it.
    queue: VecDeque<Queued>,
    /// The members that are being written, and their names.
    open: BTreeMap<u64, Option<String>>,
    /// The names that are taken, and whether by a directory.
    names: HashMap<String, bool>,
    next_ticket: u64,
    /// Why no archive can come of this any more.
    broken: Option<String>,
}

#[derive(Debug)]
struct Queued {
    ticket: u64,
    kind: Kind,
    /// The size, if it was announced.
    size: Option<u64>,
    body: Arc<Mutex<Body>>,
}

/// What a member that is being written is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink(String),
}

/// Locks, even if another thread panicked: the state says itself whether it is usable.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    pub(crate) fn stream_to(stream: Box<dyn Write + Send>) -> Self {
        Self::Stream(Mutex::new(stream))
    }

    /// The file. Only a file has members that are settled, and only it is asked.
    pub(crate) fn file(&self) -> &File {
        match self {
            Self::File(file) => file,
            Self::Stream(_) => unreachable!("nothing is settled in a stream"),
        }
    }

    /// The stream. Only a stream has members that are streamed, and only it is asked.
    pub(crate) fn stream(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        match self {
            Self::Stream(stream) => locked(stream),
            Self::File(_) => unreachable!("nothing is streamed into a file"),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all_at(bytes, offset),
            Self::Stream(stream) => locked(stream).write_all(bytes),
        }
    }
}

impl Shared {
    pub(crate) fn new(path: &Path, options: WriteOptions, sink: Sink, directory: PathBuf) -> Self {
        let spool_directory = options.spool_directory.clone().unwrap_or(directory);
        Self {
            path: path.to_owned(),
            options,
            sink,
            spool_directory,
            state: Mutex::new(State::default()),
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        locked(&self.state).names.contains_key(name)
    }

    pub(crate) fn has_directory(&self, name: &str) -> bool {
        locked(&self.state).names.get(name) == Some(&true)
    }

    /// Takes a member of another archive for written.
    pub(crate) fn take_over(&self, member: &Member) -> Result<()> {
        let Ok(name) = std::str::from_utf8(&member.name) else {
            let detail = "a name that is no UTF-8 cannot be kept";
            return Err(self.error(ErrorKind::Unsupported, detail).member(&member.name));
        };
        let is_directory = member.kind == MemberKind::Directory;
        let mut state = locked(&self.state);
        if let Some(other) = state.names.insert(name.to_owned(), is_directory)
            && !(other && is_directory)
        {
            let detail = "the archive has two members of this name";
            return Err(self.error(ErrorKind::Duplicate, detail).member(&member.name));
        }
        Ok(())
    }

    /// Continues behind what was taken over.
    pub(crate) fn begin_at(&self, end: u64) {
        locked(&self.state).end = end;
    }

    /// Begins a member: in its place if that is known, and waiting for it if not.
    pub(crate) fn begin(
        this: &Arc<Self>,
        name: Option<&str>,
        kind: Kind,
        size: Option<u64>,
    ) -> Result<Slot> {
        if let Kind::Symlink(target) = &kind {
            this.check_target(name, target)?;
        }
        let mut state = locked(&this.state);
        this.check_usable(&state)?;
        if let Some(name) = name {
            this.take_name(&mut state, name, &kind)?;
        }
        let place = this.place(&mut state, name, &kind, size)?;
        let is_settled = matches!(place, Place::Settled { .. }) && size.is_some();
        let name = name.map(str::to_owned);
        let body =
            Arc::new(Mutex::new(Body { place, name: name.clone(), written: 0, finished: false }));
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.open.insert(ticket, name);
        if !is_settled {
            state.queue.push_back(Queued { ticket, kind, size, body: Arc::clone(&body) });
        }
        Ok(Slot::new(Arc::clone(this), body, ticket, size))
    }

    /// Where the data of a new member goes.
    fn place(
        &self,
        state: &mut State,
        name: Option<&str>,
        kind: &Kind,
        size: Option<u64>,
    ) -> Result<Place> {
        if !state.queue.is_empty() {
            return Ok(Place::Memory(Vec::new()));
        }
        let header_offset = state.end;
        match (&self.sink, size, name) {
            (Sink::File(_), Some(size), Some(name)) => {
                let header = self.write_header(state, name, kind, size)?;
                let data_offset = header_offset + header;
                state.end = data_offset + padded(size);
                Ok(Place::Settled { header_offset, data_offset })
            }
            // The header is written when the size is known; mostly it is one block.
            (Sink::File(_), ..) => {
                Ok(Place::Settled { header_offset, data_offset: header_offset + BLOCK_BYTES })
            }
            (Sink::Stream(_), Some(size), Some(name)) => {
                state.end += self.write_header(state, name, kind, size)?;
                Ok(Place::Streamed)
            }
            (Sink::Stream(_), ..) => Ok(Place::Memory(Vec::new())),
        }
    }

    /// Completes a member, and then everything that waited only for it.
    pub(crate) fn complete(
        &self,
        body: &Mutex<Body>,
        ticket: u64,
        size: Option<u64>,
        name: Option<&str>,
    ) -> Result<()> {
        let mut state = locked(&self.state);
        self.check_usable(&state)?;
        {
            let mut body = locked(body);
            if let Some(size) = size
                && size != body.written
            {
                let detail = format!("{} bytes of data, but {size} were announced", body.written);
                return Err(self.member_error(ErrorKind::WrongSize, &body, detail));
            }
            if let Some(name) = name {
                self.take_name(&mut state, name, &Kind::File)?;
                if let Some(old) = body.name.replace(name.to_owned()) {
                    state.names.remove(&old);
                }
            }
            if body.name.is_none() {
                let detail = "a member was finished without a name";
                return Err(self.error(ErrorKind::Unfinished, detail));
            }
            body.finished = true;
            state.open.remove(&ticket);
            if state.position(ticket).is_none() {
                return self.pad(&mut state, &body);
            }
        }
        self.drain(&mut state)
    }

    /// Gives up a member that was not completed.
    pub(crate) fn abandon(&self, body: &Mutex<Body>, ticket: u64, size: Option<u64>) {
        let mut state = locked(&self.state);
        let body = locked(body);
        state.open.remove(&ticket);
        if let Some(name) = &body.name {
            state.names.remove(name);
        }
        let removable = match (&body.place, state.position(ticket)) {
            (Place::Streamed, _) | (_, None) => false,
            (_, Some(position)) => state.queue.remove(position).is_some(),
        };
        let last = match (&body.place, size) {
            (Place::Settled { header_offset, data_offset }, Some(size)) => {
                (data_offset + padded(size) == state.end).then_some(*header_offset)
            }
            _ => None,
        };
        match last.filter(|_| state.queue.is_empty()) {
            _ if removable => {}
            Some(end) => state.end = end,
            None => {
                let name = body.name.as_deref().unwrap_or("without a name");
                state.broken = Some(format!("the member {name:?} was begun and given up"));
            }
        }
        drop(body);
        if state.broken.is_none() {
            // An error is kept in the state, and given to whoever comes next.
            let _ = self.drain(&mut state);
        }
    }

    /// Gives places to members at the front of the queue, as long as their sizes are known.
    fn drain(&self, state: &mut State) -> Result<()> {
        while let Some(front) = state.queue.front() {
            let (kind, size) = (front.kind.clone(), front.size);
            let body = Arc::clone(&front.body);
            let mut body = locked(&body);
            let size = size.or_else(|| body.finished.then_some(body.written));
            let named = body.name.clone();
            let (Some(size), Some(name)) = (size, named) else {
                return self.settle_open_end(state, &mut body);
            };
            let done = match &self.sink {
                Sink::File(file) => self.settle(state, &mut body, file, &name, &kind, size)?,
                Sink::Stream(_) => self.stream(state, &mut body, &name, &kind, size)?,
            };
            if !done {
                return Ok(());
            }
            state.queue.pop_front();
        }
        Ok(())
    }

    /// The front of the queue is still being written, and its size unknown: in a file, it goes on
    /// where it belongs.
    fn settle_open_end(&self, state: &mut State, body: &mut Body) -> Result<()> {
        let Sink::File(file) = &self.sink else { return Ok(()) };
        if matches!(body.place, Place::Settled { .. }) {
            return Ok(());
        }
        let header_offset = state.end;
        let result = body.settle(file, header_offset, header_offset + BLOCK_BYTES);
        self.noted(state, result)
    }

    /// Puts a member of known size in its place. True, for its room is fixed even while its data
    /// is still being written.
    fn settle(
        &self,
        state: &mut State,
        body: &mut Body,
        file: &File,
        name: &str,
        kind: &Kind,
        size: u64,
    ) -> Result<bool> {
        let header_offset = state.end;
        let header = self.write_header_length(name, kind, size);
        let data_offset = header_offset + header;
        if let Place::Settled { data_offset: old, .. } = body.place {
            // Data that was written where a header of one block ends makes room for a longer one.
            if data_offset > old {
                let result = shift(file, old, size, data_offset - old);
                self.noted(state, result)?;
            }
            body.place = Place::Settled { header_offset, data_offset };
        } else {
            let result = body.settle(file, header_offset, data_offset);
            self.noted(state, result)?;
        }
        self.write_header(state, name, kind, size)?;
        state.end = data_offset + padded(size);
        if body.finished {
            self.pad(state, body)?;
        }
        Ok(true)
    }

    /// Sends a member on its way; true if it is complete.
    fn stream(
        &self,
        state: &mut State,
        body: &mut Body,
        name: &str,
        kind: &Kind,
        size: u64,
    ) -> Result<bool> {
        if !matches!(body.place, Place::Streamed) {
            state.end += self.write_header(state, name, kind, size)?;
            let result = body.stream_to(&mut **self.sink.stream());
            self.noted(state, result)?;
        }
        if !body.finished {
            return Ok(false);
        }
        self.pad(state, body)?;
        state.end += padded(size);
        Ok(true)
    }

    /// Writes the zeros between a member's data and the next block.
    fn pad(&self, state: &mut State, body: &Body) -> Result<()> {
        let padding = (padded(body.written) - body.written) as usize;
        let offset = match body.place {
            Place::Settled { data_offset, .. } => data_offset + body.written,
            _ => 0,
        };
        let result = self.sink.write_at(&END_MARKER[..padding], offset);
        self.noted(state, result)
    }

    /// Writes a header at the end, and gives its length.
    fn write_header(&self, state: &mut State, name: &str, kind: &Kind, size: u64) -> Result<u64> {
        let header = self.header(name, kind, size);
        let result = self.sink.write_at(&header, state.end);
        self.noted(state, result)?;
        Ok(header.len() as u64)
    }

    fn write_header_length(&self, name: &str, kind: &Kind, size: u64) -> u64 {
        self.header(name, kind, size).len() as u64
    }

    fn header(&self, name: &str, kind: &Kind, size: u64) -> Vec<u8> {
        let directory;
        let (name, type_flag, link, mode) = match kind {
            Kind::File => (name, b'0', "", self.options.file_mode),
            Kind::Directory => {
                directory = format!("{name}/");
                (&*directory, b'5', "", self.options.directory_mode)
            }
            Kind::Symlink(target) => (name, b'2', &**target, self.options.symlink_mode),
        };
        let modified = self.options.modified_seconds;
        encode(&Entry { name, type_flag, link, size, mode, modified })
    }

    /// Ends the archive and gives its size.
    pub(crate) fn end(&self) -> Result<u64> {
        let mut state = locked(&self.state);
        self.check_usable(&state)?;
        if let Some(name) = state.open.values().next() {
            let error = self.error(ErrorKind::Unfinished, "a member is still being written");
            return Err(match name {
                Some(name) => error.member(name.as_bytes()),
                None => error,
            });
        }
        let end = state.end;
        let result = match &self.sink {
            // Cuts off what a member may have left that was given up.
            Sink::File(file) => {
                file.set_len(end).and_then(|()| file.write_all_at(&END_MARKER, end))
            }
            Sink::Stream(stream) => {
                let mut stream = locked(stream);
                stream.write_all(&END_MARKER).and_then(|()| stream.flush())
            }
        };
        self.noted(&mut state, result)?;
        Ok(end + END_MARKER.len() as u64)
    }

    /// Keeps in mind that writing failed: what is in the archive is not known any more.
    fn noted(&self, state: &mut State, result: io::Result<()>) -> Result<()> {
        result.map_err(|error| {
            state.broken = Some(format!("writing failed before: {error}"));
            self.io(error)
        })
    }

    fn check_usable(&self, state: &State) -> Result<()> {
        match &state.broken {
            Some(why) => Err(self.error(ErrorKind::Unfinished, why.clone())),
            None => Ok(()),
        }
    }

    /// Marks a name as taken, if it may be.
    fn take_name(&self, state: &mut State, name: &str, kind: &Kind) -> Result<()> {
        let refused = |kind, detail| Err(self.error(kind, detail).member(name.as_bytes()));
        match normalised(name.as_bytes()) {
            Err(BadName(detail)) => return refused(ErrorKind::UnsafeName, detail),
            Ok(clean) if *clean != *name.as_bytes() || clean.is_empty() => {
                return refused(ErrorKind::UnsafeName, "the name is not in its simplest form");
            }
            Ok(_) => {}
        }
        if state.names.contains_key(name) {
            return refused(ErrorKind::Duplicate, "a member of this name was written before");
        }
        state.names.insert(name.to_owned(), matches!(kind, Kind::Directory));
        Ok(())
    }

    fn check_target(&self, name: Option<&str>, target: &str) -> Result<()> {
        if !target.is_empty() && target.len() <= MAX_NAME_BYTES && !target.contains('\0') {
            return Ok(());
        }
        let error = self.error(ErrorKind::UnsafeName, "a link with an unusable target");
        Err(error.member(name.unwrap_or_default().as_bytes()))
    }

    pub(crate) fn io(&self, error: io::Error) -> Error {
        Error::io("writing", &self.path, error)
    }

    pub(crate) fn member_io(&self, body: &Body, error: io::Error) -> Error {
        self.io(error).member(body.name.as_deref().unwrap_or_default().as_bytes())
    }

    pub(crate) fn member_error(&self, kind: ErrorKind, body: &Body, detail: String) -> Error {
        self.error(kind, detail).member(body.name.as_deref().unwrap_or_default().as_bytes())
    }

    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Error {
        Error::new(kind, "writing", &self.path, detail)
    }
}

impl State {
    /// Where a member is in the queue. Tickets grow along it.
    fn position(&self, ticket: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&ticket, |queued| queued.ticket).ok()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).finish_non_exhaustive()
    }
}
