//! What is shown while a build goes on.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use cask::image::PlatformWanted;
use cask_build::{BuildEvent, CacheOutcome, OutputStream, Step, StepOutcome};
use cask_terminal::progress::{Event, Handle, Outcome};
use serde_json::{Value, json};

use super::arguments::{self, ShowArguments};
use crate::access::boolean;
use crate::progress::{Progress, ProgressChoice};
use crate::{output, report};

/// How a build is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Live,
    Json,
    Quiet,
}

impl Style {
    /// What the flags ask for, or what fits what is there.
    pub(super) fn of(arguments: &ShowArguments) -> Self {
        let is_plain_better = || {
            let is_dumb = std::env::var_os("TERM").is_none_or(|it| it == "dumb");
            is_dumb || std::env::var_os("CI").is_some() || arguments.debug
        };
        let is_terminal = || io::stderr().is_terminal() && io::stdout().is_terminal();
        match arguments.progress {
            _ if arguments.quiet => Self::Quiet,
            arguments::Progress::Quiet => Self::Quiet,
            arguments::Progress::Json => Self::Json,
            arguments::Progress::Plain => Self::Plain,
            arguments::Progress::Tty => Self::Live,
            arguments::Progress::Auto if arguments.logfile.is_some() => Self::Plain,
            arguments::Progress::Auto if is_terminal() && !is_plain_better() => Self::Live,
            arguments::Progress::Auto => Self::Plain,
        }
    }
}

/// A running display.
pub(super) struct Show {
    style: Style,
    explain: bool,
    /// Where lines go instead of the standard streams.
    log: Option<Mutex<Log>>,
    /// What pulls and pushes are shown in; with the steps, where the view is live.
    progress: Arc<Progress>,
    /// Standard output is for data: lines go to standard error.
    stdout_is_data: bool,
    /// How far the lines of steps got that have no end yet.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number that the display knows a step by.
    tasks: HashMap<(usize, usize, usize), u64>,
    /// The number of the next step, far from those of pulls.
    next_task: u64,
    /// Steps whose last output has no line end.
    open: Option<(usize, usize, usize)>,
}

/// Where a line goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Stdout,
    Stderr,
}

/// Files that lines go to.
struct Log {
    /// What the files are called, where each platform has its own.
    prefix: Option<PathBuf>,
    /// One, or one for each platform.
    files: Vec<File>,
}

impl Log {
    /// Writes what is about a platform, or about all of them.
    fn write(&mut self, platform: Option<usize>, bytes: &[u8]) -> io::Result<()> {
        let one = platform.filter(|_| self.prefix.is_some()).and_then(|at| self.files.get_mut(at));
        match one {
            Some(file) => file.write_all(bytes),
            None => self.files.iter_mut().try_for_each(|file| file.write_all(bytes)),
        }
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("creating {}", path.display()))
}

/// Opens the files that the flags name; those of platforms are opened when these are known.
fn log(arguments: &ShowArguments) -> Result<Option<Mutex<Log>>> {
    let Some(path) = &arguments.logfile else { return Ok(None) };
    let log = match boolean("logsplit", arguments.logsplit.as_deref())? {
        Some(true) => Log { prefix: Some(path.clone()), files: Vec::new() },
        _ => Log { prefix: None, files: vec![create(path)?] },
    };
    Ok(Some(Mutex::new(log)))
}

impl Show {
    /// Starts the display that the flags ask for.
    pub(super) fn start(
        arguments: &ShowArguments,
        explain: bool,
        stdout_is_data: bool,
    ) -> Result<Self> {
        let style = Style::of(arguments);
        let choice = match style {
            Style::Live => ProgressChoice::Auto,
            Style::Plain if arguments.logfile.is_none() => ProgressChoice::Plain,
            Style::Json => ProgressChoice::Json,
            Style::Plain | Style::Quiet => ProgressChoice::None,
        };
        Ok(Self {
            style,
            explain,
            log: log(arguments)?,
            progress: Arc::new(choice.start(false)),
            stdout_is_data,
            state: Mutex::new(State { next_task: 1 << 32, ..State::default() }),
        })
    }

    /// Opens the files of the platforms, where each has its own.
    ///
    /// Source: buildah, `--logsplit`, whose files are called `FILE_OS_ARCH`; here those of variants end in
    /// the variant.
    pub(super) fn split(&self, platforms: &[PlatformWanted]) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(prefix) = log.prefix.clone() else { return Ok(()) };
        for platform in platforms {
            let mut path = prefix.clone().into_os_string();
            path.push(format!("_{}", platform.to_string().replace('/', "_")));
            log.files.push(create(Path::new(&path))?);
        }
        Ok(())
    }

    /// What pulls and pushes are shown in.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Leaves the terminal alone: what comes now is not the build's.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = self.handle() else { return };
        for (_, task) in state.tasks.drain() {
            handle.event(Event::finished(task, Outcome::Failed, None));
        }
        handle.flush();
    }

    /// Whether everything is told in objects.
    pub(super) fn is_json(&self) -> bool {
        self.style == Style::Json
    }

    /// Whether nothing is shown.
    pub(super) fn is_quiet(&self) -> bool {
        self.style == Style::Quiet
    }

    /// Shows what happened.
    pub(super) fn event(&self, event: &BuildEvent) {
        match self.style {
            Style::Quiet => match event {
                BuildEvent::Warning { message, .. } => report::note(message),
                // As with buildah: what is wrong is worth a word.
                BuildEvent::Output { step, stream: OutputStream::Stderr, bytes } => {
                    self.output(step, OutputStream::Stderr, bytes);
                }
                _ => {}
            },
            Style::Json => self.json(&json_event(event)),
            Style::Plain | Style::Live => self.lines(event),
        }
    }

    fn lines(&self, event: &BuildEvent) {
        match event {
            BuildEvent::StepBegan(step) => self.began(step),
            BuildEvent::Output { step, stream, bytes } => self.output(step, *stream, bytes),
            BuildEvent::StepEnded { step, outcome } => self.ended(step, outcome),
            BuildEvent::ShellBegan { status, .. } => self.note(&format!(
                "the command ended with {status}; this is a shell where it left off: `exit` ends it and the build"
            )),
            BuildEvent::Warning { message, .. } => match (self.handle(), &self.log) {
                (Some(live), _) => report::warning(&live, message),
                (None, Some(_)) => self.line(None, To::Stderr, &format!("warning: {message}")),
                (None, None) => report::note(message),
            },
            _ => {}
        }
    }

    fn began(&self, step: &Step) {
        let line = title(step);
        match self.handle() {
            None => self.line(Some(step), To::Stdout, &line),
            Some(handle) => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let task = state.next_task;
                state.next_task += 1;
                state.tasks.insert(key(step), task);
                handle.event(Event::started(task, line, None));
            }
        }
    }

    fn output(&self, step: &Step, stream: OutputStream, bytes: &[u8]) {
        if let Some(handle) = self.handle() {
            let text = String::from_utf8_lossy(bytes);
            text.lines().for_each(|line| handle.log(&format!("{}{line}", prefix(step))));
            return;
        }
        let to = match stream {
            OutputStream::Stdout => To::Stdout,
            OutputStream::Stderr => To::Stderr,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::with_capacity(bytes.len() + 16);
        if state.open.is_some_and(|open| open != key(step)) {
            text.push(b'\n');
        }
        if state.open != Some(key(step)) {
            text.extend_from_slice(prefix(step).as_bytes());
        }
        text.extend_from_slice(bytes);
        state.open = (!bytes.ends_with(b"\n")).then(|| key(step));
        self.write(Some(step), to, &text);
    }

    fn ended(&self, step: &Step, outcome: &StepOutcome) {
        let line = match &outcome.cache {
            CacheOutcome::Hit => Some("--> Using cache".to_owned()),
            CacheOutcome::Miss(miss) if self.explain => {
                Some(format!("--> not from the cache: {miss}"))
            }
            _ => None,
        };
        match self.handle() {
            None => {
                if let Some(line) = line {
                    self.line(Some(step), To::Stdout, &format!("{}{line}", prefix(step)));
                }
            }
            Some(handle) => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(task) = state.tasks.remove(&key(step)) else { return };
                let hit = outcome.cache == CacheOutcome::Hit;
                let how = if hit { Outcome::Skipped } else { Outcome::Done };
                let message = if hit { Some("from the cache".to_owned()) } else { line };
                handle.event(Event::finished(task, how, message));
            }
        }
    }

    /// Shows a line about the whole build.
    pub(super) fn say(&self, line: &str) {
        match self.style {
            Style::Plain => self.line(None, To::Stdout, line),
            Style::Live => self.handle().into_iter().for_each(|handle| handle.log(line)),
            Style::Json | Style::Quiet => {}
        }
    }

    /// Prints what the build gives, whatever the style: into the log, unless that is of objects, or on standard output.
    pub(super) fn print(&self, line: &str) -> Result<()> {
        match &self.log {
            Some(_) if !self.is_json() => {
                self.line(None, To::Stdout, line);
                Ok(())
            }
            _ => output::line(line),
        }
    }

    /// Shows lines that are no part of what the build says, such as a table.
    pub(super) fn note(&self, text: &str) {
        match self.handle() {
            Some(handle) => text.lines().for_each(|line| handle.log(line)),
            None if self.style == Style::Plain => {
                text.lines().for_each(|line| self.line(None, To::Stderr, line));
            }
            None => {}
        }
    }

    /// Shows an object, where objects are shown.
    pub(super) fn json(&self, value: &Value) {
        if self.style == Style::Json {
            self.line(None, To::Stderr, &value.to_string());
        }
    }

    fn handle(&self) -> Option<Handle> {
        (self.style == Style::Live).then(|| self.progress.handle())
    }

    /// Writes a line about a step, or about the whole build.
    fn line(&self, step: Option<&Step>, to: To, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = if state.open.take().is_some() { "\n" } else { "" };
        self.write(step, to, format!("{gap}{line}\n").as_bytes());
    }

    /// A stream that nobody reads any more is no reason to end a build.
    fn write(&self, step: Option<&Step>, to: To, bytes: &[u8]) {
        let _ = match (&self.log, to) {
            (Some(log), _) => {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.write(step.map(|step| step.platform_index), bytes)
            }
            (None, To::Stdout) if !self.stdout_is_data => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            (None, _) => io::stderr().write_all(bytes),
        };
    }
}

fn key(step: &Step) -> (usize, usize, usize) {
    (step.platform_index, step.stage, step.number)
}

/// `STEP 1/4: FROM …`, with the stage before it where there are several.
///
/// Source: buildah, `imagebuildah.StageExecutor`, `logCommand`.
pub(super) fn title(step: &Step) -> String {
    let stages = match step.stages {
        1 => String::new(),
        count => format!("[{}/{count}] ", step.stage + 1),
    };
    let platform = match step.platform_index {
        0 => String::new(),
        _ => format!("[{}] ", step.platform),
    };
    format!("{platform}{stages}STEP {}/{}: {}", step.number, step.count, step.text)
}

/// What lines of a command begin with, where several may run at the same time.
fn prefix(step: &Step) -> String {
    match (step.stages, step.platform_index) {
        (1, 0) => String::new(),
        (_, 0) => format!("[{}] ", step.stage_name),
        _ => format!("[{} {}] ", step.platform, step.stage_name),
    }
}

fn json_step(step: &Step) -> Value {
    json!({
        "platform": step.platform,
        "stage": step.stage_name,
        "stageIndex": step.stage,
        "number": step.number,
        "count": step.count,
        "text": step.text,
        "file": step.file,
        "line": step.line,
    })
}

/// What came of a step, as JSON.
pub(super) fn json_outcome(outcome: &StepOutcome) -> Value {
    let (cache, reasons) = match &outcome.cache {
        CacheOutcome::Hit => ("hit", Vec::new()),
        CacheOutcome::Miss(miss) => ("miss", miss.reasons.clone()),
        _ => ("none", Vec::new()),
    };
    json!({
        "cache": cache,
        "reasons": reasons,
        "wallSeconds": outcome.wall.as_secs_f64(),
        "cpuSeconds": outcome.cpu.as_secs_f64(),
        "savedSeconds": outcome.saved.as_secs_f64(),
        "layerBytes": outcome.layer_bytes,
    })
}

fn json_event(event: &BuildEvent) -> Value {
    match event {
        BuildEvent::StepBegan(step) => json!({"event": "stepBegan", "step": json_step(step)}),
        BuildEvent::Output { step, stream, bytes } => json!({
            "event": "output",
            "step": json_step(step),
            "stream": if *stream == OutputStream::Stdout { "stdout" } else { "stderr" },
            "text": String::from_utf8_lossy(bytes),
        }),
        BuildEvent::StepEnded { step, outcome } => {
            json!({"event": "stepEnded", "step": json_step(step), "outcome": json_outcome(outcome)})
        }
        BuildEvent::ShellBegan { step, status } => {
            json!({"event": "shellBegan", "step": json_step(step), "status": status})
        }
        BuildEvent::Warning { step, message } => json!({
            "event": "warning",
            "step": step.as_ref().map(|step| json_step(step)),
            "message": message,
        }),
        _ => json!({"event": "other"}),
    }
}
