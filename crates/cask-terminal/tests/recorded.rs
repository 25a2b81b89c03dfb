//! Templates give what podman and skopeo gave when they were recorded.
//!
//! See `recorded/record.py`, which made `recorded/recorded.json`.

#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::collections::BTreeMap;

use cask_terminal::table::{Layout, align};
use cask_terminal::template::{Format, Headers, Origin, Template, is_json_format};
use cask_terminal::value::{JsonStyle, Time, Value, nil, to_json};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Row {
    suite: String,
    template: String,
    #[serde(default)]
    stdout: String,
    stdout_hex: Option<String>,
    error: Option<String>,
}

impl Row {
    fn expected(&self) -> Vec<u8> {
        let Some(hex) = &self.stdout_hex else { return self.stdout.clone().into_bytes() };
        let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }
}

/// Rows that are not to be followed, and why.
const DEPARTURES: [(&str, &str); 4] = [
    (r#"{{index (split "a,b" ",") 1 0 0}}"#, "integers have no width: uint64 is not uint8"),
    ("{{call 1}}", "there are no function values to call"),
    ("a\\tb\\tc", "skopeo 1.9 forgets to print what is left in its table"),
    (r"{{.Os}}\t{{.Architecture}}\n{{.Architecture}}\t{{.Os}}", "the same"),
];

#[test]
fn recorded_templates_give_the_recorded_output() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("recorded/recorded.json")).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = 0;
    for row in &rows {
        *counts.entry(&row.suite).or_default() += 1;
        let departs = DEPARTURES.iter().any(|(template, _)| *template == row.template);
        let (out, error) = match row.suite.as_str() {
            "info" => info(&row.template),
            "inspect" => skopeo(&row.template, &Value::of(&inspect_output()).unwrap()),
            "config" => skopeo(&row.template, &Value::of(&config()).unwrap()),
            "images" => images(&row.template),
            other => panic!("unknown suite {other}"),
        };
        // A program that fails prints no table: podman's half of one is not followed.
        let same_output = out == row.expected() || (row.suite == "images" && error.is_some());
        if departs == (same_output && error == row.error) {
            wrong += 1;
            eprintln!("{}: {}", row.suite, row.template);
            eprintln!("  expected {:?} {:?}", String::from_utf8_lossy(&row.expected()), row.error);
            eprintln!("  got      {:?} {error:?}", String::from_utf8_lossy(&out));
        }
    }
    assert_eq!(wrong, 0, "of {}", rows.len());
    let expected = [("config", 24), ("images", 21), ("info", 297), ("inspect", 53)];
    assert_eq!(counts, BTreeMap::from(expected));
}

type Outcome = (Vec<u8>, Option<String>);

/// What `podman info` does: the data is a struct of which no field is used.
fn info(text: &str) -> Outcome {
    #[derive(Serialize)]
    #[serde(rename = "*define.Info")]
    struct Info {
        #[serde(rename = "Host")]
        host: Host,
    }
    #[derive(Serialize)]
    struct Host {}
    let data = Value::of(&Info { host: Host {} }).unwrap();
    match Format::parse("info", text, Origin::Value) {
        // Partial output counts here, so the format's own template is applied by hand.
        Ok(_) => apply(&with_newline(text), text, &data),
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}

fn with_newline(text: &str) -> String {
    let mut text = text.replace("\\t", "\t").replace("\\n", "\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn apply(replaced: &str, plain: &str, data: &Value) -> Outcome {
    let template =
        Template::parse("info", replaced).or_else(|_| Template::parse("info", plain)).unwrap();
    let mut out = Vec::new();
    let error = template.render_into(data, &mut out).err();
    (out, error.map(|error| error.to_string()))
}

/// What skopeo 1.9 does: a range around the template, and tabs always aligned.
fn skopeo(text: &str, data: &Value) -> Outcome {
    if is_json_format(text) {
        return ((to_json(data, JsonStyle::pretty()) + "\n").into_bytes(), None);
    }
    let text = format!("{{{{range . }}}}{}{{{{end}}}}", with_newline(text));
    let template = match Template::parse("skopeo inspect", &text) {
        Ok(template) => template,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    match template.render(&Value::list([data.clone()])) {
        Ok(out) => (align(&out, Layout::SKOPEO), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}

fn images(text: &str) -> Outcome {
    #[derive(Serialize)]
    #[serde(rename = "images.imageReporter")]
    struct Image {
        #[serde(rename = "Repository")]
        repository: &'static str,
        #[serde(rename = "Tag")]
        tag: &'static str,
        #[serde(rename = "ID")]
        id: &'static str,
        #[serde(rename = "Digest")]
        digest: &'static str,
        #[serde(rename = "Size")]
        size: String,
    }
    let image = |repository, tag| Image {
        repository,
        tag,
        id: cask_terminal::table::short_id(
            "sha256:874f4569792277a69ef4f6ae9b5f1f4a9b2c4d5fd8a2b2b1eb1bbfbe0b9f0b5a",
        ),
        digest: "sha256:04b06a70447a694271ca8d8a7e4fee8f0896d2b190e1c81002ae35a7ba76899c",
        size: cask_terminal::table::spaced_size(7140),
    };
    let rows = [image("example.org/longer/two", "v2"), image("example.org/one", "latest")];
    let headers =
        Headers::from_fields(["Repository", "Tag", "ID", "Digest", "Size"], &[("ID", "image id")]);
    let format = match Format::parse("images", text, Origin::List) {
        Ok(format) => format,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    match format.render(Some(&headers), &Value::of(&rows).unwrap()) {
        Ok(out) => (out, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}

const FIRST: &str = "sha256:e5a00aa9991ac8a5ee3109844d84a55583bd20572ad3ffcd42792f3c36b183ad";
const SECOND: &str = "sha256:e80232b4d18d0bb7e794be263ba937626f383f9917d4b8a737ba893a8f752293";

type Map<T> = BTreeMap<&'static str, T>;

fn labels() -> Map<&'static str> {
    BTreeMap::from([
        ("b", "2"),
        ("a", "<1>&"),
        ("zed", ""),
        ("org.opencontainers.image.title", "Test image"),
    ])
}

const ENVIRONMENT: [&str; 3] = ["PATH=/usr/bin:/bin", "EMPTY=", "UTF=é☺"];

/// skopeo's `inspect.Output`, which it hands over as an interface.
#[derive(Serialize)]
#[serde(rename = "interface {}")]
struct Output {
    #[serde(rename = "Name json:,omitempty")]
    name: &'static str,
    #[serde(rename = "Tag json:,omitempty")]
    tag: &'static str,
    #[serde(rename = "Digest")]
    digest: &'static str,
    #[serde(rename = "RepoTags")]
    repo_tags: Vec<&'static str>,
    #[serde(rename = "Created")]
    created: Option<Time>,
    #[serde(rename = "DockerVersion")]
    docker_version: &'static str,
    #[serde(rename = "Labels", serialize_with = "nil::map")]
    labels: Option<Map<&'static str>>,
    #[serde(rename = "Architecture")]
    architecture: &'static str,
    #[serde(rename = "Os")]
    os: &'static str,
    #[serde(rename = "Layers")]
    layers: [&'static str; 2],
    #[serde(rename = "Env", serialize_with = "nil::list")]
    env: Option<[&'static str; 3]>,
}

fn inspect_output() -> Output {
    Output {
        name: "",
        tag: "",
        digest: "sha256:04b06a70447a694271ca8d8a7e4fee8f0896d2b190e1c81002ae35a7ba76899c",
        repo_tags: vec![],
        created: Some(Time("2022-01-02T15:04:05.12Z".to_owned())),
        docker_version: "",
        labels: Some(labels()),
        architecture: "amd64",
        os: "linux",
        layers: [FIRST, SECOND],
        env: Some(ENVIRONMENT),
    }
}

#[derive(Serialize)]
#[serde(rename = "interface {}")]
struct Config {
    #[serde(rename = "Created json:created,omitempty")]
    created: Option<Time>,
    #[serde(rename = "Author json:author,omitempty")]
    author: &'static str,
    #[serde(rename = "Architecture json:architecture")]
    architecture: &'static str,
    #[serde(rename = "Variant json:variant,omitempty")]
    variant: &'static str,
    #[serde(rename = "OS json:os")]
    os: &'static str,
    #[serde(rename = "OSVersion json:os.version,omitempty")]
    os_version: &'static str,
    #[serde(rename = "OSFeatures json:os.features,omitempty", serialize_with = "nil::list")]
    os_features: Option<Vec<&'static str>>,
    #[serde(rename = "Config json:config,omitempty")]
    config: ImageConfig,
    #[serde(rename = "RootFS json:rootfs")]
    root_fs: RootFs,
    #[serde(rename = "History json:history,omitempty")]
    history: Vec<History>,
}

#[derive(Serialize)]
#[serde(rename = "v1.ImageConfig")]
struct ImageConfig {
    #[serde(rename = "User json:User,omitempty")]
    user: &'static str,
    #[serde(rename = "ExposedPorts json:ExposedPorts,omitempty")]
    exposed_ports: Map<Empty>,
    #[serde(rename = "Env json:Env,omitempty")]
    env: [&'static str; 3],
    #[serde(rename = "Entrypoint json:Entrypoint,omitempty")]
    entrypoint: Vec<&'static str>,
    #[serde(rename = "Cmd json:Cmd,omitempty")]
    cmd: Vec<&'static str>,
    #[serde(rename = "Volumes json:Volumes,omitempty")]
    volumes: Map<Empty>,
    #[serde(rename = "WorkingDir json:WorkingDir,omitempty")]
    working_dir: &'static str,
    #[serde(rename = "Labels json:Labels,omitempty")]
    labels: Map<&'static str>,
    #[serde(rename = "StopSignal json:StopSignal,omitempty")]
    stop_signal: &'static str,
    #[serde(rename = "ArgsEscaped json:ArgsEscaped,omitempty")]
    args_escaped: bool,
}

#[derive(Serialize)]
#[serde(rename = "struct {}")]
struct Empty {}

#[derive(Serialize)]
#[serde(rename = "v1.RootFS")]
struct RootFs {
    #[serde(rename = "Type json:type")]
    kind: &'static str,
    #[serde(rename = "DiffIDs json:diff_ids")]
    diff_ids: [&'static str; 2],
}

#[derive(Serialize)]
#[serde(rename = "v1.History")]
struct History {
    #[serde(rename = "Created json:created,omitempty")]
    created: Option<Time>,
    #[serde(rename = "CreatedBy json:created_by,omitempty")]
    created_by: &'static str,
    #[serde(rename = "Author json:author,omitempty")]
    author: &'static str,
    #[serde(rename = "Comment json:comment,omitempty")]
    comment: &'static str,
    #[serde(rename = "EmptyLayer json:empty_layer,omitempty")]
    empty_layer: bool,
}

fn config() -> Config {
    let history = |created: Option<&str>, created_by, comment, empty_layer| History {
        created: created.map(|time| Time(time.to_owned())),
        created_by,
        author: "",
        comment,
        empty_layer,
    };
    Config {
        created: Some(Time("2022-01-02T15:04:05.12Z".to_owned())),
        author: "A. Uthor <a@example.org>",
        architecture: "amd64",
        variant: "",
        os: "linux",
        os_version: "",
        os_features: None,
        config: ImageConfig {
            user: "1000:1000",
            exposed_ports: BTreeMap::from([("8080/tcp", Empty {}), ("53/udp", Empty {})]),
            env: ENVIRONMENT,
            entrypoint: vec!["/bin/sh", "-c"],
            cmd: vec!["echo \"hi\""],
            volumes: BTreeMap::from([("/data", Empty {})]),
            working_dir: "/srv",
            labels: labels(),
            stop_signal: "SIGTERM",
            args_escaped: false,
        },
        root_fs: RootFs { kind: "layers", diff_ids: [FIRST, SECOND] },
        history: vec![
            history(Some("2022-01-02T15:04:05Z"), "ADD file", "one", false),
            history(None, "ENV", "", true),
            history(Some("2022-01-02T15:04:06Z"), "ADD two", "", false),
        ],
    }
}
