//! How long a megabyte takes, of everything that could be slow. `cargo bench -p cask-containerfile`
//! fails where one takes more than it may.
//!
//! With arguments, only inputs whose names begin with one of them are measured.

#![expect(clippy::print_stdout, reason = "a table for people is what this is for")]

use std::process::ExitCode;
use std::time::Duration;

use cask_containerfile::{
    ExpandOptions, IgnoreFile, LintOptions, expand, format_edits, lint, parse,
};
use rustix::time::{ClockId, clock_gettime};

/// The size of each input.
const SIZE: usize = 1 << 20;

/// What parsing one may take.
const PARSE_LIMIT: Duration = Duration::from_millis(100);

/// What the lints and the formatter may take.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

fn many(piece: &str) -> String {
    piece.repeat(SIZE / piece.len())
}

/// A file of ordinary instructions, again and again.
const ORDINARY: &str = "\
# syntax=docker/dockerfile:1
ARG VERSION=1.23
FROM golang:${VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache \\
    go mod download && \\
    # a comment
    go vet ./...
COPY --chown=1:1 --chmod=755 . .
ENV A=b C=\"d e\" F='g'
RUN <<EOF
set -e
go build -o /app
EOF
FROM scratch
COPY --from=build /app /app
EXPOSE 80/tcp 443
LABEL org.opencontainers.image.title=\"x\" version=${VERSION}
HEALTHCHECK --interval=5s CMD [\"/app\", \"check\"]
ENTRYPOINT [\"/app\"]
";

/// What is repeated.
const PIECES: &[&str] = &[
    "\n",
    "x",
    " ",
    "x\n",
    "#\n",
    "# a=b\n",
    "\\\n",
    "\0",
    "ä",
    "\u{a0}",
    "\"",
    "'",
    "$",
    "${",
    "${x:-",
    "FROM a\n",
    "FROM a AS b\n",
    "FROM a\\\n",
    "RUN a\n",
    "RUN\n",
    "RUN <<E\n",
    "RUN a <<E ",
    "RUN [\"a\", ",
    "RUN <<E\na\nE\n",
    "ONBUILD ",
    "ONBUILD RUN a\n",
    "ENV a=\"",
    "ENV a=b ",
    "ENV a b\n",
    "ARG a=b ",
    "ARG a\n",
    "LABEL a=b\n",
    "COPY a b\n",
    "COPY --from=0 a b\n",
    "CMD [\"a\"]\n",
    "EXPOSE 1\n",
    "EXPOSE 1-65535\n",
    "HEALTHCHECK CMD a\n",
    "SHELL [\"a\"]\n",
    "VOLUME a b c\n",
    "USER $a\n",
    "WORKDIR a\n",
    "STOPSIGNAL 9\n",
    "MAINTAINER a\n",
    "ADD https://a/b c\n",
    "CPOY a b\n",
    "RUN --x a\n",
    "RUN --mount=type=cache,target=/x a\n",
    "COPY <<E <<F /\na\nE\nb\nF\n",
    "\r\n",
    "RUN a \\\n\n",
    "RUN a \\\n# b\n",
    "a\\\n",
    "a \\ \n",
    "\u{feff}",
    "# escape=`\n",
    "--x ",
    "--x=\"a ",
];

/// What is repeated in a stage.
const IN_STAGE: &[&str] = &[
    "RUN a\n",
    "ENV a=$b c=${d:-e}\n",
    "ARG a\n",
    "COPY --from=0 a b\n",
    "ENV a=\"b ",
    "COPY a ",
    "RUN a \\\n",
    "VOLUME /a ",
    "EXPOSE 1 ",
    "LABEL a=b ",
    "# x\n",
    "RUN --mount=type=bind,from=x,target=/a a\n",
    "FROM a AS b\n",
    "RUN a <<E ",
    "COPY <<E ",
    "HEALTHCHECK --interval=1s ",
    "RUN [\"",
    "CMD [\"a\",",
    "ARG b=$a\n",
];

/// What is repeated in a stage, with a number between.
const NUMBERED: &[(&str, &str)] = &[
    ("FROM a AS b", "\n"),
    ("ARG a", "\n"),
    ("ENV a", "=b\n"),
    ("COPY --from=b", " a b\n"),
    ("RUN echo $a", "\n"),
    ("FROM b", "\n"),
    ("ENV a", "=$b\n"),
    ("FROM a", " AS b\nARG c\n"),
];

fn inputs() -> Vec<(String, String)> {
    let numbered = |(prefix, suffix): (&str, &str)| -> String {
        let count = SIZE / (prefix.len() + suffix.len() + 5);
        (0..count).map(|n| format!("{prefix}{n:05}{suffix}")).collect()
    };
    let mut all: Vec<(String, String)> =
        PIECES.iter().map(|piece| (format!("{piece:?}"), many(piece))).collect();
    for piece in IN_STAGE {
        all.push((format!("FROM a; {piece:?}"), format!("FROM a\n{}", many(piece))));
    }
    for piece in NUMBERED {
        all.push((format!("FROM a; {piece:?}"), format!("FROM a\n{}", numbered(*piece))));
    }
    for (name, before, piece) in [
        ("fields of a mount", "RUN --mount=", "target=/x,"),
        ("flags of COPY", "", "COPY --from=0 --chown=a "),
        ("flags of RUN", "RUN ", "--network=none "),
    ] {
        all.push((name.to_owned(), format!("FROM a\n{before}{}", many(piece))));
    }
    for (name, before, piece) in [
        ("heredocs of other names", "COPY ", "<<E"),
        ("excludes of other names", "COPY ", "--exclude=a"),
    ] {
        let count = SIZE / (piece.len() + 6);
        let pieces: String = (0..count).map(|n| format!("{piece}{n:05} ")).collect();
        all.push((name.to_owned(), format!("FROM a\n{before}{pieces}/\n")));
    }
    all.push(("ordinary".to_owned(), many(ORDINARY)));
    all
}

/// How long this thread has run: others use the machine too.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The least of eight. What it gives is dropped outside of the time.
fn least<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut once = || {
        let start = now();
        let result = work();
        let time = now().saturating_sub(start);
        drop(result);
        time
    };
    let first = once();
    if first < Duration::from_millis(20) {
        first
    } else {
        (0..7).map(|_| once()).fold(first, Duration::min)
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

/// Measures one input and prints its row; whether something was slow.
fn measure(name: &str, source: &str) -> bool {
    let tree = parse(source).tree;
    let variables = [("x", "value"), ("a", "b")];
    let times = [
        (PARSE_LIMIT, least(|| parse(source))),
        (LOOK_LIMIT, least(|| lint(&tree, &LintOptions::default()))),
        (LOOK_LIMIT, least(|| format_edits(&tree))),
        (PARSE_LIMIT, least(|| expand(source, &variables[..], &ExpandOptions::default()))),
        (PARSE_LIMIT, least(|| IgnoreFile::parse(source))),
    ];
    let is_slow = times.iter().any(|(limit, time)| time > limit);
    let cells: Vec<String> =
        times.iter().map(|(_, time)| format!("{:>8}", milliseconds(*time))).collect();
    println!("{}  {name}{}", cells.join(" "), if is_slow { "  <- slow" } else { "" });
    is_slow
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| name != "--bench").collect();
    let is_wanted = |name: &str| {
        wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str()))
    };
    println!("milliseconds to:");
    println!("{:>8} {:>8} {:>8} {:>8} {:>8}  input", "parse", "lint", "format", "expand", "ignore");
    let all = inputs();
    let slow = all.iter().filter(|(name, source)| is_wanted(name) && measure(name, source)).count();
    println!("{slow} are slow");
    if slow == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
