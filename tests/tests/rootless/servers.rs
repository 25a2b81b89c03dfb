//! A server as people run one: a web server of Debian's, in an image that the user's cooper built upon Debian.

use std::fs;

use tests::{RANGES, User, cooper_built, debian, has};

use super::TOOLS;

/// Files may be put there, and are kept in a volume.
const WEB: &str = "FROM localhost/debian:test\n\
    RUN apt-get -qq update && apt-get -qq -y install --no-install-recommends nginx >/dev/null \
     && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin\n\
    RUN echo 'server { listen 80; root /data; location / { dav_methods PUT; } }' >/etc/nginx/sites-enabled/default \
     && mkdir /data && chown www-data: /data\n\
    VOLUME /data\n\
    EXPOSE 80\n\
    STOPSIGNAL SIGQUIT\n\
    CMD [\"nginx\", \"-g\", \"daemon off;\"]\n";

#[test]
fn a_users_web_server_of_debian_is_reached_through_its_port_and_keeps_what_it_was_given() {
    if !has(&TOOLS) || !has(&["pasta", "debootstrap"]) {
        return;
    }
    let user = User::new(RANGES);
    user.bring(cooper_built(), "cooper");
    user.bring(debian(), "debian.tar");
    fs::write(user.path("web"), WEB).expect("it is new");
    let said = user
        .networked(
            r#"
        C=$D/cellar; $C load -q -i $D/debian.tar >/dev/null
        $D/cooper build -q --network host -v /etc/apt:/etc/apt:O -t web -f $D/web . >/dev/null
        # All the while podman looks at the same store.
        while sleep 0.2; do podman images -q && podman ps -a --external -q || echo "code $?" >>failed; done >beside 2>&1 &
        beside=$!
        ask() {
            at=$($C port web 80)
            for i in $(seq 300); do printf "$1" | busybox nc -w 2 127.0.0.1 ${at##*:} 2>/dev/null | tail -n 1 | grep . && return; sleep 0.1; done
        }
        $C run -d --name web -p 127.0.0.1::80 -v data:/data web >/dev/null
        ask 'PUT /kept HTTP/1.0\r\nContent-Length: 7\r\n\r\noutlive' | tail -c 0
        ask 'GET /kept HTTP/1.0\r\n\r\n'
        $C stop web; $C inspect --format '{{.State.ExitCode}}' web
        $C start web; ask 'GET /kept HTTP/1.0\r\n\r\n'
        $C exec web stat -c '%U' /data/kept
        podman ps -a --external --format '{{.Names}}'
        kill $beside; wait $beside || true; test ! -e failed || cat failed beside
        $C rm -f web; $C volume rm data
        "#,
        )
        .ok();
    let expected = "outlive\nweb\n0\nweb\noutlive\nwww-data\nweb\nweb\ndata";
    assert_eq!(said.text(), expected, "{said}");
    super::containers::nothing_is_left(&user);
}
