//! `cooper graph`

use crate::{cooper, fed, files};

const FILE: &str = "\
ARG BASE=alpine:3
FROM $BASE AS base
FROM base AS build
RUN --mount=type=bind,from=tools,target=/t make
FROM scratch AS app
COPY --from=build /a /
FROM base AS unused
";

#[test]
fn stages_are_listed_with_what_they_need() {
    let directory = files(&[("Containerfile", FILE)]);
    let outcome = cooper(&directory, "graph --target app").ok();
    let expected = "\
base    FROM  alpine:3
build   FROM  stage base
        mount tools
app     FROM  scratch
        COPY  stage build
unused  FROM  stage base  (not needed)";
    assert_eq!(outcome.text(), expected);
    let other = cooper(&directory, "graph --build-arg BASE=debian:12").ok();
    assert!(
        other.text().starts_with("base    FROM  debian:12\nbuild   FROM  stage base  (not needed)"),
        "{other}"
    );
}

#[test]
fn graphs_are_drawn_for_programs() {
    let directory = files(&[]);
    let dot = fed(&directory, "graph -f - --format dot --target 2", FILE).ok();
    assert!(dot.text().starts_with("digraph stages {\n"), "{dot}");
    assert!(dot.text().contains("s3 [label=\"unused\", style=dashed]"), "{dot}");
    let mermaid = fed(&directory, "graph -f - --format mermaid", FILE).ok();
    assert!(mermaid.text().starts_with("flowchart LR\n"), "{mermaid}");
    let json = fed(&directory, "graph -f - --format json --target app", FILE).ok().json();
    assert_eq!(json["target"], 2);
    assert_eq!(json["stages"][1]["dependencies"][1]["image"], "tools");
    assert_eq!(json["stages"][2]["dependencies"][1]["stage"], 1);
    assert_eq!(
        (&json["stages"][2]["line"], &json["stages"][3]["needed"]),
        (&5.into(), &false.into())
    );
}

const DESCRIBED: &str = "\
# GO is the version of the compiler
ARG GO=1.23
# build makes it
FROM golang:$GO AS build
RUN --mount=type=secret,id=netrc,required --mount=type=ssh make
# app is what is deployed
FROM scratch AS app
COPY --from=build /a /
";

/// As `docker build --call` has it.
#[test]
fn targets_and_what_they_can_be_given_are_listed() {
    let directory = files(&[]);
    let targets = fed(&directory, "graph -f - --format targets", DESCRIBED).ok();
    let expected = "\
TARGET          DESCRIPTION
build           makes it
app (default)   is what is deployed";
    assert_eq!(targets.text(), expected);
    let line = "graph -f - --format outline --target build --build-arg GO=1.24";
    let expected = "\
TARGET:        build
DESCRIPTION:   makes it

BUILD ARG   VALUE   DESCRIPTION
GO          1.24    is the version of the compiler

SECRET   REQUIRED
netrc    true

SSH       REQUIRED
default";
    assert_eq!(fed(&directory, line, DESCRIBED).ok().text(), expected);
    let json = fed(&directory, "graph -f - --format json", DESCRIBED).ok().json();
    assert_eq!(json["stages"][1]["description"], "is what is deployed");
    assert_eq!(json["outline"]["arguments"][0]["line"], 2);
    assert_eq!(json["outline"]["secrets"][0]["required"], true);
}

#[test]
fn a_file_with_errors_has_no_graph() {
    let directory = files(&[]);
    let check = |text: &str, flags: &str, words: &str| {
        let outcome = fed(&directory, &format!("graph -f - {flags}"), text).ends(1).says(words);
        assert_eq!(outcome.text(), "");
    };
    check("FROM a:1 AS b\nCOPY --from=b x y\n", "", "circular dependency detected on stage: b");
    check("FROM a:1\nCPOY x\n", "", "unknown instruction: CPOY");
    check(
        "FROM a:1 AS one\n",
        "--target oen",
        "target stage \"oen\" could not be found (did you mean one?)",
    );
}
