//! One requirement.

use cask_json::{Kind, Value, quoted_as_go};

use super::fields::{Fields, fault, string, wrong_type};
use super::identity::signed_identity;
use super::path::Path;
use crate::error::{Fault, PolicyErrorKind};
use crate::requirement::{
    Fulcio, KeySource, KeyType, Pki, Requirement, SignedBaseLayer, SignedBy, SignedIdentity,
    SigstoreKeys, SigstoreSigned, SigstoreSigner,
};

/// Reads a requirement of any type.
pub(super) fn requirement(value: Value<'_>, at: &Path<'_>) -> Result<Requirement, Fault> {
    match type_name(value, at)? {
        "insecureAcceptAnything" => {
            Fields::read(value, at, &["type"])?;
            Ok(Requirement::InsecureAcceptAnything)
        }
        "reject" => {
            Fields::read(value, at, &["type"])?;
            Ok(Requirement::Reject)
        }
        "signedBy" => signed_by(value, at).map(Requirement::SignedBy),
        "signedBaseLayer" => signed_base_layer(value, at).map(Requirement::SignedBaseLayer),
        "sigstoreSigned" => sigstore_signed(value, at).map(Requirement::SigstoreSigned),
        other => Err(fault(
            PolicyErrorKind::InvalidValue,
            value,
            at,
            format!(
                "Unknown policy requirement type {}; known are insecureAcceptAnything, reject, \
                 signedBy, sigstoreSigned and signedBaseLayer",
                quoted_as_go(other)
            ),
        )),
    }
}

/// The `type` of an object that is not checked yet; empty if it has none.
///
/// Looks at keys in any case, and at the last of several, as Go does: the strict reader that
/// follows then names the key that is wrong.
pub(super) fn type_name<'v>(value: Value<'v>, at: &Path<'_>) -> Result<&'v str, Fault> {
    let entries = match value.kind() {
        Kind::Object(entries) => entries,
        Kind::Null => return Ok(""),
        _ => return Err(wrong_type(value, at, "an object with a type")),
    };
    let types = entries.filter(|entry| entry.key().eq_ignore_ascii_case("type"));
    let mut name = "";
    for entry in types.filter(|entry| !entry.value().is_null()) {
        name = string(entry.value(), &at.key(entry.key()))?;
    }
    Ok(name)
}

fn signed_by(value: Value<'_>, at: &Path<'_>) -> Result<SignedBy, Fault> {
    let known = ["type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"];
    let fields = Fields::read(value, at, &known)?;
    let key_type = key_type(&fields)?;
    let signed_identity = optional_identity(&fields)?;
    let sources = [
        fields.file("keyPath")?.map(|key| vec![key]),
        fields.files("keyPaths")?,
        fields.data("keyData")?.map(|key| vec![key]),
    ];
    let [keys] = <[_; 1]>::try_from(sources.into_iter().flatten().collect::<Vec<_>>()).map_err(
        |sources| {
            let found = if sources.is_empty() { "none of them" } else { "more than one" };
            let rule = "Exactly one of keyPath, keyPaths and keyData must be specified";
            fields.combination(format!("{rule}, {found} present"))
        },
    )?;
    Ok(SignedBy { key_type, keys, signed_identity })
}

fn key_type(fields: &Fields<'_>) -> Result<KeyType, Fault> {
    const KNOWN: &str = "known are GPGKeys, signedByGPGKeys, X509Certificates and signedByX509CAs";
    let Some(value) = fields.optional("keyType") else {
        return Err(fields.combination(format!("invalid keyType \"\": it is missing; {KNOWN}")));
    };
    match string(value, &fields.at("keyType"))? {
        "GPGKeys" => Ok(KeyType::GpgKeys),
        "signedByGPGKeys" => Ok(KeyType::SignedByGpgKeys),
        "X509Certificates" => Ok(KeyType::X509Certificates),
        "signedByX509CAs" => Ok(KeyType::SignedByX509Cas),
        other => {
            let message = format!("Unrecognized keyType value {}; {KNOWN}", quoted_as_go(other));
            Err(fields.invalid("keyType", value, message))
        }
    }
}

fn optional_identity(fields: &Fields<'_>) -> Result<SignedIdentity, Fault> {
    match fields.optional("signedIdentity") {
        Some(value) => signed_identity(value, &fields.at("signedIdentity")),
        None => Ok(SignedIdentity::default()),
    }
}

fn signed_base_layer(value: Value<'_>, at: &Path<'_>) -> Result<SignedBaseLayer, Fault> {
    let fields = Fields::read(value, at, &["type", "baseLayerIdentity"])?;
    let identity = fields.required("baseLayerIdentity")?;
    let base_layer_identity = signed_identity(identity, &fields.at("baseLayerIdentity"))?;
    Ok(SignedBaseLayer { base_layer_identity })
}

const SIGSTORE_KEYS: [&str; 12] = [
    "type",
    "keyPath",
    "keyPaths",
    "keyData",
    "keyDatas",
    "fulcio",
    "pki",
    "rekorPublicKeyPath",
    "rekorPublicKeyPaths",
    "rekorPublicKeyData",
    "rekorPublicKeyDatas",
    "signedIdentity",
];

fn sigstore_signed(value: Value<'_>, at: &Path<'_>) -> Result<SigstoreSigned, Fault> {
    let fields = Fields::read(value, at, &SIGSTORE_KEYS)?;
    let signed_identity = optional_identity(&fields)?;
    let keys = keys(&fields, ["keyPath", "keyPaths", "keyData", "keyDatas"])?;
    let fulcio = fields.optional("fulcio");
    let pki = fields.optional("pki");
    if keys.len() + usize::from(fulcio.is_some()) + usize::from(pki.is_some()) != 1 {
        return Err(fields.combination(
            "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified",
        ));
    }
    let rekor_keys = rekor_keys(&fields)?;
    let signer = if let Some(fulcio) = fulcio {
        let rekor_keys = rekor_keys.ok_or_else(|| {
            fields.combination(
                "At least one of rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData and \
                 rekorPublicKeyDatas must be specified if fulcio is used",
            )
        })?;
        SigstoreSigner::Fulcio(self::fulcio(fulcio, &fields.at("fulcio"), rekor_keys)?)
    } else if let Some(pki) = pki {
        if rekor_keys.is_some() {
            return Err(fields.combination(
                "rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData and \
                 rekorPublicKeyDatas are not supported for pki",
            ));
        }
        SigstoreSigner::Pki(self::pki(pki, &fields.at("pki"))?)
    } else {
        let keys = keys.into_iter().flatten().collect();
        SigstoreSigner::Keys(SigstoreKeys { keys, rekor_keys: rekor_keys.unwrap_or_default() })
    };
    Ok(SigstoreSigned { signer, signed_identity })
}

/// The keys at each of four names that is there: a path, paths, data, and several data.
fn keys(fields: &Fields<'_>, names: [&str; 4]) -> Result<Vec<Vec<KeySource>>, Fault> {
    let sources = [
        fields.file(names[0])?.map(|key| vec![key]),
        fields.files(names[1])?,
        fields.data(names[2])?.map(|key| vec![key]),
        fields.datas(names[3])?,
    ];
    for (name, source) in names.into_iter().zip(&sources) {
        if source.as_ref().is_some_and(Vec::is_empty) {
            let value = fields.required(name)?;
            return Err(fields.invalid(name, value, format!("\"{name}\" contains no entries")));
        }
    }
    Ok(sources.into_iter().flatten().collect())
}

fn rekor_keys(fields: &Fields<'_>) -> Result<Option<Vec<KeySource>>, Fault> {
    let names =
        ["rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"];
    let mut sources = keys(fields, names)?;
    if sources.len() > 1 {
        return Err(fields.combination(
            "at most one of rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData and \
             rekorPublicKeyDatas can be used simultaneously",
        ));
    }
    Ok(sources.pop())
}

fn fulcio(value: Value<'_>, at: &Path<'_>, rekor_keys: Vec<KeySource>) -> Result<Fulcio, Fault> {
    let fields = Fields::read(value, at, &["caPath", "caData", "oidcIssuer", "subjectEmail"])?;
    let missing = |key: &str| fields.combination(format!("{key} not specified"));
    Ok(Fulcio {
        authorities: one_source(&fields, "caPath", "caData")?,
        oidc_issuer: fields.text("oidcIssuer")?.ok_or_else(|| missing("oidcIssuer"))?,
        subject_email: fields.text("subjectEmail")?.ok_or_else(|| missing("subjectEmail"))?,
        rekor_keys,
    })
}

fn pki(value: Value<'_>, at: &Path<'_>) -> Result<Pki, Fault> {
    let known = [
        "caRootsPath",
        "caRootsData",
        "caIntermediatesPath",
        "caIntermediatesData",
        "subjectEmail",
        "subjectHostname",
    ];
    let fields = Fields::read(value, at, &known)?;
    let pki = Pki {
        roots: one_source(&fields, "caRootsPath", "caRootsData")?,
        intermediates: source(&fields, "caIntermediatesPath", "caIntermediatesData")?,
        subject_email: fields.text("subjectEmail")?,
        subject_hostname: fields.text("subjectHostname")?,
    };
    if pki.subject_email.is_none() && pki.subject_hostname.is_none() {
        return Err(
            fields.combination("At least one of subjectEmail, subjectHostname must be specified")
        );
    }
    Ok(pki)
}

/// The file or the data, of which exactly one must be there.
fn one_source(fields: &Fields<'_>, path: &str, data: &str) -> Result<KeySource, Fault> {
    source(fields, path, data)?.ok_or_else(|| {
        fields.combination(format!("At least one of {path} and {data} must be specified"))
    })
}

/// The file or the data, of which at most one may be there.
fn source(fields: &Fields<'_>, path: &str, data: &str) -> Result<Option<KeySource>, Fault> {
    match (fields.file(path)?, fields.data(data)?) {
        (Some(_), Some(_)) => {
            Err(fields.combination(format!("{path} and {data} cannot be used simultaneously")))
        }
        (file, data) => Ok(file.or(data)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::document::read;

    fn parse(text: &str) -> Result<Requirement, Fault> {
        requirement(read(text.as_bytes()).unwrap().root(), &Path::Root)
    }

    fn file(path: &str) -> KeySource {
        KeySource::File(path.into())
    }

    fn data(data: &str) -> KeySource {
        KeySource::Data(data.into())
    }

    #[test]
    fn signed_by_keeps_every_field() {
        #[track_caller]
        fn check(text: &str, key_type: KeyType, keys: Vec<KeySource>, identity: SignedIdentity) {
            let expected = SignedBy { key_type, keys, signed_identity: identity };
            assert_eq!(parse(text).unwrap(), Requirement::SignedBy(expected));
        }
        check(
            r#"{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}"#,
            KeyType::GpgKeys,
            vec![file("/k")],
            SignedIdentity::MatchRepoDigestOrExact,
        );
        check(
            r#"{"type":"signedBy","keyType":"signedByGPGKeys","keyPaths":["/k","/l"],
                "signedIdentity":{"type":"matchExact"}}"#,
            KeyType::SignedByGpgKeys,
            vec![file("/k"), file("/l")],
            SignedIdentity::MatchExact,
        );
        check(
            r#"{"type":"signedBy","keyType":"X509Certificates","keyData":"bm9uc2Vuc2U=",
                "signedIdentity":{"type":"matchRepository"}}"#,
            KeyType::X509Certificates,
            vec![data("nonsense")],
            SignedIdentity::MatchRepository,
        );
        check(
            r#"{"type":"signedBy","keyType":"signedByX509CAs","keyPaths":[],
                "signedIdentity":{"type":"remapIdentity","prefix":"a.b:1","signedPrefix":"c/d"}}"#,
            KeyType::SignedByX509Cas,
            vec![],
            SignedIdentity::RemapIdentity { prefix: "a.b:1".into(), signed_prefix: "c/d".into() },
        );
    }

    #[test]
    fn identities_keep_their_references() {
        let text = |identity: &str| {
            format!(r#"{{"type":"signedBaseLayer","baseLayerIdentity":{identity}}}"#)
        };
        let parse = |identity: &str| match parse(&text(identity)).unwrap() {
            Requirement::SignedBaseLayer(base) => base.base_layer_identity,
            other => panic!("{other:?}"),
        };
        let exact = parse(r#"{"type":"exactReference","dockerReference":"busybox:1"}"#);
        let SignedIdentity::ExactReference(reference) = exact else { panic!("{exact:?}") };
        assert_eq!(reference.to_string(), "docker.io/library/busybox:1");
        let exact = parse(r#"{"type":"exactRepository","dockerRepository":"a.b/c"}"#);
        let SignedIdentity::ExactRepository(reference) = exact else { panic!("{exact:?}") };
        assert_eq!(reference.to_string(), "a.b/c");
    }

    #[test]
    fn sigstore_signed_keeps_every_field() {
        #[track_caller]
        fn check(fields: &str, signer: SigstoreSigner) {
            let signed_identity = SignedIdentity::default();
            let expected = SigstoreSigned { signer, signed_identity };
            let text = format!(r#"{{"type":"sigstoreSigned",{fields}}}"#);
            assert_eq!(parse(&text).unwrap(), Requirement::SigstoreSigned(expected));
        }
        let keys = |keys, rekor_keys| SigstoreSigner::Keys(SigstoreKeys { keys, rekor_keys });
        check(r#""keyPath":"/k""#, keys(vec![file("/k")], vec![]));
        check(r#""keyPaths":["/k","/l"]"#, keys(vec![file("/k"), file("/l")], vec![]));
        check(r#""keyData":"YQ==""#, keys(vec![data("a")], vec![]));
        check(r#""keyDatas":["YQ==","Yg=="]"#, keys(vec![data("a"), data("b")], vec![]));
        let rekor = |fields: &str, rekor_keys| {
            check(&format!(r#""keyPath":"/k",{fields}"#), keys(vec![file("/k")], rekor_keys));
        };
        rekor(r#""rekorPublicKeyPath":"/r""#, vec![file("/r")]);
        rekor(r#""rekorPublicKeyPaths":["/r"]"#, vec![file("/r")]);
        rekor(r#""rekorPublicKeyData":"YQ==""#, vec![data("a")]);
        rekor(r#""rekorPublicKeyDatas":["YQ==","Yg=="]"#, vec![data("a"), data("b")]);
        check(
            r#""fulcio":{"caData":"YQ==","oidcIssuer":"https://i","subjectEmail":"a@b"},
               "rekorPublicKeyPath":"/r""#,
            SigstoreSigner::Fulcio(Fulcio {
                authorities: data("a"),
                oidc_issuer: "https://i".into(),
                subject_email: "a@b".into(),
                rekor_keys: vec![file("/r")],
            }),
        );
        check(
            r#""pki":{"caRootsPath":"/c","caIntermediatesData":"YQ==","subjectHostname":"h"}"#,
            SigstoreSigner::Pki(Pki {
                roots: file("/c"),
                intermediates: Some(data("a")),
                subject_email: None,
                subject_hostname: Some("h".into()),
            }),
        );
        check(
            r#""pki":{"caRootsData":"YQ==","caIntermediatesPath":"/i","subjectEmail":"a@b"}"#,
            SigstoreSigner::Pki(Pki {
                roots: data("a"),
                intermediates: Some(file("/i")),
                subject_email: Some("a@b".into()),
                subject_hostname: None,
            }),
        );
    }

    /// Source: containers/image, `newPRSigstoreSigned` and what it calls.
    #[test]
    fn sigstore_signed_refuses_what_does_not_belong_together() {
        #[track_caller]
        fn check(fields: &str, expected: &str) {
            let text = format!(r#"{{"type":"sigstoreSigned",{fields}}}"#);
            let error = parse(&text).unwrap_err();
            assert!(error.message.starts_with(expected), "{}", error.message);
        }
        let one = "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be";
        let fulcio = r#""fulcio":{"caPath":"/c","oidcIssuer":"i","subjectEmail":"a@b"}"#;
        let pki = r#""pki":{"caRootsPath":"/c","subjectEmail":"a@b"}"#;
        let rekor = r#""rekorPublicKeyPath":"/r""#;
        check(rekor, one);
        check(r#""keyPath":"/k","keyPaths":["/k"]"#, one);
        check(r#""keyData":"YQ==","keyDatas":["YQ=="]"#, one);
        check(&format!(r#""keyPath":"/k",{pki}"#), one);
        check(&format!("{pki},{fulcio},{rekor}"), one);
        check(r#""keyPaths":[]"#, r#""keyPaths" contains no entries"#);
        check(r#""keyDatas":[]"#, r#""keyDatas" contains no entries"#);
        check(r#""keyPaths":[""]"#, "a path must not be empty");
        check(
            r#""keyPath":"/k","rekorPublicKeyDatas":[]"#,
            r#""rekorPublicKeyDatas" contains no entries"#,
        );
        check(
            &format!(r#""keyPath":"/k",{rekor},"rekorPublicKeyData":"YQ==""#),
            "at most one of rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData and",
        );
        check(fulcio, "At least one of rekorPublicKeyPath, rekorPublicKeyPaths,");
        check(
            &format!("{pki},{rekor}"),
            "rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData and rekorPublicKeyDatas are \
             not supported for pki",
        );
        let fulcio = |fields: &str, expected| {
            check(&format!(r#""fulcio":{{{fields}}},{rekor}"#), expected);
        };
        fulcio("", "At least one of caPath and caData must be specified");
        fulcio(
            r#""caPath":"/c","caData":"YQ==""#,
            "caPath and caData cannot be used simultaneously",
        );
        fulcio(r#""caPath":"/c","subjectEmail":"a@b""#, "oidcIssuer not specified");
        fulcio(r#""caPath":"/c","oidcIssuer":"i""#, "subjectEmail not specified");
        fulcio(r#""caPath":"/c","oidcIssuer":"""#, "oidcIssuer must not be empty");
        fulcio(r#""issuer":"i""#, r#"Unknown key "issuer"; known here: caPath, caData,"#);
        check(&format!(r#""fulcio":null,{rekor}"#), "JSON object expected, got null");
        let pki = |fields: &str, expected| check(&format!(r#""pki":{{{fields}}}"#), expected);
        pki("", "At least one of caRootsPath and caRootsData must be specified");
        pki(
            r#""caRootsPath":"/c","caRootsData":"YQ==""#,
            "caRootsPath and caRootsData cannot be used simultaneously",
        );
        pki(
            r#""caRootsPath":"/c","caIntermediatesPath":"/i","caIntermediatesData":"YQ==""#,
            "caIntermediatesPath and caIntermediatesData cannot be used simultaneously",
        );
        pki(
            r#""caRootsPath":"/c""#,
            "At least one of subjectEmail, subjectHostname must be specified",
        );
        pki(r#""subjectEmail":1"#, "At least one of caRootsPath");
    }
}
