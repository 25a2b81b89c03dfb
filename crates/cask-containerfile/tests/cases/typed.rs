//! Stages as the tables have them: empty fields are left out.

use std::time::Duration;

use cask_containerfile::instruction::{
    Add, Arg, CommandLine, Copy, CopySource, Healthcheck, Instruction, Run,
};
use cask_containerfile::{Heredoc, Pair, Statement, Tree, Word};
use serde_json::{Map, Value, json};

/// An object without its empty members.
fn object(members: Vec<(&str, Value)>) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Bool(true) => false,
    };
    let kept = members.into_iter().filter(|(_, value)| !is_empty(value));
    Value::Object(kept.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

fn texts(words: &[Word]) -> Value {
    words.iter().map(|word| word.text.to_string()).collect()
}

fn flag(word: Option<&Word>) -> Value {
    word.map_or(Value::Null, |word| json!(word.text.as_str()))
}

fn pairs(pairs: &[Pair]) -> Value {
    let all = pairs.iter().map(|pair| {
        object(vec![
            ("Key", json!(pair.key.text.as_str())),
            ("Value", json!(pair.value.text.as_str())),
            ("NoDelim", json!(!pair.has_equals)),
        ])
    });
    Value::Array(all.collect())
}

fn arguments(arg: &Arg) -> Value {
    let all = arg.items.iter().map(|item| {
        let mut member = json!({"Key": item.name.text.as_str()});
        // The table leaves out what is empty.
        if let Some(default) = item.default.as_ref().filter(|word| !word.text.is_empty()) {
            member["Value"] = json!(default.text.as_str());
        }
        member
    });
    Value::Array(all.collect())
}

fn command_line(command: &CommandLine) -> Vec<(&'static str, Value)> {
    let is_shell = matches!(command, CommandLine::Shell(_));
    let words = command.words();
    let words = words.iter().map(|word| if word.is_empty() { Value::Null } else { json!(word) });
    vec![("CmdLine", words.collect()), ("PrependShell", json!(is_shell))]
}

fn run(run: &Run, statement: &Statement) -> Vec<(&'static str, Value)> {
    let files = run.heredocs.iter().map(|heredoc| {
        let (name, data, chomp) = (&heredoc.name, &heredoc.text, heredoc.strips_tabs);
        object(vec![("Name", json!(**name)), ("Data", json!(**data)), ("Chomp", json!(chomp))])
    });
    let mut used: Vec<&str> = statement.flags().iter().map(|flag| flag.name()).collect();
    used.sort_unstable();
    used.dedup();
    let mut members = command_line(&run.command);
    members.push(("Files", Value::Array(files.collect())));
    members.push(("FlagsUsed", json!(used)));
    members
}

fn sources(sources: &[CopySource], destination: &Word) -> Vec<(&'static str, Value)> {
    let content = |heredoc: &Heredoc| {
        let (name, data, expands) = (&heredoc.name, heredoc.content(), heredoc.expands);
        object(vec![("Path", json!(**name)), ("Data", json!(data)), ("Expand", json!(expands))])
    };
    let (mut paths, mut contents) = (Vec::new(), Vec::new());
    for source in sources {
        match source {
            CopySource::Path(word) => paths.push(json!(word.text.as_str())),
            CopySource::Heredoc(heredoc) => contents.push(content(heredoc)),
            other => panic!("unknown source {other:?}"),
        }
    }
    vec![
        ("SourcePaths", Value::Array(paths)),
        ("SourceContents", Value::Array(contents)),
        ("DestPath", json!(destination.text.as_str())),
    ]
}

fn copy(copy: &Copy) -> Vec<(&'static str, Value)> {
    let mut members = sources(&copy.sources, &copy.destination);
    members.extend([
        ("From", flag(copy.from.as_ref())),
        ("Chown", flag(copy.owner.as_ref())),
        ("Chmod", flag(copy.mode.as_ref())),
        ("Link", json!(copy.link)),
        ("Parents", json!(copy.parents)),
        ("ExcludePatterns", texts(&copy.excludes)),
    ]);
    members
}

fn add(add: &Add) -> Vec<(&'static str, Value)> {
    let mut members = sources(&add.sources, &add.destination);
    members.extend([
        ("Chown", flag(add.owner.as_ref())),
        ("Chmod", flag(add.mode.as_ref())),
        ("Link", json!(add.link)),
        ("Checksum", flag(add.checksum.as_ref())),
        ("ExcludePatterns", texts(&add.excludes)),
    ]);
    members
}

fn nanoseconds(time: Option<Duration>) -> Value {
    json!(time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap()))
}

fn health(check: &Healthcheck) -> Value {
    match check {
        Healthcheck::None => json!({"Test": ["NONE"]}),
        Healthcheck::Command {
            command,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
            ..
        } => {
            let kind = if matches!(command, CommandLine::Shell(_)) { "CMD-SHELL" } else { "CMD" };
            let mut test = vec![kind];
            test.extend(command.words());
            object(vec![
                ("Test", json!(test)),
                ("Interval", nanoseconds(*interval)),
                ("Timeout", nanoseconds(*timeout)),
                ("StartPeriod", nanoseconds(*start_period)),
                ("StartInterval", nanoseconds(*start_interval)),
                ("Retries", json!(retries)),
            ])
        }
        other => panic!("unknown health check {other:?}"),
    }
}

fn command(statement: &Statement, instruction: &Instruction) -> Value {
    let mut members = match instruction {
        Instruction::Add(all) => add(all),
        Instruction::Arg(arg) => vec![("Args", arguments(arg))],
        Instruction::Cmd(line) | Instruction::Entrypoint(line) => command_line(line),
        Instruction::Copy(all) => copy(all),
        Instruction::Env(env) => vec![("Env", pairs(&env.pairs))],
        Instruction::Expose(expose) => {
            let mut ports: Vec<&str> = expose.ports.iter().map(Word::as_str).collect();
            ports.sort_unstable();
            vec![("Ports", json!(ports))]
        }
        Instruction::Healthcheck(check) => vec![("Health", health(check))],
        Instruction::Label(label) => vec![("Labels", pairs(&label.pairs))],
        Instruction::Maintainer(maintainer) => {
            vec![("Maintainer", json!(maintainer.name.text.as_str()))]
        }
        Instruction::Onbuild(onbuild) => vec![("Expression", json!(onbuild.text.as_str()))],
        Instruction::Run(all) => run(all, statement),
        Instruction::Shell(shell) => vec![("Shell", texts(&shell.words))],
        Instruction::StopSignal(signal) => vec![("Signal", json!(signal.signal.text.as_str()))],
        Instruction::User(user) => vec![("User", json!(user.user.text.as_str()))],
        Instruction::Volume(volume) => {
            let paths: Vec<&str> = volume.paths.iter().map(|path| path.text.trim()).collect();
            vec![("Volumes", json!(paths))]
        }
        Instruction::Workdir(workdir) => vec![("Path", json!(workdir.path.text.as_str()))],
        other => panic!("unknown instruction {other:?}"),
    };
    members.push(("name", json!(statement.keyword())));
    object(members)
}

/// The ARGs before the first FROM.
pub(crate) fn globals(tree: &Tree) -> Value {
    let stages = tree.stages();
    stages.globals.iter().map(|(_, arg)| json!({"Args": arguments(arg)})).collect()
}

/// The stages of a file.
pub(crate) fn stages(tree: &Tree) -> Value {
    let stages = tree.stages();
    let all = stages.stages.iter().map(|stage| {
        let commands: Vec<Value> = stage.steps.iter().map(|(s, i)| command(s, i)).collect();
        let mut value = object(vec![
            ("base", json!(stage.from.image.text.as_str())),
            ("name", json!(stage.name().unwrap_or_default())),
            ("platform", flag(stage.from.platform.as_ref())),
        ]);
        value["commands"] = Value::Array(commands);
        value
    });
    Value::Array(all.collect())
}
