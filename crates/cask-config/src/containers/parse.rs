//! From text to what it says.

use crate::Error;
use crate::containers::{ContainerLists, ContainerModes, ContainerSwitches, ContainersConf};
use crate::document::{Source, Table};

impl ContainersConf {
    /// Reads a text of at most [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES); `file` is named in errors.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`](crate::ErrorKind::Syntax) for what is no TOML; [`ErrorKind::Invalid`] for a value of
    /// another type; [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    ///
    /// [`ErrorKind::Invalid`]: crate::ErrorKind::Invalid
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let source = Source::new(text, super::load::LOADING, file);
        let document = source.parse()?;
        let root = Table::root(&source, &document);
        let mut conf = Self::default();
        if let Some(table) = root.table("containers")? {
            conf = of_containers(&table)?;
        }
        if let Some(table) = root.table("engine")? {
            conf.stop_timeout = number(&table, "stop_timeout")?;
        }
        Ok(conf)
    }

    /// Takes over what `later` says.
    pub(super) fn merge(&mut self, later: Self) {
        macro_rules! take {
            ($($($field:ident).+,)*) => {$(if later.$($field).+.is_some() {
                self.$($field).+ = later.$($field).+;
            })*};
        }
        take!(
            lists.annotations,
            lists.capabilities,
            lists.sysctls,
            lists.limits,
            lists.devices,
            lists.dns_options,
            lists.dns_searches,
            lists.dns_servers,
            lists.environment,
            lists.volumes,
            switches.env_host,
            switches.http_proxy,
            switches.init,
            switches.no_hosts,
            modes.control_groups,
            modes.ipc,
            modes.network,
            modes.pid,
            modes.uts,
            log_driver,
            log_size_max,
            log_tag,
            pids_limit,
            seccomp_profile,
            shm_size,
            time_zone,
            umask,
            stop_timeout,
        );
    }
}

fn of_containers(table: &Table<'_>) -> Result<ContainersConf, Error> {
    let list = |name| {
        let found = table.strings(name)?;
        Ok::<_, Error>(found.map(|all| all.into_iter().map(|one| one.value).collect::<Vec<_>>()))
    };
    // Empty is as if it were not there.
    let text = |name| {
        let found = table.string(name)?;
        Ok::<_, Error>(found.map(|found| found.value).filter(|text| !text.is_empty()))
    };
    let switch = |name| Ok::<_, Error>(table.boolean(name)?.map(|found| found.value));
    Ok(ContainersConf {
        lists: ContainerLists {
            annotations: list("annotations")?,
            capabilities: list("default_capabilities")?,
            sysctls: list("default_sysctls")?,
            limits: list("default_ulimits")?,
            devices: list("devices")?,
            dns_options: list("dns_options")?,
            dns_searches: list("dns_searches")?,
            dns_servers: list("dns_servers")?,
            environment: list("env")?,
            volumes: list("volumes")?,
        },
        switches: ContainerSwitches {
            env_host: switch("env_host")?,
            http_proxy: switch("http_proxy")?,
            init: switch("init")?,
            no_hosts: switch("no_hosts")?,
        },
        modes: ContainerModes {
            control_groups: text("cgroupns")?,
            ipc: text("ipcns")?,
            network: text("netns")?,
            pid: text("pidns")?,
            uts: text("utsns")?,
        },
        log_driver: text("log_driver")?,
        log_size_max: number(table, "log_size_max")?,
        log_tag: text("log_tag")?,
        pids_limit: number(table, "pids_limit")?,
        seccomp_profile: text("seccomp_profile")?,
        shm_size: text("shm_size")?,
        time_zone: text("tz")?,
        umask: text("umask")?,
        stop_timeout: None,
    })
}

fn number(table: &Table<'_>, name: &str) -> Result<Option<i64>, Error> {
    Ok(table.number(name)?.map(|found| found.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn what_is_said_is_read_and_later_files_win() {
        let first = "[containers]\ndefault_ulimits = [\"nofile=1:2\"]\npids_limit = 5\ninit = true\ntz = \"\"\nlabel = 3";
        let later = "[containers]\nPids_Limit = 7\nnetns = \"none\"\n[engine]\nstop_timeout = 3";
        let mut conf = ContainersConf::parse(first, "a").unwrap();
        assert_eq!(
            (conf.pids_limit, conf.switches.init, &conf.time_zone),
            (Some(5), Some(true), &None)
        );
        conf.merge(ContainersConf::parse(later, "b").unwrap());
        assert_eq!((conf.pids_limit, conf.stop_timeout), (Some(7), Some(3)));
        assert_eq!(conf.lists.limits, Some(vec!["nofile=1:2".to_owned()]));
        assert_eq!(conf.modes.network.as_deref(), Some("none"));
        assert_eq!(ContainersConf::parse("", "c").unwrap(), ContainersConf::default());
    }

    #[test]
    fn values_of_other_types_are_refused_with_their_place() {
        for (text, key) in [
            ("[containers]\npids_limit = \"many\"", "containers.pids_limit"),
            ("[containers]\ninit = 1", "containers.init"),
            ("[containers]\ndns_servers = \"1.1.1.1\"", "containers.dns_servers"),
            ("containers = 1", "containers"),
        ] {
            let error = ContainersConf::parse(text, "f").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
            assert!(error.to_string().contains(key), "{error}");
        }
        assert_eq!(ContainersConf::parse("[", "f").unwrap_err().kind(), ErrorKind::Syntax);
    }
}
