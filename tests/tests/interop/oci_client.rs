//! What `cask-registry` and the independent client `oci-client` read and write is the same.

use std::sync::Arc;

use cask_image::{Algorithm, Hasher, MediaType, RawManifest};
use cask_reference::{Reference, Tag};
use cask_registry::{Client, ClientOptions, HostSettings, Repository, Selector, oci_client};
use cask_testkit::generate::{
    ArtifactSpec, Image, ImageSpec, IndexSpec, LayerSpec, write_oci_layout,
};
use oci_distribution::Client as TheirClient;
use oci_distribution::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_distribution::manifest::{OciDescriptor, OciManifest};
use oci_distribution::secrets::RegistryAuth;
use tests::{Access, Registry, Scratch, Served, dray, has, scratch};

const ANYBODY: RegistryAuth = RegistryAuth::Anonymous;

const TYPES: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Both clients of one repository.
struct Both {
    host: String,
    ours: Repository,
    theirs: TheirClient,
}

impl Both {
    fn of(host: &str) -> Self {
        let mut options = ClientOptions::default();
        options.hosts = Arc::new(|_| {
            let mut settings = HostSettings::default();
            settings.danger_http = true;
            Ok(settings)
        });
        let name = format!("{host}/a/b").parse().expect("a name");
        let ours = Client::new(options).repository(&name).for_writing();
        // It makes a client with TLS, even for none.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
        let theirs = TheirClient::try_from(config).expect("it can be set up");
        Self { host: host.to_owned(), ours, theirs }
    }

    fn name(&self, tag: &str) -> oci_distribution::Reference {
        let ours: Reference = format!("{}/a/b:{tag}", self.host).parse().expect("a name");
        oci_client::to_reference(&ours).expect("a name there, too")
    }

    /// Reads a manifest by both; it has the same bytes, digest and type.
    async fn manifest(&self, tag: &str) -> RawManifest {
        let selector = Selector::from(tag.parse::<Tag>().expect("a tag"));
        let ours = self.ours.manifest(&selector).await.expect("we read it");
        let name = self.name(tag);
        let theirs = self.theirs.pull_manifest_raw(&name, &ANYBODY, TYPES).await;
        let (bytes, digest) = theirs.expect("they read it");
        assert_eq!((&bytes, digest.as_str()), (ours.bytes(), ours.digest().as_str()), "{tag}");
        let looked_up = self.theirs.fetch_manifest_digest(&name, &ANYBODY).await;
        let resolved = self.ours.resolve(&selector).await.expect("we resolve it");
        assert_eq!(looked_up.expect("they resolve it"), resolved.digest.as_str());
        assert_eq!(resolved.size, bytes.len() as u64);
        ours
    }

    /// Reads a blob by both, whole and from its middle.
    async fn blob(&self, descriptor: &OciDescriptor) {
        let name = self.name("one");
        let here = oci_client::from_descriptor(descriptor).expect("a descriptor");
        let blob = self.ours.blob(&here.digest, Some(here.size), 0).await.expect("we open it");
        let ours = blob.verified().expect("it is whole").read_limited(1 << 30).await;
        let mut theirs = Vec::new();
        self.theirs.pull_blob(&name, descriptor, &mut theirs).await.expect("they read it");
        assert_eq!(ours.expect("we read it"), theirs);
        assert_eq!(Hasher::digest(Algorithm::Sha256, &theirs), here.digest);
        let half = here.size / 2;
        let mut rest = self.ours.blob(&here.digest, Some(here.size), half).await.expect("open");
        let mut read = Vec::new();
        while let Some(chunk) = rest.chunk().await.expect("we read it") {
            read.extend_from_slice(&chunk);
        }
        assert_eq!(read, theirs[usize::try_from(half).expect("it is small")..]);
        let exists = self.theirs.blob_exists(&name, &descriptor.digest).await;
        assert!(exists.expect("they ask"));
        assert_eq!(self.ours.blob_size(&here.digest).await.expect("we ask"), Some(here.size));
    }

    async fn tags(&self) -> Vec<String> {
        let (mut names, mut ours) = (self.ours.tags(), Vec::new());
        while let Some(tag) = names.next().await.expect("we list them") {
            ours.push(tag);
        }
        let theirs = self.theirs.list_tags(&self.name("one"), &ANYBODY, None, None).await;
        let mut theirs = theirs.expect("they list them").tags;
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs);
        ours
    }

    async fn referrers(&self, subject: &RawManifest) -> usize {
        let ours = self.ours.referrers(subject.digest(), None).await.expect("we list them");
        let name = format!("{}/a/b@{}", self.host, subject.digest()).parse().expect("a name");
        let theirs = self.theirs.pull_referrers(&name, None).await.expect("they list them");
        let mut ours: Vec<_> = ours
            .iter()
            .map(|one| (one.digest.to_string(), one.artifact_type.clone(), one.size))
            .collect();
        let mut theirs: Vec<_> = theirs
            .manifests
            .iter()
            .map(|one| {
                let size = u64::try_from(one.size).expect("a size");
                (one.digest.clone(), one.artifact_type.as_deref().map(MediaType::from), size)
            })
            .collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs);
        ours.len()
    }
}

fn image(seed: u64) -> Image {
    ImageSpec::new(seed).layer(LayerSpec::new(seed).size_bytes(300_000)).build()
}

/// Pushes an image, an index and an artifact that refers to the image.
fn push(scratch: &Scratch, host: &str) {
    let one = image(1);
    let subject = one.content().raw_top().descriptor();
    let artifact = ArtifactSpec::new(3, "application/vnd.it").subject(&subject).build();
    let index = IndexSpec::new().image(&image(1)).image(&image(2)).build();
    for (tag, content) in [("one", one.content()), ("artifact", artifact), ("index", index)] {
        let path = scratch.join(tag);
        write_oci_layout(&path, &[(Some("it"), &content)]).expect("it can be written");
        let line = "copy -q --all --dest-tls-verify=false";
        dray(&format!("{line} oci:{}:it docker://{host}/a/b:{tag}", path.display())).ok();
    }
}

/// Everything, of one registry.
async fn compare(both: &Both, referrers: usize) {
    let one = both.manifest("one").await;
    let OciManifest::Image(there) = oci_client::to_manifest(&one).expect("they know it") else {
        panic!("it is an image");
    };
    for descriptor in there.layers.iter().chain([&there.config]) {
        both.blob(descriptor).await;
    }
    let index = both.manifest("index").await;
    let there = oci_client::to_manifest(&index).expect("they know it");
    assert!(matches!(there, OciManifest::ImageIndex(index) if index.manifests.len() == 2));
    both.manifest("artifact").await;
    assert_eq!(both.referrers(&one).await, referrers);
    assert_eq!(both.referrers(&index).await, 0);

    // What they push, we read.
    let layer = ImageLayer::oci_v1_gzip(vec![7; 100_000], None);
    let config = Config::oci_v1(b"{\"architecture\":\"amd64\",\"os\":\"linux\"}".to_vec(), None);
    let name = both.name("theirs");
    both.theirs.push(&name, &[layer], config, &ANYBODY, None).await.expect("they push it");
    let theirs = both.manifest("theirs").await;
    let parsed = theirs.parse().expect("a manifest");
    let cask_image::Manifest::Image(parsed) = parsed else { panic!("it is an image") };
    let layer = oci_client::to_descriptor(&parsed.layers[0]).expect("it is small");
    both.blob(&layer).await;

    // What we push of theirs, they read.
    let again = oci_client::to_manifest(&theirs).expect("it is theirs");
    let again = oci_client::from_manifest(&again).expect("it can be encoded");
    let tag: Tag = "again".parse().expect("a tag");
    both.ours.put_manifest(&Selector::from(tag), &again).await.expect("we push it");
    both.manifest("again").await;
    assert!(both.tags().await.contains(&"theirs".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_clients_read_and_write_the_same_in_dray_serve() {
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    push(&scratch, served.address());
    compare(&Both::of(served.address()), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_clients_read_and_write_the_same_in_docker_registry() {
    if !has(&["docker-registry"]) {
        return;
    }
    let scratch = scratch();
    let registry = Registry::start(&scratch, Access::Plain);
    push(&scratch, registry.address());
    // It knows no referrers: there they are under a tag, which we keep.
    compare(&Both::of(registry.address()), 1).await;
}
