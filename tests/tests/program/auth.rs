//! `auth explain`.

use serde_json::json;
use tests::{command, dray_built, run, scratch};

#[test]
fn auth_explain_tells_where_a_credential_comes_from_and_never_the_secret() {
    let scratch = scratch();
    let at = |name: &str| scratch.at(name);
    let write = |name: &str, text: &str| {
        let path = scratch.join(name);
        std::fs::create_dir_all(path.parent().expect("it is below")).expect("it is writable");
        std::fs::write(path, text).expect("it is writable");
    };
    // ann:very secret, bob:hidden
    write(
        "conf/containers/auth.json",
        r#"{"auths":{"r.example/team":{"auth":"YW5uOnZlcnkgc2VjcmV0"}}}"#,
    );
    write(
        "docker/config.json",
        r#"{"auths":{"m.example:5000":{"auth":"Ym9iOmhpZGRlbg=="}},"credHelpers":{"h.example":"nope"}}"#,
    );
    write(
        "r.conf",
        "[[registry]]\nlocation = 'r.example'\n[[registry.mirror]]\nlocation = 'm.example:5000/r'\n",
    );
    let explain = |arguments: &[&str]| {
        let mut dray = command(dray_built());
        dray.env("XDG_RUNTIME_DIR", at("run")).env("XDG_CONFIG_HOME", at("conf"));
        dray.env("DOCKER_CONFIG", at("docker")).env("PATH", at("bin"));
        dray.env_remove("REGISTRY_AUTH_FILE").args(["--registries-conf", &at("r.conf")]);
        let done = run(dray.args(["auth", "explain"]).args(arguments));
        let said = format!("{done}");
        for secret in ["very secret", "hidden", "YW5u", "Ym9i"] {
            assert!(!said.contains(secret), "{said}");
        }
        done
    };
    let (runtime, conf, docker) =
        (at("run/containers/auth.json"), at("conf/containers/auth.json"), at("docker/config.json"));
    let home = tests::session().join("home/.dockercfg");
    let home = home.display();
    let expected = format!(
        "m.example:5000/r/team/app, a mirror: the password of \"bob\": key \"m.example:5000\" of {docker}\n  \
           {runtime}: there is no such file\n  \
           {conf}: no entry for m.example:5000/r/team/app, m.example:5000/r/team, m.example:5000/r, m.example:5000\n  \
           {docker}: the key \"m.example:5000\" fits\n  \
           {home}: not looked at\n\
         r.example/team/app: the password of \"ann\": key \"r.example/team\" of {conf}\n  \
           {runtime}: there is no such file\n  \
           {conf}: the key \"r.example/team\" fits\n  \
           {docker}: not looked at\n  \
           {home}: not looked at"
    );
    assert_eq!(explain(&["docker://r.example/team/app:1"]).ok().text(), expected);
    let json = explain(&["--json", "r.example/team"]).ok().json();
    assert_eq!(
        json[0]["Credential"],
        json!({
            "Kind": "password", "Username": "ann", "Origin": format!("key \"r.example/team\" of {conf}"),
        })
    );
    assert_eq!((&json[0]["Mirror"], &json[0]["Place"]), (&json!(false), &json!("r.example/team")));
    let none = explain(&["--authfile", &conf, "x.example"]).ok();
    let expected =
        format!("x.example: no credential, access is anonymous\n  {conf}: no entry for x.example");
    assert_eq!(none.text(), expected);
    // A helper that is not there is an error, and shown.
    let failed = explain(&["h.example"]).ends(1).says("nope");
    assert!(failed.text().contains("it says that the helper nope knows"), "{failed}");
    explain(&["not a registry"]).ends(1);
}
