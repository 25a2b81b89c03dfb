//! Instructions that change the config alone.

use cask_containerfile::instruction::{Arg, Env, Expose, Instruction, Label, Volume, parse_ports};
use cask_containerfile::{Pair, expand_words};

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
                None => name,
            });
        }
        self.note(&format!("ARG {}", shown.join(" ")), false);
        Ok(())
    }

    /// Replaces the variables of pairs, all by what holds before the instruction.
    fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>> {
        let pair = |pair: &Pair| Ok((self.expand(&pair.key.text)?, self.expand(&pair.value.text)?));
        pairs.iter().map(pair).collect()
    }

    fn env(&mut self, env: &Env) -> Result<()> {
        let pairs = self.pairs(&env.pairs)?;
        for (name, value) in &pairs {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(invalid("ENV", format!("{name:?} is no name of a variable")));
            }
            config::set_environment(&mut self.state.config.config, name, value);
            self.state.scope.set_environment(name, value);
        }
        self.note(&format!("ENV {}", joined(&pairs)), false);
        Ok(())
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
        let mut ports = Vec::new();
        for word in &expose.ports {
            let words = expand_words(&word.text, &self.state.scope, &options)
                .map_err(|error| invalid("EXPOSE", error.to_string()))?;
            for word in words {
                let found = parse_ports(&word).map_err(|e| invalid("EXPOSE", e.to_string()))?;
                ports.extend(found.each());
            }
        }
        ports.sort();
        ports.dedup();
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
        self.state.config.config.volumes.extend(paths);
        Ok(())
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}
