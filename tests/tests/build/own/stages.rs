//! Stages, what is taken over from them, what is ignored of a context.

use super::case::{Case, case};

pub(super) const CASES: &[Case] = &[
    case(
        "a stage by its number",
        "FROM scratch\nCOPY a.txt /x\nFROM scratch\nCOPY --from=0 /x /y\n",
    ),
    case(
        "a stage by its name",
        "FROM scratch AS one\nCOPY d /x\nFROM scratch\nCOPY --from=one /x/sub /y/\n",
    ),
    case(
        "a stage by its name in capitals",
        "FROM scratch AS One\nCOPY a.txt /x\nFROM scratch\nCOPY --from=one x /y\n",
    ),
    case(
        "a stage upon a stage",
        "FROM base AS one\nENV A=1\nWORKDIR /w\nRUN echo one > f\nFROM one\nRUN cat f > g\n",
    ),
    case("an image", "FROM scratch\nCOPY --from=base /etc/group /x/\n"),
    case(
        "a pattern in a stage",
        "FROM scratch AS one\nCOPY . /\nFROM scratch\nCOPY --from=one /*.txt /d/*.c /x/\n",
    ),
    case(
        "a link in a stage",
        "FROM base AS one\nRUN mkdir /real && echo 1 > /real/f && ln -s /real /lnk\nFROM scratch\nCOPY --from=one /lnk/ /x/\n",
    ),
    case(
        "a link to a file in a stage",
        "FROM base AS one\nRUN echo 1 > /f && ln -s /f /lnk\nFROM scratch\nCOPY --from=one /lnk /x\n",
    ),
    case(
        "owners in a stage",
        "FROM base AS one\nRUN mkdir /o && echo 1 > /o/f && chown 7:8 /o /o/f && chmod 2750 /o\nFROM scratch\nCOPY --from=one /o /x\nCOPY --from=one --chown=1:1 /o /y\n",
    ),
    case("a stage that nothing needs", "FROM base\nRUN exit 1\nFROM scratch\nCOPY a.txt /\n"),
    case(
        "a stage that is wanted",
        "FROM scratch AS one\nCOPY a.txt /\nFROM scratch AS two\nCOPY b.txt /\n",
    )
    .flags(&["--target", "one"]),
    case(
        "a stage that is wanted by its number",
        "FROM scratch AS one\nCOPY a.txt /\nFROM scratch\nCOPY b.txt /\n",
    )
    .flags(&["--target", "0"]),
    case("a stage that is not there", "FROM scratch AS one\nCOPY a.txt /\n")
        .flags(&["--target", "two"]),
    case("a named context", "FROM scratch\nCOPY --from=other x.c /\n")
        .flags(&["--build-context", "other=d"]),
    case(
        "triggers of a stage",
        "FROM base AS one\nONBUILD COPY a.txt /x\nONBUILD ENV A=1\nONBUILD RUN cat x > y\nFROM one\nLABEL l=1\n",
    ),
    case(
        "a mounted stage",
        "FROM scratch AS one\nCOPY d /d\nFROM base\nRUN --mount=type=bind,from=one,source=/d,target=/m cat /m/x.c > /y\n",
    ),
    case("a mounted context", "FROM base\nRUN --mount=target=/m cat /m/a.txt > /y\n"),
    case("a directory in memory", "FROM base\nRUN --mount=type=tmpfs,target=/m echo 1 > /m/f\n"),
    case("a secret", "FROM base\nRUN --mount=type=secret,id=s cat /run/secrets/s > /y\n")
        .flags(&["--secret", "id=s,src=a.txt"]),
    case(
        "what is removed",
        "FROM base\nRUN mkdir -p /x/y && echo 1 > /x/y/f\nRUN rm -r /x/y /etc/group\n",
    ),
    case(
        "what is made anew",
        "FROM base\nRUN mkdir /x && echo 1 > /x/f\nRUN rm -r /x && mkdir -m 711 /x && echo 2 > /x/g\n",
    ),
    case(
        "a directory becomes a file",
        "FROM base\nRUN mkdir /x && echo 1 > /x/f\nRUN rm -r /x && echo 2 > /x\n",
    ),
    case("hard links", "FROM base\nRUN echo 1 > /x && ln /x /y && ln -s x /z\n"),
    case("ignored: a star", "FROM scratch\nCOPY . /\n").texts(&[(".dockerignore", "*.txt\n")]),
    case("ignored: an exception", "FROM scratch\nCOPY . /\n")
        .texts(&[(".dockerignore", "*\n!a.txt\n!d/sub\n")]),
    case("ignored: the order counts", "FROM scratch\nCOPY . /\n")
        .texts(&[(".dockerignore", "!a.txt\n*.txt\n")]),
    case("ignored: at any depth", "FROM scratch\nCOPY . /\n")
        .texts(&[(".dockerignore", "**/*.c\n")]),
    case("ignored: a star does not cross a slash", "FROM scratch\nCOPY . /\n")
        .texts(&[(".dockerignore", "*/*.c\n")]),
    case("ignored: comments, spaces, slashes", "FROM scratch\nCOPY . /\n")
        .texts(&[(".dockerignore", "# d\n\n  /d/  \n./a.txt\n")]),
    case("ignored: what is copied by name", "FROM scratch\nCOPY a.txt /\n")
        .texts(&[(".dockerignore", "a.txt\n")]),
    case("ignored: one of two", "FROM scratch\nCOPY a.txt b.txt /x/\n")
        .texts(&[(".dockerignore", "a.txt\n")]),
    case("ignored: a directory and what is in it", "FROM scratch\nCOPY d /x\n")
        .texts(&[(".dockerignore", "d\n!d/sub/z.c\n")]),
    case("ignored: what another file says", "FROM scratch\nCOPY *.txt /x/\n")
        .texts(&[(".dockerignore", "a.txt\n"), (".containerignore", "b.txt\n")]),
    case("ignored: what the flag says", "FROM scratch\nCOPY *.txt /x/\n")
        .texts(&[(".dockerignore", "a.txt\n"), ("other", "b.txt\n")])
        .flags(&["--ignorefile", "other"]),
    case(
        "ignored: not in a stage",
        "FROM base AS one\nRUN echo 1 > /a.txt\nFROM scratch\nCOPY --from=one /a.txt /x/\n",
    )
    .texts(&[(".dockerignore", "a.txt\n")]),
    case("ignored: a link", "FROM scratch\nCOPY . /\n").texts(&[(".dockerignore", "*link\nl\n")]),
];
