//! One check: its command runs in the container, for so long and no longer.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cask_image::Timestamp;
use cask_runtime::Running;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::super::record::{io, now, open_lock};
use super::super::{Container, Containers, ExecOptions};
use super::config::command;
use super::{Health, HealthAction, HealthResult, HealthVerdict};
use crate::{Error, ErrorKind, Result};

/// Bytes that are read of what a check prints, where nobody bounds it.
const MOST_READ: usize = 64 << 10;

impl Containers {
    /// Checks a container that runs and writes down what that said; says what that is, and what is to be done.
    pub(super) fn check_once(
        &self,
        container: &Container,
    ) -> Result<(HealthVerdict, HealthAction)> {
        let health = &container.config.health;
        let startup = container.startup_check();
        let (test, timeout) = match startup {
            Some(check) => (&check.test, check.timeout),
            None => (&health.test, health.timeout.unwrap_or(super::USUAL.1)),
        };
        let start = now();
        let (exit_code, output) = self.run_check(container, command(test), timeout)?;
        let result = HealthResult { start, end: now(), exit_code, output };
        let well = result.exit_code == 0;
        let verdict = match self.reload(container) {
            _ if well => HealthVerdict::Healthy,
            Ok(now) if now.state.status.is_up() && !now.state.stopping => match startup {
                Some(_) => HealthVerdict::Starting,
                None => HealthVerdict::Unhealthy,
            },
            _ => HealthVerdict::Stopped,
        };
        let path = container.place.kept.join("health");
        let lock = open_lock(&path)?;
        lock.lock().map_err(|error| io(error, "locking", &path))?;
        let mut kept = Health::load(&container.place);
        kept.add(result, verdict, health, startup.is_some() || is_starting(container));
        let begins_again = startup.is_some_and(|check| kept.count(well, check));
        kept.save(&container.place)?;
        kept.publish(container)?;
        self.tell_health(&kept, &container.config);
        let failed = startup.is_none() && verdict == HealthVerdict::Unhealthy;
        let action = match failed && kept.status == "unhealthy" {
            true => health.on_failure,
            false if begins_again && verdict == HealthVerdict::Starting => HealthAction::Restart,
            false => HealthAction::None,
        };
        Ok((verdict, action))
    }

    /// Its exit code as podman counts (0, 1, or -1 for too long), and what it printed.
    fn run_check(
        &self,
        container: &Container,
        command: Vec<String>,
        timeout: Duration,
    ) -> Result<(i32, String)> {
        let options = ExecOptions { command, ..ExecOptions::default() };
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, "making a pipe", "").with_source(error)
        };
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let writer = Arc::new(OwnedFd::from(writer));
        let started = self
            .exec_into(container, &options, Some(writer))
            .and_then(|created| Ok(created.start()?));
        let running = match started {
            Ok(running) => running,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::CommandNotFound | ErrorKind::CommandNotExecutable
                ) =>
            {
                return Ok((1, super::super::start::Failure::of(&error).text));
            }
            Err(error) => return Err(error),
        };
        let reader = File::from(OwnedFd::from(reader));
        rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
        let most = match container.config.health.log.characters() {
            0 => MOST_READ,
            most => usize::try_from(most).unwrap_or(MOST_READ).min(MOST_READ),
        };
        watch(running, reader, timeout, most)
    }
}

/// Waits for the end of a check, and kills it where it takes too long.
///
/// Of what it prints the first characters are kept, `most` of them.
fn watch(
    mut running: Running,
    mut reader: File,
    timeout: Duration,
    most: usize,
) -> Result<(i32, String)> {
    let deadline = Instant::now() + timeout;
    let mut kept = Vec::new();
    let mut open = true;
    let ended = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            running.kill()?;
            running.wait()?;
            break None;
        }
        let wait = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut places = vec![PollFd::new(&running, PollFlags::IN)];
        places.extend(open.then(|| PollFd::new(&reader, PollFlags::IN)));
        // An interrupted wait is one that is over.
        let _ = poll(&mut places, Some(&wait));
        drop(places);
        open = open && take(&mut reader, &mut kept, most);
        if let Some(report) = running.ended()? {
            break Some(report);
        }
    };
    take(&mut reader, &mut kept, most);
    let output: String = String::from_utf8_lossy(&kept).chars().take(most).collect();
    Ok(match ended {
        Some(report) => (i32::from(!report.status.success()), output.trim_end().to_owned()),
        None => {
            let why = format!("healthcheck command exceeded timeout of {}s", timeout.as_secs_f64());
            (-1, if output.is_empty() { why } else { format!("{}\n{why}", output.trim_end()) })
        }
    })
}

/// Takes what there is to be read, and keeps its beginning; `false` where there will be no more.
fn take(reader: &mut File, kept: &mut Vec<u8>, most: usize) -> bool {
    let mut chunk = [0; 4096];
    // A command that prints for ever is not read for ever at once.
    for _ in 0..64 {
        match reader.read(&mut chunk) {
            Ok(0) => return false,
            Ok(length) => {
                let room = (4 * most).saturating_sub(kept.len());
                kept.extend_from_slice(&chunk[..length.min(room)]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
    true
}

/// Whether the container began so recently that failures do not count.
fn is_starting(container: &Container) -> bool {
    let period = container.config.health.start_period.unwrap_or_default();
    let began: Option<Timestamp> = container.state.started_at.parse().ok();
    let Some(began) = began.filter(|_| !period.is_zero()) else { return false };
    let seconds = u64::try_from(began.unix_seconds()).unwrap_or_default();
    let began = SystemTime::UNIX_EPOCH + Duration::new(seconds, began.nanoseconds());
    SystemTime::now().duration_since(began).unwrap_or_default() < period
}
