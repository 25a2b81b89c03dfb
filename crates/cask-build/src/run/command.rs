//! What a RUN runs.

use cask_containerfile::instruction::{CommandLine, Run};

/// Where a script with an interpreter of its own lies while it runs.
///
/// Source: BuildKit, `dispatchRun`.
const SCRIPTS: &str = "/dev/pipes";

/// What a RUN runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The program and its arguments.
    pub(super) arguments: Vec<String>,
    /// A file that the program is: where it lies, and what is in it.
    pub(super) script: Option<(String, String)>,
}

impl Command {
    /// Reads a RUN; commands that are text are given to `shell`.
    pub(super) fn new(run: &Run, shell: &[String]) -> Self {
        let line = match &run.command {
            CommandLine::Exec(words) => {
                let arguments = words.iter().map(|word| word.text.to_string()).collect();
                return Self { arguments, script: None };
            }
            CommandLine::Shell(line) => line.text.to_string(),
        };
        let (text, script) = match run.script() {
            Some(heredoc) => {
                let content = heredoc.content();
                match content.starts_with("#!") {
                    true => {
                        let path = format!("{SCRIPTS}/{}", file_name(&heredoc.name));
                        (path.clone(), Some((path, content)))
                    }
                    false => (content, None),
                }
            }
            // The image's shell reads the heredocs.
            None => {
                let bodies = run.heredocs.iter().map(|doc| format!("\n{}{}", doc.text, doc.name));
                (std::iter::once(line).chain(bodies).collect(), None)
            }
        };
        let arguments = shell.iter().cloned().chain([text]).collect();
        Self { arguments, script }
    }

    /// The command on one line, for messages.
    pub(super) fn shown(&self) -> String {
        self.arguments.join(" ")
    }
}

/// A delimiter as the name of a file: it may be any word.
fn file_name(delimiter: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    let name: String = delimiter.chars().take(64).map(plain).collect();
    if name.is_empty() { "script".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use cask_containerfile::instruction::Instruction;
    use cask_containerfile::parse;

    use super::*;

    fn command(text: &str) -> Command {
        let parsed = parse(&format!("FROM scratch\n{text}"));
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let statement = parsed.tree.statements().last().unwrap();
        let Some(Instruction::Run(run)) = statement.instruction() else { panic!("{text}") };
        Command::new(run, &["/bin/sh".to_owned(), "-c".to_owned()])
    }

    #[test]
    fn commands_are_those_of_buildkit() {
        fn check(text: &str, expected: &[&str]) {
            assert_eq!(command(text).arguments, expected, "{text}");
        }
        check("RUN make all\n", &["/bin/sh", "-c", "make all"]);
        check("RUN [\"make\", \"all\"]\n", &["make", "all"]);
        check("RUN <<EOF\na\nb\nEOF\n", &["/bin/sh", "-c", "a\nb\n"]);
        check("RUN <<-EOF\n\ta\n\tEOF\n", &["/bin/sh", "-c", "a\n"]);
        check("RUN cat <<EOF >x\na\nEOF\n", &["/bin/sh", "-c", "cat <<EOF >x\na\nEOF"]);
        check("RUN cat <<A <<B\n1\nA\n2\nB\n", &["/bin/sh", "-c", "cat <<A <<B\n1\nA\n2\nB"]);
        check("RUN <<EOF\n#!/bin/x\na\nEOF\n", &["/bin/sh", "-c", "/dev/pipes/EOF"]);
    }

    #[test]
    fn a_script_keeps_its_interpreter_and_its_name_leads_nowhere() {
        let found = command("RUN <<../../etc/x\n#!/bin/x\na\n../../etc/x\n");
        let expected = ("/dev/pipes/______etc_x".to_owned(), "#!/bin/x\na\n".to_owned());
        assert_eq!(found.script, Some(expected));
    }
}
