//! An image built twice, changed, explained, pushed, pulled, run, changed again and saved.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::registry::Registry;
use super::run::{megabytes, size_of};
use crate::{console, process};

/// Two stages: pages are made of texts, and the result has the pages alone. `BASE` is the image of
/// this machine's shell.
const CONTAINERFILE: &str = r#"FROM BASE AS pages
WORKDIR /src
COPY src /src
RUN for page in *.txt; do sed "s/^/  /" "$page"; done > /pages
FROM BASE
COPY --from=pages /pages /pages
RUN grep -c "" /pages > /lines
CMD ["/bin/cat", "/pages", "/lines"]
"#;

/// The programs, and where all of it happens.
pub(super) struct Build<'a> {
    pub(super) cooper: &'a Path,
    pub(super) cellar: &'a Path,
    pub(super) dray: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) registry: &'a Registry,
}

/// What a step did, and how long it took.
type Row = [String; 4];

impl Build<'_> {
    /// Does all of it upon the image `base` of the registry; gives a row for each step.
    pub(super) fn tour(&self, base: &str) -> Result<Vec<Row>> {
        let runs = can_run();
        if !runs {
            console::line(
                "this process may not make namespaces: RUN is left out, and nothing is run \
                 (as root of a machine, or where users may have user namespaces, it can)",
            );
        }
        self.write(base, runs)?;
        let mut rows = Vec::new();
        let name = format!("{}/demo/pages:1", self.registry.host());
        let first = self.row(&mut rows, "build", "one", &["build", "-t", &name, "build"])?;
        self.row(&mut rows, "build again", "one", &["build", "-t", &name, "build"])?;
        let elsewhere = ["build", "--jobs", "1", "-t", &name, "build"];
        let second = self.row(&mut rows, "build in another store", "two", &elsewhere)?;
        let (first, second) = (last(&first), last(&second));
        ensure!(first == second, "the same input gave two images: {first} and {second}");
        self.change_and_explain(&mut rows, &name)?;
        self.push_and_run(&mut rows, &name, runs)?;
        for store in ["one", "two", "three"] {
            self.release(store);
        }
        console::line(&format!("built in two stores, the image is the same: {first}"));
        Ok(rows)
    }

    fn write(&self, base: &str, runs: bool) -> Result<()> {
        let context = self.directory.join("build");
        fs::create_dir_all(context.join("src"))
            .with_context(|| format!("creating {}", context.display()))?;
        let text = CONTAINERFILE.replace("BASE", base);
        let kept = text.lines().filter(|line| runs || !line.starts_with("RUN "));
        let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
        if !runs {
            text = text.replace("--from=pages /pages", "--from=pages /src");
        }
        for (path, text) in [
            ("Containerfile", text.as_str()),
            ("src/first.txt", "the first page\n"),
            ("src/second.txt", "the second page\n"),
        ] {
            let path = context.join(path);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// Changes a file, and shows why steps are done again.
    fn change_and_explain(&self, rows: &mut Vec<Row>, name: &str) -> Result<()> {
        let page = self.directory.join("build/src/second.txt");
        fs::write(&page, "the second page, changed\n")
            .with_context(|| format!("writing {}", page.display()))?;
        let line = ["build", "--explain", "-t", name, "build"];
        let said = self.row(rows, "build, a file changed", "one", &line)?;
        console::line("");
        let mut step = "";
        for line in said.lines() {
            if line.contains("STEP ") {
                step = line;
            } else if line.contains("not from the cache") {
                console::line(step);
                console::line(&format!("  {line}"));
            }
        }
        Ok(())
    }

    /// Pushes, pulls into another store, runs, changes and saves.
    fn push_and_run(&self, rows: &mut Vec<Row>, name: &str, runs: bool) -> Result<()> {
        self.row(rows, "push", "registry", &["push", "--quiet", name])?;
        let pull = ["pull", "--quiet", name];
        self.step(rows, "pull", "three", self.command(self.cellar, "three", &pull))?;
        if !runs {
            return Ok(());
        }
        let run = self.command(self.cellar, "three", &["run", "--rm", "--network=none", name]);
        let said = self.step(rows, "run", "three", run)?;
        ensure!(said.contains("the second page, changed"), "another image ran: {said}");
        console::line("");
        console::line(said.trim_end());
        let cooper = |line: &[&str]| self.output(self.cooper, "three", line);
        let start = Instant::now();
        let container = cooper(&["from", "--quiet", name])?;
        let container = container.trim();
        cooper(&["run", container, "--", "/bin/sh", "-c", "echo more >> /pages"])?;
        cooper(&["commit", "--quiet", "--rm", container, "localhost/demo/more:1"])?;
        rows.push(row("change and commit", String::new(), start));
        let more = ["save", "--quiet", "--output", "more.tar", "localhost/demo/more:1"];
        self.step(rows, "save", "more.tar", self.command(self.cellar, "three", &more))?;
        let mut validate =
            process::command(self.dray, ["--insecure-policy", "validate", "--quiet"]);
        validate.arg("docker-archive:more.tar").current_dir(self.directory);
        process::output(&mut validate).map(drop)
    }

    fn command(&self, program: &Path, store: &str, arguments: &[&str]) -> Command {
        let store = self.directory.join(store);
        let mut command = process::command(program, ["--storage-driver", "overlay", "--root"]);
        command.arg(store.join("root")).arg("--runroot").arg(store.join("run"));
        command.args(["--signature-policy", "policy.json"]).args(arguments);
        command.current_dir(self.directory);
        command.env("CONTAINERS_REGISTRIES_CONF", self.registry.configuration());
        command.env_remove("CI");
        command
    }

    fn output(&self, program: &Path, store: &str, arguments: &[&str]) -> Result<String> {
        process::output(&mut self.command(program, store, arguments))
    }

    /// Does a step with cooper.
    fn row(&self, rows: &mut Vec<Row>, title: &str, store: &str, line: &[&str]) -> Result<String> {
        let own = if store == "registry" { "one" } else { store };
        self.step(rows, title, store, self.command(self.cooper, own, line))
    }

    fn step(
        &self,
        rows: &mut Vec<Row>,
        title: &str,
        holds: &str,
        mut command: Command,
    ) -> Result<String> {
        let start = Instant::now();
        let said = process::output(&mut command)?;
        let mut done = row(title, String::new(), start);
        done[2] = megabytes(size_of(&self.directory.join(holds))?);
        rows.push(done);
        Ok(said)
    }

    /// Takes away the mount of a driver's directory onto itself, if there is one.
    fn release(&self, store: &str) {
        let overlay = self.directory.join(store).join("root/overlay");
        // Not everything that works on a store mounts it.
        let _ = process::command("umount", ["-q", "-l"]).arg(overlay).output();
    }
}

fn row(title: &str, size: String, start: Instant) -> Row {
    [title.to_owned(), String::new(), size, format!("{:.2} s", start.elapsed().as_secs_f64())]
}

/// The last line: the ID of what was built.
fn last(said: &str) -> String {
    said.lines().last().unwrap_or_default().to_owned()
}

/// Whether namespaces can be made: as root those of mounts, as a user one of users.
fn can_run() -> bool {
    let flags = if rustix::process::geteuid().is_root() { "-mp" } else { "-Urm" };
    let mut probe = process::command("unshare", [flags, "--fork", "true"]);
    probe.output().is_ok_and(|output| output.status.success())
}
