//! Images in archives and directories.

use std::collections::BTreeMap;
use std::str::FromStr;

use cask_copy::{CopyOptions, LayersWanted, copy};
use cask_image::ImageFormat;
use cask_layer::Compression;
use cask_reference::Reference;
use cask_transport::Transports;

use super::find::Found;
use super::names::whole_name;
use crate::{Error, ErrorKind, Images, Result};

/// What images are saved as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFormat {
    /// What `docker save` writes.
    #[default]
    DockerArchive,
    /// An OCI layout in a tar file.
    OciArchive,
    /// An OCI layout.
    OciDirectory,
    /// A flat directory with a manifest of Docker's.
    DockerDirectory,
}

impl FromStr for SaveFormat {
    type Err = Error;

    /// Reads podman's words.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`].
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "docker-archive" => Ok(Self::DockerArchive),
            "oci-archive" => Ok(Self::OciArchive),
            "oci-dir" => Ok(Self::OciDirectory),
            "docker-dir" => Ok(Self::DockerDirectory),
            _ => {
                let detail =
                    "format value must be one of oci-dir oci-archive docker-dir docker-archive";
                Err(Error::new(ErrorKind::Invalid, "", detail))
            }
        }
    }
}

impl SaveFormat {
    /// Whether it is one file, which may be a pipe.
    pub fn is_archive(self) -> bool {
        matches!(self, Self::DockerArchive | Self::OciArchive)
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::DockerArchive => "docker-archive",
            Self::OciArchive => "oci-archive",
            Self::OciDirectory => "oci",
            Self::DockerDirectory => "dir",
        }
    }
}

/// How images are saved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SaveOptions {
    /// How they are copied: the signature policy, who is told. Signatures are left out: none of
    /// the formats holds them for sure.
    pub copy: CopyOptions,
    /// What they are saved as.
    pub format: SaveFormat,
    /// More names for the one image; only a Docker archive takes them.
    pub additional_names: Vec<String>,
    /// Layers are compressed in a directory of Docker's.
    pub compress: bool,
    /// Layers stay plain in an OCI layout.
    pub uncompressed: bool,
    /// The transports for the second image and those after it, which have to add to an archive
    /// that exists.
    pub extending: Transports,
}

impl SaveOptions {
    /// Starts from how images are copied and how they are added to an archive.
    pub fn new(copy: CopyOptions, extending: Transports) -> Self {
        Self {
            copy,
            format: SaveFormat::default(),
            additional_names: Vec::new(),
            compress: false,
            uncompressed: false,
            extending,
        }
    }
}

/// An image with the names that it gets where it goes.
struct Saved {
    found: Found,
    names: Vec<Reference>,
}

impl Images {
    /// Saves images at a path; `-` is the standard output, which takes one image only.
    ///
    /// An image has the name that it was asked for by, and none if that was its ID. Archives hold
    /// several images; asked for twice, an image is saved once. A Docker archive that exists stays,
    /// an OCI archive is replaced; an image is added to an OCI layout.
    ///
    /// Source: containers/common, `libimage/save.go`; several images in an OCI archive are ours.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Invalid`] for what the format cannot hold;
    /// [`ErrorKind::Transfer`].
    pub async fn save(
        &self,
        images: &[String],
        path: &str,
        transports: &Transports,
        options: &SaveOptions,
    ) -> Result<()> {
        check(images, path, options)?;
        let mut saved = self.saved(images).await?;
        if let [one] = saved.as_mut_slice() {
            for name in &options.additional_names {
                one.names.insert(one.names.len() - usize::from(one.is_named()), whole_name(name)?);
            }
        }
        let mut copy_options = options.copy.clone();
        copy_options.attached.remove_signatures = true;
        copy_options.format = match options.format {
            SaveFormat::DockerArchive | SaveFormat::DockerDirectory => Some(ImageFormat::Docker),
            SaveFormat::OciArchive | SaveFormat::OciDirectory => Some(ImageFormat::Oci),
        };
        if options.compress {
            copy_options.layers.wanted = LayersWanted::CompressPlain(Compression::Gzip);
        } else if options.uncompressed && options.format != SaveFormat::DockerArchive {
            // Of blobs that are kept, too.
            copy_options.layers.wanted = LayersWanted::Decompress;
        }
        for (position, one) in saved.iter().enumerate() {
            let transports = if position == 0 { transports } else { &options.extending };
            let from = self.location(&one.found, transports)?;
            let (to, more) = one.target(path, options.format);
            copy_options.write.additional_names = more;
            copy(&*from, &*transports.parse(&to)?, &copy_options).await?;
            self.tell("save", one.found.image.id.as_str(), path);
        }
        Ok(())
    }

    /// The images, each once and in their order, with the names that they were asked for by.
    async fn saved(&self, images: &[String]) -> Result<Vec<Saved>> {
        let mut saved: Vec<Saved> = Vec::new();
        let mut places = BTreeMap::new();
        for text in images {
            let found = self.find_on_thread(text).await?;
            let by_id = found.image.id.as_str().starts_with(&found.name);
            let named = (!by_id).then(|| Reference::parse_normalized(&found.name).ok()).flatten();
            let named = named.filter(|name| name.tag().is_some());
            let place = *places.entry(found.image.id.clone()).or_insert_with(|| {
                saved.push(Saved { found, names: Vec::new() });
                saved.len() - 1
            });
            let names = &mut saved[place].names;
            names.extend(named.filter(|name| !names.contains(name)));
        }
        Ok(saved)
    }
}

impl Saved {
    fn is_named(&self) -> bool {
        !self.names.is_empty()
    }

    /// Where it goes, and with which more names.
    fn target(&self, path: &str, format: SaveFormat) -> (String, Vec<Reference>) {
        let scheme = format.scheme();
        match (format, self.names.as_slice()) {
            (SaveFormat::DockerArchive, names) => (format!("{scheme}:{path}"), names.to_vec()),
            (SaveFormat::OciArchive | SaveFormat::OciDirectory, [name, ..]) => {
                (format!("{scheme}:{path}:{name}"), Vec::new())
            }
            _ => (format!("{scheme}:{path}"), Vec::new()),
        }
    }
}

/// Fails for what the format cannot hold.
fn check(images: &[String], path: &str, options: &SaveOptions) -> Result<()> {
    let invalid = |detail: String| Err(Error::new(ErrorKind::Invalid, "", detail));
    if images.is_empty() {
        return invalid("need at least 1 argument".to_owned());
    }
    if path.contains(':') {
        return invalid(format!("invalid filename (should not contain ':') {path:?}"));
    }
    let is_several = images.len() > 1;
    if is_several && !options.format.is_archive() {
        let format =
            if options.format == SaveFormat::OciDirectory { "oci-dir" } else { "docker-dir" };
        return invalid(format!(
            "unsupported format {format:?} for saving multiple images (only docker-archive and \
             oci-archive)"
        ));
    }
    if is_several && !options.additional_names.is_empty() {
        return invalid("cannot save multiple images with multiple tags".to_owned());
    }
    if options.compress && options.format != SaveFormat::DockerDirectory {
        return invalid("--compress can only be set when --format is 'docker-dir'".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_podman_s() {
        let check = |text: &str, expected: SaveFormat| {
            assert_eq!(text.parse::<SaveFormat>().unwrap(), expected, "{text}");
        };
        check("docker-archive", SaveFormat::DockerArchive);
        check("oci-archive", SaveFormat::OciArchive);
        check("oci-dir", SaveFormat::OciDirectory);
        check("docker-dir", SaveFormat::DockerDirectory);
        let error = "zip".parse::<SaveFormat>().unwrap_err();
        assert!(error.to_string().starts_with("format value must be one of"), "{error}");
    }
}
