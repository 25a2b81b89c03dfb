//! What is told while a build goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Miss;

/// An instruction of a stage, on its way into an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The platform that the stage is built for: `linux/amd64`.
    pub platform: String,
    /// The number of the platform among those that are built for, from 0.
    pub platform_index: usize,
    /// The number of the stage in the file, from 0.
    pub stage: usize,
    /// How many stages the file has.
    pub stages: usize,
    /// The name of the stage, or its number where it has none.
    pub stage_name: String,
    /// The number of the instruction in its stage, from 1: FROM is the first.
    pub number: usize,
    /// How many instructions the stage has.
    pub count: usize,
    /// The instruction as it is written, on one line.
    pub text: String,
    /// The name of the file that it is in.
    pub file: String,
    /// Its line there, from 1.
    pub line: usize,
}

/// Which of its outputs a command wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened while building. Events of several stages are mixed; those of one step
/// come in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BuildEvent {
    /// A step begins.
    StepBegan(Arc<Step>),
    /// A command wrote this: a line with its end, the last one without, or a part of a line that is
    /// longer than 64 KiB.
    Output {
        /// The step.
        step: Arc<Step>,
        /// Where it wrote.
        stream: OutputStream,
        /// What it wrote, whatever bytes these are.
        bytes: Vec<u8>,
    },
    /// A command failed, and a shell opens where it left off: the terminal is the shell's until it
    /// ends.
    ShellBegan {
        /// The step.
        step: Arc<Step>,
        /// The status that the command ended with.
        status: u8,
    },
    /// A step ended well. One that failed is the error of the build.
    StepEnded {
        /// The step.
        step: Arc<Step>,
        /// What came of it.
        outcome: StepOutcome,
    },
    /// Something that does not keep the build from going on.
    Warning {
        /// The step that it is about, if it is about one.
        step: Option<Arc<Step>>,
        /// What it is.
        message: String,
    },
}

/// Where the result of a step came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheOutcome {
    /// There is nothing to be kept: it changes the config alone.
    NotNeeded,
    /// An earlier build.
    Hit,
    /// It was done, and this is why.
    Miss(Miss),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepOutcome {
    /// Where the result came from.
    pub cache: CacheOutcome,
    /// How long it took.
    pub wall: Duration,
    /// Processor time of the command; zero for what is not a command.
    pub cpu: Duration,
    /// The size of the layer's tar stream in bytes, if it made a layer.
    pub layer_bytes: Option<u64>,
    /// How long it took when it was done, where an earlier build did it.
    pub saved: Duration,
}
