//! Rules on files.

use super::*;
use crate::parse::parse;

fn found(source: &str, options: &LintOptions<'_>) -> Vec<String> {
    let parsed = parse(source);
    assert!(!parsed.has_errors(), "{source}: {:?}", parsed.diagnostics);
    let report = lint(&parsed.tree, options);
    let line = |d: &Diagnostic| parsed.tree.lines().line(d.span.start());
    report
        .diagnostics
        .iter()
        .map(|d| format!("{}: {} (line {})", d.code, d.message, line(d)))
        .collect()
}

/// Lints a file, without the rules that nearly every short file breaks.
fn check(source: &str, expected: &[&str]) {
    let mut options = LintOptions::default();
    options.checks.skipped.insert(Rule::TagNotPinned);
    assert_eq!(found(source, &options), expected, "{source}");
}

#[test]
fn names_of_stages() {
    check(
        "FROM alpine AS Base\n",
        &["StageNameCasing: Stage name 'Base' should be lowercase (line 1)"],
    );
    check(
        "FROM alpine as base\n",
        &["FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"],
    );
    check("from alpine as base\n", &[]);
    check("FROM alpine AS base\n", &[]);
    check(
        "FROM a AS b\nFROM c AS B\n",
        &[
            "StageNameCasing: Stage name 'B' should be lowercase (line 2)",
            "DuplicateStageName: Duplicate stage name \"b\", stage names should be unique (line 2)",
        ],
    );
    check(
        "FROM a AS scratch\n",
        &[
            "ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\" (line 1)",
        ],
    );
}

#[test]
fn casing_follows_the_majority() {
    check(
        "FROM a\nRUN b\nrun c\nRun d\n",
        &[
            "ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase) (line 3)",
            "ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase) (line 4)",
        ],
    );
    check(
        "from a\nrun b\nRUN c\n",
        &[
            "ConsistentInstructionCasing: Command 'RUN' should match the case of the command majority (lowercase) (line 3)",
        ],
    );
    check("arg A=1\nFROM a\n", &[]);
}

#[test]
fn how_it_is_written() {
    check("FROM a\nRUN b \\\n\n  c\n", &["NoEmptyContinuation: Empty continuation line (line 3)"]);
    check("FROM a\nRUN b \\\n# c\n  c\n", &[]);
    check(
        "FROM a\nENV b c\n",
        &[
            "LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format (line 2)",
        ],
    );
    check(
        "FROM a\nMAINTAINER b\n",
        &[
            "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)",
        ],
    );
    check(
        "FROM a\nENTRYPOINT ['b']\nSHELL [\"c\"]\n",
        &[
            "JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals (line 2)",
            "JsonLooksWrong: looks like JSON but is not, column 13: it is taken as shell text (line 2)",
        ],
    );
    check("FROM a\nSHELL [\"c\"]\nCMD x\n", &[]);
    check("FROM a AS b\nSHELL [\"c\"]\nFROM b\nCMD x\n", &[]);
}

#[test]
fn arguments_of_from() {
    check(
        "FROM ${VERSOIN}\n",
        &[
            "InvalidDefaultArgInFrom: Default value for ARG ${VERSOIN} results in empty or invalid base image name (line 1)",
            "UndefinedArgInFrom: FROM argument 'VERSOIN' is not declared (line 1)",
        ],
    );
    check(
        "ARG VERSION=1\nFROM a:$VERSOIN-b\n",
        &[
            "InvalidDefaultArgInFrom: Default value for ARG a:$VERSOIN-b results in empty or invalid base image name (line 2)",
            "UndefinedArgInFrom: FROM argument 'VERSOIN' is not declared (did you mean VERSION?) (line 2)",
        ],
    );
    check(
        "ARG TAG\nFROM a:${TAG}\n",
        &[
            "InvalidDefaultArgInFrom: Default value for ARG a:${TAG} results in empty or invalid base image name (line 2)",
        ],
    );
    check("ARG TAG=1\nFROM a:${TAG}\n", &[]);
    check("FROM --platform=$BUILDPLATFORM a\n", &[]);
    check(
        "FROM --platform=$TARGETPLATFORM a\n",
        &[
            "RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior (line 1)",
        ],
    );
    check(
        "FROM --platform=linux/amd64 a\n",
        &[
            "FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/amd64\" (line 1)",
        ],
    );
    check("FROM --platform=linux/amd64 a AS build-amd64\n", &[]);
}

#[test]
fn variables_are_defined() {
    check(
        "FROM scratch\nCOPY $foo .\n",
        &["UndefinedVar: Usage of undefined variable '$foo' (line 2)"],
    );
    check(
        "FROM scratch\nENV PATH=$PAHT:/bin\n",
        &["UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?) (line 2)"],
    );
    check("FROM a\nENV b=$JAVA_HOME\n", &[]);
    check("FROM scratch\nARG foo\nCOPY $foo .\n", &[]);
    check("FROM scratch AS a\nENV foo=x\nFROM a\nCOPY $foo .\n", &[]);
    check(
        "FROM scratch\nENV a=1 b=$a\n",
        &["UndefinedVar: Usage of undefined variable '$a' (line 2)"],
    );
    check(
        "FROM scratch\nCOPY <<EOF /x\n'$y'\nEOF\nCOPY <<'EOF' /x\n$z\nEOF\n",
        &["UndefinedVar: Usage of undefined variable '$y' (line 3)"],
    );
    check(
        "FROM scratch\nWORKDIR /${a\n",
        &["invalid-substitution: failed to process \"/${a\": syntax error: missing '}' (line 2)"],
    );
}

#[test]
fn instructions_of_a_stage() {
    check(
        "FROM a\nWORKDIR b\nWORKDIR c\n",
        &[
            "WorkdirRelativePath: Relative workdir \"b\" can have unexpected results if the base image changes (line 2)",
        ],
    );
    check("FROM a\nWORKDIR /b\nWORKDIR c\n", &[]);
    check(
        "FROM a\nCMD [\"b\"]\nCMD [\"c\"]\n",
        &[
            "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)",
        ],
    );
    check(
        "FROM a\nARG AWS_SECRET\nENV API_KEY=x PUBLIC_KEY=y TOKENIZER=z\n",
        &[
            "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"AWS_SECRET\") (line 2)",
            "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"API_KEY\") (line 3)",
        ],
    );
    check(
        "FROM a\nEXPOSE 80/TCP 127.0.0.1:8080:80 $x\n",
        &[
            "ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (line 2)",
            "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:8080:80' (line 2)",
        ],
    );
    check(
        "FROM a\nEXPOSE http\n",
        &["invalid-port: invalid containerPort: http: a port is a number from 0 to 65535 (line 2)"],
    );
}

#[test]
fn our_own_rules() {
    check(
        "FROM a\nCOPY a b /c\n",
        &[
            "ImplicitDirectoryDest: The destination \"/c\" of several sources does not end with a slash (line 2)",
        ],
    );
    check("FROM a\nCOPY a b /c/\nCOPY a /c\n", &[]);
    check(
        "FROM a\nCOPY --chmod=644 . /c\nCOPY --chmod=644 a.txt /c\nCOPY --chmod=u=rwX . /\n",
        &["ChmodStripsDirX: The mode 644 makes the directories of . inaccessible (line 2)"],
    );
    check(
        "FROM a\nADD https://x.org/a.tar /\nADD --checksum=sha256:0 https://x.org/b /\nADD https://x.org/c.git /\n",
        &["AddRemoteWithoutChecksum: What https://x.org/a.tar gives is not checked (line 2)"],
    );
    check(
        "FROM a\nCOPY . /src\nRUN apt-get -y install gcc\n",
        &[
            "CopyBeforeInstall: Packages are installed again whenever a file of the context changes (line 3)",
        ],
    );
    check("FROM a\nRUN apt-get install -y gcc\nCOPY . /src\n", &[]);
    check(
        "FROM a\nARG REV\nRUN make\nLABEL rev=$REV\n",
        &[
            "ArgInvalidatesBelow: Another value of REV makes a RUN run again that does not need it (line 2)",
        ],
    );
    check("FROM a\nARG REV\nRUN make REV=$REV\nLABEL rev=$REV\n", &[]);
    check(
        "FROM a\nCOPY id_rsa /root/.ssh/\nCOPY --from=b .env /\n",
        &[
            "SecretCopiedIntoLayer: id_rsa looks like a secret, and whoever has the image can read it (line 2)",
        ],
    );
    let all = LintOptions::default();
    let pinned = "FROM scratch\nFROM a:1\nFROM a@sha256:0123456789abcdef0123456789abcdef\n";
    assert!(found(pinned, &all).is_empty());
    assert_eq!(
        found("FROM a:latest AS b\nFROM b\n", &all),
        ["TagNotPinned: Base image a:latest has no tag other than latest, and no digest (line 1)"]
    );
}

#[test]
fn what_the_caller_knows_is_used() {
    let file = IgnoreFile::parse("*.log\nsecret\n").unwrap();
    let mut options = LintOptions { ignore: Some(&file), ..LintOptions::default() };
    options.checks.skipped.insert(Rule::TagNotPinned);
    assert_eq!(
        found("FROM a\nCOPY a.log secret/x /b/\nADD b.txt /\nCOPY . /\n", &options),
        [
            "CopyIgnoredFile: Attempting to Copy file \"a.log\" that is excluded by .dockerignore (line 2)",
            "CopyIgnoredFile: Attempting to Copy file \"secret/x\" that is excluded by .dockerignore (line 2)",
        ]
    );
    let mut base = BaseImage::default();
    base.environment.push(("JAVA".to_owned(), "/x".to_owned()));
    base.platform = Some("linux/arm64/v8".to_owned());
    options.bases.insert("a".to_owned(), base);
    assert_eq!(
        found("FROM a\nENV b=$JAVA c=$other\n", &options),
        [
            "InvalidBaseImagePlatform: Base image a was pulled with platform \"linux/arm64/v8\", expected \"linux/amd64\" for current build (line 1)",
            "UndefinedVar: Usage of undefined variable '$other' (line 2)",
        ]
    );
}

#[test]
fn rules_are_skipped_and_asked_for() {
    check("# check=skip=StageNameCasing\nFROM a AS B\n", &[]);
    check("# check=skip=all\nFROM a AS B\nWORKDIR c\n", &[]);
    check(
        "# check=skip=all;experimental=all\n# x y\nFROM a AS B\n",
        &[
            "InvalidDefinitionDescription: Comment for FROM should follow the format: `# B <description>` (line 2)",
        ],
    );
    check("# check=experimental=all\n# b is good\nFROM a AS b\n\n# unrelated\n\nARG c\n", &[]);
    check("FROM a\n# check=skip=WorkdirRelativePath because\nWORKDIR b\n", &[]);
    check(
        "# check=skp=all\nFROM a\n",
        &[
            "invalid-check: invalid check option \"skp=all\": use skip=RULE,RULE or skip=all, error=true, experimental=RULE (line 1)",
        ],
    );
    let strict = |source: &str| lint(&parse(source).tree, &LintOptions::default()).is_failure;
    assert!(strict("# check=error=true\nFROM a:1 AS B\n"));
    assert!(!strict("# check=error=true\nFROM a:1\n"));
    assert!(!strict("FROM a:1 AS B\n"));
    assert!(strict("FROM a:1\nEXPOSE x\n"));
}

#[test]
fn every_rule_has_a_page_and_a_name() {
    assert_eq!(Rule::ALL.iter().filter(|rule| rule.is_buildkit()).count(), 22);
    for rule in Rule::ALL {
        assert_eq!(Rule::from_name(&rule.name().to_lowercase()), Some(*rule));
        let page = rule.explain();
        assert!(page.starts_with(&format!("# {}\n", rule.name())), "{rule:?}");
        assert!(page.len() > 200 && page.contains("```"), "{rule:?}");
    }
    let url = Rule::JSONArgsRecommended.url().unwrap();
    assert_eq!(url, "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
    assert_eq!(Rule::JsonLooksWrong.url(), None);
}

#[test]
fn spans_are_those_of_the_words() {
    let source = "FROM scratch\nCOPY --chown=$a $foo/${bar:-x} .\n";
    let parsed = parse(source);
    let report = lint(&parsed.tree, &LintOptions::default());
    let texts: Vec<&str> = report.diagnostics.iter().map(|d| parsed.tree.text(d.span)).collect();
    assert_eq!(texts, ["a", "foo", "bar"]);
}
