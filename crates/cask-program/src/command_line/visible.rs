//! The part of a command line that is shown.

use clap::{Arg, ArgAction, Command};

/// The same command without what is hidden, for what is made from the tree of commands, such as completions: clap's own
/// offer hidden commands and flags too. It is not for parsing: nothing excludes or needs anything.
///
/// Names are kept until the program ends, which clap asks for.
#[must_use]
pub fn visible(mut command: Command) -> Command {
    // What is only known when it is asked for is known then, and so is what every command has from its parent.
    command.build();
    copy(&command)
}

fn copy(command: &Command) -> Command {
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    let mut visible = Command::new(lasting(command.get_name()))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(command.get_arguments().filter(|one| !one.is_hide_set()).map(plain))
        .subcommands(shown.map(copy))
        .visible_aliases(command.get_visible_aliases().map(lasting));
    if let Some(about) = command.get_about() {
        visible = visible.about(about.clone());
    }
    visible
}

/// An argument without what it has to do with others, which may be hidden.
fn plain(argument: &Arg) -> Arg {
    let action = argument.get_action();
    let mut plain = Arg::new(argument.get_id().clone())
        .value_hint(argument.get_value_hint())
        .required(argument.is_required_set())
        .last(argument.is_last_set());
    plain = match action.takes_values() {
        true => plain.action(action.clone()).value_parser(argument.get_value_parser().clone()),
        false => plain.action(ArgAction::SetTrue),
    };
    if let Some(count) = argument.get_num_args() {
        plain = plain.num_args(count);
    }
    if let Some(help) = argument.get_help() {
        plain = plain.help(help.clone());
    }
    if let Some(long) = argument.get_long() {
        let aliases = argument.get_visible_aliases().unwrap_or_default();
        plain = plain.long(lasting(long)).visible_aliases(aliases.into_iter().map(lasting));
    }
    if let Some(short) = argument.get_short() {
        let aliases = argument.get_visible_short_aliases().unwrap_or_default();
        plain = plain.short(short).visible_short_aliases(aliases);
    }
    plain
}

fn lasting(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_left_out_at_every_depth() {
        let old = Command::new("old").hide(true);
        let secret = Arg::new("secret").long("secret").hide(true);
        let list = Command::new("ls").visible_alias("list").arg(secret);
        let list = list.arg(Arg::new("all").short('a').long("all").conflicts_with("secret"));
        let network = Command::new("network").subcommand(list).subcommand(old.clone());
        let version = Arg::new("version").long("version").action(ArgAction::Version);
        let made = Command::new("x")
            .version("1")
            .disable_version_flag(true)
            .arg(version)
            .subcommand(network)
            .subcommand(old);
        let made = visible(made);
        let names = |command: &Command| {
            let names = command.get_subcommands().map(|one| one.get_name().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&made), ["network", "help"]);
        let network = made.find_subcommand("network").unwrap();
        assert_eq!(names(network), ["ls", "help"]);
        let list = network.find_subcommand("list").unwrap();
        let flags: Vec<_> = list.get_arguments().filter_map(Arg::get_long).collect();
        assert_eq!(flags, ["all", "help"]);
        made.debug_assert();
    }
}
