//! From what is written to what it means.

use std::borrow::Cow;
use std::collections::HashMap;

use super::flags::Flags;
use super::model::{
    Add, Arg, ArgItem, CommandLine, Copy, CopySource, Device, Env, Expose, From, Healthcheck,
    Instruction, Label, Maintainer, Network, Onbuild, Run, Security, Shell, StopSignal, User,
    Volume, Workdir,
};
use super::mount::MountFlag;
use super::values::{boolean, comma_separated, duration, is_possible_stage_name, is_stage_name};
use crate::diagnostic::{Code, Collector, Diagnostic, Severity};
use crate::heredoc::{Heredoc, opening};
use crate::span::Span;
use crate::statement::{Arguments, Pair, Statement, Word};
use crate::suggest::{did_you_mean, nearest};

/// What a statement means; `None` where it has an error, which is pushed.
pub(crate) fn lower(statement: &Statement, diagnostics: &mut Collector) -> Option<Instruction> {
    let Some(keyword) = super::canonical(statement.keyword()) else {
        unknown(statement, diagnostics);
        return None;
    };
    let flags = Flags::check(statement, keyword, diagnostics);
    let mut lowering = Lowering { statement, keyword, diagnostics };
    let instruction = lowering.instruction(flags.as_ref());
    flags.and(instruction)
}

fn unknown(statement: &Statement, diagnostics: &mut Collector) {
    if diagnostics.is_full() {
        return;
    }
    let word = statement.keyword();
    let near = nearest(word, super::NAMES, true).map(|name| {
        if word == word.to_lowercase() { name.to_lowercase() } else { name.to_owned() }
    });
    let shown: String = word.chars().take(64).collect();
    let near = did_you_mean(near.as_deref());
    let message = format!("unknown instruction: {}{near}", shown.escape_debug());
    let mut found = Diagnostic::error(Code::UnknownInstruction, statement.keyword_span(), message);
    if near.is_empty() {
        found = found.with_help("if it belongs to the line before, that must end in a \\");
    }
    diagnostics.push(found);
}

struct Lowering<'a> {
    statement: &'a Statement,
    keyword: &'a str,
    diagnostics: &'a mut Collector,
}

impl Lowering<'_> {
    fn refuse<T>(&mut self, code: Code, span: Span, message: impl Into<String>) -> Option<T> {
        self.diagnostics.error(code, span, message);
        None
    }

    /// An instruction whose flags are wrong is looked at too: more than one thing may be.
    fn instruction(&mut self, flags: Option<&Flags<'_>>) -> Option<Instruction> {
        Some(match self.keyword {
            "ADD" => Instruction::Add(Box::new(self.add(flags)?)),
            "ARG" => Instruction::Arg(self.arg()?),
            "CMD" => Instruction::Cmd(self.command(&self.statement.arguments)),
            "COPY" => Instruction::Copy(Box::new(self.copy(flags)?)),
            "ENTRYPOINT" => Instruction::Entrypoint(self.command(&self.statement.arguments)),
            "ENV" => Instruction::Env(Env { pairs: self.pairs()? }),
            "EXPOSE" => Instruction::Expose(Expose { ports: self.at_least_one()? }),
            "FROM" => Instruction::From(Box::new(self.from(flags)?)),
            "HEALTHCHECK" => Instruction::Healthcheck(self.healthcheck(flags)?),
            "LABEL" => Instruction::Label(Label { pairs: self.pairs()? }),
            "MAINTAINER" => Instruction::Maintainer(Maintainer { name: self.exactly_one()? }),
            "ONBUILD" => Instruction::Onbuild(self.onbuild()?),
            "RUN" => Instruction::Run(self.run(flags)?),
            "SHELL" => Instruction::Shell(Shell { words: self.shell()? }),
            "STOPSIGNAL" => Instruction::StopSignal(StopSignal { signal: self.exactly_one()? }),
            "USER" => Instruction::User(User { user: self.exactly_one()? }),
            "VOLUME" => Instruction::Volume(Volume { paths: self.volume()? }),
            _ => Instruction::Workdir(Workdir { path: self.exactly_one()? }),
        })
    }

    fn words(&self) -> Cow<'_, [Word]> {
        match &self.statement.arguments {
            Arguments::None => Cow::Borrowed(&[]),
            Arguments::Words(words) | Arguments::Json(words) => Cow::Borrowed(words),
            _ => Cow::Owned(self.statement.words().into_iter().cloned().collect()),
        }
    }

    fn at_least_one(&mut self) -> Option<Vec<Word>> {
        let words = self.words();
        if words.is_empty() {
            let message = format!("{} requires at least one argument", self.keyword);
            return self.refuse(Code::MissingArguments, self.statement.head(), message);
        }
        Some(words.into_owned())
    }

    fn exactly_one(&mut self) -> Option<Word> {
        if let Arguments::Text(word) = &self.statement.arguments {
            return Some(word.clone());
        }
        let message = format!("{} requires exactly one argument", self.keyword);
        self.refuse(Code::MissingArguments, self.statement.head(), message)
    }

    fn command(&self, arguments: &Arguments) -> CommandLine {
        match arguments {
            Arguments::Json(words) => CommandLine::Exec(words.clone()),
            Arguments::Text(word) => CommandLine::Shell(word.clone()),
            _ => CommandLine::Shell(self.statement.nothing()),
        }
    }

    fn pairs(&mut self) -> Option<Vec<Pair>> {
        let Arguments::Pairs(pairs) = &self.statement.arguments else {
            let message = format!("{} requires at least one argument", self.keyword);
            return self.refuse(Code::MissingArguments, self.statement.head(), message);
        };
        let blank = pairs.iter().find(|pair| pair.key.text.is_empty());
        if let Some(pair) = blank {
            let message = format!("{} names can not be blank", self.keyword);
            return self.refuse(Code::BlankName, pair.value.span, message);
        }
        Some(pairs.clone())
    }

    fn arg(&mut self) -> Option<Arg> {
        let statement = self.statement;
        let mut items = Vec::new();
        for word in self.at_least_one()? {
            let Some(at) = word.text.find('=') else {
                items.push(ArgItem { name: word, default: None });
                continue;
            };
            if at == 0 {
                return self.refuse(Code::BlankName, word.span, "ARG names can not be blank");
            }
            let part = |from: usize, to: usize| {
                Word::new(word.text.slice(from..to), statement.span_in(&word, from..to))
            };
            let default = Some(part(at + 1, word.text.len()));
            items.push(ArgItem { name: part(0, at), default });
        }
        Some(Arg { items })
    }

    fn from(&mut self, flags: Option<&Flags<'_>>) -> Option<From> {
        let words = match &self.statement.arguments {
            Arguments::Words(words) => words.as_slice(),
            _ => &[],
        };
        let (image, name) = match words {
            [image] => (image, None),
            [image, keyword, name] if keyword.text.eq_ignore_ascii_case("as") => {
                (image, Some(name))
            }
            _ => {
                let message = "FROM requires either one or three arguments";
                let help = "write `FROM image` or `FROM image AS name`";
                let found =
                    Diagnostic::error(Code::TooManyArguments, self.statement.head(), message);
                self.diagnostics.push(found.with_help(help));
                return None;
            }
        };
        if let Some(name) = name
            && !is_stage_name(&name.text.to_lowercase())
        {
            let message = format!(
                "invalid name for build stage: {:?}, name can't start with a number or contain symbols",
                name.text
            );
            if !is_possible_stage_name(&name.text) {
                return self.refuse(Code::InvalidStageName, name.span, message);
            }
            let found = Diagnostic::error(Code::InvalidStageName, name.span, message);
            let found = found.with_help("it is built, as with buildah; BuildKit refuses it");
            self.diagnostics.push(Diagnostic { severity: Severity::Warning, ..found });
        }
        let flags = flags?;
        let (platform, after) = (flags.value("platform"), flags.values("after"));
        Some(From { image: image.clone(), name: name.cloned(), platform, after })
    }

    fn run(&mut self, flags: Option<&Flags<'_>>) -> Option<Run> {
        let command = self.command(&self.statement.arguments);
        let flags = flags?;
        let mut ok = true;
        let mut mounts = Vec::new();
        for value in flags.values("mount") {
            let parsed = MountFlag::parse(&value.text, value.span);
            match parsed.and_then(|mount| mount.check().map(|()| mount)) {
                Ok(mount) => mounts.push(mount),
                Err(error) => {
                    self.diagnostics.error(Code::InvalidMount, value.span, error.to_string());
                    ok = false;
                }
            }
        }
        let networks =
            [("default", Network::Default), ("none", Network::None), ("host", Network::Host)];
        let network = self.choice(flags, "network", "network mode", &networks);
        let securities = [("sandbox", Security::Sandbox), ("insecure", Security::Insecure)];
        let security = self.choice(flags, "security", "security mode", &securities);
        let devices: Vec<Option<Device>> =
            flags.values("device").iter().map(|value| self.device(value)).collect();
        let devices = devices.into_iter().collect::<Option<Vec<Device>>>();
        let heredocs = self.statement.heredocs().to_vec();
        if !ok {
            return None;
        }
        Some(Run {
            command,
            heredocs,
            mounts,
            network: network.ok()?,
            security: security.ok()?,
            devices: devices?,
        })
    }

    fn choice<T: std::marker::Copy>(
        &mut self,
        flags: &Flags<'_>,
        flag: &str,
        what: &str,
        all: &[(&'static str, T)],
    ) -> Result<Option<T>, ()> {
        let Some(value) = flags.value(flag) else { return Ok(None) };
        if let Some((_, found)) = all.iter().find(|(name, _)| value.text == *name) {
            return Ok(Some(*found));
        }
        let near = did_you_mean(nearest(&value.text, all.iter().map(|(name, _)| *name), false));
        let message = format!("invalid {what} {:?}{near}", value.text);
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let help = format!("--{flag} is one of {}", names.join(", "));
        let found = Diagnostic::error(Code::InvalidFlagValue, value.span, message);
        self.diagnostics.push(found.with_help(help));
        Err(())
    }

    fn device(&mut self, value: &Word) -> Option<Device> {
        let Some(fields) = comma_separated(&value.text) else {
            return self.refuse(Code::InvalidFlagValue, value.span, "failed to parse csv devices");
        };
        let mut device = Device { name: String::new(), is_required: false };
        for field in fields {
            let (key, text) = match field.split_once('=') {
                Some((key, text)) => (key.to_ascii_lowercase(), Some(text)),
                None => (field.to_ascii_lowercase(), None),
            };
            let truth = text.map_or(Some(true), boolean);
            match (key.as_str(), text, truth) {
                ("required", _, Some(truth)) => device.is_required = truth,
                ("name", Some(name), _) if device.name.is_empty() => {
                    name.clone_into(&mut device.name)
                }
                _ if key != "required" && key != "name" && device.name.is_empty() => {
                    device.name = field
                }
                _ => {
                    let message = format!(
                        "unexpected key '{}' in '{}'",
                        key.escape_debug(),
                        field.escape_debug()
                    );
                    return self.refuse(Code::InvalidFlagValue, value.span, message);
                }
            }
        }
        if device.name.is_empty() {
            return self.refuse(Code::InvalidFlagValue, value.span, "a device needs a name");
        }
        Some(device)
    }

    fn sources(&mut self) -> Option<(Vec<CopySource>, Word)> {
        let statement = self.statement;
        let words = match &statement.arguments {
            Arguments::Words(words) | Arguments::Json(words) => words.as_slice(),
            _ => &[],
        };
        let Some((destination, sources)) = words.split_last().filter(|(_, all)| !all.is_empty())
        else {
            let message = format!(
                "{} requires at least two arguments, but only one was provided. Destination could not be determined",
                self.keyword
            );
            return self.refuse(Code::MissingArguments, statement.head(), message);
        };
        let may_be = |word: &Word| word.text.contains("<<");
        if may_be(destination) && matches!(opening(&destination.text, 0..0), Ok(Some(_))) {
            let message = format!("{} cannot accept a heredoc as a destination", self.keyword);
            return self.refuse(Code::MisplacedHeredoc, destination.span, message);
        }
        let path = |word: &Word| CopySource::Path(word.clone());
        if statement.heredocs().is_empty() || statement.is_json() {
            return Some((sources.iter().map(path).collect(), destination.clone()));
        }
        // Of heredocs with one name, the last is taken.
        let heredocs: HashMap<&str, &Heredoc> =
            statement.heredocs().iter().map(|heredoc| (&*heredoc.name, heredoc)).collect();
        let source = |word: &Word| {
            let opening =
                if may_be(word) { opening(&word.text, 0..0).ok().flatten() } else { None };
            match opening.and_then(|opening| heredocs.get(opening.name.as_str())) {
                Some(heredoc) => CopySource::Heredoc((*heredoc).clone()),
                None => path(word),
            }
        };
        Some((sources.iter().map(source).collect(), destination.clone()))
    }

    fn copy(&mut self, flags: Option<&Flags<'_>>) -> Option<Copy> {
        let (sources, destination) = self.sources()?;
        let flags = flags?;
        Some(Copy {
            sources,
            destination,
            from: flags.value("from"),
            owner: flags.value("chown"),
            mode: flags.value("chmod"),
            link: flags.boolean("link").unwrap_or(false),
            parents: flags.boolean("parents").unwrap_or(false),
            excludes: flags.values("exclude"),
        })
    }

    fn add(&mut self, flags: Option<&Flags<'_>>) -> Option<Add> {
        let (sources, destination) = self.sources()?;
        let flags = flags?;
        Some(Add {
            sources,
            destination,
            owner: flags.value("chown"),
            mode: flags.value("chmod"),
            link: flags.boolean("link").unwrap_or(false),
            excludes: flags.values("exclude"),
            checksum: flags.value("checksum"),
            keep_git_dir: flags.boolean("keep-git-dir"),
            unpack: flags.boolean("unpack"),
        })
    }

    fn shell(&mut self) -> Option<Vec<Word>> {
        match &self.statement.arguments {
            Arguments::Json(words) if !words.is_empty() => Some(words.clone()),
            Arguments::Json(_) | Arguments::None => {
                let message = "SHELL requires at least one argument";
                self.refuse(Code::MissingArguments, self.statement.head(), message)
            }
            _ => {
                let message = "SHELL requires the arguments to be in JSON form";
                let help = "write `SHELL [\"/bin/sh\", \"-c\"]`";
                let found = Diagnostic::error(Code::JsonRequired, self.statement.head(), message);
                self.diagnostics.push(found.with_help(help));
                None
            }
        }
    }

    fn volume(&mut self) -> Option<Vec<Word>> {
        let words = self.at_least_one()?;
        if let Some(word) = words.iter().find(|word| word.text.trim().is_empty()) {
            let message = "VOLUME specified can not be an empty string";
            return self.refuse(Code::BlankValue, word.span, message);
        }
        Some(words)
    }

    fn healthcheck(&mut self, flags: Option<&Flags<'_>>) -> Option<Healthcheck> {
        let Arguments::Typed(typed) = &self.statement.arguments else {
            let message = "HEALTHCHECK requires at least one argument";
            return self.refuse(Code::MissingArguments, self.statement.head(), message);
        };
        let (kind, rest) = &**typed;
        let name = kind.text.to_uppercase();
        if name == "NONE" {
            if *rest != Arguments::None {
                let message = "HEALTHCHECK NONE takes no arguments";
                return self.refuse(Code::TooManyArguments, self.statement.head(), message);
            }
            return Some(Healthcheck::None);
        }
        if name != "CMD" {
            let message = format!("Unknown type {name:?} in HEALTHCHECK (try CMD)");
            return self.refuse(Code::InvalidHealthcheck, kind.span, message);
        }
        let command = self.command(rest);
        if command.words().is_empty() {
            let message = "Missing command after HEALTHCHECK CMD";
            return self.refuse(Code::InvalidHealthcheck, self.statement.head(), message);
        }
        let flags = flags?;
        let retries = match flags.value("retries").filter(|value| !value.text.is_empty()) {
            None => Some(0),
            Some(value) => self.retries(&value),
        };
        let interval = self.duration(flags, "interval");
        let timeout = self.duration(flags, "timeout");
        let start_period = self.duration(flags, "start-period");
        let start_interval = self.duration(flags, "start-interval");
        Some(Healthcheck::Command {
            command,
            interval: interval?,
            timeout: timeout?,
            start_period: start_period?,
            start_interval: start_interval?,
            retries: retries?,
        })
    }

    fn retries(&mut self, value: &Word) -> Option<u32> {
        let text = value.text.strip_prefix('+').unwrap_or(&value.text);
        match text.parse::<i32>() {
            Ok(number) if number >= 0 => u32::try_from(number).ok(),
            Ok(number) => {
                let message = format!("--retries cannot be negative ({number})");
                self.refuse(Code::InvalidFlagValue, value.span, message)
            }
            Err(_) => {
                let message = format!("--retries is no number: {:?}", value.text);
                self.refuse(Code::InvalidFlagValue, value.span, message)
            }
        }
    }

    /// A time; `Some(None)` where there is none or it is 0, which means what the engine takes.
    fn duration(&mut self, flags: &Flags<'_>, name: &str) -> Option<Option<std::time::Duration>> {
        let Some(value) = flags.value(name).filter(|value| !value.text.is_empty()) else {
            return Some(None);
        };
        match duration(&value.text) {
            Some(time) if time.is_zero() => Some(None),
            Some(time) if time.as_millis() >= 1 => Some(Some(time)),
            Some(_) => {
                let message = format!("Interval {name:?} cannot be less than 1ms");
                self.refuse(Code::InvalidFlagValue, value.span, message)
            }
            None => {
                let message = format!("time: invalid duration {:?}", value.text);
                let help = "a duration is a number with a unit: 30s, 1m30s, 500ms";
                let found = Diagnostic::error(Code::InvalidFlagValue, value.span, message);
                self.diagnostics.push(found.with_help(help));
                None
            }
        }
    }

    fn onbuild(&mut self) -> Option<Onbuild> {
        let Arguments::Trigger(trigger) = &self.statement.arguments else {
            let message = "ONBUILD requires at least one argument";
            return self.refuse(Code::MissingArguments, self.statement.head(), message);
        };
        let name = trigger.keyword().to_uppercase();
        if name == "ONBUILD" {
            let message = "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed";
            return self.refuse(Code::InvalidTrigger, trigger.keyword_span(), message);
        }
        if name == "FROM" || name == "MAINTAINER" {
            let message = format!("{name} isn't allowed as an ONBUILD trigger");
            return self.refuse(Code::InvalidTrigger, trigger.keyword_span(), message);
        }
        // What is wrong in it stops the builds of other images, not this one.
        let mut found = Collector::default();
        let _ = lower(trigger, &mut found);
        for diagnostic in found.finish() {
            self.diagnostics.push(Diagnostic { severity: Severity::Warning, ..diagnostic });
        }
        let mut text = trigger.text().to_owned();
        for heredoc in trigger.heredocs() {
            text.push('\n');
            text.push_str(&heredoc.text);
            text.push_str(&heredoc.name);
        }
        Some(Onbuild { text, trigger: trigger.clone() })
    }
}
