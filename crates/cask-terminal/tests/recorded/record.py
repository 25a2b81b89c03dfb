#!/usr/bin/env python3
"""Records what podman and skopeo print for templates, into recorded.json beside this file.

The programs carry Go's own text/template, fmt, text/tabwriter and encoding/json, so their answers
are what this crate has to give. Needs podman 4.3 and skopeo 1.9 (Debian 12), root, and nothing
else; works in a temporary directory and leaves the machine's own image store alone.

    python3 record.py
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# For `podman info --format`: the data is the host, so nothing here may depend on it.
LITERAL = r'''
text only
{{1}} {{-1}} {{+1}} {{0x10}} {{0X1F}} {{017}} {{0o17}} {{0b101}} {{1_000}}
{{1.5}} {{.5}} {{1.}} {{1e3}} {{1E-2}} {{0x1p-2}} {{1.0}} {{100000.0}} {{1234567.0}} {{1e20}} {{1e21}} {{0.00001}}
{{'a'}} {{'\n'}} {{'é'}} {{'\x41'}} {{'\''}}
{{"a\tb"}} {{"\x41\u00e9\U0001F600\101"}} {{`raw "x"`}} {{"q\"q"}}
{{true}} {{false}}
{{089}}
{{1e}}
{{1a}}
{{9223372036854775807}}
{{9223372036854775808}}
{{99999999999999999999}}
{{1+2}}
{{"a\qb"}}
{{'ab'}}
{{''}}
{{"abc}}
{{'a}}
{{`abc}}
{{
{{.
{{/* a
{{/* a */ }}
{{/* a */}}b{{- /* c */ -}} d
a {{- 1 -}} b
a {{-1}} b
a  {{1 -}}   b
a {{- "x" }} b
{{1 | 2}}
{{1 | printf "%d"}}
{{"x" | printf "%s-%s" "y"}}
{{"output" | printf "%s" | printf "%q"}}
{{printf "%d" 1|}}
{{|}}
{{}}
{{()}}
{{(1)}}
{{(1}}
{{1)}}
{{((printf "%d" 1))}}
{{(print 1 2).X}}
{{nil}}
{{nil | print}}
{{print nil}}
{{println nil 1 "a" 2.5 true}}
{{print "a" 1 2 "b" 3.5 true false nil}}
{{print}}|{{println}}|
{{foo}}
{{foo.Bar}}
{{$x}}
{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}
{{$x = 1}}
{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}
{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}
{{$x := 1 | printf "%03d"}}{{$x}}
{{if $x := 1}}{{$x}}{{end}}{{$x}}
{{with $x := 0}}a{{else}}{{$x}}{{end}}
{{$x, $y := 1}}
{{$x:=}}
{{$x := 1 $y := 2}}
{{$x =1}}
{{if true}}a{{else}}b{{end}}
{{if false}}a{{else if 0}}b{{else if ""}}c{{else}}d{{end}}
{{if 0.0}}a{{else}}b{{end}}{{if nil}}{{end}}
{{if not 1}}a{{else}}b{{end}}
{{if}}a{{end}}
{{if 1}}
{{if 1}}a{{else}}b{{else}}c{{end}}
{{else}}
{{end}}
{{end 1}}
{{else 1}}
{{with "x"}}{{.}}{{end}}{{with ""}}a{{else}}b{{end}}
{{with 5}}{{with 6}}{{.}}{{end}}{{.}}{{end}}
{{range split "a,b,c" ","}}[{{.}}]{{end}}
{{range $i, $e := split "a,b" ","}}{{$i}}={{$e}};{{end}}
{{range $e := split "a,b" ","}}{{$e}};{{end}}
{{range $i, $e = split "a,b" ","}}{{end}}
{{$e := ""}}{{range $e = split "a,b" ","}}{{end}}{{$e}}
{{range split "a,b,c" ","}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}
{{range split "a,b,c" ","}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}
{{range split "a,b" ","}}{{range split "1,2" ","}}{{.}}{{break}}{{end}}{{.}}{{end}}
{{range slice (split "a" ",") 1}}a{{else}}empty{{end}}
{{range $x := slice (split "a" ",") 1}}a{{else}}{{len $x}}{{end}}
{{range 1.5}}{{end}}
{{range "abc"}}{{end}}
{{range nil}}{{end}}
{{range $a, $b, $c := split "a" ""}}{{end}}
{{range $a, 1 := 2}}{{end}}
{{break}}
{{continue}}
{{break 1}}
{{range split "a" ""}}{{define "x"}}{{break}}{{end}}{{end}}
{{define "x"}}[{{.}}]{{end}}{{template "x" 1}}{{template "x" "y"}}{{template "x"}}
{{define "x"}}{{$}}{{end}}{{$y := 1}}{{template "x" $y}}
{{define "x"}}{{$y}}{{end}}{{$y := 1}}{{template "x" $y}}
{{template "x"}}
{{template "x" 1 2}}
{{template x}}
{{template}}
{{template "a" }}{{define "a"}}A{{template "b" 1}}{{end}}{{define "b"}}B{{.}}{{end}}
{{define "x"}}1{{else}}{{end}}
{{define "x"}}{{.Y}}{{end}}{{template "x" 1}}
{{define x}}{{end}}
{{define "x"}}
{{define "a"}}1{{end}}{{define "a"}}2{{end}}
{{define "a"}} {{end}}{{define "a"}}2{{end}}{{template "a"}}
{{define "info"}}1{{end}}x
{{if true}}{{define "x"}}{{end}}{{end}}
{{block "b" 5}}<{{.}}>{{end}}
{{block "b"}}x{{end}}
{{block "b" 1}}x{{else}}y{{end}}
{{and 1 0 2}} {{and 1 2}} {{or 0 "" 3}} {{or 0 ""}}|{{or false 0 nil}} {{not true}} {{not nil}}
{{and false (index "a" 9)}} {{or 1 (index "a" 9)}}
{{and}}
{{not}}
{{not 1 2}}
{{1 | and 0}} {{0 | or 1}} {{1 | and 2}}
{{eq 1 1}} {{eq 1 2 1}} {{eq "a" "b" "c"}} {{ne 1 2}} {{eq 1.5 1.5}} {{eq true true}} {{eq nil nil}}
{{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1.5 2.5}} {{lt "a" "B"}}
{{eq 1 1.0}}
{{eq 1 "a"}}
{{eq 1}}
{{eq}}
{{ne 1}}
{{lt true false}}
{{lt 1 "x"}}
{{lt nil 1}}
{{eq (split "a" ",") nil}}
{{eq (split "a" ",") (split "a" ",")}}
{{eq 1 nil}} {{eq nil 1}}
{{eq "a" (split "a" ",")}}
{{len "é"}} {{len (split "a,b" ",")}}
{{len 3}}
{{len nil}}
{{len}}
{{len "a" "b"}}
{{index "abc" 1}} {{index (split "a,b" ",") 1}} {{index "x"}}
{{index (split "ab,cd" ",") 1 0}}
{{index (split "a,b" ",") 2}}
{{index (split "a,b" ",") 3}}
{{index (split "a,b" ",") -1}}
{{index (split "a,b" ",") "x"}}
{{index (split "a,b" ",") nil}}
{{index "abc" 3}}
{{index "abc" 4}}
{{index 1 2}}
{{index nil 1}}
{{slice "abcdef" 2}} {{slice "abcdef" 1 3}} {{slice "abc"}} {{slice (split "a,b,c" ",") 1 2}} {{slice (split "a,b,c" ",") 0 1 2}}
{{slice "abc" 2 1}}
{{slice "abc" 4}}
{{slice "abc" 1 2 3}}
{{slice (split "a,b" ",") 0 2 1}}
{{slice "abc" 1 2 3 4}}
{{slice 1}}
{{slice nil}}
{{slice "abc" "x"}}
{{html "<a b=\"c\" d='e'>&"}} {{html 1 2}} {{html nil}} {{html "a" 1}}
{{js "a\"b'c\\<>&=é\t\u200b"}} {{js 1.5}}
{{urlquery "a b&c/é~-_."}} {{urlquery 1 "x"}}
{{call 1}}
{{printf}}
{{printf 1}}
{{printf nil}}
{{printf "%d %5d|%-5d|%05d|%+d|% d|%x|%X|%#x|%o|%O|%#o|%b|%c|%q|%U|%#U" 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42}}
{{printf "%d|%5d|%05d|%+d|%x|%c|%q" -42 -42 -42 -42 -42 -42 -42}}
{{printf "%.3d|%8.3d|%08.3d|%-8.3d|%.0d|%+.0d|%5.0d|" 7 7 7 7 0 0 0}}
{{printf "%s|%10s|%-10s|%.2s|%5.1s|%q|%x|%X|% x|%#x|%# x|%+q|%#q" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo" "héllo"}}
{{printf "%05s|%-05s|%05t|%05q|%.1q|%x" "ab" "ab" true "ab" "ab" ""}}
{{printf "%f|%.2f|%8.3f|%-8.2f|%08.2f|%+f|% f|%e|%E|%g|%G|%.3g|%.0f|%5.f|%F" 3.14159 3.14159 3.14159 3.14159 3.14159 3.14159 3.14159 3.14159 3.14159 3.14159 3.14159 3.14159 2.5 2.5 1.5}}
{{printf "%v|%8v|%-8v|%08v|%+v|%#v|%g|%g|%.3e|%b|%x" 1.5 1.5 1.5 -1.5 1.5 1.5 1e100 1e-7 123456.0 1.0 1.5}}
{{printf "%#f|%#.0f|%#g|%#.3g|%#e|%#.0e|%#x" 1.0 1.0 1.0 100.0 1.0 1.0 1.0}}
{{printf "%t|%v|%5t|%-6t|" true false true false}}
{{printf "%T %T %T %T %T %T" 1 1.5 "a" true nil (split "a" "")}}
{{printf "%v %s %q %d %x %#v %+v" (split "a,b" ",") (split "a,b" ",") (split "a,b" ",") (split "a,b" ",") (split "a,b" ",") (split "a,b" ",") (split "a,b" ",")}}
{{printf "%5v|%-3s|%.1s" (split "a,bb" ",") (split "a,bb" ",") (split "aa,bb" ",")}}
{{printf "%d" "x"}} {{printf "%s" 5}} {{printf "%z" 3}} {{printf "%t" 1}} {{printf "%5d" "x"}} {{printf "%f" 1}} {{printf "%x" true}} {{printf "%d" 1.5}}
{{printf "%s %v %d %5v|" nil nil nil nil}}
{{printf "%d"}} {{printf "%d %d" 1}} {{printf "%d" 1 2}} {{printf "x" nil "a" 1.5}} {{printf "%!"}} {{printf "%"}} {{printf "%5"}} {{printf "%."}} {{printf "%-"}}
{{printf "%%|%5%|%-5%|%c" 'x'}}
{{printf "%*d|%-*d|%*d|%.*f|%0*d" 5 1 5 1 -5 1 2 3.14159 4 7}}
{{printf "%*d|%.*d|%*d" "x" 1 "y" 2 10000001 3}}
{{printf "%[2]d %[1]d|%[2]*[1]d|%[3]d" 1 5}} {{printf "%[x]d %[0]d" 1}} {{printf "%[1]d %d" 1 2}} {{printf "%[1" 1}}
{{printf "%.[1]*d|%[1]2d|%[1].2d" 1 2}}
{{printf "%é|%☺" 1 2}}
{{printf "%100000000d" 1}}
{{printf "%6.2f%%" 12.345}}
{{printf "%c%c%U" 0x1F600 0x110000 0x1F600}}
{{printf "%q %q %+q" 0x1F600 -1 0xe9}}
{{printf "%q" "\x00\a\b\f\n\r\t\v\x1b\x7f\xff☺\u00a0\u2028"}}
{{printf "%v" "\xff"}}
{{join (split "a,b,c" ",") "-"}}
{{join "a" "b"}}
{{join (split "a" ",") 5}}
{{join nil ","}}
{{join (split "a" ",")}}
{{json "a<b>&\"c\"\u2028"}} {{json 1}} {{json 1.5}} {{json nil}} {{json (split "a,b" ",")}} {{json 1e21}} {{json 1e-7}} {{json true}}
{{lower "ABCÉ"}} {{upper "abcéß"}} {{title "foo bar-baz qux_x 1a é"}}
{{lower 5}}
{{lower nil}}
{{lower}}
{{lower "A" "B"}}
{{5 | lower}}
{{"A" | lower | upper}}
{{lower (len "x")}}
{{lower (split "a" ",")}}
{{lower true}}
{{pad "a" 2 3}}|{{pad "" 2 3}}|{{pad "a" 0 1}}|
{{pad "a" -1 0}}
{{pad "a" "b" 0}}
{{split "a,b,,c" ","}} {{split "abc" ""}} {{split "" ","}} {{len (split "" ",")}}
{{truncate "abcdef" 3}} {{truncate "abc" 10}} {{truncate "abc" 3}} {{truncate "abc" 0}}|
{{truncate "abc" -1}}
{{truncate "abc" "x"}}
{{truncate "abc" 1.5}}
{{truncate "abc" 2.0}}
{{1 2}}
{{"abc" 1}}
{{true 1}}
{{. 1}}
{{$x := 1}}{{$x 2}}
{{true.X}}
{{"a".X}}
{{1.X}}
{{nil.X}}
{{..}}
{{.X.}}
{{.X:=1}}
{{.Host}
{{1}}}
{{.Nope}}
{{.Nope.Deeper}}
{{$.Nope}}
{{(.).Nope}}
{{.Nope 1}}
{{1 | .Nope}}
{{#}}
{{a+b}}
{{a=b}}
{{1,2}}
{{é}}
{{“x”}}
{{a b c}}
{{if 1}}{{.Nope}}{{end}}
{{range split "a" ""}}{{.X}}{{end}}
{{"x" | index}}
{{define "a%d"}}{{.X}}{{end}}{{template "a%d" 1}}
{{len (index (split "a" ",") 5)}}
{{print (len nil)}}
{{print (1 | 2)}}
{{printf "%s" (len "abc") | len}}
a\tb\nc
{{"x" | .Nope | print}}
{{"%d" | printf}}{{"}}"}}
{{printf "%6.2v|%+.3q|%-+5d|%+-5d|%6.3v|%.3v" 1.2345 "abcdef" 5 5 "abcdef" true}}
{{printf "%-010d|%0-10d|% 05d|%+05d|%x|%X|%#X|%#08x" 42 42 42 42 -255 -255 255 255}}
{{printf "%08b|%o|%#b|%#o|%.5x|%+x|% x|%-8x|" 5 -8 5 8 255 255 255 255}}
{{printf "%e %g %g %v %.2g %.10g %g" 0.0 -0.0 1e-300 2.5e15 123456.0 0.1 1e6}}
{{printf "%[3]*.[2]*[1]f|%[1]v %v" 12.0 2 6}} {{printf "%[2]*[1]d" 5 "x"}}
{{printf "%c|%5c|%-5c|%05c|%q|%5q|%#q|%U|%8U|%#.6U" 65 65 65 65 65 65 65 65 65 65}}
{{printf "% q|% s|%+s|%+v|%#s|%+5s" "a" "a" "a" "a" "a" "é"}}
{{printf "%s %v" true 'a'}} {{printf "%v %v" -0 0x7fffffffffffffff}}
{{if and (eq 1 1) (ne 1 2) (or false "x")}}yes{{end}} {{if or (lt 2 1) (not 1)}}a{{else}}no{{end}}
{{range $i := split "a,b" ","}}{{if eq $i "a"}}first {{end}}{{$i}}{{end}}
{{define "x"}}{{end}}[{{template "x"}}][{{template "x" .}}]
{{define "x"}}{{with .}}<{{.}}>{{end}}{{end}}{{template "x" "a"}}{{template "x" ""}}
{{$a := 1}}{{$b := $a}}{{$a = 5}}{{$a}}{{$b}}{{with $a}}{{$b = .}}{{end}}{{$b}}
{{split "é☺" ""}} {{upper "ßŉ"}} {{title ""}} {{title "  x"}} {{join (split "a" ",") ", "}}
{{index (split "a,b" ",") 1 0 0}}
{{index "é" 0}} {{index "é" 1}} {{slice "é" 0 2}}
{{truncate "é" 1}}
{{slice "é" 1}}
{{printf "%q %x %s" (slice "é" 1) (slice "é" 1) (slice "aé" 0 1)}}
{{len (printf "%1000d" 1)}} {{len (printf "%.500f" 1.0)}}
{{eq (len "abc") 3}} {{lt (len "a") (len "bc")}} {{eq "a" "A"}} {{eq (index "a" 0) 97}}
{{html (split "<,>" ",")}} {{js (split "a,b" ",")}} {{urlquery nil}} {{html}}|{{js "\x00\x7f"}}
{{json (slice (split "a" ",") 1)}} {{json "\x01\xff"}} {{json 100000000000000000000.0}} {{json 1.0}}
{{with $x := "a"}}{{with $y := "b"}}{{$x}}{{$y}}{{.}}{{end}}{{end}}
{{if eq 1 2}}{{else if eq 1 1}}{{if true}}in{{end}}{{end}}
{{range split "a,b" ","}}{{with .}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}{{end}}
{{range split "a,b" ","}}{{continue}}x{{end}}.
{{range split "a" ","}}{{else}}{{break}}{{end}}
{{true | not}} {{1 | eq 1}} {{2 | lt 1}} {{"a" | len}} {{"b" | print "a"}} {{3 | slice "abcdef"}}
{{printf "%s"   "spaces"   }}
{{	1	}}
{{print (1)}}{{print(1)}}
{{print "a"|len}}
'''.strip("\n").split("\n")

# Of several lines, for the places that errors name.
LITERAL += [
    "a\nb{{foo}}",
    "a\nb{{.Nope\n}}",
    "{{ 1\n| \"abc",
    "{{ 1\n ",
    "{{if true}}\n{{1\n+}}\n{{end}}",
    "{{/* a\nb */}}{{foo}}",
    "{{`a\nb`}}{{foo}}",
    "{{print\n1\n2}}",
    "x\n  {{- \"y\" -}}\n  z",
    "{{define \"x\"}}\n  {{.Nope}}\n{{end}}\n{{template \"x\" 1}}",
]

# For `skopeo inspect --format` of the image made below.
INSPECT = r'''
{{.}}
{{.Name}}|{{.Tag}}|{{.Digest}}|{{.RepoTags}}|{{.Created}}|{{.DockerVersion}}|{{.Os}}/{{.Architecture}}
{{.Labels}}
{{.Labels.a}} {{.Labels.zed}}| {{.Labels.nope}} {{index .Labels "org.opencontainers.image.title"}} {{index .Labels "nope"}}|
{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}
{{range .Labels}}{{.}};{{end}}
{{range .Env}}{{.}};{{end}}
{{range $i, $e := .Env}}{{$i}}={{$e}};{{end}}
{{range .RepoTags}}a{{else}}none{{end}}
{{index .Env 0}} {{index .Layers 1}} {{len .Layers}} {{len .Labels}}
{{slice .Env 1 2}} {{slice .Os 1 3}}
{{printf "%+v" .}}
{{printf "%#v %#v" .Labels .Env}}
{{printf "%T %T %T %T" .Labels .Env .Os .RepoTags}}
{{printf "%s|%q|%x" .Labels .Env .Os}}
{{printf "%d" .Labels}}
{{printf "%v|%s|%q|%30v|" .Created .Created .Created .DockerVersion}}
{{.Foo}}
{{.Labels.a.b}}
{{.Labels.nope.b}}
{{.Os.X}}
{{.Env.X}}
{{index .Labels 1}}
{{index .Labels nil}}
{{index .Env "x"}}
{{index .Labels}}
{{.Labels.a 1}}
{{.Os 1}}
{{eq .Os "linux"}} {{eq .Architecture "arm" "amd64"}} {{ne .Os .Architecture}}
{{eq .Labels .Labels}}
{{eq .Env .Env}}
{{eq .Created nil}}
{{lt .Os .Architecture}}
{{lt .Labels 1}}
{{with .Labels}}{{.a}}{{$.Os}}{{end}}
{{with .RepoTags}}a{{else}}{{.Os}}{{end}}
{{if .RepoTags}}a{{else}}b{{end}}{{if .Created}}c{{end}}{{if .Labels.nope}}d{{else}}e{{end}}
{{html .Labels.a}} {{js .Labels.a}} {{urlquery .Labels.a}}
{{range .Os}}{{end}}
{{range .Created}}{{end}}
{{len .Os}} {{len .RepoTags}}
{{len .Created}}
{{slice .Labels 1}}
{{index .Created 1}}
{{$l := .Labels}}{{range $i, $e := .Env}}{{$l.b}}{{$i}} {{end}}
{{define "t"}}{{.a}}-{{.b}}{{end}}{{template "t" .Labels}}
{{.Os}}\t{{.Architecture}}\n{{.Architecture}}\t{{.Os}}
{{range .Env}}{{.}}\tx\n{{end}}end
a\tb\tc
{{print .Os .Architecture 1 .Labels.nope}}
{{println .Os .Env}}
json
{{json}}
'''.strip("\n").split("\n")

# For `skopeo inspect --config --format`.
CONFIG = r'''
{{.}}
{{.Author}} {{.Architecture}} {{.OS}}
{{.Config}}
{{.Config.User}} {{.Config.WorkingDir}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.StopSignal}}
{{.Config.ExposedPorts}} {{.Config.Volumes}}
{{range $p, $x := .Config.ExposedPorts}}{{$p}}{{$x}};{{end}}
{{range .History}}{{.CreatedBy}}\t{{.EmptyLayer}}\n{{end}}
{{range .History}}{{if not .EmptyLayer}}{{.Created}};{{end}}{{end}}
{{index .History 1}}
{{(index .History 0).CreatedBy}}
{{with index .History 0}}{{.Comment}}{{end}}
{{(index .History 9).CreatedBy}}
{{.RootFS.Type}} {{index .RootFS.DiffIDs 0}}
{{printf "%+v" .RootFS}}
{{printf "%v %d" (index .History 1) (index .History 1).EmptyLayer}}
{{.Config.Labels.a}} {{index .Config.Labels "b"}}
{{.Config.Nope}}
{{.Config.User.Nope}}
{{.History.Nope}}
{{.Created}} {{printf "%.10s" .Created}}
{{eq (index .History 1).EmptyLayer true}}
{{range .History}}{{.Created}}|{{end}}
{{len .History}} {{len .Config.Env}}
json
'''.strip("\n").split("\n")

# For `podman images --format` of the same image in a store of its own.
IMAGES = r'''
{{.Repository}}:{{.Tag}} {{.ID}}
table {{.Repository}} {{.Tag}}
table {{.Repository}}\t{{.Tag}}
table {{.Repository}}  {{.Tag}}
table {{.ID}} {{.Digest}}
table {{.Repository}}{{.Tag}}
table {{.Repository}} {{.Nope}}
table {{.Repository | upper}} {{lower .Tag}}
table {{ .Repository }}
table {{.Tag}}\n
{{range .}}{{.Repository}};{{end}}
{{range .}}{{.Repository}};{{end -}}
{{range .}}{{.Tag}}{{printf "\n"}}{{end -}}
{{.Tag}}\n
{{.Tag}}\t|
{{printf "%s\t%s" .Repository .Tag}}
{{len .Repository}} {{.Size}}
{{.Nope}}
{{range .}}{{.Nope}}{{end}}
{{.Repository
table {{.Repository
'''.strip("\n").split("\n")


def make_image(root):
    """Writes an OCI layout of one image, always the same bytes."""
    os.makedirs(root + "/blobs/sha256")

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{root}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    prefix = "application/vnd.oci.image."
    raw = [b"\0" * 1024 * (number + 2) for number in range(2)]
    layers = [blob(data, prefix + "layer.v1.tar") for data in raw]
    config = {
        "created": "2022-01-02T15:04:05.12Z",
        "author": "A. Uthor <a@example.org>",
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": "1000:1000",
            "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/usr/bin:/bin", "EMPTY=", "UTF=é☺"],
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": ["echo \"hi\""],
            "Volumes": {"/data": {}},
            "WorkingDir": "/srv",
            "Labels": {
                "b": "2",
                "a": "<1>&",
                "zed": "",
                "org.opencontainers.image.title": "Test image",
            },
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        "history": [
            {"created": "2022-01-02T15:04:05Z", "created_by": "ADD file", "comment": "one"},
            {"created_by": "ENV", "empty_layer": True},
            {"created": "2022-01-02T15:04:06Z", "created_by": "ADD two"},
        ],
    }
    config = blob(json.dumps(config).encode(), prefix + "config.v1+json")
    media_type = prefix + "manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}
    descriptor = blob(json.dumps(manifest).encode(), media_type)
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "test"}
    with open(root + "/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [descriptor]}, file)
    with open(root + "/oci-layout", "w") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)


def message(stderr):
    """The error alone: without podman's `Error: ` and the log line around skopeo's."""
    text = stderr.decode(errors="surrogateescape").strip("\n")
    logged = re.search(r' msg="((?:[^"\\]|\\.)*)"$', text)
    if logged:
        text = json.loads('"' + re.sub(r"\\x(..)", r"\\u00\1", logged.group(1)) + '"')
    for prefix in ["Error: ", "Error writing OCI-formatted configuration data to standard output: "]:
        text = text.removeprefix(prefix)
    return text


def record(suite, command, templates):
    rows = []
    for template in templates:
        arguments = [template if part is None else part for part in command]
        done = subprocess.run(arguments, capture_output=True)
        row = {"suite": suite, "template": template}
        try:
            row["stdout"] = done.stdout.decode()
        except UnicodeDecodeError:
            row["stdout_hex"] = done.stdout.hex()
        if done.returncode != 0:
            row["error"] = message(done.stderr)
        rows.append(row)
    return rows


def main():
    with tempfile.TemporaryDirectory() as work:
        image = work + "/image"
        make_image(image)
        source = f"oci:{image}:test"
        rows = record("info", ["podman", "info", "--format", None], LITERAL)
        inspect = ["skopeo", "inspect", "--format", None, source]
        rows += record("inspect", inspect, INSPECT)
        rows += record("config", inspect[:2] + ["--config"] + inspect[2:], CONFIG)
        store = f"[vfs@{work}/root+{work}/run]"
        for name in ["example.org/one:latest", "example.org/longer/two:v2"]:
            subprocess.run(
                ["skopeo", "copy", "-q", "--insecure-policy", source,
                 f"containers-storage:{store}{name}"],
                check=True,
            )
        podman = ["podman", "--root", work + "/root", "--runroot", work + "/run",
                  "--storage-driver", "vfs"]
        rows += record("images", podman + ["images", "--sort", "repository", "--format", None], IMAGES)
    with open(HERE + "/recorded.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


main()
