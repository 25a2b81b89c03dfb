//! Builds an image from a Containerfile, pushes it to a registry, pulls it into another store and
//! runs it. The registry is embedded, and nothing outside of a directory is touched.
//!
//! `sudo cargo run -p examples --example build_and_run -- /bin/busybox echo hello`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use cask::build::{BuildFile, BuildRequest, BuildTools, Context, IgnoreChoice, build};
use cask::copy::CopyOptions;
use cask::engine::{Containers, CreateOptions, Images, LogOptions, PullOptions, no_registries};
use cask::image::PlatformWanted;
use cask::registry_server::{Registry, RegistryOptions, Server, ServerOptions};
use cask::storage::{Store, StoreOptions};
use cask::trust::Policy;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Opens the store of a directory, which may be new.
pub fn store(directory: &Path) -> Result<Store> {
    let options = StoreOptions::new(directory.join("root"), directory.join("run"));
    Ok(Store::open(options)?)
}

/// Builds an image from a text and the files of a directory; gives its ID.
pub async fn build_image(store: &Store, text: &str, files: &Path, name: &str) -> Result<String> {
    let file = BuildFile::new("Containerfile", cask::containerfile::parse(text).tree);
    let mut request = BuildRequest::new(file, PlatformWanted::of_this_build());
    request.image.names = vec![name.to_owned()];
    let mut tools = BuildTools::new(store.clone())?;
    tools.sources.context = Arc::new(Context::directory(files, &IgnoreChoice::default())?);
    let report = build(&request, &tools).await?;
    Ok(report.images[0].id.to_string())
}

/// Pushes an image to a registry of this machine, and pulls it from there into another store.
pub async fn move_image(from: &Store, to: &Store, name: &str, host: &str) -> Result<()> {
    let transports = |store: &Store| {
        let options = cask::TransportOptions::default().with_store(store.clone());
        cask::transports(&options.danger_with_plain_http(host))
    };
    // A program that runs images of others reads the policy of its user instead.
    let policy = Arc::new(Policy::danger_accept_anything());
    let copy = CopyOptions::new(policy, PlatformWanted::of_this_build());

    let images = Images::new(from.clone(), no_registries());
    images.push(name, name, &transports(from), &copy).await?;
    let images = Images::new(to.clone(), no_registries());
    images.pull(name, &transports(to), &PullOptions::new(copy)).await?;
    Ok(())
}

/// Runs a command in a container of an image, which goes afterwards; gives its exit code, and what
/// it printed. The program must have handed over to `cask::engine::run_monitor`, see `main`.
pub fn run_container(store: &Store, image: &str, command: &[String]) -> Result<(i32, String)> {
    let containers = Containers::new(Images::new(store.clone(), no_registries()));
    let image = containers.images().find(image)?;
    let mut options = CreateOptions::default();
    options.config.process.command = command.to_vec();
    let container = containers.create(Some(&image), options)?;

    containers.start(&container, false, None)?;
    let code = containers.wait(&container)?;
    let mut printed = String::new();
    containers.logs(&container, &LogOptions::default(), &mut |line| {
        printed.push_str(&String::from_utf8_lossy(&line.text));
        printed.push_str(if line.whole { "\n" } else { "" });
        Ok(true)
    })?;
    containers.remove(&container, &Default::default())?;
    Ok((code, printed))
}

/// All of it, below a directory, with a program that needs nothing but the kernel.
pub async fn build_and_move(directory: &Path, program: &Path) -> Result<(Store, String)> {
    let files = directory.join("files");
    std::fs::create_dir(&files)?;
    let called = program.file_name().and_then(|name| name.to_str()).ok_or("it needs a name")?;
    std::fs::copy(program, files.join(called))?;

    let registry = Registry::open(directory, RegistryOptions::default())?;
    let server = Server::bind("127.0.0.1:0".parse()?, registry, ServerOptions::default()).await?;
    let host = server.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let name = format!("{host}/team/app:1");

    let (ours, theirs) = (store(&directory.join("ours"))?, store(&directory.join("theirs"))?);
    let text = format!("FROM scratch\nCOPY . /\nENTRYPOINT [\"/{called}\"]\n");
    build_image(&ours, &text, &files, &name).await?;
    move_image(&ours, &theirs, &name, &host).await?;
    server.shut_down().await;
    Ok((theirs, name))
}

#[allow(dead_code, reason = "the tests call the functions above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // A container is watched, and begun, by this program started again.
    match arguments.first().map(String::as_str) {
        Some(cask::engine::MONITOR_ARGUMENT) => {
            std::process::exit(cask::engine::run_monitor().into())
        }
        Some("__run-helper") => std::process::exit(cask::runtime::run_helper().into()),
        _ => {}
    }
    let [program, command @ ..] = arguments.as_slice() else {
        return Err("usage: build_and_run STATIC-PROGRAM ARGUMENT…".into());
    };
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (store, image) = runtime.block_on(build_and_move(directory.path(), Path::new(program)))?;
    let (code, printed) = run_container(&store, &image, command)?;
    println!("{printed}exit code {code}");
    Ok(())
}
