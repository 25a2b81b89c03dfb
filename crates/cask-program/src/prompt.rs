//! Asking the user, at the terminal. Questions go to standard error, for data goes to the other.

use std::io::{BufRead as _, ErrorKind, IsTerminal as _, Read as _, Write as _, stdin};

use anyhow::{Result, bail};
use cask_auth::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::background;

/// The most bytes of a name or a password.
const MAX_BYTES: u64 = 64 << 10;

/// Whether there is somebody to ask.
pub fn is_possible() -> bool {
    stdin().is_terminal()
}

/// Asks for a line.
pub async fn line(question: &str) -> Result<String> {
    show(question)?;
    Ok(background::run(read_line).await??.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a password, which is not shown. Needs a terminal.
pub async fn password() -> Result<Secret> {
    let hidden = Hidden::new()?;
    show("Password: ")?;
    let line = background::run(read_line).await??;
    drop(hidden);
    show("\n")?;
    Ok(Secret::from(line.trim_end_matches(['\r', '\n'])))
}

/// Standard input until its end, without the ends of lines.
pub async fn password_from_pipe() -> Result<Secret> {
    let text = background::run(|| -> std::io::Result<String> {
        let mut text = String::new();
        stdin().lock().take(MAX_BYTES + 1).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = text.await??;
    if text.len() as u64 > MAX_BYTES {
        bail!("standard input has more than {MAX_BYTES} bytes: that is no password");
    }
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Secret::from(lines.collect::<String>()))
}

fn show(text: &str) -> std::io::Result<()> {
    let mut stderr = std::io::stderr();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

fn read_line() -> std::io::Result<String> {
    let mut line = String::new();
    stdin().lock().take(MAX_BYTES).read_line(&mut line)?;
    if line.is_empty() {
        return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "EOF"));
    }
    Ok(line)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(stdin(), OptionalActions::Now, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone needs no settings.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
