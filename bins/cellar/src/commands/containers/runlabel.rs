//! `cellar container runlabel`

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use cask_engine::{Containers, ErrorKind, Found, PullPolicy, RemoveOptions};
use cask_program::moving::{PlatformArguments, RegistryArguments};
use cask_program::output;
use clap::Args;

use super::wanted::Wanted;
use crate::context::Context;

/// Run the command that a label of an image says
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The label, in capital or small letters
    label: String,
    /// The image
    image: String,
    /// Words behind the command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
    /// Only print the command
    #[arg(long)]
    display: bool,
    /// What NAME in the label stands for [default: the last part of the image's name]
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// What ${OPT1} in the label stands for
    #[arg(long, value_name = "WORDS", default_value = "", allow_hyphen_values = true, hide = true)]
    opt1: String,
    /// What ${OPT2} in the label stands for
    #[arg(long, value_name = "WORDS", default_value = "", allow_hyphen_values = true, hide = true)]
    opt2: String,
    /// What ${OPT3} in the label stands for
    #[arg(long, value_name = "WORDS", default_value = "", allow_hyphen_values = true, hide = true)]
    opt3: String,
    /// Pull the image where it is missing, which is done anyway
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    pull: Option<bool>,
    /// Have the command neither read nor print
    #[arg(short, long)]
    quiet: bool,
    /// Remove the container that has the name behind --name in the label
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Runs it.
///
/// Source: podman, `pkg/domain/infra/abi/containers_runlabel.go`; its words.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let images = containers.images();
    let wanted = Wanted {
        name: &arguments.image,
        policy: match arguments.pull {
            Some(false) => PullPolicy::Never,
            _ => PullPolicy::Missing,
        },
        quiet: arguments.quiet,
        platform: &PlatformArguments::default(),
        registry: &arguments.registry,
    };
    let found = wanted.find(images, context)?;
    let config = images.config(&found.image)?;
    let labels = config.map(|config| config.config.labels).unwrap_or_default();
    let of_name = |(name, _): &(&String, &String)| name.eq_ignore_ascii_case(&arguments.label);
    let text = labels.iter().find(of_name).map(|(_, text)| text.trim());
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        bail!("cannot find the value of label: {} in image: {}", arguments.label, arguments.image);
    };
    let here = std::env::current_dir().context("asking where this is")?;
    let command = arguments.command(text, &found, &here.display().to_string())?;
    let Some((program, words)) = command.split_first() else {
        bail!("the label {} of {} is no command", arguments.label, arguments.image);
    };
    let this = std::env::current_exe().context("asking which program this is")?;
    if arguments.display {
        let first = std::env::args().next().unwrap_or_default();
        output::line(&format!("command: {first} {}", words.join(" ")))?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.replace {
        make_room(words, &containers)?;
    }
    let mut child = match is_this(program) {
        true => Command::new(this),
        false => Command::new(program),
    };
    child.args(words).env("PODMAN_RUNLABEL_NESTED", "1");
    for (name, value) in arguments.parts() {
        if !value.is_empty() {
            child.env(name, value);
        }
    }
    if arguments.quiet {
        child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let status = child.status().with_context(|| format!("running {program}"))?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        _ => bail!("{program}: {status}"),
    }
}

/// Removes the container that has the name behind `--name`.
fn make_room(words: &[String], containers: &Containers) -> Result<()> {
    let mut behind = words.iter().skip_while(|word| *word != "--name").skip(1);
    let Some(name) = behind.next() else { return Ok(()) };
    let mut options = RemoveOptions::default();
    options.force = true;
    match containers.find(name) {
        Ok(old) => Ok(containers.remove(&old, &options)?),
        Err(error) if error.kind() == ErrorKind::ContainerNotKnown => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a label means this program, which stands where podman and docker do.
fn is_this(program: &str) -> bool {
    let name = Path::new(program).file_name().and_then(|name| name.to_str());
    matches!(name, Some("podman" | "docker"))
}

impl Arguments {
    fn parts(&self) -> [(&'static str, &str); 3] {
        [("OPT1", &self.opt1), ("OPT2", &self.opt2), ("OPT3", &self.opt3)]
    }

    /// The words of the command.
    fn command(&self, text: &str, found: &Found, here: &str) -> Result<Vec<String>> {
        let image = found.image.names.first().cloned();
        let image = image.unwrap_or_else(|| found.image.id.to_string());
        let by_id = found.image.id.to_string().starts_with(self.image.as_str());
        let called = if by_id { image.as_str() } else { self.image.as_str() };
        let last = called.rsplit('/').next().unwrap_or_default();
        let usual = last.split(':').next().unwrap_or_default();
        let name = self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(usual);
        let whole = std::iter::once(text).chain(self.words.iter().map(String::as_str));
        let mut filled: Vec<String> = split(&whole.collect::<Vec<_>>().join(" "))?;
        for word in filled.iter_mut().skip(1) {
            *word = fill(&fill(word, "NAME", name), "IMAGE", &image);
        }
        let known = |variable: &str| match variable {
            "PWD" => here,
            other => {
                self.parts().into_iter().find(|(name, _)| *name == other).map_or("", |one| one.1)
            }
        };
        split(&expand(&filled.join(" "), known))
    }
}

/// A word with what a placeholder stands for: `NAME`, `X=NAME`, `$NAME` and `${NAME}`.
fn fill(word: &str, placeholder: &str, value: &str) -> String {
    if word == placeholder {
        return value.to_owned();
    }
    let word = word.replace(&format!("${placeholder}"), value);
    let word = word.replace(&format!("${{{placeholder}}}"), value);
    match word.strip_suffix(&format!("={placeholder}")) {
        Some(before) => format!("{before}={value}"),
        None => word,
    }
}

/// A text with `$NAME` and `${NAME}` replaced.
fn expand<'v>(text: &str, known: impl Fn(&str) -> &'v str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        filled.push_str(before);
        let (name, after) = match behind.strip_prefix('{').and_then(|text| text.split_once('}')) {
            Some(found) => found,
            None => {
                let is_name = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_';
                behind.split_at(behind.find(|symbol| !is_name(symbol)).unwrap_or(behind.len()))
            }
        };
        filled.push_str(known(name));
        rest = after;
    }
    filled + rest
}

/// Cuts a text into words as a shell would: quotes, backslashes, comments; nothing is replaced.
///
/// Source: github.com/google/shlex.
fn split(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut symbols = text.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\\' => {
                let next = symbols.next().context("EOF found after escape character")?;
                word.get_or_insert_default().push(next);
            }
            '"' | '\'' => quoted(symbol, &mut symbols, word.get_or_insert_default())?,
            '#' if word.is_none() => {
                let _comment = symbols.find(|symbol| *symbol == '\n');
            }
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads to the end of what is in quotes.
fn quoted(quote: char, symbols: &mut std::str::Chars<'_>, word: &mut String) -> Result<()> {
    let open = "EOF found when expecting closing quote";
    loop {
        match symbols.next().context(open)? {
            symbol if symbol == quote => return Ok(()),
            '\\' if quote == '"' => word.push(symbols.next().context(open)?),
            symbol => word.push(symbol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_a_shell_does() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        };
        check("", &[]);
        check(" a  b\tc ", &["a", "b", "c"]);
        check(r#"a 'b c' "d \"e"f g\ h"#, &["a", "b c", "d \"ef", "g h"]);
        check("a b # c", &["a", "b"]);
        check("a#b ''", &["a#b", ""]);
        for wrong in ["'a", "\"a", "a\\"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn placeholders_are_podmans() {
        let check = |word: &str, expected: &str| {
            assert_eq!(fill(word, "NAME", "web"), expected, "{word}");
        };
        check("NAME", "web");
        check("NAMES", "NAMES");
        check("HOST=NAME", "HOST=web");
        check("/etc/${NAME}/$NAME", "/etc/web/web");
        let known = |name: &str| if name == "OPT1" { "-v" } else { "" };
        assert_eq!(expand("a ${OPT1} $OPT1 b$X", known), "a -v -v b");
    }
}
