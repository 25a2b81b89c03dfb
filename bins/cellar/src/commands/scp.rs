//! `cellar image scp`

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use cask_engine::LoadInput;
use cask_image::MediaType;
use cask_program::rootless;
use clap::Args;

use super::{load, save};
use crate::context::Context;
use crate::run;

/// Copy an image to another machine, from one, or between two, through ssh
///
/// A machine is what ssh knows it by, [ssh://][USER@]HOST[:PORT]; USER@localhost is another user of this one. There,
/// podman or cellar has to be in PATH. Nothing is written to temporary files.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as IMAGE, or as HOST::IMAGE of another machine; and where it goes, as HOST::, else to this one
    #[arg(value_name = "IMAGE [HOST::]")]
    words: Vec<String>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

/// Where an image is, or goes, that is not this user's.
#[derive(Debug, PartialEq, Eq)]
enum Machine<'w> {
    /// Another user of this machine.
    User(&'w str),
    Other {
        /// As ssh knows it.
        name: &'w str,
        port: Option<u16>,
    },
}

/// Copies. What runs elsewhere is started first: a user who is root of a namespace is nobody to ssh.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let (from, to) = match arguments.words.as_slice() {
        [from] => (from, None),
        [from, to] => (from, Some(to)),
        words => bail!("accepts between 1 and 2 arg(s), received {}", words.len()),
    };
    let (source, image) = place(from)?;
    let (target, name) = to.map_or(Ok((None, "")), |to| place(to))?;
    if image.is_empty() {
        bail!("{from:?} names no image: write it behind the machine, as in HOST::IMAGE");
    }
    if !name.is_empty() {
        bail!("{name:?} cannot be its name there: write the machine alone, as in HOST::");
    }
    match (source, target) {
        (None, None) => {
            bail!("must specify a destination: IMAGE HOST:: copies there, HOST::IMAGE from there")
        }
        (None, Some(target)) => send(image, &target, arguments.quiet, context),
        (Some(source), None) => {
            let (reader, writer) = pipe()?;
            let saving = source.start(&saving(image), Stdio::null(), writer.into())?;
            rootless::enter()?;
            let file = File::from(OwnedFd::from(reader));
            let input = LoadInput::File { file, name: from.into() };
            let loaded = run::wait(load::load(input, arguments.quiet, context));
            // What has gone wrong there is why nothing could be loaded here.
            source.end(saving)?;
            loaded
        }
        (Some(source), Some(target)) => {
            let (reader, writer) = pipe()?;
            let saving = source.start(&saving(image), Stdio::null(), writer.into())?;
            let loading =
                target.start(&loading(arguments.quiet), reader.into(), Stdio::inherit())?;
            let saved = source.end(saving);
            target.end(loading).and(saved)
        }
    }
}

fn pipe() -> Result<(PipeReader, PipeWriter)> {
    io::pipe().context("making a pipe")
}

/// Saves an image of this machine there: in the format that it has, so that its ID stays.
fn send(image: &str, target: &Machine<'_>, quiet: bool, context: &Context) -> Result<()> {
    let images = context.images()?;
    let format = match images.details(&images.find(image)?.image)?.manifest_type {
        MediaType::DockerManifest => "docker-archive",
        _ => "oci-archive",
    };
    let (reader, writer) = pipe()?;
    let loading = target.start(&loading(quiet), reader.into(), Stdio::inherit())?;
    rootless::enter()?;
    let path = format!("/dev/fd/{}", writer.as_raw_fd());
    let saved = run::wait(save::run(save::Arguments::quiet(image, format, path), context));
    drop(writer);
    target.end(loading)?;
    saved
}

/// What a word says: another machine and what follows it, or an image of this one.
fn place(word: &str) -> Result<(Option<Machine<'_>>, &str)> {
    match word.split_once("::") {
        Some((machine, image)) => Ok((Some(Machine::parse(machine)?), image)),
        None => Ok((None, word)),
    }
}

impl<'w> Machine<'w> {
    fn parse(text: &'w str) -> Result<Self> {
        let authority = text.strip_prefix("ssh://").unwrap_or(text);
        // The socket of a service, which is not asked.
        let authority = authority.split_once('/').map_or(authority, |(authority, _)| authority);
        if let Some(user) = authority.strip_suffix("@localhost") {
            check(text, user)?;
            return Ok(Self::User(user));
        }
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, digits)) if !name.contains(':') || name.ends_with(']') => {
                let Ok(port) = digits.parse() else {
                    bail!("{digits:?} in {text:?} is no port");
                };
                (name, Some(port))
            }
            _ => (authority, None),
        };
        check(text, name)?;
        Ok(Self::Other { name, port })
    }

    /// Runs a line of the shell there.
    fn start(&self, line: &str, input: Stdio, output: Stdio) -> Result<Child> {
        let mut command = match self {
            Self::User(user) if rustix::process::geteuid().is_root() => {
                let mut command = Command::new("runuser");
                command.args(["-l", user, "-c"]);
                command
            }
            Self::User(user) => {
                let mut command = Command::new("sudo");
                command.args(["-iu", user, "sh", "-c"]);
                command
            }
            Self::Other { name, port } => {
                let mut command = Command::new("ssh");
                if let Some(port) = port {
                    command.args(["-p", &port.to_string()]);
                }
                command.arg(name);
                command
            }
        };
        command.arg(line).stdin(input).stdout(output);
        let program = command.get_program().to_owned();
        command.spawn().with_context(|| format!("starting {}", program.display()))
    }

    /// Waits for what was started.
    fn end(&self, mut child: Child) -> Result<()> {
        let status = child.wait().context("waiting for the other machine")?;
        if status.success() {
            return Ok(());
        }
        match self {
            Self::User(user) => bail!("what ran as {user} has ended with {status}"),
            Self::Other { name, .. } => bail!("what ran on {name} has ended with {status}"),
        }
    }
}

/// What is handed to another program as its argument must not be an option of it.
fn check(text: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
        bail!("{text:?} is no machine: write [USER@]HOST[:PORT]");
    }
    Ok(())
}

/// The tool there, whichever it has.
const TOOL: &str = "t=$(command -v podman || command -v cellar) || { echo 'there is neither podman nor cellar' >&2; exit 127; }";

fn loading(quiet: bool) -> String {
    // Both tell names, quiet or not.
    let nowhere = if quiet { " >/dev/null" } else { "" };
    format!("{TOOL}; exec \"$t\" load -q{nowhere}")
}

fn saving(image: &str) -> String {
    let image = format!("'{}'", image.replace('\'', r"'\''"));
    format!(
        "{TOOL}; i={image}; m=$(\"$t\" image inspect --format '{{{{.ManifestType}}}}' \"$i\") || exit; \
         case $m in *docker*) f=docker-archive ;; *) f=oci-archive ;; esac; exec \"$t\" save -q --format $f \"$i\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_what_ssh_knows_them_by() {
        let check = |text: &str, expected: Machine<'_>| {
            assert_eq!(Machine::parse(text).unwrap(), expected, "{text}");
        };
        let other = |name, port| Machine::Other { name, port };
        check("fedora", other("fedora", None));
        check("me@host:22/run/podman.sock", other("me@host", Some(22)));
        check("ssh://me@host", other("me@host", None));
        check("me@2001:db8::1", other("me@2001:db8::1", None));
        check("me@localhost", Machine::User("me"));
        check("localhost", other("localhost", None));
        for wrong in
            ["", "-oProxyCommand=x", "a b", "host:x", "host:99999", "-x@localhost", "@localhost"]
        {
            Machine::parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn no_name_of_an_image_is_run() {
        let line = saving("a'; touch /x; '");
        assert!(line.contains(r"i='a'\''; touch /x; '\''';"), "{line}");
    }
}
