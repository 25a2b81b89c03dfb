//! Credential helpers: programs that keep credentials elsewhere.
//!
//! Source: docker/docker-credential-helpers, its protocol and `client`.

use std::fmt;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use cask_json::{Fields, Rules, Style, Writer};

use crate::{AuthFilesOptions, Credential, Error, ErrorKind, Secret};

/// The most bytes that a helper may answer.
pub(crate) const MAX_OUTPUT_BYTES: u64 = 1 << 20;

/// The most bytes of a helper's complaint that are shown.
const MAX_SHOWN_BYTES: usize = 512;

/// The name under which a helper gives an identity token.
const TOKEN_USERNAME: &str = "<token>";

/// What helpers say where they know nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A helper by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Helper<'a> {
    name: &'a str,
    options: &'a AuthFilesOptions,
}

/// What a helper said at its end.
struct Answer {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// What happened to a helper that did not come to its end.
#[derive(Debug)]
enum Failure {
    Missing,
    Start(std::io::Error),
    Wait(std::io::Error),
    TimedOut(Duration),
    TooMuch,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("executable file not found in $PATH"),
            Self::Start(error) => write!(f, "it does not start: {error}"),
            Self::Wait(error) => write!(f, "{error}"),
            Self::TimedOut(limit) => write!(f, "it took longer than {limit:?} and was killed"),
            Self::TooMuch => write!(f, "it answered more than {MAX_OUTPUT_BYTES} bytes"),
        }
    }
}

impl<'a> Helper<'a> {
    /// The helper of a name, which has to be one: it becomes a part of a program's path.
    pub(crate) fn new(name: &'a str, options: &'a AuthFilesOptions) -> Result<Self, Error> {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        if name.is_empty() || name.len() > 128 || !name.chars().all(word) {
            let what = "is not the name of a credential helper: letters, digits and -_.+";
            return Err(Error::new(ErrorKind::Invalid, format!("{name:?} {what}")));
        }
        Ok(Self { name, options })
    }

    pub(crate) fn name(self) -> &'a str {
        self.name
    }

    /// What the helper knows of a server.
    pub(crate) fn find(self, server: &str) -> Result<Option<Credential>, Error> {
        let answer = self.run("get", server.as_bytes())?;
        if says_not_found(&answer) {
            return Ok(None);
        }
        let answer = self.successful("getting", answer)?;
        self.parse_credential(&answer).map_err(|error| self.nonsense(error))
    }

    /// Has the helper keep a credential.
    pub(crate) fn store(self, server: &str, credential: &Credential) -> Result<(), Error> {
        let (username, secret) = match credential {
            Credential::Basic { username, password } => (username.as_str(), password),
            Credential::IdentityToken { token, .. } => (TOKEN_USERNAME, token),
            Credential::RegistryToken(_) => return Err(Error::no_bearer_tokens()),
        };
        let mut json = Writer::new(Style::compact());
        json.object(|json| {
            json.key("ServerURL").string(server);
            json.key("Username").string(username);
            json.key("Secret").string(secret.expose());
        });
        let answer = self.run("store", &json.finish())?;
        self.successful("storing", answer).map(drop)
    }

    /// Has the helper forget a server. Returns whether it knew it.
    pub(crate) fn erase(self, server: &str) -> Result<bool, Error> {
        let answer = self.run("erase", server.as_bytes())?;
        if says_not_found(&answer) {
            return Ok(false);
        }
        self.successful("erasing", answer).map(|_| true)
    }

    /// The servers that the helper knows; none if there is no such helper.
    pub(crate) fn servers(self) -> Result<Vec<String>, Error> {
        if self.program().is_none() {
            return Ok(Vec::new());
        }
        let answer = self.run("list", b"unused")?;
        let answer = self.successful("listing", answer)?;
        let document = parse(&answer).map_err(|error| self.nonsense(error))?;
        let entries = document.root().entries().map_err(|error| self.nonsense(error))?;
        Ok(entries.map(|entry| entry.key().to_owned()).collect())
    }

    fn parse_credential(self, answer: &[u8]) -> Result<Option<Credential>, cask_json::Error> {
        let document = parse(answer)?;
        let fields = Fields::of_any_case(document.root())?;
        let username = fields.text("Username")?;
        let secret = Secret::from(fields.text("Secret")?);
        Ok(match username.as_str() {
            TOKEN_USERNAME => Some(Credential::identity_token(secret)),
            // Some helpers answer `{}` for what they do not know.
            "" if secret.is_empty() => None,
            _ => Some(Credential::basic(username, secret)),
        })
    }

    fn nonsense(self, error: cask_json::Error) -> Error {
        let message = format!("docker-credential-{} answered nonsense", self.name);
        Error::caused(ErrorKind::Helper, message, error)
    }

    /// The answer of a helper that did what it was told.
    fn successful(self, doing: &str, answer: Answer) -> Result<Vec<u8>, Error> {
        if answer.status.success() {
            return Ok(answer.stdout);
        }
        let said = [&answer.stdout, &answer.stderr].map(|bytes| shown(bytes));
        let said = said.iter().find(|text| !text.is_empty()).map_or("", String::as_str);
        let Self { name, .. } = self;
        let message = format!(
            "error {doing} credentials - err: docker-credential-{name}: {}, out: `{said}`",
            answer.status
        );
        Err(Error::new(ErrorKind::Helper, message))
    }

    fn failed(self, failure: Failure) -> Error {
        let message = format!("credential helper docker-credential-{}", self.name);
        Error::caused(ErrorKind::Helper, message, failure.to_string())
    }

    /// The program: the first file of its name that may be executed.
    fn program(self) -> Option<PathBuf> {
        let file = format!("docker-credential-{}", self.name);
        let folders = self.options.helper_search_path.iter().filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(&file)).find(|path| {
            let metadata = path.metadata();
            metadata.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
    }

    fn run(self, action: &str, input: &[u8]) -> Result<Answer, Error> {
        self.answer(action, input).map_err(|failure| self.failed(failure))
    }

    fn answer(self, action: &str, input: &[u8]) -> Result<Answer, Failure> {
        let timeout = self.options.helper_timeout;
        let program = self.program().ok_or(Failure::Missing)?;
        let mut child = Command::new(program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Failure::Start)?;
        let result = converse(&mut child, input, timeout);
        if result.is_err() {
            // It may have ended meanwhile: then there is nothing to kill, only to collect.
            let _ = child.kill();
            let _ = child.wait();
        }
        result
    }
}

/// Gives a helper its input and takes its output, until its end or for so long.
///
/// Threads do so, for whatever a helper started may keep its pipes open after it was killed; they
/// are left alone then, and end when the pipes do.
fn converse(child: &mut Child, input: &[u8], timeout: Duration) -> Result<Answer, Failure> {
    let deadline = Instant::now() + timeout;
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = [input, b"\n"].concat();
    thread::spawn(move || {
        // A helper need not read what it does not need.
        let _ = stdin.write_all(&input);
    });
    let stdout = read_in_background(child.stdout.take().expect("it is piped"));
    let stderr = read_in_background(child.stderr.take().expect("it is piped"));
    let receive = |pipe: Receiver<std::io::Result<Vec<u8>>>| match pipe
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        Ok(Ok(bytes)) if bytes.len() as u64 > MAX_OUTPUT_BYTES => Err(Failure::TooMuch),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(Failure::Wait(error)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Err(Failure::TimedOut(timeout))
        }
    };
    let stdout = receive(stdout)?;
    let stderr = receive(stderr)?;
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::Wait)? {
            return Ok(Answer { status, stdout, stderr });
        }
        // Its pipes are closed, so it is about to end.
        if Instant::now() >= deadline {
            return Err(Failure::TimedOut(timeout));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn read_in_background(pipe: impl Read + Send + 'static) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = match pipe.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut bytes) {
            Err(error) if error.kind() != IoErrorKind::BrokenPipe => Err(error),
            _ => Ok(bytes),
        };
        // Nobody listens after the deadline.
        let _ = sender.send(result);
    });
    receiver
}

fn parse(answer: &[u8]) -> Result<cask_json::Document<'_>, cask_json::Error> {
    cask_json::parse(answer, Rules::new(MAX_OUTPUT_BYTES))
}

/// Helpers end with an error and this text; it may stand on either output.
fn says_not_found(answer: &Answer) -> bool {
    !answer.status.success()
        && [&answer.stdout, &answer.stderr]
            .iter()
            .any(|bytes| bytes.trim_ascii() == NOT_FOUND.as_bytes())
}

/// What a helper complained of, made fit to be shown. Nothing of what may be a credential.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.contains(['{', '"']) {
        return "(not shown: it may hold a credential)".to_owned();
    }
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown = String::new();
    for c in clean {
        if shown.len() + c.len_utf8() > MAX_SHOWN_BYTES {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}
