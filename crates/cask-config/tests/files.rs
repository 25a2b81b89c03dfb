//! Files as a system has them: merged, linked, locked, hostile.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cask_config::registries::{
    Main, Paths, RecordedAliases, RegistriesConf, record_alias, remove_alias,
};
use cask_config::{Environment, Error, ErrorKind, MAX_FILE_BYTES, certs};
use cask_reference::Repository;
use tempfile::TempDir;

struct System(TempDir);

impl System {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn environment(&self, user_id: u32) -> Environment {
        let mut environment = Environment::default();
        environment.system_root = Some(self.0.path().into());
        environment.home = Some(self.path("home"));
        environment.user_id = user_id;
        environment
    }

    fn load(&self, user_id: u32) -> Result<RegistriesConf, Error> {
        RegistriesConf::load(&Paths::from_environment(&self.environment(user_id)))
    }

    fn names(&self, conf: &RegistriesConf) -> Vec<String> {
        let root = format!("{}/", self.0.path().display());
        conf.files().iter().map(|file| file.replace(&root, "")).collect()
    }
}

fn search(host: &str) -> String {
    format!("unqualified-search-registries = [\"{host}\"]\n")
}

#[test]
fn a_machine_without_files_has_the_defaults() {
    let conf = System::new().load(0).unwrap();
    assert_eq!(conf.search_registries(), [""; 0]);
    assert_eq!((conf.registries().len(), conf.files().len()), (0, 0));
}

#[test]
fn the_first_main_file_counts_and_drop_ins_are_ordered_by_name() {
    let system = System::new();
    system.write("usr/share/containers/registries.conf", "");
    system.write("etc/containers/registries.conf", "");
    system.write("usr/share/containers/registries.conf.d/20-a.conf", "");
    system.write("usr/share/containers/registries.conf.d/30-b.conf", "");
    system.write("etc/containers/registries.conf.d/10-c.conf", "");
    system.write("etc/containers/registries.conf.d/30-b.conf", "");
    system.write("etc/containers/registries.conf.d/README", "x");
    system.write("etc/containers/registries.conf.d/dir.conf/x.conf", "x");
    system.write("etc/containers/registries.rootful.conf.d/40-root.conf", "");
    system.write("etc/containers/registries.rootless.conf.d/40-user.conf", "");
    system.write("etc/containers/registries.rootless.conf.d/7/40-user.conf", "");
    system.write("home/.config/containers/registries.conf.d/05-d.conf", "");
    let check = |user_id, expected: &[&str]| {
        assert_eq!(system.names(&system.load(user_id).unwrap()), expected);
    };
    check(
        0,
        &[
            "etc/containers/registries.conf",
            "home/.config/containers/registries.conf.d/05-d.conf",
            "etc/containers/registries.conf.d/10-c.conf",
            "usr/share/containers/registries.conf.d/20-a.conf",
            "etc/containers/registries.conf.d/30-b.conf",
            "etc/containers/registries.rootful.conf.d/40-root.conf",
        ],
    );
    system.write("home/.config/containers/registries.conf", "");
    check(
        7,
        &[
            "home/.config/containers/registries.conf",
            "home/.config/containers/registries.conf.d/05-d.conf",
            "etc/containers/registries.conf.d/10-c.conf",
            "usr/share/containers/registries.conf.d/20-a.conf",
            "etc/containers/registries.conf.d/30-b.conf",
            "etc/containers/registries.rootless.conf.d/7/40-user.conf",
        ],
    );
}

#[test]
fn later_files_replace_what_they_say_and_nothing_else() {
    let system = System::new();
    let main = system.write(
        "main.conf",
        "unqualified-search-registries = [\"a.b\"]\ncredential-helpers = [\"x\"]\n\
         short-name-mode = \"enforcing\"\n[[registry]]\nlocation = \"c.d\"\ninsecure = true\n\
         [[registry]]\nlocation = \"e.f\"\n[aliases]\none = \"a.b/one\"\ntwo = \"a.b/two\"\n",
    );
    let last =
        system.write("last.conf", "[[registry]]\nlocation = \"c.d\"\n[aliases]\none = \"\"\n");
    let mut paths = Paths::only(&main);
    paths.last = Some(last);
    let conf = RegistriesConf::load(&paths).unwrap();
    assert_eq!(conf.search_registries(), ["a.b"]);
    assert_eq!(conf.search_origin(), main.to_str());
    assert_eq!(conf.credential_helpers().len(), 1);
    assert!(!conf.find("c.d/x").unwrap().is_insecure());
    assert!(conf.find("e.f/x").is_some());
    assert_eq!(conf.aliases()["one"].repository(), None);
    assert!(conf.aliases()["two"].repository().is_some());
    // An empty list is a list.
    paths.last = Some(system.write("empty.conf", "unqualified-search-registries = []"));
    let conf = RegistriesConf::load(&paths).unwrap();
    assert_eq!(conf.search_registries(), [""; 0]);
    assert!(conf.search_origin().unwrap().ends_with("empty.conf"));
}

#[test]
fn a_file_asked_for_by_name_has_to_exist() {
    let system = System::new();
    let missing = system.path("none.conf");
    let expected = format!(
        "loading registries configuration \"{}\": no such file or directory",
        missing.display()
    );
    let mut last = Paths::default();
    last.last = Some(missing.clone());
    for paths in [Paths::only(&missing), last] {
        let error = RegistriesConf::load(&paths).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, expected.clone()));
    }
}

#[test]
fn a_drop_in_says_that_it_is_one() {
    let system = System::new();
    let path = system.write("etc/containers/registries.conf.d/a.conf", "x = ");
    let error = system.load(0).unwrap_err();
    let expected = format!("loading drop-in registries configuration \"{}\": ", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn links_are_followed_to_regular_files_and_to_nothing() {
    let system = System::new();
    let directory = system.path("etc/containers/registries.conf.d");
    let target = system.write("elsewhere", &search("a.b"));
    fs::create_dir_all(&directory).unwrap();
    symlink(target, directory.join("a.conf")).unwrap();
    system.write("usr/share/containers/registries.conf.d/b.conf", &search("c.d"));
    symlink("/dev/null", directory.join("b.conf")).unwrap();
    symlink("/nonexistent", directory.join("c.conf")).unwrap();
    assert_eq!(system.load(0).unwrap().search_registries(), ["a.b"]);
    assert!(RegistriesConf::load(&Paths::only("/dev/null")).is_ok());
    symlink("/dev/zero", directory.join("d.conf")).unwrap();
    let error = system.load(0).unwrap_err();
    assert_eq!(error.message(), "not a regular file; make it one, or a link to one");
}

#[test]
fn a_pipe_is_not_waited_for() {
    let system = System::new();
    let path = system.path("pipe.conf");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let error = RegistriesConf::load(&Paths::only(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let error = RegistriesConf::load(&Paths::only(system.0.path())).unwrap_err();
    assert_eq!(error.message(), "not a regular file; make it one, or a link to one");
}

#[test]
fn what_is_too_much_is_refused() {
    let system = System::new();
    let path = system.write("big.conf", &"#".repeat(MAX_FILE_BYTES + 1));
    let error = RegistriesConf::load(&Paths::only(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    for n in 0..4097 {
        system.write(&format!("etc/containers/registries.conf.d/{n}"), "");
    }
    assert_eq!(system.load(0).unwrap_err().kind(), ErrorKind::TooLarge);
    let path = system.path("latin1.conf");
    fs::write(&path, b"# a\n# \xe9\n").unwrap();
    let error = RegistriesConf::load(&Paths::only(&path)).unwrap_err();
    assert_eq!((error.message(), error.line(), error.column()), ("not UTF-8", Some(2), Some(3)));
}

#[test]
fn directories_that_are_none_are_refused() {
    let system = System::new();
    system.write("etc/containers/registries.conf.d", "");
    let error = system.load(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("reading registries.conf.d "), "{error}");
    let mut first_of = Paths::default();
    first_of.main = Main::FirstOf(vec![system.path("etc/containers/registries.conf.d/x")]);
    assert_eq!(RegistriesConf::load(&first_of).unwrap_err().kind(), ErrorKind::Io);
}

fn repository(name: &str) -> Repository {
    Repository::parse_normalized(name).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn aliases_are_recorded_for_the_user_alone() {
    let system = System::new();
    let path = system.path("cache/containers/short-name-aliases.conf");
    assert!(RecordedAliases::load(&path).unwrap().aliases().is_empty());
    record_alias(&path, "team/app", &repository("q.io/x")).unwrap();
    record_alias(&path, "app", &repository("app")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let expected =
        "[aliases]\n  \"app\" = \"docker.io/library/app\"\n  \"team/app\" = \"q.io/x\"\n";
    assert_eq!(text, expected);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    remove_alias(&path, "app").unwrap();
    let error = remove_alias(&path, "app").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchAlias);
    let expected = format!(
        "short-name alias \"app\" not found in \"{}\": please check registries.conf files",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 2, "the file and its lock");
}

#[test]
fn only_short_names_are_recorded() {
    let system = System::new();
    let path = system.path("aliases.conf");
    for name in ["a:1", "a.b/c", "", "A", &format!("a@sha256:{}", "0".repeat(64))] {
        let error = record_alias(&path, name, &repository("q.io/x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{name}");
        let error = remove_alias(&path, name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{name}");
    }
    assert!(!path.exists());
}

#[test]
fn a_damaged_file_of_aliases_is_not_replaced() {
    let system = System::new();
    let path = system.write("aliases.conf", "[aliases]\na = ");
    record_alias(&path, "b", &repository("q.io/x")).unwrap_err();
    assert_eq!(fs::read_to_string(path).unwrap(), "[aliases]\na = ");
}

#[test]
fn a_link_to_a_file_of_aliases_stays_one() {
    let system = System::new();
    let target = system.write("target.conf", "");
    let path = system.path("aliases.conf");
    symlink(&target, &path).unwrap();
    record_alias(&path, "a", &repository("q.io/x")).unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert!(fs::read_to_string(target).unwrap().contains("q.io/x"));
}

#[test]
fn writers_wait_for_each_other() {
    let system = System::new();
    let path = system.path("aliases.conf");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for n in 0..10 {
                    record_alias(path, &format!("a{writer}-{n}"), &repository("q.io/x")).unwrap();
                    // A reader takes no lock and sees a whole file.
                    RecordedAliases::load(path).unwrap();
                }
            });
        }
    });
    assert_eq!(RecordedAliases::load(&path).unwrap().aliases().len(), 80);
}

fn certificates(system: &System, names: &[&str]) -> Result<certs::Certificates, Error> {
    for name in names {
        system.write(&format!("certs.d/h.example:5000/{name}"), name);
    }
    certs::load(&[system.path("none"), system.path("certs.d")], "h.example:5000")
}

#[test]
fn certificates_are_found_by_extension() {
    let system = System::new();
    let names = ["b.crt", "a.crt", "c.cert", "c.key", "README", "c.pem", ".cert", ".key"];
    let found = certificates(&system, &names).unwrap();
    let authorities: Vec<_> = found.authorities().iter().map(|ca| ca.bytes.as_slice()).collect();
    assert_eq!(authorities, [b"a.crt", b"b.crt"]);
    let clients = found.clients();
    assert_eq!(clients.len(), 2);
    assert_eq!(clients[1].certificate.path, system.path("certs.d/h.example:5000/c.cert"));
    assert_eq!(clients[1].key.secret_bytes(), b"c.key");
    assert!(!format!("{found:?}").contains("bytes: [99, 46, 107"), "a key is not printed");
}

#[test]
fn half_a_pair_is_refused() {
    #[track_caller]
    fn check(names: &[&str], expected: &str) {
        let error = certificates(&System::new(), names).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::IncompletePair, expected)
        );
    }
    check(
        &["a.cert"],
        "missing key a.key for client certificate a.cert. Note that CA certificates should use the \
         extension .crt",
    );
    check(&["a.key", "a.crt"], "missing client certificate a.cert for key a.key");
}

#[test]
fn the_first_directory_of_a_host_is_the_only_one() {
    let system = System::new();
    let environment = system.environment(7);
    let directories = certs::directories(&environment);
    let expected = [
        "home/.config/containers/certs.d",
        "etc/containers/certs.rootless.d/7",
        "etc/containers/certs.rootless.d",
        "etc/containers/certs.d",
        "usr/share/containers/certs.rootless.d/7",
        "usr/share/containers/certs.rootless.d",
        "usr/share/containers/certs.d",
        "etc/docker/certs.d",
    ];
    assert_eq!(directories, expected.map(|path| system.path(path)));
    assert!(certs::load(&directories, "h.example").unwrap().is_empty());
    for directory in
        ["etc/docker/certs.d", "etc/containers/certs.d", "home/.config/containers/certs.d"]
    {
        system.write(&format!("{directory}/[::1]:5000/a.crt"), directory);
        let found = certs::load(&directories, "[::1]:5000").unwrap();
        assert_eq!(found.authorities()[0].bytes, directory.as_bytes());
    }
    // A file is no directory, and the port is a part of the host.
    system.write("home/.config/containers/certs.d/h.example", "");
    system.write("etc/containers/certs.d/h.example:443/a.crt", "");
    assert_eq!(certs::find(&directories, "h.example").unwrap(), None);
}

#[test]
fn certificates_are_limited_and_regular() {
    let system = System::new();
    fs::create_dir_all(system.path("certs.d/h.example:5000")).unwrap();
    let link = system.path("certs.d/h.example:5000/a.crt");
    symlink("/dev/zero", &link).unwrap();
    assert_eq!(certificates(&system, &[]).unwrap_err().kind(), ErrorKind::Io);
    fs::remove_file(&link).unwrap();
    symlink("/nonexistent", &link).unwrap();
    assert!(certificates(&system, &[]).unwrap().is_empty());
    for n in 0..=certs::MAX_FILES {
        system.write(&format!("certs.d/h.example:5000/{n}.crt"), "");
    }
    assert_eq!(certificates(&system, &[]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(certs::load_directory(&system.path("none")).unwrap().is_empty());
    let error = certs::load(&[system.path("certs.d")], "../certs.d").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    assert_eq!(error.to_string(), "\"../certs.d\" is not a host, or a host and a port");
}
