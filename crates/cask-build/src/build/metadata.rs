//! Instructions that change the config alone.

use cask_containerfile::instruction::{
    Arg, Env, Expose, Instruction, Label, Ports, Volume, parse_ports,
};
use cask_containerfile::{Behavior, Pair, Variables as _, expand_words};

use super::plan::missing_argument;
use super::request::LayerMode;
use super::stage::StageRun;
use crate::{Error, ErrorKind, Result, config, history};

fn invalid(subject: &str, detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, subject, detail)
}

impl StageRun<'_> {
    /// Does an instruction that changes no file.
    pub(crate) fn metadata(&mut self, instruction: &Instruction) -> Result<()> {
        match instruction {
            Instruction::Arg(arg) => self.arg(arg),
            Instruction::Env(env) => self.env(env),
            Instruction::Label(label) => self.label(label),
            Instruction::Expose(expose) => self.expose(expose),
            Instruction::Volume(volume) => self.volume(volume),
            Instruction::Cmd(command) => {
                let words = config::command(command, &self.state.config.config, self.dialect());
                self.note(&format!("CMD {}", history::quoted_list(&words)), false);
                self.state.config.config.args_escaped = false;
                self.state.config.config.cmd = Some(words);
                self.state.has_cmd = true;
                Ok(())
            }
            Instruction::Entrypoint(command) => {
                let words = config::command(command, &self.state.config.config, self.dialect());
                self.note(&format!("ENTRYPOINT {}", history::quoted_list(&words)), false);
                // A CMD of the base was meant for the entry point of the base.
                if !self.state.has_cmd {
                    self.state.config.config.cmd = None;
                }
                self.state.config.config.entrypoint = Some(words);
                Ok(())
            }
            Instruction::Healthcheck(words) => {
                self.check_retries()?;
                let check = config::healthcheck(words);
                self.note(&history::healthcheck(&check), false);
                self.state.config.config.healthcheck = Some(check);
                Ok(())
            }
            Instruction::Maintainer(maintainer) => {
                let name = maintainer.name.text.to_string();
                self.note(&format!("MAINTAINER {name}"), false);
                self.state.config.author = name;
                Ok(())
            }
            Instruction::Onbuild(onbuild) => {
                self.state.config.config.on_build.push(onbuild.text.clone());
                self.note(&format!("ONBUILD {}", onbuild.text), false);
                Ok(())
            }
            Instruction::Shell(shell) => {
                let words: Vec<String> =
                    shell.words.iter().map(|word| word.text.to_string()).collect();
                self.note(&format!("SHELL [{}]", words.join(" ")), false);
                self.state.config.config.shell = Some(words);
                Ok(())
            }
            Instruction::StopSignal(stop) => {
                let signal = self.expand(&stop.signal.text)?;
                if !config::is_signal(&signal) {
                    return Err(invalid("STOPSIGNAL", format!("Invalid signal: {signal}")));
                }
                if signal.parse().is_ok_and(|number: u32| number > config::LAST_SIGNAL) {
                    let warning = format!("STOPSIGNAL: there is no signal {signal}");
                    self.engine.warn(Some(&self.step), warning);
                }
                self.note(&format!("STOPSIGNAL {signal}"), false);
                self.state.config.config.stop_signal = signal;
                Ok(())
            }
            Instruction::User(user) => {
                let user = self.expand(&user.user.text)?;
                self.note(&format!("USER {user}"), false);
                self.state.config.config.user = user;
                Ok(())
            }
            _ => Err(invalid(&self.plan.text(), "this crate does not know the instruction")),
        }
    }

    /// Refuses what Buildah refuses, where its results are wanted; the words are its own.
    fn check_retries(&self) -> Result<()> {
        let is_zero = |text: &str| text.trim_start_matches(['+', '0']).is_empty();
        let mut flags = self.plan.statement.flags().iter();
        let is_given = flags.any(|flag| {
            flag.name() == "retries"
                && flag.value().is_some_and(|value| !value.is_empty() && is_zero(value))
        });
        match is_given && !self.dialect().does(Behavior::RetriesMayBeZero) {
            true => Err(invalid("HEALTHCHECK", "--retries must be at least 1 (not 0)")),
            false => Ok(()),
        }
    }

    fn arg(&mut self, arg: &Arg) -> Result<()> {
        let options = self.plan.expansion(self.dialect());
        let global = &self.engine.platform(self.id).global;
        let mut shown = Vec::new();
        for item in &arg.items {
            let name = self.expand(&item.name.text)?;
            let default = item.default.as_ref().map(|word| word.as_str());
            self.state
                .scope
                .declare(&name, default, global, &options)
                .map_err(|error| invalid("ARG", error.to_string()))?;
            let value = self.state.scope.arguments().find(|(own, _)| *own == name);
            shown.push(match value.and_then(|(_, value)| value) {
                Some(value) => format!("{name}={value}"),
                None => {
                    if self.state.scope.value(&name).is_none()
                        && let Some(message) = missing_argument(&name)
                    {
                        self.engine.warn(Some(&self.step), message);
                    }
                    name
                }
            });
        }
        if self.dialect().does(Behavior::HistoryHasMarker) {
            self.note(&format!("ARG {}", shown.join(" ")), false);
        } else {
            let arguments = self.valued_arguments();
            let names: Vec<String> = arguments.into_iter().map(|(name, _)| name).collect();
            self.note_as(history::buildah(&format!("ARG {}", names.join(" "))), false);
        }
        Ok(())
    }

    /// The arguments that have a value so far, as commands see it: what Buildah's history names.
    ///
    /// Source: buildah, `getBuildArgsKey` and `getBuildArgsResolvedForRun`.
    pub(crate) fn valued_arguments(&self) -> Vec<(String, String)> {
        let scope = &self.state.scope;
        let names = scope.arguments().filter(|(_, value)| value.is_some());
        let each =
            names.filter_map(|(name, _)| Some((name.to_owned(), scope.value(name)?.to_owned())));
        let mut all: Vec<_> = each.collect();
        all.sort();
        all
    }

    /// Replaces the variables of pairs, all by what holds before the instruction.
    fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>> {
        let pair = |pair: &Pair| Ok((self.expand(&pair.key.text)?, self.expand(&pair.value.text)?));
        pairs.iter().map(pair).collect()
    }

    fn env(&mut self, env: &Env) -> Result<()> {
        let pairs = self.pairs(&env.pairs)?;
        for (name, value) in &pairs {
            if name.contains(['=', '\0']) || value.contains('\0') {
                return Err(invalid("ENV", format!("{name:?} is no name of a variable")));
            }
            if name.is_empty() {
                let warning = "ENV: a variable has no name: commands do not see it";
                self.engine.warn(Some(&self.step), warning);
            }
            self.set_variable(name, value);
        }
        self.note(&format!("ENV {}", joined(&pairs)), false);
        Ok(())
    }

    /// Sets a variable of the image, which the instructions that follow see.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        let keeps_place = self.dialect().does(Behavior::EnvKeepsItsPlace);
        let config = &mut self.state.config.config;
        if !keeps_place {
            config::unset_environment(config, name);
        }
        config::set_environment(config, name, value);
        self.state.scope.set_environment(name, value);
    }

    fn label(&mut self, label: &Label) -> Result<()> {
        let pairs = self.pairs(&label.pairs)?;
        for (name, value) in &pairs {
            self.state.config.config.labels.insert(name.clone(), value.clone());
        }
        self.note(&format!("LABEL {}", joined(&pairs)), false);
        Ok(())
    }

    fn expose(&mut self, expose: &Expose) -> Result<()> {
        let options = self.plan.expansion(self.dialect());
        // BuildKit tells them in the order of what is written.
        let mut written: Vec<_> = expose.ports.iter().collect();
        written.sort_by_key(|word| word.text.to_string());
        let mut ports = Vec::new();
        for word in written {
            let words = expand_words(&word.text, &self.state.scope, &options)
                .map_err(|error| invalid("EXPOSE", error.to_string()))?;
            for word in words {
                let found = parse_ports(&word).map_err(|e| invalid("EXPOSE", e.to_string()))?;
                if self.dialect().does(Behavior::ExposeExpandsRanges) || found.first == found.last {
                    ports.extend(found.each());
                } else {
                    let Ports { first, last, protocol } = found;
                    ports.push(format!("{first}-{last}/{protocol}"));
                }
            }
        }
        self.note(&format!("EXPOSE [{}]", ports.join(" ")), false);
        self.state.config.config.exposed_ports.extend(ports);
        Ok(())
    }

    fn volume(&mut self, volume: &Volume) -> Result<()> {
        let mut paths = Vec::new();
        for word in &volume.paths {
            let path = self.expand(&word.text)?;
            let path = path.trim();
            if path.is_empty() {
                return Err(invalid("VOLUME", "VOLUME specified can not be an empty string"));
            }
            paths.push(path.to_owned());
        }
        self.note(&format!("VOLUME [{}]", paths.join(" ")), false);
        if self.dialect().does(Behavior::VolumeMakesDirectory) {
            for path in &paths {
                self.directory_without_layer(path, "")?;
            }
            if self.engine.request.image.layers == LayerMode::Each {
                self.state.pending.volumes.extend(paths.iter().cloned());
            }
        }
        self.state.config.config.volumes.extend(paths);
        Ok(())
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}
