//! What holds for every document.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::time::{Duration, Instant};

use cask_image::{
    Algorithm, Descriptor, ExecutionConfig, Hasher, Healthcheck, HistoryEntry, ImageConfig,
    ImageFormat, ImageManifest, Index, Manifest, ManifestErrorKind, MediaType, Platform,
    PlatformWanted, RawManifest, Schema1Blob, Timestamp, choose_instance, validate_config,
    validate_descriptor, validate_index, validate_layout, validate_manifest,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

const TYPES: [MediaType; 6] = [
    MediaType::OciManifest,
    MediaType::OciIndex,
    MediaType::DockerManifest,
    MediaType::DockerManifestList,
    MediaType::DockerSchema1,
    MediaType::DockerSchema1Signed,
];

/// Documents of every kind to start from.
const SEEDS: [&[u8]; 8] = [
    include_bytes!("recordings/oci/manifest.json"),
    include_bytes!("recordings/buildah/manifest.json"),
    include_bytes!("recordings/list/manifest.json"),
    include_bytes!("recordings/list/to-oci.manifest.json"),
    include_bytes!("recordings/schema1-history/manifest.json"),
    include_bytes!("recordings/schema1-old/manifest.json"),
    include_bytes!("recordings/buildah/config"),
    include_bytes!("recordings/text/config"),
];

/// Puts a document through everything that takes bytes.
fn try_everything(bytes: &[u8]) {
    for media_type in TYPES {
        let raw = RawManifest::new(bytes.to_vec(), media_type);
        match raw.parse() {
            Ok(manifest) => try_manifest(&manifest),
            Err(error) => assert!(error.offset() <= bytes.len(), "{error}"),
        }
    }
    if let Ok(config) = ImageConfig::parse(bytes.to_vec()) {
        assert_eq!(config.encode(), bytes);
        let mut changed = config.clone();
        changed.author.push('x');
        changed.config.env.push("A=1".into());
        changed.history.push(HistoryEntry::default());
        let encoded = changed.encode();
        let again = ImageConfig::parse(encoded.clone()).expect("what is written can be read");
        assert!(again.says_the_same(&changed), "{}", String::from_utf8_lossy(&encoded));
        // What OCI's struct holds survives, and does not change any more.
        let mut docker = docker_image();
        docker.config.digest = Hasher::digest(Algorithm::Sha256, bytes);
        docker.config.size = bytes.len() as u64;
        let oci = docker.to_oci(bytes).expect("it was parsed").config.unwrap();
        docker.config.digest = Hasher::digest(Algorithm::Sha256, &oci);
        docker.config.size = oci.len() as u64;
        let again = docker.to_oci(&oci).unwrap();
        assert_eq!((again.config.unwrap(), again.losses), (oci, Vec::new()));
    }
    let _ = MediaType::of_manifest(bytes);
    for validate in
        [validate_manifest, validate_index, validate_config, validate_descriptor, validate_layout]
    {
        let _ = validate(bytes);
    }
}

fn docker_image() -> ImageManifest {
    let config =
        Descriptor::new(MediaType::DockerConfig, Hasher::digest(Algorithm::Sha256, b""), 0);
    ImageManifest::new(ImageFormat::Docker, config, Vec::new())
}

fn try_manifest(manifest: &Manifest) {
    match manifest {
        Manifest::Image(image) => {
            let _ = image.to_docker();
            let again = image.encode().parse().expect("what is written can be read");
            let again = match again {
                Manifest::Image(image) => image.encode(),
                other => panic!("{other:?}"),
            };
            assert_eq!(again, image.encode());
        }
        Manifest::Index(index) => {
            let _ = (index.to_oci(), index.to_docker(None));
            let _ = choose_instance(index, &PlatformWanted::new("linux", "amd64"));
            index.encode().parse().expect("what is written can be read");
        }
        Manifest::Schema1(schema1) => {
            let layers = schema1.layers.iter().filter(|layer| !layer.is_empty);
            let blob = |layer: &cask_image::Schema1Layer| Schema1Blob {
                size: 1,
                diff_id: layer.digest.clone(),
            };
            let blobs: Vec<Schema1Blob> = layers.map(blob).collect();
            if let Ok(converted) = schema1.to_docker(&blobs) {
                ImageConfig::parse(converted.config.unwrap()).expect("what is written can be read");
            }
            let _ = schema1.to_oci(&blobs);
        }
        other => panic!("{other:?}"),
    }
}

/// One change to a document: where (as a fraction), how many bytes go, and what comes.
fn mutations() -> impl Strategy<Value = (usize, Vec<(f64, usize, Vec<u8>)>)> {
    let token = prop_oneof![
        4 => vec(any::<u8>(), 0..3),
        1 => Just(b"null".to_vec()),
        1 => Just(b"[]".to_vec()),
        1 => Just(b"{}".to_vec()),
        1 => Just(b"-1".to_vec()),
        1 => Just(b"9223372036854775808".to_vec()),
        1 => Just(b"\"\"".to_vec()),
        1 => Just(b"\"manifests\":[],".to_vec()),
        1 => Just(b"\"Layers\":[],".to_vec()),
        1 => Just(b"\\ud800".to_vec()),
        1 => Just(b"\xff".to_vec()),
        1 => Just(b"[[[[[[[[".to_vec()),
        1 => Just(b"../".to_vec()),
    ];
    (0..SEEDS.len(), vec((0.0..1.0, 0_usize..12, token), 1..4))
}

fn mutated(seed: usize, changes: Vec<(f64, usize, Vec<u8>)>) -> Vec<u8> {
    let mut bytes = SEEDS[seed].to_vec();
    for (place, remove, insert) in changes {
        let start = (bytes.len() as f64 * place) as usize;
        let end = (start + remove).min(bytes.len());
        bytes.splice(start..end, insert);
    }
    bytes
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z/.<>&]{1,6}", 1 => any::<String>()]
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let platform = (text(), text(), option::of("[a-z]{1,3}"), vec(text(), 0..2)).prop_map(
        |(os, architecture, variant, os_features)| Platform {
            variant,
            os_features,
            ..Platform::new(os, architecture)
        },
    );
    let data = option::of(vec(any::<u8>(), 1..20));
    let parts = ("[a-z]{1,5}/[a-z+.]{1,5}", any::<bool>(), data, vec(text(), 0..2));
    let more = (btree_map(text(), text(), 0..3), option::of(platform), option::of("[a-z]/[a-z]"));
    (parts, more).prop_map(|((media_type, long, data, urls), (annotations, platform, artifact))| {
        let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let bytes = data.clone().unwrap_or_default();
        let digest = Hasher::digest(algorithm, &bytes);
        let mut descriptor =
            Descriptor::new(MediaType::from(media_type.as_str()), digest, bytes.len() as u64);
        descriptor.urls = urls;
        descriptor.annotations = annotations;
        descriptor.data = data;
        descriptor.platform = platform;
        descriptor.artifact_type = artifact.map(|text| MediaType::from(text.as_str()));
        descriptor
    })
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-62_167_219_200..=253_402_300_799_i64, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanoseconds)| Timestamp::from_unix(seconds, nanoseconds).unwrap())
}

fn execution() -> impl Strategy<Value = ExecutionConfig> {
    let lists = (vec(text(), 0..3), option::of(vec(text(), 0..3)), option::of(vec(text(), 0..3)));
    let sets = (btree_set(text(), 0..3), btree_set(text(), 0..3), btree_map(text(), text(), 0..3));
    let check = (vec(text(), 0..3), any::<u32>(), 0..=i64::MAX as u64).prop_map(
        |(test, retries, interval)| Healthcheck {
            test,
            retries,
            interval: Duration::from_nanos(interval),
            ..Healthcheck::default()
        },
    );
    (text(), lists, sets, any::<bool>(), option::of(check)).prop_map(
        |(user, (env, cmd, entrypoint), (ports, volumes, labels), escaped, healthcheck)| {
            let mut config = ExecutionConfig::default();
            config.user = user;
            config.env = env;
            config.cmd = cmd;
            config.entrypoint = entrypoint;
            config.exposed_ports = ports;
            config.volumes = volumes;
            config.labels = labels;
            config.args_escaped = escaped;
            config.healthcheck = healthcheck;
            config
        },
    )
}

fn config() -> impl Strategy<Value = ImageConfig> {
    let entry = (option::of(timestamp()), text(), any::<bool>()).prop_map(
        |(created, created_by, empty_layer)| HistoryEntry {
            created,
            created_by,
            empty_layer,
            ..HistoryEntry::default()
        },
    );
    let layer = any::<u8>().prop_map(|byte| Hasher::digest(Algorithm::Sha256, &[byte]));
    let parts = (text(), text(), option::of("[a-z]{1,3}"), option::of(timestamp()));
    (parts, execution(), vec(layer, 0..3), vec(entry, 0..3)).prop_map(
        |((os, architecture, variant, created), execution, diff_ids, history)| {
            let mut config = ImageConfig::new(os, architecture);
            config.variant = variant;
            config.created = created;
            config.config = execution;
            config.diff_ids = diff_ids;
            config.history = history;
            config
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        try_everything(&bytes);
    }

    #[test]
    fn no_almost_json_makes_a_parser_panic(text in r#"([\[\]{}:,"0-9eE.+\-\\u a-z]|null|true|"config"|"layers"){0,60}"#) {
        try_everything(text.as_bytes());
    }

    #[test]
    fn no_damaged_document_makes_a_parser_panic((seed, changes) in mutations()) {
        try_everything(&mutated(seed, changes));
    }

    #[test]
    fn what_is_json_is_decided_as_elsewhere((seed, changes) in mutations()) {
        let bytes = mutated(seed, changes);
        let ours = MediaType::of_manifest(&bytes);
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        match (ours, theirs) {
            (Err(error), Ok(_)) => {
                prop_assert_ne!(error.kind(), ManifestErrorKind::Syntax, "{}", error);
            }
            (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{}", error),
            _ => {}
        }
    }

    #[test]
    fn images_round_trip(
        format in prop_oneof![Just(ImageFormat::Oci), Just(ImageFormat::Docker)],
        config in descriptor(),
        layers in vec(descriptor(), 0..4),
        subject in option::of(descriptor()),
        annotations in btree_map(text(), text(), 0..3),
    ) {
        let mut image = ImageManifest::new(format, config, layers);
        image.subject = subject;
        image.annotations = annotations;
        let raw = image.encode();
        prop_assert!(serde_json::from_slice::<serde_json::Value>(raw.bytes()).is_ok());
        let parsed = match raw.parse() {
            Ok(Manifest::Image(parsed)) => parsed,
            other => panic!("{other:?}"),
        };
        if format == ImageFormat::Oci {
            prop_assert_eq!(&parsed, &image);
        }
        prop_assert_eq!(parsed.encode(), raw);
    }

    #[test]
    fn indexes_round_trip(entries in vec(descriptor(), 0..4), annotations in btree_map(text(), text(), 0..3)) {
        let mut index = Index::new(ImageFormat::Oci, entries);
        index.annotations = annotations;
        prop_assert_eq!(index.encode().parse(), Ok(Manifest::Index(index)));
    }

    #[test]
    fn configs_round_trip_and_change_into_each_other(one in config(), other in config()) {
        let bytes = one.encode();
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        let mut parsed = ImageConfig::parse(bytes.clone()).unwrap();
        prop_assert!(parsed.says_the_same(&one));
        parsed.created = other.created;
        parsed.os = other.os.clone();
        parsed.architecture = other.architecture.clone();
        parsed.variant = other.variant.clone();
        parsed.config = other.config.clone();
        parsed.diff_ids = other.diff_ids.clone();
        parsed.history = other.history.clone();
        let changed = ImageConfig::parse(parsed.encode()).unwrap();
        prop_assert!(changed.says_the_same(&other));
    }

    #[test]
    fn timestamps_round_trip(time in timestamp()) {
        prop_assert_eq!(time.to_string().parse(), Ok(time));
    }

    #[test]
    fn timestamps_never_panic(text in r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,12})?(Z|[+-][0-9]{2}:[0-9]{2})?") {
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}

/// Four mebibytes of whatever is worst.
#[test]
fn hostile_documents_take_linear_time() {
    const SIZE: usize = 4 << 20;
    let fill = |unit: &str, room: usize| unit.repeat((SIZE - room) / unit.len());
    let keys: String = (0..240_000).map(|n| format!(",\"K{n}\":0")).collect();
    let documents = [
        format!("{{\"schemaVersion\":2{keys}}}"),
        format!("{{\"schemaVersion\":2,\"config\":{{\"digest\":0{keys}}}}}"),
        format!("{{\"x\":\"{}\"}}", fill("\\u0041", 10)),
        format!("{{\"x\":\"{}\"}}", fill("\\ud800", 10)),
        format!("{{\"x\":[{}0]}}", fill("{},", 10)),
        fill("[", 0),
        fill("{\"a\":", 0),
        format!("{{\"schemaVersion\":2,\"config\":{{}},\"layers\":[{}0]}}", fill("[],", 60)),
    ];
    let mut all: Vec<Vec<u8>> = documents.into_iter().map(String::into_bytes).collect();
    let mut bad_text = vec![0xff; SIZE];
    bad_text[..6].copy_from_slice(b"{\"x\":\"");
    bad_text[SIZE - 2..].copy_from_slice(b"\"}");
    all.push(bad_text);
    for bytes in all {
        let start = Instant::now();
        let _ = MediaType::of_manifest(&bytes);
        let _ = RawManifest::new(bytes.clone(), MediaType::OciManifest).parse();
        let _ = ImageConfig::parse(bytes.clone());
        let start_of = String::from_utf8_lossy(&bytes[..30]).into_owned();
        assert!(start.elapsed() < Duration::from_secs(120), "{start_of} {:?}", start.elapsed());
    }
}
