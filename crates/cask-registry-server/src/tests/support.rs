//! A registry without a network: requests go in, responses come out.

use std::path::PathBuf;

use bytes::Bytes;
use cask_image::RawManifest;
use cask_image::{Algorithm, Descriptor, Digest, Hasher, ImageFormat, ImageManifest, MediaType};
use cask_layout::Durability;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tempfile::TempDir;

use crate::{Registry, RegistryOptions, full_body};

/// An answer that was read to its end.
pub(super) type Answer = Response<Bytes>;

pub(super) struct Place {
    pub(super) registry: Registry,
    pub(super) root: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self::with(options())
    }

    pub(super) fn with(options: RegistryOptions) -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { registry: Registry::open(root.path(), options).unwrap(), root }
    }

    /// The registry as another process would open it.
    pub(super) fn restarted(self) -> Self {
        let Self { registry, root } = self;
        drop(registry);
        Self { registry: Registry::open(root.path(), options()).unwrap(), root }
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub(super) async fn send(&self, request: Request<Bytes>) -> Answer {
        let response = self.registry.answer(request.map(full_body)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        Response::from_parts(parts, body)
    }

    pub(super) async fn call(&self, method: &str, target: &str) -> Answer {
        self.call_with(method, target, &[], b"").await
    }

    pub(super) async fn call_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder().method(method.parse::<Method>().unwrap()).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Bytes::copy_from_slice(body)).unwrap()).await
    }

    /// Begins an upload and gives its location.
    pub(super) async fn begin(&self, repository: &str) -> String {
        let answer = self.call("POST", &format!("/v2/{repository}/blobs/uploads/")).await;
        expect(&answer, StatusCode::ACCEPTED);
        header(&answer, "location")
    }

    pub(super) async fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = digest_of(content);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        expect(&self.call_with("POST", &target, &[], content).await, StatusCode::CREATED);
        digest
    }

    pub(super) async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &RawManifest,
    ) -> Answer {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let headers = [("content-type", manifest.media_type().as_str())];
        self.call_with("PUT", &target, &headers, manifest.bytes()).await
    }

    /// Pushes an image of one layer and gives its manifest.
    pub(super) async fn push_image(&self, repository: &str, tag: &str, layer: &str) -> RawManifest {
        let manifest = self.push_parts(repository, layer).await.encode();
        expect(&self.put_manifest(repository, tag, &manifest).await, StatusCode::CREATED);
        manifest
    }

    /// Pushes a config and a layer.
    pub(super) async fn push_parts(&self, repository: &str, layer: &str) -> ImageManifest {
        self.push_blob(repository, CONFIG).await;
        self.push_blob(repository, layer.as_bytes()).await;
        image(layer)
    }
}

pub(super) const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux"}"#;

/// The default, and quick.
pub(super) fn options() -> RegistryOptions {
    let mut options = RegistryOptions::default();
    options.layout.durability = Durability::Process;
    options
}

/// The manifest of an image of one layer.
pub(super) fn image(layer: &str) -> ImageManifest {
    let config = descriptor(MediaType::OciConfig, CONFIG);
    let plain = MediaType::from("application/vnd.oci.image.layer.v1.tar");
    ImageManifest::new(ImageFormat::Oci, config, vec![descriptor(plain, layer.as_bytes())])
}

pub(super) fn descriptor(media_type: MediaType, content: &[u8]) -> Descriptor {
    Descriptor::new(media_type, digest_of(content), content.len() as u64)
}

pub(super) fn digest_of(content: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, content)
}

#[track_caller]
pub(super) fn expect(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status(), status, "{:?} {:?}", answer.headers(), answer.body());
}

/// Refused with a status and a code.
#[track_caller]
pub(super) fn expect_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status(), status, "{:?}", answer.body());
    assert_eq!(header(answer, "content-type"), "application/json");
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["errors"][0]["code"], code, "{body}");
    assert!(body["errors"][0]["message"].is_string(), "{body}");
}

/// The value of a header; empty if there is none.
pub(super) fn header(answer: &Answer, name: &str) -> String {
    answer.headers().get(name).map_or_else(String::new, |v| v.to_str().unwrap().to_owned())
}
