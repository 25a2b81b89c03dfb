//! Where it is told what is done to containers, images, volumes and networks.

use anyhow::{Result, anyhow, bail};
use cask_engine::{EventLog, Journal, parse_decimal_bytes};

use crate::containers_conf::{self, EngineConf};
use crate::settings::Settings;

/// What the program was told, or else the files.
///
/// # Errors
/// Those of the files; for a place or a size that is none.
pub fn log(settings: &Settings) -> Result<EventLog> {
    chosen(settings.events_backend.as_deref(), &containers_conf::load()?.engine)
}

fn chosen(given: Option<&str>, conf: &EngineConf) -> Result<EventLog> {
    let wanted = given.or(conf.events_logger.as_deref()).unwrap_or("file").to_ascii_lowercase();
    Ok(match wanted.as_str() {
        "none" => EventLog::None,
        "journald" => EventLog::Journal(Journal::default()),
        "file" => {
            let EventLog::File { path, most_bytes } = EventLog::default() else {
                return Ok(EventLog::default());
            };
            let most_bytes = match conf.events_file_size.as_deref() {
                None | Some("") => most_bytes,
                Some(text) => parse_decimal_bytes(text).ok_or_else(|| {
                    anyhow!("events_logfile_max_size {text:?} of containers.conf: it is no size; write one like 1m")
                })?,
            };
            EventLog::File { path: conf.events_file.clone().or(path), most_bytes }
        }
        other => bail!("unknown event logger type: {other}: file, journald and none are known"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_goes_before_the_files() {
        let conf = |text: &str| {
            let text = format!("[engine]\n{text}");
            containers_conf::ContainersConf::parse(&text, "f").unwrap().engine
        };
        assert_eq!(chosen(None, &conf("")).unwrap(), EventLog::default());
        let none = "events_logger = \"None\"";
        assert_eq!(chosen(None, &conf(none)).unwrap(), EventLog::None);
        assert_eq!(chosen(Some("journald"), &conf(none)).unwrap().name(), "journald");
        let file = conf("events_logfile_path = \"/e\"\nevents_logfile_max_size = \"2k\"");
        let EventLog::File { path, most_bytes } = chosen(Some("file"), &file).unwrap() else {
            panic!("it is no file");
        };
        assert_eq!((path.as_deref(), most_bytes), (Some(std::path::Path::new("/e")), 2000));
        let error = chosen(Some("syslog"), &conf("")).unwrap_err();
        assert!(error.to_string().starts_with("unknown event logger type: syslog"), "{error}");
        assert!(chosen(None, &conf("events_logfile_max_size = \"many\"")).is_err());
    }
}
