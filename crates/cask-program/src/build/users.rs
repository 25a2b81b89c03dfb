//! Users that commands have for themselves: `--userns` and who they are on this machine.

use std::path::Path;

use anyhow::{Context, Result, bail};
use cask_build::WorkingUsers;
use cask_runtime::IdRange;
use cask_storage::OwnIds;
use clap::Args;

/// Users that commands have for themselves.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What commands get")]
pub struct UsersArguments {
    /// Their users: host, which are those of this program, private, auto[:OPTIONS] or ns:PATH [default: private with a map, else host]
    #[arg(long, value_name = "NAMESPACE")]
    userns: Option<String>,
    /// Who users inside are outside
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT", value_delimiter = ',')]
    userns_uid_map: Vec<String>,
    /// Who groups inside are outside
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT", value_delimiter = ',')]
    userns_gid_map: Vec<String>,
    /// Users are those that /etc/subuid gives to this name
    #[arg(long, value_name = "NAME")]
    userns_uid_map_user: Option<String>,
    /// Groups are those that /etc/subgid gives to this name
    #[arg(long, value_name = "NAME")]
    userns_gid_map_group: Option<String>,
}

impl UsersArguments {
    /// What the flags say.
    ///
    /// # Errors
    /// For what makes no sense, and what does not go together.
    ///
    /// Source: buildah 1.28, `pkg/parse`, `IDMappingOptionsFromFlagSet`; its words.
    pub fn users(&self) -> Result<WorkingUsers> {
        let (user, group) = (&self.userns_uid_map_user, &self.userns_gid_map_group);
        let (mut uids, mut gids) = (Vec::new(), Vec::new());
        if let Some(either) = user.as_ref().or(group.as_ref()) {
            uids = subordinate(user.as_ref().unwrap_or(either), "subuid")?;
            gids = subordinate(group.as_ref().unwrap_or(either), "subgid")?;
        }
        uids.extend(ranges(&self.userns_uid_map, "userns-uid-map")?);
        gids.extend(ranges(&self.userns_gid_map, "userns-gid-map")?);
        if self.userns_uid_map.is_empty() && !self.userns_gid_map.is_empty() {
            bail!("option --userns-gid-map can not be used without --userns-uid-map");
        }
        let mut users = WorkingUsers::mapped(uids, gids);
        match self.userns.as_deref() {
            None => {}
            Some("" | "container" | "private") => users.are_own = true,
            Some("host") if users.are_mapped() => {
                bail!("can not specify ID mappings while using host's user namespace")
            }
            Some("host") => {}
            Some(other) if users.are_mapped() => bail!(
                "--userns={other} says who users are: leave out --userns-uid-map and its like, or say --userns=auto:uidmapping=INSIDE:OUTSIDE:COUNT"
            ),
            Some(other) => users = special(other).context("parsing ID mapping options")?,
        }
        Ok(users)
    }
}

/// Users that are chosen, and those of a namespace that is there.
fn special(mode: &str) -> Result<WorkingUsers> {
    if let Some(rest) = mode.strip_prefix("auto") {
        return match rest.strip_prefix(':').or(rest.is_empty().then_some(rest)) {
            Some(options) => Ok(WorkingUsers::chosen(options.parse::<OwnIds>()?)),
            None => bail!("wrong user namespace mode"),
        };
    }
    let path = mode.strip_prefix("ns:").unwrap_or(mode);
    Ok(WorkingUsers::of_namespace(Path::new(path))?)
}

/// Source: containers/storage, `pkg/idtools`, `ParseIDMap`; its words.
fn ranges(given: &[String], flag: &str) -> Result<Vec<IdRange>> {
    let one = |text: &String| {
        let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[inside, outside, count]) => Ok(IdRange { inside, outside, count }),
            _ => {
                let shown: Vec<String> = given.iter().map(|text| format!("{text:?}")).collect();
                bail!(
                    "initializing ID mappings: {flag} setting is malformed expected [\"uint32:uint32:uint32\"]: [{}]",
                    shown.join(" ")
                )
            }
        }
    };
    given.iter().map(one).collect()
}

/// The ranges that a file of subordinate IDs gives a name.
fn subordinate(name: &str, file: &str) -> Result<Vec<IdRange>> {
    let path = std::path::Path::new("/etc").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let found = IdRange::subordinate(name, &text);
    if found.is_empty() {
        bail!("no {file} ranges found for user {name:?} in {}", path.display());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(change: impl FnOnce(&mut UsersArguments)) -> String {
        let mut arguments = UsersArguments::default();
        change(&mut arguments);
        let shown = |ranges: &[IdRange]| {
            let one = |it: &IdRange| format!("{}:{}:{}", it.inside, it.outside, it.count);
            ranges.iter().map(one).collect::<Vec<_>>().join(",")
        };
        match arguments.users() {
            Ok(users) => format!("{} {} {}", users.are_own, shown(&users.uids), shown(&users.gids)),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn users_are_the_machine_s_or_mapped() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(users(|_| {}), "false  ");
        assert_eq!(users(|it| it.userns = Some("host".to_owned())), "false  ");
        assert_eq!(users(|it| it.userns = Some("private".to_owned())), "true  ");
        let mapped = users(|it| it.userns_uid_map = texts(&["0:100:5", "5:7:1"]));
        assert_eq!(mapped, "true 0:100:5,5:7:1 0:100:5,5:7:1");
        let both = users(|it| {
            it.userns_uid_map = texts(&["0:100:5"]);
            it.userns_gid_map = texts(&["0:200:5", "5:7:1"]);
        });
        assert_eq!(both, "true 0:100:5 0:200:5,5:7:1");
        let wrong = users(|it| it.userns_gid_map = texts(&["0:1"]));
        assert_eq!(
            wrong,
            "initializing ID mappings: userns-gid-map setting is malformed expected [\"uint32:uint32:uint32\"]: [\"0:1\"]"
        );
        let alone = users(|it| it.userns_gid_map = texts(&["0:1:2"]));
        assert_eq!(alone, "option --userns-gid-map can not be used without --userns-uid-map");
        let against = users(|it| {
            it.userns = Some("host".to_owned());
            it.userns_uid_map = texts(&["0:100:5"]);
        });
        assert!(against.starts_with("can not specify ID mappings"), "{against}");
    }

    #[test]
    fn users_are_chosen_or_those_of_a_namespace() {
        let of = |mode: &str| {
            let arguments =
                UsersArguments { userns: Some(mode.to_owned()), ..UsersArguments::default() };
            arguments.users().map_err(|error| format!("{error:#}"))
        };
        let chosen = of("auto").unwrap();
        assert!(chosen.are_own && chosen.are_mapped());
        assert_eq!(of("auto:size=7").unwrap().chosen.unwrap().size, Some(7));
        assert!(!of("ns:/proc/self/ns/user").unwrap().are_own);
        for (mode, words) in [
            ("automatic", "wrong user namespace mode"),
            ("auto:x=1", "unknown option specified: \"x\""),
            ("ns:/nowhere", "checking user namespace: stat /nowhere"),
            ("nowhere", "checking user namespace: stat nowhere"),
        ] {
            let error = of(mode).unwrap_err();
            assert!(
                error.starts_with("parsing ID mapping options") && error.contains(words),
                "{error}"
            );
        }
        let both = users(|it| {
            it.userns = Some("auto".to_owned());
            it.userns_uid_map = vec!["0:100:5".to_owned()];
        });
        assert!(both.starts_with("--userns=auto says who users are"), "{both}");
    }
}
