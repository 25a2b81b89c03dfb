//! Words, variables, and what instructions set.

use super::case::{Case, case};

pub(super) const CASES: &[Case] = &[
    case(
        "variables",
        "FROM scratch\nENV a=1\nENV b=$a c=${a}2 d=\\$a e='$a' f=\"$a x\" g=${n} h=x${a:-y} i=${n:-y} j=${a:+y} k=${n:+y}\n",
    ),
    case("variables of one instruction", "FROM scratch\nENV a=1\nENV a=2 b=$a\n"),
    case(
        "words in words",
        "FROM scratch\nENV a=1 b=\nENV c=${n:-${a}} d=${b:-\"x y\"} e=\"${n:-'z'}\" f=${a:+$b$a}\n",
    ),
    case(
        "quotes",
        "FROM scratch\nENV a=\"x y\" b='x y' c=x\\ y d=\"x\\\"y\" e='x\"y' f=\"x'y\" g=x\\\\y\n",
    ),
    case("the old form", "FROM scratch\nENV a x  y \"z\"\nENV b $a\nLABEL l x  y\n"),
    case(
        "lines that go on",
        "FROM scratch\nENV a=1 \\\n# a remark\n    b=2 \\\n\n    c=3\nLABEL \\\n  l=1\n",
    ),
    case("another escape", "# escape=`\nFROM scratch\nENV a=x`\n b=c:\\d\nENV e=`$a\n"),
    case(
        "instructions in small letters",
        "from scratch as one\nenv a=1\ncopy a.txt /\nfrom one\nlabel l=1\n",
    ),
    case(
        "arguments",
        "ARG n=base\nARG unused=1\nFROM ${n}\nARG a=1\nARG b=$a\nENV c=$a$b\nRUN echo $a $b $c $unused > /x\n",
    ),
    case(
        "arguments that are given",
        "ARG n=scratch\nFROM ${n}\nARG a=1\nARG b\nENV c=$a$b\nRUN echo $a $b $c > /x\n",
    )
    .flags(&["--build-arg", "n=base", "--build-arg", "a=2", "--build-arg", "b=x y"]),
    case(
        "arguments of all stages",
        "ARG a=1\nFROM base AS one\nARG a\nRUN echo $a > /x\nFROM base\nCOPY --from=one /x /x\nRUN echo \"$a\" > /y\n",
    ),
    case(
        "an argument after its use",
        "FROM base\nRUN echo \"$a\" > /x\nARG a=1\nRUN echo \"$a\" > /y\n",
    ),
    case(
        "an argument without a value",
        "FROM base\nARG a\nENV b=${a:-none}\nRUN env | grep -c '^a=' > /x || true\n",
    ),
    case("an argument of the platform", "FROM base\nARG TARGETOS\nRUN echo $TARGETOS > /x\n")
        .flags(&["--platform", "linux/amd64"]),
    case(
        "a variable in labels, users and ports",
        "FROM base\nENV v=7 d=/data\nLABEL a=$v b=\"$v\" c='$v'\nUSER $v\nEXPOSE $v 8/udp\nVOLUME $d\nSTOPSIGNAL $v\nWORKDIR $d/w\n",
    ),
    case("working directories", "FROM scratch\nWORKDIR a\nWORKDIR b/../c\nWORKDIR ./d\n"),
    case(
        "a working directory that a command sees",
        "FROM base\nWORKDIR /w/v\nRUN pwd > x\nWORKDIR ../u\nRUN pwd > x\n",
    ),
    case(
        "a working directory that is a link",
        "FROM base\nRUN mkdir /real && ln -s /real /lnk\nWORKDIR /lnk/w\nRUN pwd -P > f\n",
    ),
    case(
        "a working directory that was removed",
        "FROM base\nWORKDIR /w/v\nRUN rm -r /w\nRUN pwd > /x\n",
    ),
    case("a working directory of a user", "FROM base\nUSER 5:6\nWORKDIR /w\n"),
    case(
        "users",
        "FROM base\nUSER nobody\nRUN id -u > /tmp/a; id -g > /tmp/b\nUSER 7\nRUN id -u > /tmp/c; id -g > /tmp/d\nUSER uucp:bin\nRUN id -u > /tmp/e; id -g > /tmp/f\n",
    ),
    case("a home", "FROM base\nRUN echo $HOME > /tmp/a\nUSER nobody\nRUN echo $HOME > /tmp/b\n"),
    case("a shell", "FROM base\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo $0 $- > /x\n"),
    case("a command without a shell", "FROM base\nENV a=1\nRUN [\"touch\", \"/$a\", \"/x y\"]\n"),
    case(
        "a command in two lines",
        "FROM base\nRUN echo 1 > /x && \\\n    # a remark\n    echo 2 > /y\n",
    ),
    case("a command that fails", "FROM base\nRUN exit 3\n"),
    case("what is run by default", "FROM base\nCMD echo $HOME\nENTRYPOINT echo \"x\"\n"),
    case(
        "what is run by default, in lists",
        "FROM base\nENTRYPOINT [\"/bin/echo\", \"$a\"]\nCMD [\"x\", \"y z\"]\n",
    ),
    case("an entrypoint takes the base's command away", "FROM base\nENTRYPOINT [\"/bin/echo\"]\n"),
    case(
        "a command of an own base stays",
        "FROM base AS one\nCMD [\"x\"]\nFROM one\nENTRYPOINT [\"/bin/echo\"]\n",
    ),
    case("nothing to run", "FROM base\nCMD []\n"),
    case("single quotes make no list", "FROM base\nCMD ['a', 'b']\n"),
    case(
        "health",
        "FROM base\nHEALTHCHECK --interval=5m --timeout=3s --start-period=1s --retries=4 CMD curl -f x || exit 1\n",
    ),
    case("health of a command without a shell", "FROM base\nHEALTHCHECK CMD [\"true\", \"x\"]\n"),
    case("no health", "FROM base\nHEALTHCHECK NONE\n"),
    case("ports", "FROM base\nEXPOSE 80 443/tcp 53/udp\nEXPOSE 80/tcp\n"),
    case("volumes", "FROM base\nVOLUME /a /b\nVOLUME [\"/c d\"]\n"),
    case(
        "files in a volume",
        "FROM base\nRUN mkdir /v && echo 1 > /v/a\nVOLUME /v\nCOPY a.txt /v/b\nRUN echo 2 > /v/c\n",
    ),
    case("signals", "FROM base\nSTOPSIGNAL SIGTERM\nSTOPSIGNAL 9\n"),
    case("triggers", "FROM base\nONBUILD RUN echo 1\nONBUILD COPY [\"a\", \"b\"]\n"),
    case("labels", "FROM base\nLABEL a=1 b=\"x y\" \"c.d\"=e\nLABEL a=2\n")
        .flags(&["--label", "f=g", "--label", "b=z"]),
    case("an author", "FROM base\nMAINTAINER Some Body <s@b>\n"),
    case("annotations", "FROM base\nLABEL a=1\n").flags(&[
        "--format",
        "oci",
        "--annotation",
        "x=1",
        "--annotation",
        "y=z w",
    ]),
    case(
        "what OCI has no place for",
        "FROM base\nHEALTHCHECK CMD true\nSHELL [\"/bin/ash\", \"-c\"]\nONBUILD ENV a=1\n",
    )
    .flags(&["--format", "oci"]),
    case("variables of the flag", "FROM base\nENV a=1\nRUN echo $a $b > /x\n")
        .flags(&["--env", "b=2"]),
    case("variables that are taken away", "FROM base\nENV a=1 b=2\n").flags(&["--unsetenv", "a"]),
    case(
        "a script in the file",
        "FROM base\nARG a=1\nRUN <<EOF\necho $a > /x\necho 'it'\"'\"'s' >> /x\nEOF\n",
    )
    .like("FROM base\nARG a=1\nRUN echo $a > /x; echo \"it's\" >> /x\n"),
    case(
        "a script with an interpreter",
        "FROM base\nRUN <<EOF\n#!/bin/busybox ash\necho 1 > /x\nEOF\n",
    )
    .like("FROM base\nRUN echo 1 > /x\n"),
    case("a command that reads from the file", "FROM base\nRUN cat <<EOF > /x\ntext\nEOF\n")
        .like("FROM base\nRUN echo text > /x\n"),
    case(
        "files in the file",
        "FROM base\nENV a=1\nCOPY <<one <<-\"two\" /x/\n$a \\$a \"q\"\none\n\t$a\n\ttwo\n",
    )
    .like("FROM base\nENV a=1\nRUN mkdir /x && echo '1 $a \"q\"' > /x/one && echo '$a' > /x/two\n"),
    case(
        "a file in the file, with a name",
        "FROM base\nCOPY --chmod=755 --chown=1:2 <<EOF /x\ntext\nEOF\n",
    )
    .like("FROM base\nRUN echo text > /x && chmod 755 /x && chown 1:2 /x\n"),
    case("an empty file in the file", "FROM base\nCOPY <<EOF /x\nEOF\n")
        .like("FROM base\nRUN touch /x\n"),
];
