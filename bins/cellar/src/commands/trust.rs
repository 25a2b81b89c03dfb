//! `cellar image trust`: what the signature policy says, and changing it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use cask_config::lookaside::{Lookaside, LookasideConf};
use cask_program::{output, policy, registries, report};
use cask_terminal::template::{Headers, Origin};
use cask_terminal::value::JsonStyle;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Context;
use crate::show;

/// Where a machine has its policy. Source: containers-policy.json(5).
const USUAL: &str = "/etc/containers/policy.json";

/// See and set whose images are trusted
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    Show(ShowArguments),
    Set(SetArguments),
}

/// Show the signature policy
#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// Print JSON
    #[arg(short, long)]
    json: bool,
    /// Print the file as it is
    #[arg(long)]
    raw: bool,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    #[arg(long, value_name = "FILE", hide = true)]
    policypath: Option<PathBuf>,
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    registrypath: Option<PathBuf>,
    #[arg(hide = true)]
    _registry: Option<String>,
}

/// Set what is trusted of a registry, a namespace or a repository in it, or by default
#[derive(Args, Debug)]
pub(crate) struct SetArguments {
    /// The registry, such as docker.io/library, or default
    registry: String,
    /// A file with a public key, which is trusted; may be given several times
    #[arg(short = 'f', long, value_name = "FILE", value_delimiter = ',')]
    pubkeysfile: Vec<PathBuf>,
    /// What is trusted: signedBy, sigstoreSigned, accept or reject
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "signedBy")]
    kind: String,
    #[arg(long, value_name = "FILE", hide = true)]
    policypath: Option<PathBuf>,
}

/// The file. What is required is looked at no closer than needed, so that what is not known here stays.
#[derive(Default, Deserialize, Serialize)]
struct PolicyFile {
    #[serde(default)]
    default: Vec<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    transports: BTreeMap<String, BTreeMap<String, Vec<Value>>>,
}

/// What is printed of one requirement.
///
/// Source: podman, `pkg/trust/trust.go`.
#[derive(Default, Serialize)]
#[serde(rename = "images.imageReporter")]
struct Row {
    #[serde(rename = "Transport json:transport")]
    transport: String,
    #[serde(rename = "Name json:name,omitempty")]
    name: String,
    #[serde(rename = "RepoName json:repo_name,omitempty")]
    repository: String,
    #[serde(rename = "SignatureStore json:sigstore,omitempty")]
    store: String,
    #[serde(rename = "Type json:type")]
    kind: String,
    #[serde(rename = "GPGId json:gpg_id,omitempty")]
    key: String,
}

/// Does it.
pub(crate) fn run(command: &TrustCommand, context: &Context) -> Result<()> {
    match command {
        TrustCommand::Show(arguments) => show(arguments, context),
        TrustCommand::Set(arguments) => set(arguments, context),
    }
}

fn show(arguments: &ShowArguments, context: &Context) -> Result<()> {
    let path = match &arguments.policypath {
        Some(path) => path.clone(),
        None => policy::path(&context.settings)?,
    };
    let text = std::fs::read(&path).with_context(|| format!("open {}", path.display()))?;
    if arguments.raw {
        output::bytes(&text)?;
        return output::line("");
    }
    let policy = parse(&text, &path)?;
    let lookasides = match &arguments.registrypath {
        Some(directory) => LookasideConf::load(directory)?,
        None => registries::read_lookasides(&context.settings)?,
    };
    let rows = rows(&policy, &lookasides);
    if arguments.json {
        return show::json(&rows, JsonStyle::indented(2));
    }
    let titles = [
        ("Transport", "TRANSPORT"),
        ("RepoName", "NAME"),
        ("Type", "TYPE"),
        ("GPGId", "ID"),
        ("SignatureStore", "STORE"),
    ];
    let headers = Headers::from_fields(titles.map(|(field, _)| field), &titles);
    let template =
        "table {{.Transport}}\t{{.RepoName}}\t{{.Type}}\t{{.GPGId}}\t{{.SignatureStore}}";
    let headers = (!arguments.noheading).then_some(&headers);
    show::rows("show", (template, Origin::List), headers, &rows)
}

fn parse(text: &[u8], path: &Path) -> Result<PolicyFile> {
    serde_json::from_slice(text)
        .with_context(|| format!("could not parse trust policies from {}", path.display()))
}

fn rows(policy: &PolicyFile, lookasides: &LookasideConf) -> Vec<Row> {
    let described = |transport: &str, name: &str, scope: &str, required: &[Value]| {
        let store = match lookasides.of_scope(scope) {
            Some(Lookaside::Directory(path)) => format!("file://{}", path.display()),
            Some(Lookaside::Web(url)) => url.to_string(),
            _ => String::new(),
        };
        let one = |requirement: &Value| Row {
            transport: transport.to_owned(),
            name: name.to_owned(),
            repository: if scope.is_empty() { "default" } else { scope }.to_owned(),
            store: store.clone(),
            kind: kind(requirement).to_owned(),
            key: keys(requirement),
        };
        required.iter().map(one).collect::<Vec<_>>()
    };
    let mut rows = described("all", "* (default)", "", &policy.default);
    for (transport, scopes) in &policy.transports {
        let transport = if transport == "docker" { "repository" } else { transport };
        for (scope, required) in scopes {
            rows.extend(described(transport, scope, scope, required));
        }
    }
    rows
}

fn kind(requirement: &Value) -> &str {
    match requirement["type"].as_str().unwrap_or_default() {
        "insecureAcceptAnything" => "accept",
        "signedBy" => "signed",
        other => other,
    }
}

/// Whose keys they are, as gpg says.
fn keys(requirement: &Value) -> String {
    match requirement["type"].as_str() {
        Some("sigstoreSigned") => return "N/A".to_owned(),
        Some("signedBy") => {}
        _ => return String::new(),
    }
    let paths = requirement["keyPaths"].as_array().into_iter().flatten();
    let paths = std::iter::once(&requirement["keyPath"]).chain(paths).filter_map(Value::as_str);
    let owners = |path: &str| {
        let said = ["gpg2", "gpg"]
            .into_iter()
            .find_map(|program| Command::new(program).arg("--with-colons").arg(path).output().ok());
        match said {
            Some(said) => self::owners(&String::from_utf8_lossy(&said.stdout)),
            None => {
                report::note(&format!(
                    "whose key is in {path} only gpg can tell, which is missing"
                ));
                Vec::new()
            }
        }
    };
    paths.flat_map(owners).collect::<Vec<_>>().join(", ")
}

/// Source: gpg's doc/DETAILS: the tenth field is the user's ID.
fn owners(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| line.starts_with("uid:") || line.starts_with("pub:"));
    let names = lines.filter_map(|line| line.split(':').nth(9)).filter(|name| !name.is_empty());
    let address = |name: &str| {
        let inner = name.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        inner.map_or(name, |(address, _)| address).to_owned()
    };
    names.map(address).collect()
}

fn set(arguments: &SetArguments, context: &Context) -> Result<()> {
    let required = required(arguments)?;
    check_scope(&arguments.registry)?;
    let given = arguments.policypath.as_ref().or(context.settings.policy.as_ref());
    let path = match given {
        Some(path) => path.clone(),
        // What the distribution has is not changed, but what counts more.
        None => match policy::path(&context.settings) {
            Ok(path) if !path.starts_with("/usr") => path,
            _ => PathBuf::from(USUAL),
        },
    };
    let mut policy = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => PolicyFile::default(),
        read => parse(&read.with_context(|| format!("open {}", path.display()))?, &path)?,
    };
    if arguments.registry == "default" {
        policy.default = required;
    } else if policy.default.is_empty() {
        bail!("default trust policy must be set");
    } else {
        let known = policy.transports.iter().find(|(_, all)| all.contains_key(&arguments.registry));
        let transport =
            known.map_or_else(|| "docker".to_owned(), |(transport, _)| transport.clone());
        let scopes = policy.transports.entry(transport).or_default();
        scopes.insert(arguments.registry.clone(), required);
    }
    replace(&path, &policy)
}

fn required(arguments: &SetArguments) -> Result<Vec<Value>> {
    let (kind, files) = (arguments.kind.as_str(), &arguments.pubkeysfile);
    let of_files = |field: &str, one: fn(&Path) -> Value| match files.is_empty() {
        true => bail!("at least one public key must be defined for type '{field}'"),
        false => Ok(files.iter().map(|path| one(path)).collect()),
    };
    match kind {
        "accept" | "insecureAcceptAnything" | "reject" if !files.is_empty() => {
            bail!("{} public keys unexpectedly provided for trust type {kind}", files.len())
        }
        "accept" | "insecureAcceptAnything" => {
            Ok(vec![serde_json::json!({ "type": "insecureAcceptAnything" })])
        }
        "reject" => Ok(vec![serde_json::json!({ "type": "reject" })]),
        "signedBy" => of_files(
            kind,
            |path| serde_json::json!({ "type": "signedBy", "keyType": "GPGKeys", "keyPath": path }),
        ),
        "sigstoreSigned" => {
            of_files(kind, |path| serde_json::json!({ "type": "sigstoreSigned", "keyPath": path }))
        }
        _ => bail!(
            "invalid choice: {kind} (choose from 'accept', 'reject', 'signedBy', 'sigstoreSigned')"
        ),
    }
}

/// Source: podman, `cmd/podman/images/trust_set.go`, `isValidImageURI`.
fn check_scope(scope: &str) -> Result<()> {
    let (host, path) = scope.split_once('/').unwrap_or((scope, ""));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let valid = !host.is_empty()
        && host.bytes().all(|byte| is_plain(byte) || byte == b':' || byte == b'*')
        && path.bytes().all(|byte| is_plain(byte) || b"/:@".contains(&byte));
    if valid { Ok(()) } else { bail!("invalid image uri: {scope}") }
}

/// Whoever reads it meanwhile has the one or the other.
fn replace(path: &Path, policy: &PolicyFile) -> Result<()> {
    let failed = || format!("writing {}", path.display());
    let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))
        .with_context(failed)?;
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut text = Vec::new();
    policy.serialize(&mut serde_json::Serializer::with_formatter(&mut text, indent))?;
    file.write_all(&text).with_context(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(place).with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_of_keys_are_their_addresses() {
        let said =
            "pub:-:2048:1:AB:1:::-:::\nuid:-::::1::X::A B <a@b.example>::\nuid:::::::::plain::";
        assert_eq!(owners(said), ["a@b.example", "plain"]);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for right in ["default", "docker.io", "r.example:5000/team/app", "*.example", "a/b:1"] {
            check_scope(right).unwrap();
        }
        for wrong in ["", "/a", "a b", "a/b c", "a?b"] {
            assert!(check_scope(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_say_what_is_required_and_where_signatures_are() {
        let text = r#"{"default":[{"type":"reject"}],"transports":{"docker":{"r.example/team":[{"type":"insecureAcceptAnything"}]},"oci":{"":[{"type":"sigstoreSigned","keyPath":"/k"}]}}}"#;
        let policy = parse(text.as_bytes(), Path::new("p")).unwrap();
        let conf = "docker:\n  r.example:\n    lookaside: file:///l\n";
        let rows = rows(&policy, &LookasideConf::parse(conf, "a.yaml").unwrap());
        let shown: Vec<String> = rows
            .iter()
            .map(|row| {
                [&*row.transport, &row.repository, &row.kind, &row.key, &row.store].join("|")
            })
            .collect();
        let expected = [
            "all|default|reject||",
            "repository|r.example/team|accept||file:///l",
            "oci|default|sigstoreSigned|N/A|",
        ];
        assert_eq!(shown, expected);
    }
}
