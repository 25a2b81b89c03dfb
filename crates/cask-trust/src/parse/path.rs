//! Where in the document the parser is.

use std::fmt;

use cask_json::quoted_as_go;

/// A path through the document, as a list that grows on the stack.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(crate) const fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    pub(crate) const fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

/// `transports.docker["example.com/a"][0].type`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) if is_plain(key) => match parent {
                Self::Root => f.write_str(key),
                _ => write!(f, "{parent}.{key}"),
            },
            Self::Key(parent, key) => write!(f, "{parent}[{}]", quoted_as_go(key)),
        }
    }
}

fn is_plain(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !key.is_empty() && key.len() <= 40 && key.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_one_would_write_them() {
        let transports = Path::Root.key("transports");
        let docker = transports.key("docker-archive");
        let scope = docker.key("a/\"b");
        let requirement = scope.index(3);
        assert_eq!(
            requirement.key("type").to_string(),
            r#"transports.docker-archive["a/\"b"][3].type"#
        );
        assert_eq!(docker.key("").to_string(), r#"transports.docker-archive[""]"#);
        assert_eq!(Path::Root.key("a b").to_string(), r#"["a b"]"#);
    }
}
