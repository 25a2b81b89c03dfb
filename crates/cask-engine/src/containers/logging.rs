//! Where the output of containers goes.

use std::os::fd::AsFd as _;

use super::{Container, ContainerConfig, Containers};
use crate::{Error, ErrorKind, Result};

/// The log drivers that there are, as `--log-driver` has them. `json-file` is another word for the first.
pub const LOG_DRIVERS: [&str; 4] = ["k8s-file", "none", "passthrough", "journald"];

/// Where the output of a container goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogDriver {
    /// Into a file.
    File,
    /// Nowhere, but to who is attached.
    None,
    /// To whatever the standard output of whoever starts it is; its input comes from there too.
    PassThrough,
    /// Into the journal of the machine.
    Journal,
}

impl LogDriver {
    /// That of a container. The words are podman's.
    pub(super) fn of(config: &ContainerConfig) -> Result<Self> {
        match config.log.driver.as_str() {
            "" | "k8s-file" | "json-file" => Ok(Self::File),
            "none" => Ok(Self::None),
            "passthrough" => Ok(Self::PassThrough),
            "journald" => Ok(Self::Journal),
            _ => {
                let words = "running container create option: invalid log driver";
                let error = Error::new(ErrorKind::Invalid, words, "invalid argument");
                Err(error.with_own_hint(format!("choose one of {}", LOG_DRIVERS.join(", "))))
            }
        }
    }
}

/// Refuses what does not go together.
pub(super) fn check(config: &ContainerConfig) -> Result<()> {
    let (driver, log) = (LogDriver::of(config)?, &config.log);
    let refused = |what: &str, why: &str| {
        let words = format!("the log driver {} with {what}", log.driver);
        Err(Error::new(ErrorKind::Invalid, words, why))
    };
    if log.tag.is_some() && driver != LogDriver::Journal {
        let words = "running container create option: only the log driver journald has a tag";
        return Err(Error::new(ErrorKind::Invalid, words, "invalid argument"));
    }
    let is_file = driver == LogDriver::File;
    if log.path.is_some() && !is_file {
        return refused("a path", "there is no file");
    }
    if log.max_files.is_some_and(|files| !(1..=1000).contains(&files)) {
        let words = "invalid log option: max-file is from 1 to 1000";
        return Err(Error::new(ErrorKind::Invalid, words, ""));
    }
    if log.max_files.is_some() && !is_file && driver != LogDriver::None {
        return refused("a number of files", "only a file has one");
    }
    // What is kept nowhere does not grow.
    if log.max_size_bytes.is_some_and(|bytes| bytes > 0) && !is_file && driver != LogDriver::None {
        return refused("a size", "only a file has one");
    }
    if driver == LogDriver::PassThrough && config.process.terminal {
        return refused("a terminal", "what it prints there would go nowhere");
    }
    Ok(())
}

impl Containers {
    /// Says what the template of the tag of a container's log became.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerNotKnown`] where it was removed; [`ErrorKind::Io`].
    pub fn set_log_tag(&self, container: &Container, text: &str) -> Result<Container> {
        let _held = container.place.lock()?;
        let (mut config, state) = container.place.load()?;
        config.log.tag_text = Some(text.to_owned());
        container.place.save(&config, &state)?;
        self.reload(container)
    }
}

impl Container {
    /// Whether its input and output are those of whoever starts it: nobody can be attached to it, and it keeps no log.
    pub fn passes_through(&self) -> bool {
        LogDriver::of(&self.config).is_ok_and(|driver| driver == LogDriver::PassThrough)
    }

    /// Refuses to hand over a terminal: the container could type what whoever has it did not. The words are podman's.
    pub(super) fn check_handed_over(&self) -> Result<()> {
        let [input, output, error] =
            [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let is_terminal =
            [input, output, error].iter().any(|end| rustix::termios::isatty(end.as_fd()));
        if !self.passes_through() || !is_terminal {
            return Ok(());
        }
        let words = "the '--log-driver passthrough' option cannot be used on a TTY";
        Err(Error::new(ErrorKind::Invalid, words, "").with_hint("redirect input and output"))
    }

    /// What there is instead of its log, or of being attached to it. The words are podman's.
    pub(super) fn no_log(&self, what: &str) -> Error {
        let words = format!(
            "this container is using the '{}' log driver, cannot {what}",
            self.config.log.driver
        );
        Error::new(ErrorKind::Unsupported, words, "this container is not logging output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_together_is_refused() {
        let check = |change: &dyn Fn(&mut ContainerConfig), expected: bool| {
            let mut config = ContainerConfig::default();
            change(&mut config);
            assert_eq!(super::check(&config).is_ok(), expected, "{:?}", config.log);
        };
        for driver in LOG_DRIVERS.iter().chain(&["", "json-file"]) {
            check(&|config| (*driver).clone_into(&mut config.log.driver), true);
        }
        check(&|config| config.log.driver = "syslog".to_owned(), false);
        let tag = |driver: &'static str| {
            move |config: &mut ContainerConfig| {
                driver.clone_into(&mut config.log.driver);
                config.log.tag = Some("x".to_owned());
            }
        };
        check(&tag("journald"), true);
        check(&tag("k8s-file"), false);
        check(&tag("none"), false);
        let path = |driver: &'static str| {
            move |config: &mut ContainerConfig| {
                driver.clone_into(&mut config.log.driver);
                config.log.path = Some("/log".into());
            }
        };
        check(&path(""), true);
        check(&path("journald"), false);
        let size = |driver: &'static str| {
            move |config: &mut ContainerConfig| {
                driver.clone_into(&mut config.log.driver);
                config.log.max_size_bytes = Some(10);
            }
        };
        check(&size("json-file"), true);
        check(&size("none"), true);
        check(&size("passthrough"), false);
        let terminal = |config: &mut ContainerConfig| {
            config.log.driver = "passthrough".to_owned();
            config.process.terminal = true;
        };
        check(&terminal, false);
    }
}
