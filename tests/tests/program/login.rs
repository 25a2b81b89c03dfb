//! `login` and `logout`, beside skopeo.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::{
    Access, Outcome, PASSWORD, Registry, Scratch, USER, command, dray, dray_built, has, run,
    scratch,
};

/// A program without credentials of its own, and without this process's settings.
fn alone(program: &str) -> Command {
    let mut command = match program {
        "dray" => command(dray_built()),
        other => command(other),
    };
    for name in ["REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// Runs a program with what it reads on standard input.
fn fed(command: &mut Command, input: &str) -> Outcome {
    let line = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read is no failure of the test.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    Outcome::new(line, child.wait_with_output().expect("the program ends"))
}

fn words<'a>(line: &'a str, address: &str, file: &str) -> Vec<String> {
    let word = |word: &'a str| {
        let word = word.replace("FILE", file).replace("REGISTRY", address);
        word.replace("USER", USER).replace("PASSWORD", PASSWORD)
    };
    line.split_whitespace().map(word).collect()
}

fn auths(file: &str) -> Value {
    let text = std::fs::read(file).unwrap_or_else(|_| b"null".to_vec());
    serde_json::from_slice(&text).expect("an auth file is JSON")
}

/// The questions, which skopeo puts on standard output.
fn without_questions(text: &str) -> &str {
    let named = format!("Username ({USER}):");
    let questions = [named.as_str(), "Username:", "Password:"];
    questions
        .iter()
        .fold(text, |text, question| text.strip_prefix(question).map_or(text, str::trim_start))
}

#[test]
fn login_and_logout_do_and_say_what_skopeo_does() {
    if !has(&["docker-registry", "skopeo"]) {
        return;
    }
    let scratch = scratch();
    let registry = Registry::start(&scratch, Access::Password);
    let login = "login --authfile FILE --tls-verify=false";
    let steps = [
        ("login --authfile FILE --get-login REGISTRY", "", "not logged into"),
        ("-u USER -p wrong REGISTRY", "", "invalid username/password"),
        ("-u USER -p PASSWORD -v REGISTRY", "", ""),
        ("REGISTRY", "", ""),
        ("-u USER -p PASSWORD https://REGISTRY/v2/", "", ""),
        ("-u USER -p PASSWORD REGISTRY/team/app", "", ""),
        ("login --authfile FILE --get-login REGISTRY/team", "", ""),
        ("-u USER -p PASSWORD REGISTRY/team/app:1", "", "contains tag or digest"),
        ("-u USER -p PASSWORD REGISTRY/Team", "", "repository name must be lowercase"),
        ("-u USER --password-stdin REGISTRY", "secret\n pass\n", ""),
        ("-u USER --password-stdin REGISTRY", "wrong\n", "invalid username/password"),
        ("-u USER -p x --password-stdin REGISTRY", "", "Can't specify both --password-stdin"),
        ("--password-stdin REGISTRY", "x", "Must provide --username with --password-stdin"),
        ("-p PASSWORD REGISTRY", "\n", ""),
        ("-p PASSWORD REGISTRY/other", "USER\n", ""),
        ("-p PASSWORD REGISTRY", "", "getting username and password: reading username: EOF"),
        ("-u USER REGISTRY", "", "getting username and password: reading password"),
        ("", "", "please provide a registry to login to"),
        ("a b", "", "login accepts only one registry to login to"),
        ("-u USER -p PASSWORD 127.0.0.1:1", "", "authenticating creds for"),
        (
            "login --authfile FILE -u USER -p PASSWORD --tls-verify REGISTRY",
            "",
            "authenticating creds for",
        ),
        (
            "login --authfile FILE -u USER --tls-verify=maybe REGISTRY",
            "",
            "strconv.ParseBool: parsing",
        ),
        ("logout --authfile FILE", "", "please provide a registry to logout from"),
        ("logout --authfile FILE a b", "", "logout accepts only one registry to logout from"),
        ("logout --authfile FILE --all a", "", "--all takes no arguments"),
        ("logout --authfile FILEx a", "", "checking authfile: stat"),
        ("logout --authfile FILE REGISTRY/team", "", "not logged into"),
        ("logout --authfile FILE REGISTRY/team/app", "", ""),
        ("logout --authfile FILE https://REGISTRY", "", ""),
        ("logout --authfile FILE REGISTRY", "", "not logged into"),
        ("logout --authfile FILE --all", "", ""),
        ("login --authfile FILE --get-login REGISTRY/other", "", "not logged into"),
    ];
    for (line, input, stderr) in steps {
        let starts = line.starts_with("login ") || line.starts_with("logout ");
        let line = if starts { line.to_owned() } else { format!("{login} {line}") };
        let step = |program: &str| {
            let file = scratch.at(&format!("{program}.json"));
            // The password has a space.
            let arguments = words(&line, registry.address(), &file);
            let input = input.replace("USER", USER);
            let outcome = fed(alone(program).args(arguments), &input);
            let stdout = without_questions(outcome.text()).replace(&file, "FILE");
            (outcome, stdout, auths(&file))
        };
        let (ours, our_text, our_file) = step("dray");
        let (theirs, their_text, their_file) = step("skopeo");
        assert_eq!((ours.code, &our_text), (theirs.code, &their_text), "{ours}\n{theirs}");
        assert_eq!(our_file, their_file, "{line}");
        assert!(theirs.stderr.contains(stderr), "{stderr:?}: {theirs}");
        assert!(ours.stderr.contains(stderr), "{stderr:?}: {ours}");
        assert!(!ours.stderr.contains(PASSWORD) && !our_text.contains(PASSWORD), "{ours}");
    }
}

/// A scratch directory and a registry that [`USER`] may use, or nothing where it cannot be had.
fn registry() -> Option<(Scratch, Registry)> {
    let scratch = scratch();
    has(&["docker-registry"]).then(|| {
        let registry = Registry::start(&scratch, Access::Password);
        (scratch, registry)
    })
}

#[test]
fn nothing_is_kept_that_was_not_accepted() {
    let Some((scratch, registry)) = registry() else { return };
    let file = scratch.at("auth.json");
    let line = format!(
        "login --tls-verify=false --authfile {file} -u {USER} -p wrong {}",
        registry.address()
    );
    dray(&line).ends(1).says("invalid username/password");
    assert!(!std::path::Path::new(&file).exists());
}

#[test]
fn the_compatible_file_has_no_namespaces_and_keeps_what_docker_wrote() {
    let Some((scratch, registry)) = registry() else { return };
    let address = registry.address();
    let file = scratch.at("config.json");
    std::fs::write(&file, r#"{"psFormat":"table","auths":{"a.example":{"identitytoken":"t"}}}"#)
        .expect("a scratch directory is writable");
    let login = |more: &[&str], registry: &str| {
        let mut program = alone("dray");
        program.args(["login", "--tls-verify=false", "-u", USER, "-p", PASSWORD]);
        run(program.args(more).arg(registry))
    };
    login(&["--compat-auth-file", &file], &format!("{address}/team"))
        .ends(1)
        .says("cannot be recorded in Docker-compatible format with namespaced key");
    login(&["--compat-auth-file", &file, "--authfile", &file], address)
        .ends(1)
        .says("can not be set simultaneously");
    login(&["--compat-auth-file", &file], address).ok();
    let expected = json!({
        "psFormat": "table",
        "auths": {
            "a.example": {"identitytoken": "t"},
            address: {"auth": "dGVzdGVyOnNlY3JldCBwYXNz"},
        },
    });
    assert_eq!(auths(&file), expected);
    // The same by the environment.
    let logout = |registry: &str| {
        run(alone("dray").env("DOCKER_CONFIG", &*scratch).args(["logout", registry]))
    };
    assert_eq!(logout(address).ok().text(), format!("Removed login credentials for {address}"));
    assert!(auths(&file)["auths"].get(address).is_none());
    logout(address).ends(1).says("not logged into");
    let token = run(alone("dray").env("DOCKER_CONFIG", &*scratch).args(["login", "a.example"]));
    token.ends(1).says("currently logged in, auth file contains an Identity token");
}

#[test]
fn what_only_docker_wrote_is_not_removed_but_explained() {
    let Some((scratch, registry)) = registry() else { return };
    let address = registry.address();
    let home = scratch.join("home");
    std::fs::create_dir_all(home.join(".docker")).expect("a scratch directory is writable");
    let config = json!({"auths": {address: {"auth": "dGVzdGVyOnNlY3JldCBwYXNz"}}}).to_string();
    std::fs::write(home.join(".docker/config.json"), config).expect("it is writable");
    let outcome = run(alone("dray").env("HOME", &home).env("XDG_RUNTIME_DIR", &*scratch).args([
        "logout",
        "--tls-verify=false",
        address,
    ]));
    let expected = format!(
        "Not logged into {address} with current tool. Existing credentials were established via \
         docker login. Please use docker logout instead."
    );
    assert_eq!(outcome.ok().text(), expected);
    let missing = run(alone("dray").env("XDG_RUNTIME_DIR", scratch.join("nowhere")).args([
        "login",
        "--tls-verify=false",
        "-u",
        USER,
        "-p",
        PASSWORD,
        address,
    ]));
    missing.ends(1).says("directory set by $XDG_RUNTIME_DIR does not exist");
}

#[test]
fn a_certificate_that_nobody_knows_is_refused_unless_it_is_given() {
    let scratch = scratch();
    if !has(&["docker-registry"]) {
        return;
    }
    let registry = Registry::start(&scratch, Access::Tls);
    let file = scratch.at("auth.json");
    let login = |more: &[&str]| {
        let arguments = ["login", "--authfile", &file, "-u", "a", "-p", "b"];
        run(alone("dray").args(arguments).args(more).arg(registry.address()))
    };
    login(&[]).ends(1).says("authenticating creds for");
    login(&["--cert-dir", &registry.certificates()]).ok();
    login(&["--tls-verify=false"]).ok();
}

#[test]
fn the_password_is_asked_for_and_not_shown() {
    let Some((scratch, registry)) = registry() else { return };
    let program = dray_built().display();
    let file = scratch.at("auth.json");
    let address = registry.address();
    let line = format!("{program} login --tls-verify=false --authfile {file} {address}");
    let mut script = alone("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().expect("there is a terminal for scripts");
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = child.stdout.take().expect("it is piped");
    let mut seen = String::new();
    for (question, answer) in [("Username: ", USER), ("Password: ", PASSWORD)] {
        while !seen.ends_with(question) {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {seen}"));
            seen.push(char::from(byte[0]));
        }
        writeln!(input, "{answer}").expect("it reads");
    }
    output.read_to_string(&mut seen).expect("it is text");
    assert!(child.wait().expect("it ends").success(), "{seen}");
    assert!(seen.contains("Login Succeeded!") && !seen.contains(PASSWORD), "{seen}");
    assert_eq!(auths(&file)["auths"][address]["auth"], "dGVzdGVyOnNlY3JldCBwYXNz");
}

#[test]
fn a_helper_keeps_what_registries_conf_says_it_keeps() {
    let Some((scratch, registry)) = registry() else { return };
    let address = registry.address();
    let helper = "#!/bin/sh\ncase $1 in\nstore) cat > \"$HOME/kept\" ;;\n\
                  get) cat \"$HOME/kept\" 2>/dev/null || \
                  { echo credentials not found in native keychain; exit 1; } ;;\n\
                  erase) rm \"$HOME/kept\" ;;\nesac\n";
    let made = fed(
        command("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(scratch.join("docker-credential-kept")),
        helper,
    );
    made.ok();
    std::fs::write(scratch.join("registries.conf"), "credential-helpers = [\"kept\"]\n")
        .expect("a scratch directory is writable");
    let with_helper = |arguments: &[&str]| {
        let path = std::env::var("PATH").expect("there is a PATH");
        run(alone("dray")
            .env("HOME", &*scratch)
            .env("PATH", format!("{}:{path}", scratch.display()))
            .env("CONTAINERS_REGISTRIES_CONF", scratch.join("registries.conf"))
            .args(arguments))
    };
    let login = ["login", "-v", "--tls-verify=false", "-u", USER, "-p", PASSWORD, address];
    let text = with_helper(&login).ok();
    assert_eq!(text.text(), "Used:  credential helper: kept\nLogin Succeeded!");
    assert_eq!(with_helper(&["login", "--get-login", address]).ok().text(), USER);
    with_helper(&["logout", address]).ok();
    with_helper(&["login", "--get-login", address]).ends(1).says("not logged into");
}

#[test]
fn peers_read_what_was_written() {
    if !has(&["docker-registry", "skopeo", "podman"]) {
        return;
    }
    let Some((scratch, registry)) = registry() else { return };
    let address = registry.address();
    let file = scratch.at("auth.json");
    let key = format!("{address}/team");
    let login = ["login", "--tls-verify=false", "--authfile", &file, "-u", USER, "-p", PASSWORD];
    run(alone("dray").args(login).arg(&key)).ok();
    for peer in ["skopeo", "podman"] {
        let asked = ["login", "--get-login", "--authfile", &file, &key];
        assert_eq!(run(alone(peer).args(asked)).ok().text(), USER);
    }
}
