//! `inspect`.

use crate::{place, ready, same, words};

#[test]
fn inspect_prints_the_same_with_every_flag() {
    if !ready() {
        return;
    }
    let place = place();
    for image in ["oci:IN/layout:it", "oci:IN/layout:index", "dir:IN/image", "dir:IN/list"] {
        for flags in ["", "--config", "--raw", "--config --raw", "--no-tags", "-n"] {
            same(&place, &words(&format!("inspect {flags} {image}").replace("  ", " ")));
        }
    }
    for image in ["docker-archive:IN/save.tar:a:1", "docker-archive:IN/save.tar:@1"] {
        for flags in ["--config", "--config --raw"] {
            same(&place, &words(&format!("inspect {flags} {image}")));
        }
    }
}

#[test]
fn inspect_takes_the_same_templates() {
    if !ready() {
        return;
    }
    let place = place();
    for template in [
        "{{.Digest}}",
        "{{.Name}} {{.Os}}/{{.Architecture}}",
        "{{range .Layers}}{{.}}\n{{end}}",
        "{{range $i, $e := .Env}}{{$i}}={{$e}};{{end}}",
        "{{len .Layers}}",
        "{{index .Layers 0}}",
        "{{if .Labels}}yes{{else}}no{{end}}",
        "{{.Labels.a}}",
        "plain",
    ] {
        same(&place, &["inspect", "--format", template, "oci:IN/layout:it"]);
    }
    for template in ["{{.architecture}}", "{{.Architecture}} {{.OS}}", "{{.RootFS.Type}}"] {
        let [ours, theirs] =
            crate::both(&place, &["inspect", "--config", "-f", template, "oci:IN/layout:it"]);
        assert_eq!((ours.code, &ours.stdout), (theirs.code, &theirs.stdout), "{ours}\n{theirs}");
    }
}

#[test]
fn inspect_chooses_the_same_platform() {
    if !ready() {
        return;
    }
    let place = place();
    for image in ["oci:IN/layout:index", "dir:IN/list"] {
        for platform in [
            "--override-arch arm64",
            "--override-arch arm --override-variant v7",
            "--override-os linux --override-arch amd64",
        ] {
            same(&place, &words(&format!("{platform} inspect {image}")));
            same(&place, &words(&format!("{platform} inspect --config {image}")));
        }
    }
}
