//! What comes of a build besides the images in the store.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cask::copy::{Instances, copy};
use cask::image::{Descriptor, ImageFormat, PlatformWanted};
use cask::transport::Transports;
use cask_build::{BuildReport, BuildRequest, BuiltImage, FileOptions, write_directory, write_tar};
use cask_engine::{Images, NewEntry, SamePlatform};
use serde_json::{Value, json};

use super::arguments::OutputArguments;
use super::compression::Compress;
use super::layout::Attest;
use super::outputs::{Destinations, Output};
use super::provenance::{Described, Provenance};
use super::show::{Show, json_outcome, title};
use crate::settings::Settings;
use crate::{moving, rootless};

/// What was built, and what is to become of it.
pub(super) struct Results<'a> {
    pub(super) built: &'a BuildReport,
    pub(super) request: &'a BuildRequest,
    pub(super) to: &'a Destinations,
    pub(super) images: &'a Images,
    pub(super) transports: &'a Transports,
    pub(super) settings: &'a Settings,
    pub(super) show: &'a Show,
    pub(super) scratch: &'a Path,
    pub(super) compress: &'a Compress,
    pub(super) provenance: Option<&'a Provenance>,
    /// What a statement tells besides.
    pub(super) described: Described<'a>,
}

/// What is known of the result.
pub(super) struct Outcome {
    /// The ID of the image, or of the list of them.
    id: String,
    /// The digest of the manifest, or of the list.
    digest: String,
    media_type: String,
    size_bytes: usize,
}

/// Refuses statements that have no place, before anything is built.
pub(super) fn check_provenance(
    request: &BuildRequest,
    to: &Destinations,
    arguments: &OutputArguments,
) -> Result<()> {
    if request.image.format != ImageFormat::Oci {
        bail!("--provenance needs --format=oci: lists of Docker's format have no room for it");
    }
    for output in &to.outputs {
        match output {
            Output::Tar(_) => {
                bail!("--provenance: an archive of files has no place for it: use type=local")
            }
            Output::Place(place, _) if place.starts_with("docker-archive:") => {
                bail!("--provenance: type=docker has no place for it: use type=oci")
            }
            _ => {}
        }
    }
    if to.outputs.is_empty() && arguments.metadata_file.is_none() {
        bail!(
            "--provenance: an image of the store has no place for it: push it, or give --output or --metadata-file"
        );
    }
    Ok(())
}

/// Refuses files that cannot be written at the end, before anything is built.
pub(super) fn check_files(to: &Destinations, arguments: &OutputArguments) -> Result<()> {
    let told = [&arguments.iidfile, &arguments.iidfile_raw, &arguments.metadata_file];
    let archives = to.outputs.iter().filter_map(|output| match output {
        Output::Tar(path) => path.as_ref(),
        _ => None,
    });
    for path in told.into_iter().flatten().chain(archives) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let found = std::fs::metadata(parent);
        let found = found.with_context(|| format!("writing {}", path.display()))?;
        if !found.is_dir() {
            bail!("writing {}: {} is not a directory", path.display(), parent.display());
        }
        if path.is_dir() {
            bail!("writing {}: it is a directory", path.display());
        }
    }
    Ok(())
}

/// Refuses what several platforms cannot become, before anything is built.
pub(super) fn check(request: &BuildRequest, to: &Destinations) -> Result<()> {
    if request.platforms.targets.len() < 2 {
        return Ok(());
    }
    for output in &to.outputs {
        match output {
            Output::Tar(_) => bail!("an archive has the files of one platform: use type=local"),
            Output::Place(place, _) if place.starts_with("docker-archive:") => {
                bail!("type=docker holds one platform: use type=oci")
            }
            _ => {}
        }
    }
    Ok(())
}

impl Results<'_> {
    /// Names lists, writes outputs, pushes; gives what the result is known by.
    pub(super) async fn finish(&self, arguments: &OutputArguments) -> Result<Outcome> {
        let result = self.name()?;
        for place in &self.to.outputs {
            self.write(place).await?;
        }
        if let Some(path) = &arguments.iidfile {
            write_file(path, &format!("sha256:{}", result.id))?;
        }
        if let Some(path) = &arguments.iidfile_raw {
            write_file(path, &result.id)?;
        }
        if let Some(path) = &arguments.metadata_file {
            write_file(path, &format!("{:#}\n", self.metadata(&result)))?;
        }
        self.show.json(&json!({"event": "built", "metadata": self.metadata(&result)}));
        self.images.note("build", "", &result.id);
        Ok(result)
    }

    /// Says what the images are called, and makes a list of them where there are several.
    fn name(&self) -> Result<Outcome> {
        let [image] = self.built.images.as_slice() else {
            let names = self.to.list.iter().chain(&self.to.names).cloned().collect::<Vec<_>>();
            return self.list(&names);
        };
        let names = &image.names;
        // As with buildah, what was typed.
        let commit = self.to.tag.as_ref().or(names.first());
        let commit = commit.map(|name| format!(" {name}")).unwrap_or_default();
        self.show.say(&format!("COMMIT{commit}"));
        self.show.say(&format!("--> {}", image.id.short()));
        self.tagged(names);
        if let Some(list) = &self.to.list {
            self.list(std::slice::from_ref(list))?;
        }
        Ok(Outcome {
            id: image.id.to_string(),
            digest: image.manifest.digest().to_string(),
            media_type: image.manifest.media_type().to_string(),
            size_bytes: image.manifest.bytes().len(),
        })
    }

    fn list(&self, names: &[String]) -> Result<Outcome> {
        let format = self.request.image.format;
        let entry = |image: &BuiltImage| NewEntry {
            id: image.id.clone(),
            manifest: image.manifest.clone(),
            platform: image.platform.clone(),
        };
        let entries: Vec<NewEntry> = self.built.images.iter().map(entry).collect();
        let (id, manifest) =
            self.images.put_in_list(names, &entries, SamePlatform::Replaced, format)?;
        let name = names.first().map(|name| format!(" {name}")).unwrap_or_default();
        self.show.say(&format!("COMMIT{name}"));
        for image in &self.built.images {
            self.show.say(&format!("--> {} {}", image.id.short(), image.platform));
        }
        self.tagged(names);
        Ok(Outcome {
            id: id.to_string(),
            digest: manifest.digest().to_string(),
            media_type: manifest.media_type().to_string(),
            size_bytes: manifest.bytes().len(),
        })
    }

    fn tagged(&self, names: &[String]) {
        names.iter().for_each(|name| self.show.say(&format!("Successfully tagged {name}")));
    }

    async fn write(&self, output: &Output) -> Result<()> {
        match output {
            Output::Directory(directory) => self.directories(directory).await,
            Output::Tar(path) => self.tar(path.clone()).await,
            Output::Place(place, own) => match self.built.images.as_slice() {
                [image] if self.provenance.is_none() => self.push(image, place, own).await,
                images => self.push_list(images, place, own).await,
            }
            .with_context(|| format!("writing {place}")),
            Output::Named(_) => Ok(()),
        }
    }

    async fn directories(&self, directory: &Path) -> Result<()> {
        let is_one = self.built.images.len() == 1;
        for image in &self.built.images {
            let directory = match is_one {
                true => directory.to_owned(),
                false => directory.join(image.platform.to_string().replace('/', "_")),
            };
            let (own, store, to) = (image.clone(), self.images.store().clone(), directory.clone());
            let options = FileOptions::new(owner(), self.built.date);
            let written =
                tokio::task::spawn_blocking(move || write_directory(&own, &store, options, &to));
            written.await??;
            if let Some(provenance) = self.provenance {
                let text =
                    provenance.statement(&self.described, image, &image.manifest.descriptor());
                write_file(&directory.join("provenance.json"), &format!("{text:#}\n"))?;
            }
        }
        Ok(())
    }

    async fn tar(&self, path: Option<PathBuf>) -> Result<()> {
        let image = self.built.images.first().context("an image was built")?;
        let (image, store) = (image.clone(), self.images.store().clone());
        let options = FileOptions::new(None, self.built.date);
        let written = tokio::task::spawn_blocking(move || -> Result<()> {
            match path {
                None => write_tar(&image, &store, options, &mut io::stdout().lock())?,
                Some(path) => {
                    let mut file = File::create(&path)
                        .with_context(|| format!("creating {}", path.display()))?;
                    write_tar(&image, &store, options, &mut file)?;
                }
            }
            Ok(())
        });
        written.await?
    }

    /// How images are copied; what an output says itself comes before the flags.
    fn copy_options(&self, own: &Compress) -> Result<cask::copy::CopyOptions> {
        let platform = PlatformWanted::of_this_build();
        let quiet = self.show.is_quiet();
        let mut options =
            moving::copy_options(self.settings, platform, self.show.progress(), quiet)?;
        own.or(self.compress).set(&mut options)?;
        Ok(options)
    }

    async fn push(&self, image: &BuiltImage, place: &str, own: &Compress) -> Result<()> {
        let options = self.copy_options(own)?;
        self.images.push(image.id.as_str(), place, self.transports, &options).await?;
        Ok(())
    }

    /// Pushes a list with its images: they come together in a layout, compressed, whose list goes on.
    async fn push_list(&self, images: &[BuiltImage], place: &str, own: &Compress) -> Result<()> {
        let layout = tempfile::tempdir_in(self.scratch)?;
        let at = layout.path().display().to_string();
        for (number, image) in images.iter().enumerate() {
            self.push(image, &format!("oci:{at}:{number}"), own).await?;
        }
        let format = self.request.image.format;
        let platforms: Vec<_> = images.iter().map(|image| image.platform.clone()).collect();
        let state = |number: usize, manifest: &Descriptor| match self.provenance {
            Some(told) => told.statement(&self.described, &images[number], manifest),
            None => Value::Null,
        };
        let attest: Option<Attest<'_>> = self.provenance.map(|_| &state as Attest<'_>);
        super::layout::add_list(layout.path(), &platforms, format, attest)?;
        let usual = Compress { plain: own.plain, ..Compress::default() };
        let mut options = self.copy_options(&usual)?;
        options.instances = Instances::All;
        let from = self.transports.parse(&format!("oci:{at}:list"))?;
        let to = self.transports.parse(place)?;
        copy(&*from, &*to, &options).await?;
        Ok(())
    }

    /// What came of the build, under the keys of BuildKit where it has some.
    fn metadata(&self, result: &Outcome) -> Value {
        let steps = self.built.steps.iter().map(|step| {
            let mut outcome = json_outcome(&step.outcome);
            outcome["step"] = title(&step.step).into();
            outcome
        });
        let images = self.built.images.iter().map(|image| {
            json!({
                "platform": image.platform.to_string(),
                "id": image.id.to_string(),
                "digest": image.manifest.digest().to_string(),
            })
        });
        let names: Vec<&str> =
            self.to.list.iter().chain(&self.to.names).map(String::as_str).collect();
        let mut metadata = json!({
            "containerimage.config.digest": format!("sha256:{}", result.id),
            "containerimage.digest": result.digest,
            "containerimage.descriptor": {
                "mediaType": result.media_type,
                "digest": result.digest,
                "size": result.size_bytes,
            },
            "image.name": names.join(","),
            "images": images.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "warnings": self.built.warnings,
            "wallSeconds": self.built.wall.as_secs_f64(),
        });
        if let Some(provenance) = self.provenance {
            for image in &self.built.images {
                let manifest = image.manifest.descriptor();
                let statement = provenance.statement(&self.described, image, &manifest);
                // Source: docker/buildx, `util/confutil`, `MetadataProvenance`.
                let key = match self.built.images.len() {
                    1 => "buildx.build.provenance".to_owned(),
                    _ => format!("buildx.build.provenance/{}", image.platform),
                };
                metadata[key] = statement["predicate"].clone();
            }
        }
        metadata
    }

    /// Prints the ID, unless it went to a file, or standard output is for something else; into the log where lines
    /// go to one.
    ///
    /// Source: buildah, `imagebuildah.Executor`, `Build`, and `bud`, whose output is the log.
    pub(super) fn print(&self, result: &Outcome, arguments: &OutputArguments) -> Result<()> {
        let is_taken = self.to.outputs.iter().any(Output::is_standard_output);
        if arguments.iidfile.is_some() || arguments.iidfile_raw.is_some() || is_taken {
            return Ok(());
        }
        self.show.print(&result.id)
    }
}

/// Whose files in a directory are: a user's own, who may own nothing else.
fn owner() -> Option<(u32, u32)> {
    let process = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    rootless::is_rootless().then_some(process)
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
