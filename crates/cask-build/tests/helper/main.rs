//! What starts the commands of the tests, as a program does that embeds the builder; and a builder
//! that can be killed.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::Path;
use std::sync::Arc;

use cask_build::{BuildFile, BuildRequest, BuildTools, Context, IgnoreChoice, build};
use cask_image::PlatformWanted;
use cask_runtime::{NativeExecutor, NativeOptions};
use cask_storage::{Store, StoreOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("__build") => build_file(Path::new(&arguments[2]), &arguments[3]),
        _ => std::process::exit(cask_runtime::run_helper().into()),
    }
}

/// Builds a file in the store of a bench.
fn build_file(directory: &Path, text: &str) {
    let mut options = StoreOptions::new(directory.join("root"), directory.join("run"));
    options.rootless = std::env::args().nth(4).is_some_and(|word| word == "rootless");
    let mut tools = BuildTools::new(Store::open(options).unwrap()).unwrap();
    tools.executor = Some(Arc::new(NativeExecutor::new(NativeOptions::default())));
    let mark = directory.join("began");
    tools.events = Arc::new(move |event| {
        if let cask_build::BuildEvent::Output { bytes, .. } = event {
            std::fs::write(&mark, bytes).unwrap();
        }
    });
    let context = Context::directory(directory.join("context"), &IgnoreChoice::default());
    tools.sources.context = Arc::new(context.unwrap());
    let file = BuildFile::new("Containerfile", cask_containerfile::parse(text).tree);
    let request = BuildRequest::new(file, PlatformWanted::of_this_build());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(build(&request, &tools)).unwrap();
}
