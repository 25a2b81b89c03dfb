//! A store, a context and a builder in a directory of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cask_build::{
    BuildEvent, BuildFile, BuildReport, BuildRequest, BuildTools, BuiltImage, CacheOutcome,
    Context, IgnoreChoice, Result, View, build,
};
use cask_containerfile::parse;
use cask_image::PlatformWanted;
use cask_runtime::{NativeExecutor, NativeOptions};
use cask_storage::{CheckOptions, DriverKind, Durability, Store, StoreOptions};

/// The name of the image with a shell.
pub(crate) const BASE: &str = "localhost/base:latest";

/// A store, a context and a builder.
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) tools: BuildTools,
    pub(crate) events: Arc<Mutex<Vec<BuildEvent>>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::on(None)
    }

    /// A bench whose store has this driver.
    fn on(driver: Option<DriverKind>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options =
            StoreOptions::new(directory.path().join("root"), directory.path().join("run"));
        options.durability = Durability::None;
        options.driver = driver;
        let store = Store::open(options).unwrap();
        fs::create_dir(directory.path().join("context")).unwrap();
        let mut tools = BuildTools::new(store.clone()).unwrap();
        let mut native = NativeOptions::default();
        native.program = PathBuf::from(env!("CARGO_BIN_EXE_cask-build-helper"));
        tools.executor = Some(Arc::new(NativeExecutor::new(native)));
        let events: Arc<Mutex<Vec<BuildEvent>>> = Arc::default();
        let told = Arc::clone(&events);
        tools.events = Arc::new(move |event| told.lock().unwrap().push(event));
        let mut bench = Self { directory, store, tools, events };
        bench.reopen_context();
        bench
    }

    /// A bench with an image that has a shell; nothing where this process may not run commands.
    pub(crate) fn with_shell() -> Option<Self> {
        Self::with_shell_on(None)
    }

    /// As [`with_shell`](Self::with_shell), on a store with this driver.
    pub(crate) fn with_shell_on(driver: Option<DriverKind>) -> Option<Self> {
        let root = rustix::process::geteuid().is_root();
        assert!(root || std::env::var_os("CI").is_none(), "root is needed");
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|p| Path::new(p).exists());
        assert!(busybox.is_some() || std::env::var_os("CI").is_none(), "busybox is needed");
        if !root || busybox.is_none() {
            eprintln!("left out: root and a static busybox are needed");
            return None;
        }
        let bench = Self::on(driver);
        fs::copy(busybox?, bench.context().join("busybox")).unwrap();
        bench.write("passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n");
        bench.write("group", "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n");
        let mut request = bench.request(
            "FROM scratch\nCOPY busybox /bin/busybox\nCOPY passwd group /etc/\n\
             RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"/bin/sh\"]\n",
        );
        request.image.names = vec![BASE.to_owned()];
        bench.run(&request).unwrap();
        for name in ["busybox", "passwd", "group"] {
            fs::remove_file(bench.context().join(name)).unwrap();
        }
        bench.events.lock().unwrap().clear();
        Some(bench)
    }

    pub(crate) fn context(&self) -> PathBuf {
        self.directory.path().join("context")
    }

    /// Writes a file of the context.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads the ignore file again.
    pub(crate) fn reopen_context(&mut self) {
        let context = Context::directory(self.context(), &IgnoreChoice::default()).unwrap();
        self.tools.sources.context = Arc::new(context);
    }

    pub(crate) fn request(&self, text: &str) -> BuildRequest {
        let parsed = parse(text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let file = BuildFile::new("Containerfile", parsed.tree);
        BuildRequest::new(file, PlatformWanted::of_this_build())
    }

    pub(crate) fn run(&self, request: &BuildRequest) -> Result<BuildReport> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(build(request, &self.tools))
    }

    /// Builds a file that must succeed.
    pub(crate) fn build(&self, text: &str) -> BuildReport {
        match self.run(&self.request(text)) {
            Ok(report) => report,
            Err(error) => {
                panic!("{error:?}\n{}\n{}", self.output(), text);
            }
        }
    }

    /// What commands wrote since this was asked last.
    pub(crate) fn output(&self) -> String {
        let mut text = String::new();
        for event in self.events.lock().unwrap().drain(..) {
            if let BuildEvent::Output { bytes, .. } = event {
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        text
    }

    pub(crate) fn view(&self, image: &BuiltImage) -> View {
        View::of_store(&self.store, image.layers.last()).unwrap()
    }

    /// A file of an image.
    pub(crate) fn read(&self, image: &BuiltImage, path: &str) -> String {
        let bytes = self.view(image).read_file(path, 1 << 20).unwrap();
        String::from_utf8(bytes.unwrap_or_else(|| panic!("{path} is missing"))).unwrap()
    }

    /// Whether an image has something at a path.
    pub(crate) fn has(&self, image: &BuiltImage, path: &str) -> bool {
        self.view(image).status(path).unwrap().is_some()
    }

    /// The names in the uppermost layer's stream.
    pub(crate) fn top_members(&self, image: &BuiltImage) -> Vec<String> {
        let mut archive =
            tar::Archive::new(self.store.read_layer(image.layers.last().unwrap()).unwrap());
        let names = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap());
        names.collect()
    }

    /// Asserts that nothing is left of commands: no mount, no directory, no half layer.
    pub(crate) fn check_nothing_left(&self) {
        let own = self.directory.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(own)).collect();
        assert!(left.is_empty(), "{left:?}");
        let root = self.directory.path().join("root");
        for path in ["overlay/tempdirs", "overlay-layers/tmp", "cask/build/tmp"] {
            let left: Vec<_> = fs::read_dir(root.join(path)).into_iter().flatten().collect();
            assert!(left.is_empty(), "{path}: {left:?}");
        }
        let mut options = CheckOptions::default();
        options.verify_layers = true;
        let problems = self.store.check(&options).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
    }
}

/// `hit`, `miss` or `-` for every step of a report, in the order of the file.
pub(crate) fn outcomes(report: &BuildReport) -> Vec<&'static str> {
    let mut steps: Vec<_> = report.steps.iter().collect();
    steps.sort_by_key(|step| (step.step.platform_index, step.step.stage, step.step.number));
    let word = |outcome: &CacheOutcome| match outcome {
        CacheOutcome::Hit => "hit",
        CacheOutcome::Miss(_) => "miss",
        _ => "-",
    };
    steps.into_iter().map(|step| word(&step.outcome.cache)).collect()
}

/// Why the first step that was done again was done again.
pub(crate) fn first_miss(report: &BuildReport) -> String {
    let mut steps: Vec<_> = report.steps.iter().collect();
    steps.sort_by_key(|step| (step.step.platform_index, step.step.stage, step.step.number));
    let miss = steps.iter().find_map(|step| match &step.outcome.cache {
        CacheOutcome::Miss(miss) => Some(miss.to_string()),
        _ => None,
    });
    miss.unwrap_or_default()
}
