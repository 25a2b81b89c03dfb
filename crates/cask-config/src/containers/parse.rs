//! From text to what it says.

use crate::Error;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::containers::{
    CompressionConf, ContainerLists, ContainerModes, ContainerSwitches, ContainersConf, EngineConf,
    NetworkConf,
};
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
            let init = conf.engine.init.take();
            conf.engine = of_engine(&table)?;
            conf.engine.init = init.or(conf.engine.init);
        }
        if let Some(table) = root.table("network")? {
            conf.network = of_network(&table)?;
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
            lists.mounts,
            lists.volumes,
            switches.env_host,
            switches.http_proxy,
            switches.init,
            switches.no_hosts,
            switches.read_only,
            modes.control_groups,
            modes.ipc,
            modes.network,
            modes.pid,
            modes.users,
            modes.uts,
            log_driver,
            log_size_max,
            log_tag,
            host_address,
            base_hosts_file,
            oom_score,
            pids_limit,
            seccomp_profile,
            shm_size,
            time_zone,
            umask,
            stop_timeout,
            engine.cdi_directories,
            engine.cgroup_manager,
            engine.compression.added,
            engine.compression.format,
            engine.compression.level,
            engine.detach_keys,
            engine.environment,
            engine.events_file,
            engine.events_file_size,
            engine.events_inspect,
            engine.events_logger,
            engine.helpers,
            engine.hooks,
            engine.image_volumes,
            engine.infra_command,
            engine.infra_image,
            engine.multi_image_archive,
            engine.pod_exit_policy,
            engine.init,
            engine.pull_policy,
            engine.runtime,
            engine.volume_path,
            network.directory,
            network.usual,
            network.usual_subnet,
            network.subnet_pools,
            network.dns_port,
            network.firewall,
            network.pasta_options,
        );
        self.engine.runtimes.extend(later.engine.runtimes);
    }
}

fn of_containers(table: &Table<'_>) -> Result<ContainersConf, Error> {
    let list = |name| texts(table, name);
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
            mounts: list("mounts")?,
            volumes: list("volumes")?,
        },
        switches: ContainerSwitches {
            env_host: switch("env_host")?,
            http_proxy: switch("http_proxy")?,
            init: switch("init")?,
            no_hosts: switch("no_hosts")?,
            read_only: switch("read_only")?,
        },
        modes: ContainerModes {
            control_groups: text("cgroupns")?,
            ipc: text("ipcns")?,
            network: text("netns")?,
            pid: text("pidns")?,
            users: text("userns")?,
            uts: text("utsns")?,
        },
        log_driver: text("log_driver")?,
        log_size_max: number(table, "log_size_max")?,
        log_tag: text("log_tag")?,
        host_address: text("host_containers_internal_ip")?,
        base_hosts_file: text("base_hosts_file")?,
        oom_score: number(table, "oom_score_adj")?,
        pids_limit: number(table, "pids_limit")?,
        seccomp_profile: text("seccomp_profile")?,
        shm_size: text("shm_size")?,
        time_zone: text("tz")?,
        umask: text("umask")?,
        stop_timeout: None,
        engine: EngineConf { init: text("init_path")?.map(PathBuf::from), ..EngineConf::default() },
        network: NetworkConf::default(),
    })
}

fn of_engine(table: &Table<'_>) -> Result<EngineConf, Error> {
    let text = |name| Ok::<_, Error>(table.string(name)?.map(|found| found.value));
    let paths = |name| {
        let found = texts(table, name)?;
        Ok::<_, Error>(found.map(|all| all.into_iter().map(PathBuf::from).collect::<Vec<_>>()))
    };
    let mut engine = EngineConf {
        cdi_directories: paths("cdi_spec_dirs")?,
        cgroup_manager: text("cgroup_manager")?.filter(|text| !text.is_empty()),
        compression: of_compression(table)?,
        detach_keys: text("detach_keys")?,
        environment: texts(table, "env")?,
        events_logger: text("events_logger")?.filter(|text| !text.is_empty()),
        events_file: text("events_logfile_path")?
            .filter(|text| !text.is_empty())
            .map(PathBuf::from),
        events_file_size: table.string_or_number("events_logfile_max_size")?.map(|size| size.value),
        events_inspect: table
            .boolean("events_container_create_inspect_data")?
            .map(|found| found.value),
        helpers: paths("helper_binaries_dir")?,
        hooks: paths("hooks_dir")?,
        image_volumes: text("image_volume_mode")?.filter(|text| !text.is_empty()),
        infra_command: text("infra_command")?.filter(|text| !text.is_empty()),
        infra_image: text("infra_image")?.filter(|text| !text.is_empty()),
        init: text("init_path")?.filter(|text| !text.is_empty()).map(PathBuf::from),
        multi_image_archive: table.boolean("multi_image_archive")?.map(|found| found.value),
        pod_exit_policy: text("pod_exit_policy")?.filter(|text| !text.is_empty()),
        pull_policy: text("pull_policy")?.filter(|text| !text.is_empty()),
        runtime: text("runtime")?.filter(|text| !text.is_empty()),
        volume_path: text("volume_path")?.filter(|text| !text.is_empty()).map(PathBuf::from),
        runtimes: BTreeMap::new(),
    };
    let Some(runtimes) = table.table("runtimes")? else { return Ok(engine) };
    for name in runtimes.names() {
        let paths = runtimes.strings(name)?.unwrap_or_default();
        let paths = paths.into_iter().map(|path| PathBuf::from(path.value)).collect();
        engine.runtimes.insert(name.to_owned(), paths);
    }
    Ok(engine)
}

fn of_network(table: &Table<'_>) -> Result<NetworkConf, Error> {
    let text = |name| {
        let found = table.string(name)?.map(|found| found.value);
        Ok::<_, Error>(found.filter(|text| !text.is_empty()))
    };
    let mut pools = Vec::new();
    for pool in table.tables("default_subnet_pools")? {
        let missing =
            |name| pool.refuse(format!("a pool has a base and a size: {name} is missing"));
        let base = pool.string("base")?.ok_or_else(|| missing("base"))?.value;
        pools.push((base, number(&pool, "size")?.ok_or_else(|| missing("size"))?));
    }
    Ok(NetworkConf {
        directory: text("network_config_dir")?.map(PathBuf::from),
        usual: text("default_network")?,
        usual_subnet: text("default_subnet")?,
        subnet_pools: Some(pools).filter(|pools| !pools.is_empty()),
        dns_port: number(table, "dns_bind_port")?,
        firewall: text("firewall_driver")?,
        pasta_options: texts(table, "pasta_options")?,
    })
}

fn of_compression(table: &Table<'_>) -> Result<CompressionConf, Error> {
    let format = table.string("compression_format")?.map(|found| found.value);
    Ok(CompressionConf {
        format: format.filter(|text| !text.is_empty()),
        level: number(table, "compression_level")?,
        added: texts(table, "add_compression")?,
    })
}

fn texts(table: &Table<'_>, name: &str) -> Result<Option<Vec<String>>, Error> {
    let found = table.strings(name)?;
    Ok(found.map(|all| all.into_iter().map(|one| one.value).collect()))
}

fn number(table: &Table<'_>, name: &str) -> Result<Option<i64>, Error> {
    Ok(table.number(name)?.map(|found| found.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn what_networks_are_is_read() {
        let network = "[network]\npasta_options = [\"-I\", \"eth1\"]\ndefault_subnet = \"10.1.0.0/16\"\n\
                       default_subnet_pools = [{base = \"10.2.0.0/16\", size = 24}]\ndns_bind_port = 5353\n\
                       default_network = \"\"\nnetwork_config_dir = \"/n\"\nfirewall_driver = \"nftables\"";
        let network = ContainersConf::parse(network, "n").unwrap().network;
        let expected = NetworkConf {
            directory: Some(PathBuf::from("/n")),
            usual: None,
            usual_subnet: Some("10.1.0.0/16".to_owned()),
            subnet_pools: Some(vec![("10.2.0.0/16".to_owned(), 24)]),
            dns_port: Some(5353),
            firewall: Some("nftables".to_owned()),
            pasta_options: Some(vec!["-I".to_owned(), "eth1".to_owned()]),
        };
        assert_eq!(network, expected);
        let half = "[network]\ndefault_subnet_pools = [{base = \"10.2.0.0/16\"}]";
        let error = ContainersConf::parse(half, "n").unwrap_err().to_string();
        assert!(error.contains("size is missing"), "{error}");
    }

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
        let first = "[engine]\nevents_logger = \"file\"\nevents_logfile_path = \"/e\"\nevents_logfile_max_size = 4750";
        let later = "[engine]\nevents_logger = \"none\"\nevents_logfile_max_size = \"2m\"\nevents_container_create_inspect_data = true";
        let mut conf = ContainersConf::parse(first, "a").unwrap();
        assert_eq!(conf.engine.events_file_size.as_deref(), Some("4750"));
        conf.merge(ContainersConf::parse(later, "b").unwrap());
        assert_eq!(conf.engine.events_inspect, Some(true));
        let engine = "[engine]\nenv = [\"A=b\"]\nmulti_image_archive = true";
        let engine = ContainersConf::parse(engine, "e").unwrap().engine;
        assert_eq!(
            (engine.environment, engine.multi_image_archive),
            (Some(vec!["A=b".to_owned()]), Some(true))
        );
        let pods =
            "[engine]\ninfra_image = \"i\"\ninfra_command = \"\"\npod_exit_policy = \"stop\"";
        let pods = ContainersConf::parse(pods, "p").unwrap().engine;
        assert_eq!(
            (pods.infra_image.as_deref(), pods.infra_command, pods.pod_exit_policy.as_deref()),
            (Some("i"), None, Some("stop"))
        );
        let both = "[engine]\ninit_path = \"/b\"\n[containers]\ninit_path = \"/a\"";
        let inits = [both, "[engine]\ninit_path = \"/b\"", "[containers]\ninit_path = \"/a\""];
        let inits = inits.map(|text| ContainersConf::parse(text, "d").unwrap().engine.init);
        assert_eq!(inits, ["/a", "/b", "/a"].map(|path| Some(PathBuf::from(path))));
        let EngineConf { events_logger, events_file, events_file_size, .. } = conf.engine;
        assert_eq!(
            (events_logger.as_deref(), events_file_size.as_deref()),
            (Some("none"), Some("2m"))
        );
        assert_eq!(events_file.as_deref(), Some(std::path::Path::new("/e")));
        let first = "[engine]\ncompression_format = \"zstd\"\ncompression_level = 5\nadd_compression = [\"gzip\"]";
        let later = "[engine]\ncompression_format = \"\"\nadd_compression = []";
        let mut conf = ContainersConf::parse(first, "a").unwrap();
        conf.merge(ContainersConf::parse(later, "b").unwrap());
        let expected = CompressionConf {
            format: Some("zstd".to_owned()),
            level: Some(5),
            added: Some(Vec::new()),
        };
        assert_eq!(conf.engine.compression, expected);
        let first = "[containers]\nuserns = \"auto\"\nhost_containers_internal_ip = \"10.1.2.3\"\n[engine]\nvolume_path = \"/v\"\nruntime = \"runc\"\ndetach_keys = \"\"\nhooks_dir = [\"/h\", \"/i\"]\ncdi_spec_dirs = [\"/c\"]\n\
                     [engine.runtimes]\nrunc = [\"/a\", \"/b\"]\nkata = [\"/k\"]";
        let later = "[engine]\nruntime = \"\"\ncgroup_manager = \"cgroupfs\"\npull_policy = \"newer\"\n[engine.runtimes]\nrunc = [\"/c\"]";
        let mut conf = ContainersConf::parse(first, "a").unwrap();
        conf.merge(ContainersConf::parse(later, "b").unwrap());
        assert_eq!(conf.modes.users.as_deref(), Some("auto"));
        assert_eq!(conf.host_address.as_deref(), Some("10.1.2.3"));
        assert_eq!(conf.engine.volume_path.as_deref(), Some(std::path::Path::new("/v")));
        assert_eq!(conf.engine.cgroup_manager.as_deref(), Some("cgroupfs"));
        let EngineConf {
            cdi_directories, detach_keys, hooks, pull_policy, runtime, runtimes, ..
        } = conf.engine;
        assert_eq!(cdi_directories, Some(vec![PathBuf::from("/c")]));
        assert_eq!(hooks, Some(["/h", "/i"].map(PathBuf::from).to_vec()));
        assert_eq!(
            [detach_keys, pull_policy, runtime].map(Option::unwrap_or_default),
            ["", "newer", "runc"]
        );
        let runtimes: Vec<_> =
            runtimes.into_iter().map(|(name, paths)| (name, paths.len())).collect();
        assert_eq!(runtimes, [("kata".to_owned(), 1), ("runc".to_owned(), 1)]);
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
