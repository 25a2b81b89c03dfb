//! Networks of containers, through the real netavark, aardvark-dns and pasta, beside the real podman.
//!
//! Each test has a network, a /run and processes of its own: nothing of it is this machine's, and all of it ends with
//! the test.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::{Outcome, command, cooper_built, has, run};

use crate::support::Cellar;

/// Runs a script where everything about networks is its own. `$C` is cellar with the store of the test, `$P` podman
/// with another store, and both have the same networks. `$S` is podman with the store of the test.
pub(crate) fn stage(cellar: &Cellar, script: &str) -> Outcome {
    let quoted = |words: &Command| {
        let arguments = words.get_args().map(|word| format!(" '{}'", word.display()));
        format!("{}{}", words.get_program().display(), arguments.collect::<String>())
    };
    let networks = cellar.path("networks");
    let mut all = cellar.command(&["--network-config-dir"]);
    all.arg(&networks);
    let at = |name: &str| cellar.path(name).display().to_string();
    let mut podman = command("podman");
    podman.args(["--root", &at("podman"), "--runroot", &at("podman-run"), "--runtime", "runc"]);
    podman.args(["--cgroup-manager", "cgroupfs", "--network-config-dir"]).arg(&networks);
    let setup = "mount -t tmpfs tmpfs /run && mkdir -p /run/lock && ip link set lo up && exec sh -ec \"$1\"";
    let script = format!(
        "C() {{ {} \"$@\"; }}\nP() {{ {} \"$@\"; }}\nS() {{ {} \"$@\"; }}\n{script}",
        quoted(&all),
        quoted(&podman),
        quoted(&cellar.podman_command(&[])),
    );
    let mut command = command("unshare");
    command.args([
        "-nmp",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-ec",
        setup,
        "sh",
        &script,
    ]);
    command.env("CONTAINERS_CONF", conf(cellar)).current_dir(cellar.path(""));
    run(&mut command)
}

/// Podman chooses netavark by itself only in a store that has nothing yet.
fn conf(cellar: &Cellar) -> std::path::PathBuf {
    let path = cellar.path("containers.conf");
    fs::write(&path, "[network]\nnetwork_backend = \"netavark\"\n").expect("it is writable");
    path
}

/// A store, where all programs of networks are installed.
pub(crate) fn cellar() -> Option<Cellar> {
    let here = has(&["unshare", "podman", "ip", "iptables"]);
    let helpers = ["netavark", "aardvark-dns"].map(|name| format!("/usr/lib/podman/{name}"));
    for helper in helpers {
        let there = Path::new(&helper).exists();
        assert!(there || std::env::var_os("CI").is_none(), "{helper} is not installed");
        if !there {
            return None;
        }
    }
    Cellar::new().filter(|_| here)
}

/// An image of Debian's nginx with what it needs, which cooper builds.
fn nginx(cellar: &Cellar) {
    let context = cellar.path("context");
    let root = context.join("rootfs");
    for name in ["bin", "etc/nginx", "tmp", "data", "var/log/nginx", "var/lib/nginx"] {
        fs::create_dir_all(root.join(name)).expect("it is writable");
    }
    let copy = |from: &str, to: &str| {
        let to = root.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("it is in the root")).expect("it is writable");
        fs::copy(from, to).expect("it is installed");
    };
    copy("/usr/sbin/nginx", "bin/nginx");
    let libraries = run(command("ldd").arg("/usr/sbin/nginx")).ok();
    let paths = libraries.text().split_whitespace().filter(|word| word.starts_with('/'));
    paths.for_each(|path| copy(path, path));
    let write =
        |name: &str, text: &str| fs::write(context.join(name), text).expect("it is writable");
    write("rootfs/etc/passwd", "root:x:0:0::/:/bin/sh\n");
    write("rootfs/etc/group", "root:x:0:\n");
    write(
        "rootfs/etc/nginx/nginx.conf",
        "user root; daemon off; pid /tmp/nginx.pid; error_log stderr; worker_processes 1; events {}\n\
         http { access_log off; client_body_temp_path /data/.body;\n\
         server { listen 80; root /data; dav_methods PUT; } }\n",
    );
    write(
        "Containerfile",
        "FROM scratch\nADD rootfs /\nVOLUME /data\nEXPOSE 80\nCMD [\"/bin/nginx\"]\n",
    );
    let mut build = command(cooper_built());
    build.arg("--root").arg(cellar.path("root")).arg("--runroot").arg(cellar.path("run"));
    run(build.args(["build", "-q", "-t", "localhost/web:1"]).arg(&context)).ok();
}

#[test]
fn a_server_is_reached_through_a_published_port_and_its_data_outlive_it() {
    let Some(cellar) = cellar() else { return };
    if !has(&["nginx"]) {
        return;
    }
    nginx(&cellar);
    let said = stage(
        &cellar,
        r#"
        ask() { for i in $(seq 50); do printf "$1" | busybox nc -w 2 127.0.0.1 8080 2>/dev/null | tail -n 1 | grep . && return; sleep 0.1; done; }
        C run -d --name web -p 8080:80 -v data:/data web:1 >/dev/null
        C port web
        ask 'PUT /kept HTTP/1.0\r\nContent-Length: 7\r\n\r\noutlive' | tail -c 0
        ask 'GET /kept HTTP/1.0\r\n\r\n'
        ip=$(C inspect --format '{{.NetworkSettings.IPAddress}}' web); echo $ip
        C stop -t 1 web >/dev/null
        C inspect --format '{{.NetworkSettings.IPAddress}}-' web
        iptables-save | grep -c 8080 || true
        C start web >/dev/null
        ask 'GET /kept HTTP/1.0\r\n\r\n'
        C run --name other -p 8080:80 box:1 true 2>&1 | grep -o 'cannot listen on the TCP port' || true
        # Killed with its monitor, and all the same nothing is left.
        kill -9 $(C inspect --format '{{.State.ConmonPid}}' web); sleep 0.2
        C ps -a --format '{{.Names}} {{.State}}' | grep web
        C rm web >/dev/null; C rm other >/dev/null
        iptables-save | grep -c 8080 || true
        ip -o link | grep -c -E 'veth|podman0' || true
        grep -o '"taken":{}' /run/containers/networks/cask-leases.json
        "#,
    )
    .ok();
    let expected = "80/tcp -> 0.0.0.0:8080\noutlive\n10.88.255.254\n-\n0\noutlive\n\
                    cannot listen on the TCP port\nweb exited\n0\n0\n\"taken\":{}";
    assert_eq!(said.text(), expected, "{said}");
    cellar.is_clean();
}

#[test]
fn containers_of_a_network_know_each_other_by_name_and_podman_knows_the_network() {
    let Some(cellar) = cellar() else { return };
    let said = stage(
        &cellar,
        r#"
        C network create --subnet 10.77.0.0/24 --label a=b web
        C network create --disable-dns other >/dev/null
        C run -d --name db --network web:ip=10.77.0.9,alias=base box:1 sleep 100 >/dev/null
        C run -d --name app --network web --network other box:1 sleep 100 >/dev/null
        C exec app busybox nslookup db.dns.podman 10.77.0.1 | grep -o '10.77.0.9' | tail -n 1
        C exec app busybox nslookup base.dns.podman 10.77.0.1 | grep -o '10.77.0.9' | tail -n 1
        C exec app cat /etc/resolv.conf | head -n 2
        C exec db cat /etc/hosts | grep -c '^10.77.0.9'
        C inspect --format '{{range $name, $n := .NetworkSettings.Networks}}{{$name}}={{$n.IPAddress}} {{end}}' app
        C network rm web 2>&1 >/dev/null | grep -o 'network is being used'
        # Podman sees the network, and gives an address that nobody has.
        P network ls --format '{{.Name}}' | sort | tr '\n' ' '; echo
        C network inspect web >ours; P network inspect web >theirs; cmp ours theirs
        C network ls --format json | grep -v created >ours
        P network ls --format json | grep -v created >theirs; cmp ours theirs
        C network ls >ours; P network ls >theirs; cmp ours theirs
        P import -q image.tar box >/dev/null
        P run --rm --network web box busybox ip -o -4 addr show dev eth0 | grep -o '10.77.0.[0-9]*/'
        C network disconnect web app
        C exec app cat /etc/resolv.conf | grep -c 10.77.0.1 || true
        C network connect --alias later web app
        C exec db busybox nslookup later.dns.podman 10.77.0.1 | grep -c 10.77.0.25
        C rm -f -t 0 app db >/dev/null
        C network prune -f
        C network exists web || echo $?
        C network rm podman 2>&1 | grep -o 'cannot be removed'
        "#,
    )
    .ok();
    let expected = "web\n10.77.0.9\n10.77.0.9\nsearch dns.podman\nnameserver 10.77.0.1\n1\n\
                    other=10.89.0.254 web=10.77.0.254 \nnetwork is being used\nother podman web \n\
                    10.77.0.2/\n0\n1\nother\nweb\n1\ncannot be removed";
    assert_eq!(said.text(), expected, "{said}");
    cellar.is_clean();
}

#[test]
fn networks_have_servers_of_their_own_and_are_chosen_by_filters() {
    let Some(cellar) = cellar() else { return };
    let said = stage(
        &cellar,
        r#"
        C network create --dns 1.1.1.1 --subnet 10.77.0.0/24 --label a=b web >/dev/null
        C network create --label a=c --label d other >/dev/null
        C run -d --name db --network web box:1 sleep 100 >/dev/null
        names=/run/containers/networks/aardvark-dns/web
        head -n 1 $names
        C network update --dns-add 8.8.8.8,9.9.9.9 --dns-drop 1.1.1.1 web
        head -n 1 $names
        C network inspect -f '{{.NetworkDNSServers}}' web
        C network inspect -f '{{.Labels.a}} {{len .Labels}} {{json (index .Subnets 0)}}' web
        C network ls -f name=other --format '{{.Labels}}'
        C run --rm --network web --dns 7.7.7.7 --dns-search x.y box:1 cat /etc/resolv.conf
        id=$(C network inspect -f '{{.ID}}' web)
        L() { C network ls --format '{{.Name}}' "$@" | tr '\n' ' '; echo; }
        L -f name=web -f name=oth
        L -f name='^w.b$'
        L -f id=$(echo $id | cut -c 9-30)
        L -f label=a
        L -f label=a -f label=d
        L -f 'label=a*' -f driver=bridge -f dangling=false
        C network ls -f dangling=x 2>&1 | grep -o 'invalid dangling filter value "x"'
        C network ls -f nope=x 2>&1 | grep -o 'invalid filter "nope"'
        C rm -f -t 0 db >/dev/null
        "#,
    )
    .ok();
    let expected = "10.77.0.1 1.1.1.1\nweb\n10.77.0.1 8.8.8.8,9.9.9.9\n[8.8.8.8 9.9.9.9]\n\
                    b 1 {\"subnet\":\"10.77.0.0/24\",\"gateway\":\"10.77.0.1\"}\na=c,d=\n\
                    search x.y\nnameserver 7.7.7.7\nother web \nweb \nweb \nother web \nother \nweb \n\
                    invalid dangling filter value \"x\"\ninvalid filter \"nope\"";
    assert_eq!(said.text(), expected, "{said}");
    cellar.is_clean();
}

#[test]
fn containers_conf_says_which_network_is_the_usual_one_and_where_addresses_are_taken_from() {
    let Some(cellar) = cellar() else { return };
    let said = stage(
        &cellar,
        r#"
        cat >usual.conf <<-END
        [network]
        network_backend = "netavark"
        default_network = "usual"
        default_subnet = "172.30.0.0/16"
        default_subnet_pools = [{base = "172.31.0.0/16", size = 26}]
        dns_bind_port = 5353
END
        export CONTAINERS_CONF=$PWD/usual.conf
        C network create one >/dev/null; P network create two >/dev/null; C network create three >/dev/null
        show() { "$1" network inspect --format '{{.Name}} {{.ID}} {{.NetworkInterface}} {{(index .Subnets 0).Subnet}}' usual one two three; }
        show C | cut -d' ' -f 1,3,4; show C >ours; show P >podmans; cmp ours podmans
        C network rm usual 2>&1 | grep -o 'default network usual cannot be removed'
        C run -d --name db --network one box:1 sleep 100 >/dev/null
        C inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' db
        grep -l db /run/containers/networks/aardvark-dns/*; busybox netstat -lnu | grep -c ':5353 '
        C run --rm box:1 busybox ip -4 -o addr show eth0 | grep -o 'inet 172.30[0-9./]*'
        C rm -f -t 0 db >/dev/null
        echo '[network]
        default_subnet_pools = [{base = "172.31.0.0/16", size = 12}]' >usual.conf
        C network ls 2>&1 | grep -o 'subnet pool size 12 is larger than the base 172.31.0.0/16'
        "#,
    )
    .ok();
    let expected = "usual podman0 172.30.0.0/16\none podman1 172.31.0.0/26\ntwo podman2 172.31.0.64/26\n\
                    three podman3 172.31.0.128/26\ndefault network usual cannot be removed\n172.31.0.62\n\
                    /run/containers/networks/aardvark-dns/one\n1\ninet 172.30.255.254/16\n\
                    subnet pool size 12 is larger than the base 172.31.0.0/16";
    assert_eq!(said.text(), expected, "{said}");
    cellar.is_clean();
}

#[test]
fn without_the_programs_it_is_said_which_to_install() {
    let Some(cellar) = Cellar::new() else { return };
    let said = stage(
        &cellar,
        "mount -t tmpfs tmpfs /usr/lib/podman
         C run --rm box:1 true || echo $?
         C run --rm --network none box:1 echo alone
         C run --rm --network nosuch box:1 true 2>&1 || true
         C run --rm --network pasta box:1 true || echo $?",
    );
    assert!(said.text().starts_with("126\nalone\n"), "{said}");
    assert!(said.text().contains("network not found"), "{said}");
    said.says("install netavark and aardvark-dns").says("pasta is the network of users");
    cellar.is_clean();
}

#[test]
fn commands_of_builds_have_networks_of_their_own_where_they_are_asked_for() {
    let Some(cellar) = cellar() else { return };
    let context = cellar.path("built");
    fs::create_dir_all(&context).expect("it is writable");
    fs::copy("/bin/busybox", context.join("busybox")).expect("busybox is installed");
    let write = |name: &str, text: &str| fs::write(context.join(name), text).expect("writable");
    let shell =
        "FROM scratch\nCOPY busybox /bin/busybox\nSHELL [\"/bin/busybox\", \"sh\", \"-c\"]\n";
    let look = "RUN busybox ls /sys/class/net; busybox ip -o -4 addr show eth0 | busybox grep -o 'inet 10[.][0-9]*'\n";
    write(
        "Containerfile",
        &format!("{shell}{look}RUN busybox grep -c host.containers.internal /etc/hosts\n"),
    );
    write("none", &format!("{shell}RUN --network=none busybox ls /sys/class/net\n"));
    write("host", &format!("{shell}RUN --network=host busybox ls /sys/class/net\n"));
    let said = stage(
        &cellar,
        r#"
        build() { C build --no-cache "$@" built | grep -v -e STEP -e COMMIT -e -- -e '^.\{64\}$' || true; }
        C network create --subnet 10.77.0.0/24 own >/dev/null
        for network in private bridge own; do echo $network; build --network $network; done
        echo none; build --network private -f built/none
        echo allowed; build --network private --allow network.host -f built/host | grep -c lo
        C build --network private -f built/host built 2>&1 | tail -n 2
        C build --network nothing built 2>&1 | tail -n 1
        ip -o link | grep -c -e podman -e veth || true
        grep -c '"build-' /run/containers/networks/cask-leases.json || true
        "#,
    )
    .ok();
    let expected = "private\neth0\nlo\ninet 10.88\n1\nbridge\neth0\nlo\ninet 10.88\n1\n\
        own\neth0\nlo\ninet 10.77\n1\nnone\nlo\nallowed\n1\n\
        Error: building at STEP \"RUN --network=host busybox ls /sys/class/net\": RUN --network=host: network.host is not allowed\n\
        hint: allow it with --allow network.host\n\
        Error: unable to find network with name or ID nothing: network not found\n0\n0";
    assert_eq!(said.text(), expected, "{said}");
}

#[test]
fn routes_of_a_network_are_kept_and_an_old_netavark_does_not_pass_over_them() {
    let Some(cellar) = cellar() else { return };
    let said = stage(
        &cellar,
        r#"
        C network create --subnet 10.91.0.0/24 --disable-dns --route 10.92.0.0/16,10.91.0.9 --route 10.93.0.0/16,10.91.0.8,7 web
        C network inspect web | tr -d ' \n' | grep -o '"routes":[^]]*.'
        C network create --driver ipvlan --subnet 10.94.0.0/24 -o mode=l3 above
        P network ls -q --filter name=web
        C run --rm --network web box:1 ip route 2>&1 || true
        "#,
    )
    .ok();
    let lines: Vec<&str> = said.text().lines().collect();
    let routes = r#""routes":[{"destination":"10.92.0.0/16","gateway":"10.91.0.9"},{"destination":"10.93.0.0/16","gateway":"10.91.0.8","metric":7}]"#;
    assert_eq!(lines[..4], ["web", routes, "above", "web"], "{said}");
    let rest = lines[4..].join(" ");
    let is_there = rest.contains("10.92.0.0/16 via 10.91.0.9") && rest.contains("metric 7");
    assert!(is_there || rest.contains("netavark 1.7.0 is needed"), "{said}");
}
