//! Turns the events of a copy into lines.
//!
//! `cargo run -p examples --example render_progress -- docker-archive:app.tar oci:layout:app`

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use cask::copy::{CopyOptions, copy};
use cask::image::PlatformWanted;
use cask::transport::{Event, EventSink, TaskId, TaskKind};
use cask::trust::Policy;

/// Collects a line for each task that ends. Libraries send events; what to draw is up to you.
#[derive(Default)]
struct Lines {
    running: Mutex<HashMap<TaskId, (String, u64)>>,
    lines: Mutex<Vec<String>>,
}

impl EventSink for Lines {
    fn send(&self, event: Event) {
        let mut running = self.running.lock().expect("no line is made in a panic");
        match event {
            Event::Started { task, kind, .. } => {
                let name = match kind {
                    TaskKind::Config { digest } => format!("config {}", digest.short()),
                    TaskKind::Blob { digest } => format!("blob {}", digest.short()),
                    other => format!("{other:?}"),
                };
                running.insert(task, (name, 0));
            }
            Event::Advanced { task, bytes } => {
                if let Some((_, read)) = running.get_mut(&task) {
                    *read += bytes;
                }
            }
            Event::Finished { task, outcome } => {
                if let Some((name, read)) = running.remove(&task) {
                    let mut lines = self.lines.lock().expect("no line is made in a panic");
                    lines.push(format!("{name}: {outcome:?} after {read} bytes"));
                }
            }
            _ => {}
        }
    }
}

/// Copies, and gives the lines.
pub async fn render_progress(from: &str, to: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let transports = cask::transports(&cask::TransportOptions::default());
    let (from, to) = (transports.parse(from)?, transports.parse(to)?);
    let policy = Arc::new(Policy::danger_accept_anything());
    let mut options = CopyOptions::new(policy, PlatformWanted::of_this_build());
    let lines = Arc::new(Lines::default());
    options.events = lines.clone();
    copy(&*from, &*to, &options).await?;
    let lines = std::mem::take(&mut *lines.lines.lock().expect("no line is made in a panic"));
    Ok(lines)
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: render_progress FROM TO, each as TRANSPORT:DETAILS".into());
    };
    for line in render_progress(&from, &to).await? {
        println!("{line}");
    }
    Ok(())
}
