//! Reading layers back as the tar streams that they came as.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cask_image::{Digest, Hasher};
use cask_layer::{Assemble, Files, TarSplitReader, assemble};
use cask_rootfs::{Directory, Root};

use crate::cache::not_found;
use crate::working::again;
use crate::{DriverKind, Error, ErrorKind, Id, Layer, Result, Store, driver};

/// The exact tar stream that a layer came as.
///
/// Every file is compared with its checksum while it is read: a stream of a layer that was changed
/// ends with an error, never too early.
pub struct LayerReader(Assemble<BufReader<File>, LayerFiles>);

impl Read for LayerReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::fmt::Debug for LayerReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LayerReader")
    }
}

impl Store {
    /// Reads a layer back, byte for byte as it came, uncompressed.
    ///
    /// No lock is held: a layer that is deleted meanwhile makes reading fail. Names from the stream
    /// resolve below the layer's own files, whatever links they go through.
    ///
    /// Where the recipe for the stream is lost, the files are put together anew: what a program of ours or buildah
    /// made gives the same stream once more.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the layer, and for layers of containers, which have no stream;
    /// [`ErrorKind::Corrupt`] where the recipe for it is lost and the files give another one;
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn read_layer(&self, id: &Id) -> Result<LayerReader> {
        let layer = self.layer(id)?.ok_or_else(|| not_found("reading layer", id))?;
        let place = &self.inner.places[layer.place];
        driver::check_plain(place, id, "reading layer")?;
        let path = place.tar_split_path(id);
        let split = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.recipe_anew(&layer)?,
            split => split.map_err(|error| Error::io(error, "opening", &path))?,
        };
        let mut roots = vec![place.layer_files(id)];
        if self.driver() == DriverKind::Overlay {
            // An ID map that is changed leaves older files behind.
            let directory = place.layer_directory(id);
            let older = (1..).map(|number| directory.join(format!("diff{number}")));
            roots.extend(older.take_while(|path| path.is_dir()));
        }
        let open = |path: PathBuf| {
            Root::open(&path).map(|root| (root, None)).map_err(|error| {
                Error::new(ErrorKind::Io, "opening", path.display()).with_source(error)
            })
        };
        let roots = roots.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        let stream = assemble(BufReader::new(split), LayerFiles { roots });
        let stream = stream.map_err(|error| Error::io(error, "reading", &path))?;
        Ok(LayerReader(stream))
    }

    /// Puts together anew the recipe for a layer's stream, from its files; only one for the very same stream will do.
    pub(crate) fn recipe_anew(&self, layer: &Layer) -> Result<File> {
        let place = &self.inner.places[layer.place];
        let path = place.tar_split_path(&layer.id);
        let Some(wanted) = &layer.diff_digest else {
            return Err(not_found("opening the recipe for the stream of layer", &layer.id));
        };
        let other = |detail: &'static str| {
            Error::new(ErrorKind::Corrupt, "reading layer", &layer.id)
                .with_detail(detail)
                .with_hint("fetch the image again to mend it")
        };
        if self.whiteouts_are_files() {
            return Err(other("the recipe for its tar stream is missing"));
        }
        let most = match self.driver() {
            DriverKind::Overlay => usize::MAX,
            // All files lie in one directory.
            DriverKind::Vfs => 1,
        };
        let below = self.layer_chain(&layer.id)?.into_iter().skip(1).take(most);
        let lowers = below.map(|lower| self.layer_files(&lower.id)).collect::<Result<Vec<_>>>()?;
        let files = self.layer_files(&layer.id)?;
        let (recipe, found) = again(self.driver(), &files, &lowers, &path)?;
        match found == *wanted {
            true => Ok(recipe),
            false => Err(other(
                "the recipe for its tar stream is missing, and its files now give another stream",
            )),
        }
    }

    /// Opens the directory of the files that a layer adds: with vfs, of all files up to it.
    ///
    /// Deletions lie in it as the driver has them. No lock is held.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the layer or its files; [`ErrorKind::Unsupported`] for layers of
    /// composefs or additional layer stores; [`ErrorKind::Io`].
    pub fn layer_files(&self, id: &Id) -> Result<Root> {
        let layer = self.layer(id)?.ok_or_else(|| not_found("opening layer", id))?;
        let place = &self.inner.places[layer.place];
        driver::check_plain(place, id, "opening layer")?;
        let path = place.layer_files(id);
        Root::open(&path).map_err(|error| {
            let kind = match error.kind() {
                cask_rootfs::ErrorKind::NotFound => ErrorKind::NotFound,
                cask_rootfs::ErrorKind::Denied => ErrorKind::Denied,
                _ => ErrorKind::Io,
            };
            Error::new(kind, "opening", path.display()).with_source(error)
        })
    }

    /// Opens the recipe for a layer's tar stream: all its headers, without the files' contents;
    /// `None` where there is none, as for layers of containers.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the layer; [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn layer_recipe(&self, id: &Id) -> Result<Option<TarSplitReader<BufReader<File>>>> {
        let layer = self.layer(id)?.ok_or_else(|| not_found("reading layer", id))?;
        let path = self.inner.places[layer.place].tar_split_path(id);
        let split = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| Error::io(error, "opening", &path))?,
        };
        let reader = TarSplitReader::new(BufReader::new(split));
        reader.map(Some).map_err(|error| Error::io(error, "reading", &path))
    }

    /// Whether layers say what they delete by files whose names begin with `.wh.`, because a program
    /// mounts them.
    pub fn whiteouts_are_files(&self) -> bool {
        self.has_mount_program()
    }

    /// Reads a layer back and compares its digest; the error says in words what is wrong.
    pub(crate) fn verify_layer(&self, id: &Id, digest: &Digest) -> Result<(), String> {
        let reader = self.read_layer(id).map_err(|error| error.to_string())?;
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update_from(reader).map_err(|error| error.to_string())?;
        let found = hasher.finish();
        match found == *digest {
            true => Ok(()),
            false => Err(format!("its stream has the digest {found}, not {digest}")),
        }
    }
}

/// The files of a layer, the newest first, each with the directory that was used last.
struct LayerFiles {
    roots: Vec<(Root, Recent)>,
}

/// The directory that was used last, and its path.
type Recent = Option<(Vec<u8>, Directory)>;

impl Files for LayerFiles {
    type File = File;

    fn open(&mut self, name: &[u8]) -> io::Result<File> {
        let trimmed = name.strip_suffix(b"/").unwrap_or(name);
        let (parent, last) = match trimmed.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&trimmed[..slash], &trimmed[slash + 1..]),
            None => (&b""[..], trimmed),
        };
        let mut failure = None;
        for (root, recent) in &mut self.roots {
            match open_in(root, recent, parent, last) {
                Ok(file) => return Ok(file),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.map_or_else(|| io::Error::from(io::ErrorKind::NotFound), io::Error::other))
    }
}

fn open_in(
    root: &Root,
    recent: &mut Recent,
    parent: &[u8],
    name: &[u8],
) -> Result<File, cask_rootfs::Error> {
    let name = std::ffi::OsStr::from_bytes(name);
    if let Some((_, directory)) = recent.as_ref().filter(|(path, _)| path == parent) {
        return directory.open_file(name);
    }
    let directory = root.directory(std::ffi::OsStr::from_bytes(parent))?;
    let (_, directory) = recent.insert((parent.to_vec(), directory));
    directory.open_file(name)
}
