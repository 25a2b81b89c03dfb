//! The line that a shell completes, as far as it is written.

use clap::{Arg, ArgAction, Command};

use super::Candidates;
use super::values::of_flag;

/// The line before the word that is completed.
pub(super) struct Line<'c> {
    command: &'c Command,
    /// The names of the commands that it is in.
    path: Vec<&'c str>,
    /// How many words stand behind them that are no flags.
    words: usize,
    /// What is written of the flags of all commands.
    pub(super) global: Vec<String>,
    /// The flag whose value is completed.
    flag: Option<&'c Arg>,
    /// No flags come any more.
    only_words: bool,
}

/// What may stand in a place.
#[derive(Debug)]
pub(super) enum Wanted {
    /// These words.
    Words(Candidates),
    /// These beginnings: something follows.
    Keys(Candidates),
    /// Files, which the shell knows.
    Files,
    /// Nothing that is known.
    Nothing,
    /// Names of what is there that begin so.
    There(Kind, String),
    /// The same, behind a key.
    Behind(String, Kind, String),
}

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Containers(State),
    /// Containers, with a colon behind each name: a path follows.
    ContainerPaths,
    Images,
    ContainersAndImages,
    Networks,
    /// Networks, and the words that stand for one.
    NetworkModes,
    Volumes,
    Secrets,
    Artifacts,
    Pods,
}

/// Which containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Any,
    Running,
    Paused,
    Startable,
}

impl<'c> Line<'c> {
    /// Reads what is written.
    pub(super) fn read(root: &'c Command, before: &[String]) -> Self {
        let mut line = Self {
            command: root,
            path: Vec::new(),
            words: 0,
            global: Vec::new(),
            flag: None,
            only_words: false,
        };
        let mut global = None;
        for word in before {
            if let Some(flag) = line.flag.take() {
                if global.take() == Some(flag.get_id()) {
                    line.global.push(word.clone());
                }
                continue;
            }
            if line.only_words || !word.starts_with('-') || word == "-" {
                line.take_word(word);
                continue;
            }
            if word == "--" {
                line.only_words = true;
                continue;
            }
            let (flag, has_value) = line.find_flag(word);
            let Some(flag) = flag else { continue };
            if root.get_arguments().any(|one| one.get_id() == flag.get_id()) {
                line.global.push(word.clone());
                global = Some(flag.get_id());
            }
            line.flag = Some(flag).filter(|flag| takes_word(flag) && !has_value);
        }
        line
    }

    fn take_word(&mut self, word: &str) {
        if self.words == 0
            && let Some(next) = self.command.find_subcommand(word)
        {
            self.command = next;
            self.path.push(next.get_name());
            return;
        }
        self.words += 1;
        // What a container runs may have flags of its own.
        let mut positionals = self.positionals();
        let open = positionals.position(|arg| matches!(arg.get_id().as_str(), "command" | "words"));
        self.only_words |= open.is_some_and(|at| self.words >= at.max(1));
    }

    fn positionals(&self) -> impl Iterator<Item = &'c Arg> + use<'c> {
        self.command.get_positionals()
    }

    /// The flag of a word, and whether its value stands in the word too.
    fn find_flag(&self, word: &str) -> (Option<&'c Arg>, bool) {
        let mut args = self.command.get_arguments();
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(a, b)| (a, Some(b)));
            let is_it = |arg: &&Arg| {
                arg.get_long() == Some(name)
                    || arg.get_all_aliases().unwrap_or_default().contains(&name)
            };
            return (args.find(is_it), value.is_some());
        }
        let mut letters = word.chars().skip(1).peekable();
        while let Some(letter) = letters.next() {
            let found = self.command.get_arguments().find(|arg| arg.get_short() == Some(letter));
            match found {
                Some(arg) if takes_word(arg) => return (found, letters.peek().is_some()),
                Some(arg) if letters.peek().is_none() => return (Some(arg), false),
                _ => {}
            }
        }
        (None, false)
    }

    /// What may stand where the last word is begun.
    pub(super) fn wanted(&self, last: &str) -> Wanted {
        if let Some(flag) = self.flag {
            return of_flag(&self.path, flag, last);
        }
        if last.starts_with('-') && !self.only_words {
            return match last.split_once('=') {
                None => Wanted::Words(self.flags(last)),
                Some((_, value)) => match self.find_flag(last).0 {
                    Some(flag) => of_flag(&self.path, flag, value),
                    None => Wanted::Nothing,
                },
            };
        }
        if self.words == 0 && self.command.has_subcommands() {
            let commands = self.command.get_subcommands();
            let named = commands.flat_map(|one| {
                let about = about(one.get_about());
                let names = std::iter::once(one.get_name()).chain(one.get_visible_aliases());
                names.map(move |name| (name.to_owned(), about.clone())).collect::<Vec<_>>()
            });
            return Wanted::Words(named.filter(|(name, _)| name.starts_with(last)).collect());
        }
        let positionals: Vec<&Arg> = self.positionals().collect();
        let at = positionals.get(self.words).or_else(|| {
            positionals.last().filter(|last| matches!(last.get_action(), ArgAction::Append))
        });
        match at {
            None => Wanted::Nothing,
            Some(arg) => self.word(arg, last),
        }
    }

    fn flags(&self, start: &str) -> Candidates {
        let mut found = Candidates::new();
        for arg in self.command.get_arguments() {
            let about = about(arg.get_help());
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|letter| format!("-{letter}"));
            let short = short.filter(|_| !start.starts_with("--"));
            for name in short.into_iter().chain(long) {
                if name.starts_with(start) {
                    found.push((name, about.clone()));
                }
            }
        }
        found
    }

    /// A word that is no flag, by what the command calls it.
    fn word(&self, arg: &Arg, last: &str) -> Wanted {
        let values = arg.get_possible_values();
        if !values.is_empty() {
            let names = values.iter().map(|value| value.get_name().to_owned());
            let fitting = names.filter(|name| name.starts_with(last));
            return Wanted::Words(fitting.map(|name| (name, String::new())).collect());
        }
        let there = |kind| Wanted::There(kind, last.to_owned());
        let group = self.path.first().copied().unwrap_or_default();
        let verb = self.path.last().copied().unwrap_or_default();
        match (group, verb, arg.get_id().as_str()) {
            (_, "cp", _) => there(Kind::ContainerPaths),
            ("volume", "create", _) | ("network", "create", "name") => Wanted::Nothing,
            ("volume", _, "name" | "names") => match self.words {
                1.. if verb == "import" => Wanted::Files,
                _ => there(Kind::Volumes),
            },
            ("secret", "create", _) => match self.words {
                0 => Wanted::Nothing,
                _ => Wanted::Files,
            },
            ("secret", ..) => there(Kind::Secrets),
            ("pod", "create", _) => Wanted::Nothing,
            ("pod", ..) => there(Kind::Pods),
            ("artifact", "add" | "extract", _) if self.words > 0 => Wanted::Files,
            ("artifact", ..) => there(Kind::Artifacts),
            (_, "rename", _) if self.words > 0 => Wanted::Nothing,
            (_, "exec" | "top" | "run" | "create", "words") if self.words > 0 => Wanted::Files,
            (_, "run" | "create", "words") => there(Kind::Images),
            ("image", "diff" | "mount" | "unmount", _) => there(Kind::Images),
            (_, "commit" | "export" | "mount" | "unmount" | "stats" | "exec" | "top", _) => {
                match self.words {
                    1.. if verb == "commit" => Wanted::Nothing,
                    _ => there(Kind::Containers(state(verb))),
                }
            }
            ("inspect" | "diff", _, "names") => there(Kind::ContainersAndImages),
            ("container", "diff", "names") => there(Kind::Containers(State::Any)),
            (_, "port", "port") | ("container", "clone", "copy") => Wanted::Nothing,
            (_, _, "container" | "containers") => there(Kind::Containers(state(verb))),
            (_, _, "image" | "images" | "source" | "list" | "name" | "names") => {
                there(Kind::Images)
            }
            (_, _, "network" | "networks") => there(Kind::Networks),
            _ => Wanted::Files,
        }
    }
}

/// Which containers a command is for.
fn state(verb: &str) -> State {
    match verb {
        "attach" | "exec" | "kill" | "pause" | "stats" | "stop" | "top" => State::Running,
        "unpause" => State::Paused,
        "start" => State::Startable,
        _ => State::Any,
    }
}

/// Whether the next word is the value of a flag.
fn takes_word(arg: &Arg) -> bool {
    arg.get_action().takes_values()
        && !arg.is_require_equals_set()
        && arg.get_num_args().is_none_or(|count| count.min_values() > 0)
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &str) -> String {
        let root = cask_program::command_line::visible(
            <crate::cli::Cli as clap::CommandFactory>::command(),
        );
        let mut before: Vec<String> = words.split(' ').map(ToOwned::to_owned).collect();
        let last = before.pop().unwrap();
        match Line::read(&root, &before).wanted(&last) {
            Wanted::Words(words) | Wanted::Keys(words) => {
                let names: Vec<_> = words.into_iter().take(4).map(|(name, _)| name).collect();
                names.join(" ")
            }
            Wanted::There(kind, start) => format!("{kind:?} {start}"),
            Wanted::Behind(key, kind, start) => format!("{key} {kind:?} {start}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_may_stand_there_follows_from_what_stands_before() {
        let check = |words: &str, expected: &str| assert_eq!(asked(words), expected, "{words}");
        check("volu", "volume");
        check("volume in", "inspect");
        check("volume inspect ", "Volumes ");
        check("volume create ", "Nothing");
        check("--root /x --log-level debug secret rm a", "Secrets a");
        check("artifact inspect a", "Artifacts a");
        check("artifact add x a", "Files");
        check("run --rest", "--restart");
        check("run --restart ", "always no on-failure unless-stopped");
        check("run --restart=un", "unless-stopped");
        check("images --sort ", "created id repository size");
        check("images --filter da", "dangling=");
        check("image ls -f dangling=", "dangling=false dangling=true");
        check("images --filter=before=loc", "before= Images loc");
        check("network ls --filter ", "dangling= driver= id= label=");
        check("ps --filter status=p", "status=paused");
        check("ps --filter label=", "Nothing");
        check("volume prune --filter ", "label= until=");
        check("network create -d ", "bridge macvlan ipvlan");
        check("volume create --driver ", "image local");
        check("save --format oci", "oci-archive oci-dir");
        check("images --format ", "json");
        check("run --userns k", "keep-id");
        check("image trust set -t ", "accept reject signedBy");
        check("run --net", "--network --network-alias");
        check("run --network ", "NetworkModes ");
        check("run -it --name x ", "Images ");
        check("run -it --name x im ", "Files");
        check("run im -", "Files");
        check("exec ", "Containers(Running) ");
        check("exec c ", "Files");
        check("container exec -it ", "Containers(Running) ");
        check("top ", "Containers(Running) ");
        check("commit ", "Containers(Any) ");
        check("commit c ", "Nothing");
        check("image mount ", "Images ");
        check("container clone c d ", "Images ");
        check("rm a b", "Containers(Any) b");
        check("start ", "Containers(Startable) ");
        check("rename a ", "Nothing");
        check("cp ", "ContainerPaths ");
        check("inspect ", "ContainersAndImages ");
        check("network connect ", "Networks ");
        check("network connect n ", "Containers(Any) ");
        check("network connect n c ", "Nothing");
        check("network rm a ", "Networks ");
        check("tag ", "Images ");
        check("rmi a b", "Images b");
        check("ps ", "Nothing");
        check("build ", "Files");
        check("build -f ", "Files");
    }
}
