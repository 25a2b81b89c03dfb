//! `cooper lint`

use crate::{cooper, fed, files};

const FILE: &str = "\
from alpine:3 as Base
COPY node_modules /x
CMD echo $HOME
FROM base
RUN --mout=type=cache make
";

#[test]
fn people_see_the_line_and_what_to_do() {
    let directory = files(&[("Containerfile", FILE), (".dockerignore", "node_modules\n")]);
    let outcome = cooper(&directory, "lint").ends(1);
    let expected = "\
warning[ConsistentInstructionCasing]: Command 'from' should match the case of the command majority (uppercase)
 --> Containerfile:1:1
  |
1 | from alpine:3 as Base
  | ^^^^

warning[StageNameCasing]: Stage name 'Base' should be lowercase
 --> Containerfile:1:18
  |
1 | from alpine:3 as Base
  |                  ^^^^

warning[CopyIgnoredFile]: Attempting to Copy file \"node_modules\" that is excluded by .dockerignore
 --> Containerfile:2:6
  |
2 | COPY node_modules /x
  |      ^^^^^^^^^^^^
  = note: the rule is \"node_modules\", on line 1 of the ignore file

warning[JSONArgsRecommended]: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
 --> Containerfile:3:1
  |
3 | CMD echo $HOME
  | ^^^^^^^^^^^^^^

error[unknown-flag]: unknown flag: --mout (did you mean mount?)
 --> Containerfile:5:5
  |
5 | RUN --mout=type=cache make
  |     ^^^^^^^^^^^^^^^^^
  = help: RUN has --device, --mount, --network, --security";
    assert_eq!(outcome.text(), expected);
    assert_eq!(outcome.stderr, "Check complete, 1 error and 4 warnings found.\n");
}

#[test]
fn one_line_each_is_as_buildkit_prints_it() {
    let outcome = fed(&files(&[]), "lint -f - --format short", "FROM alpine:3 AS B\n").ends(1);
    let expected = "WARN: StageNameCasing: Stage name 'B' should be lowercase (line 1)";
    assert_eq!(outcome.text(), expected);
}

#[test]
fn programs_get_json_and_sarif() {
    let directory = files(&[("a b/Dockerfile", "FROM alpine:3\nCMD a\n")]);
    let found = cooper(&directory, "lint --format json -f a\u{20}b/Dockerfile");
    assert_eq!(found.code, 125, "white space separates the arguments of these tests");
    let directory = files(&[("a/Dockerfile", "FROM alpine:3\nCMD a\n")]);
    let found = cooper(&directory, "lint --format json a").ends(1).json();
    assert_eq!(found[0]["code"], "JSONArgsRecommended");
    assert_eq!(
        (&found[0]["file"], &found[0]["span"]["startLine"]),
        (&"a/Dockerfile".into(), &2.into())
    );
    let sarif = cooper(&directory, "lint --format sarif -f a/Dockerfile").ends(1).json();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["name"], "cooper");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "JSONArgsRecommended");
    let clean = fed(&directory, "lint -f - --format json", "FROM alpine:3\n").ok();
    assert_eq!((clean.text(), clean.stderr.as_str()), ("[]", ""));
}

/// `docker build --check` fails for what BuildKit's rules find; the file may ask for more.
#[test]
fn the_exit_code_is_that_of_buildkit_s_check() {
    let directory = files(&[]);
    let check = |text: &str, flags: &str, code: i32| {
        fed(&directory, &format!("lint -f - {flags}"), text).ends(code);
    };
    check("FROM alpine:3\n", "", 0);
    check("FROM alpine:3\nCMD a\n", "", 1);
    check("FROM alpine:3\nCMD a\n", "--skip JSONArgsRecommended", 0);
    check("FROM alpine:3\nCMD a\n", "--skip all", 0);
    check("FROM alpine:3\nCMD a\n", "--build-arg BUILDKIT_DOCKERFILE_CHECK=skip=all", 0);
    check("# check=skip=JSONArgsRecommended\nFROM alpine:3\nCMD a\n", "", 0);
    // Rules of ours only warn,
    check("FROM alpine\n", "", 0);
    // unless they are to be errors.
    check("# check=error=true\nFROM alpine\n", "", 1);
    check("FROM alpine\n", "--error", 1);
    check("FROM alpine:3\nRUN --x a\n", "--skip all", 1);
    check("FROM alpine:3 AS a\nCOPY --from=a x y\n", "", 1);
    check("ARG T\nFROM alpine:$T\n", "", 1);
    check("ARG T\nFROM alpine:$T\n", "--build-arg T=3", 1);
    check("ARG T=3\nFROM alpine:$T\n", "", 0);
    check("# a comment\n\nARG x\nFROM alpine:3\n", "--experimental all", 0);
    check("# a comment\nARG x\nFROM alpine:3\n", "--experimental InvalidDefinitionDescription", 1);
}

#[test]
fn only_what_the_target_needs_is_looked_at() {
    let directory = files(&[]);
    let text = "FROM alpine:3 AS one\nCMD a\nFROM alpine:3 AS two\nENTRYPOINT b\n";
    let check = |target: &str, expected: &[&str]| {
        let outcome = fed(&directory, &format!("lint -f - --format json {target}"), text);
        let lines: Vec<i64> = outcome
            .json()
            .as_array()
            .expect("it is a list")
            .iter()
            .map(|found| found["span"]["startLine"].as_i64().expect("it is a number"))
            .collect();
        let expected: Vec<i64> =
            expected.iter().map(|line| line.parse().expect("a number")).collect();
        assert_eq!(lines, expected, "{target}");
    };
    check("", &["2", "4"]);
    check("--target one", &["2"]);
    check("--target 1", &["4"]);
    fed(&directory, "lint -f - --target tow", text).ends(1);
    let unknown = fed(&directory, "lint -f - --format short --target tow", text).ends(1);
    assert!(
        unknown.text().contains("target stage \"tow\" could not be found (did you mean two?)"),
        "{unknown}"
    );
}

#[test]
fn several_files_are_looked_at_one_by_one() {
    let directory =
        files(&[("a", "FROM alpine:3\nCMD a\n"), ("b", "FROM alpine:3\n"), ("c", "FRM x\n")]);
    let outcome = cooper(&directory, "lint --format short -f a -f b -f c").ends(1);
    assert_eq!(outcome.text().lines().count(), 2, "{outcome}");
    assert!(
        outcome.text().ends_with("unknown instruction: FRM (did you mean FROM?) (line 1)"),
        "{outcome}"
    );
    cooper(&directory, "lint -f b").ok();
}

#[test]
fn the_ignore_file_is_the_first_of_those_that_may_be() {
    let directory = files(&[
        ("ctx/Dockerfile", "FROM alpine:3\nCOPY a b c d /x/\n"),
        ("ctx/.dockerignore", "a\n"),
        ("named", "d\n"),
    ]);
    let found = |line: &str| {
        let outcome = cooper(&directory, line);
        let all = outcome.json();
        let names = all.as_array().expect("it is a list").iter().map(|found| {
            found["message"]
                .as_str()
                .expect("it is a text")
                .split('"')
                .nth(1)
                .unwrap_or_default()
                .to_owned()
        });
        names.collect::<String>()
    };
    assert_eq!(found("lint --format json ctx"), "a");
    assert_eq!(found("lint --format json -f ctx/Dockerfile"), "", "there is no context");
    std::fs::write(directory.join("ctx/.containerignore"), "b\n").expect("it is writable");
    assert_eq!(found("lint --format json ctx"), "b");
    std::fs::write(directory.join("ctx/Dockerfile.dockerignore"), "c\n").expect("it is writable");
    assert_eq!(found("lint --format json ctx"), "c");
    assert_eq!(found("lint --format json -f Dockerfile ctx"), "c", "it is below the context");
    assert_eq!(found("lint --format json --ignorefile named ctx"), "d");
    cooper(&directory, "lint --ignorefile nowhere ctx").ends(125).says("nowhere");
    std::fs::write(directory.join("named"), "[a\n").expect("it is writable");
    cooper(&directory, "lint --ignorefile named ctx").ends(125).says("on line 1");
}

#[test]
fn every_rule_has_a_page() {
    let page = cooper(&files(&[]), "lint --explain stagenamecasing").ok();
    assert!(page.text().starts_with("# StageNameCasing\n"), "{page}");
    assert!(
        page.text().ends_with("https://docs.docker.com/go/dockerfile/rule/stage-name-casing/"),
        "{page}"
    );
    let own = cooper(&files(&[]), "lint --explain JsonLooksWrong").ok();
    assert!(own.text().starts_with("# JsonLooksWrong\n"), "{own}");
}
