//! `cellar __complete`: what may stand where a shell asks, in the words of the library that podman completes with, so
//! that the scripts of both ask alike.
//!
//! Source: spf13/cobra, `completions.go`; podman, `cmd/podman/common/completion.go`.

mod line;
mod there;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use cask_program::command_line::visible;
use cask_program::{output, report};
use clap::CommandFactory as _;

use crate::cli::Cli;
use line::{Line, Wanted};

/// The first argument that asks, with what each is for and without.
const VERBS: [&str; 2] = ["__complete", "__completeNoDesc"];

/// What the shell does besides. Source: spf13/cobra, `ShellCompDirective`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    /// Offers files where nothing is offered here.
    Default = 0,
    /// Sets no space behind what it completes.
    NoSpace = 2,
    /// Offers no files.
    NoFileComp = 4,
    /// Sets no space, and offers no files.
    NoSpaceNoFileComp = 6,
}

impl Directive {
    fn words(self) -> &'static str {
        match self {
            Self::Default => "ShellCompDirectiveDefault",
            Self::NoSpace => "ShellCompDirectiveNoSpace",
            Self::NoFileComp => "ShellCompDirectiveNoFileComp",
            Self::NoSpaceNoFileComp => "ShellCompDirectiveNoSpace, ShellCompDirectiveNoFileComp",
        }
    }
}

/// What may stand there: each with what it is for.
pub(crate) type Candidates = Vec<(String, String)>;

/// Answers, where that is what this program was started for.
pub(crate) fn asked() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let verb = words.next()?;
    let described = VERBS.iter().position(|known| verb == *known)? == 0;
    let words: Vec<OsString> = words.collect();
    Some(match answer(&words, described) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::engine_failure(&error, |_| None);
            ExitCode::from(125)
        }
    })
}

fn answer(words: &[OsString], described: bool) -> Result<()> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", &[][..]),
    };
    let root = visible(Cli::command());
    let line = Line::read(&root, before);
    let named = |kind, start: &str| {
        // What cannot be looked at is nothing to offer.
        let nothing = |_| (Vec::new(), Directive::NoFileComp);
        there::named(kind, start, &line.global).unwrap_or_else(nothing)
    };
    let (candidates, directive) = match line.wanted(last) {
        Wanted::Words(words) => (words, Directive::NoFileComp),
        Wanted::Keys(keys) => (keys, Directive::NoSpaceNoFileComp),
        Wanted::Files => (Vec::new(), Directive::Default),
        Wanted::Nothing => (Vec::new(), Directive::NoFileComp),
        Wanted::There(kind, start) => named(kind, &start),
        Wanted::Behind(key, kind, start) => {
            let (mut found, directive) = named(kind, &start);
            found.iter_mut().for_each(|(name, _)| name.insert_str(0, &key));
            (found, directive)
        }
    };
    let mut text = String::new();
    for (candidate, about) in candidates {
        text.push_str(&candidate);
        if described && !about.is_empty() {
            text.push('\t');
            text.push_str(about.lines().next().unwrap_or_default());
        }
        text.push('\n');
    }
    text.push_str(&format!(":{}\n", directive as u8));
    output::bytes(text.as_bytes())?;
    report::say(&format!("Completion ended with directive: {}", directive.words()));
    Ok(())
}
