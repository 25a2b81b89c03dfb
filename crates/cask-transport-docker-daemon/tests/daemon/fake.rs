//! A Docker daemon of a few lines, in this process.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cask_archive::ReadOptions;
use cask_docker_tar::{DockerArchive, Selector};
use cask_reference::Reference;
use cask_testkit::generate::Tar;
use futures_util::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// An image as it was loaded: the config, and the layers with their DiffIDs' digits.
#[derive(Clone)]
pub(crate) struct Stored {
    config_hex: String,
    config: Bytes,
    layers: Vec<(String, Bytes)>,
}

/// What a daemon does wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Answers everything but pings with a status and a body.
    Status(u16, &'static str),
    /// Takes an image, and says this.
    Says(&'static str),
    /// Takes the first bytes of an image, and answers.
    Hasty(u16),
    /// Never answers.
    Silent,
    /// Breaks off in the middle of an image.
    Short,
    /// Sends zeros without end.
    Endless,
}

/// The images of a daemon, by their full names.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    pub(crate) images: Arc<Mutex<BTreeMap<String, Stored>>>,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    /// How many layers came compressed.
    pub(crate) compressed: Arc<AtomicUsize>,
    pub(crate) fault: Fault,
}

impl Fake {
    pub(crate) fn with_fault(fault: Fault) -> Self {
        Self { fault, ..Self::default() }
    }

    /// Listens at a socket until the runtime ends.
    pub(crate) fn listen(&self, socket: &Path) {
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let fake = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(fake.clone().serve(stream));
            }
        });
    }

    /// Answers what comes over a connection.
    pub(crate) async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let service = service_fn(move |request| {
            let fake = self.clone();
            async move { Ok::<_, Infallible>(fake.answer(request).await) }
        });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path_and_query().unwrap().to_string();
        self.requests.lock().unwrap().push(format!("{} {path}", request.method()));
        let path = path.strip_prefix("/base").unwrap_or(&path).to_owned();
        if path == "/_ping" {
            return reply(200, "OK");
        }
        match self.fault {
            Fault::Status(status, body) => return reply(status, body),
            Fault::Silent => tokio::time::sleep(Duration::from_secs(600)).await,
            _ => {}
        }
        if *request.method() == Method::POST && path == "/images/load?quiet=1" {
            return self.load(request.into_body()).await;
        }
        let name = path.strip_prefix("/images/").and_then(|path| path.strip_suffix("/get"));
        name.map_or_else(|| reply(404, r#"{"message":"page not found"}"#), |name| self.save(name))
    }

    async fn load(&self, mut body: Incoming) -> Response<Body> {
        if let Fault::Hasty(status) = self.fault {
            let _ = body.frame().await;
            return reply(status, r#"{"message":"no space left on device"}"#);
        }
        let Ok(collected) = body.collect().await else {
            return reply(400, r#"{"message":"unexpected EOF"}"#);
        };
        if let Fault::Says(text) = self.fault {
            return reply(200, text);
        }
        let bytes = collected.to_bytes();
        let archive =
            DockerArchive::from_reader(&bytes[..], "loaded", &ReadOptions::default()).unwrap();
        for entry in archive.entries() {
            let image = archive.image(&Selector::Position(entry.position())).unwrap();
            let compressed = image.layers().iter().filter(|layer| layer.is_compressed()).count();
            self.compressed.fetch_add(compressed, Ordering::Relaxed);
            let layers = image.config().diff_ids.iter().map(|diff_id| {
                let mut plain = Vec::new();
                let mut reader = image.open_layer(diff_id).unwrap();
                std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
                (diff_id.hex().to_owned(), Bytes::from(plain))
            });
            let stored = Stored {
                config_hex: image.config_digest().hex().to_owned(),
                config: image.config_bytes().clone(),
                layers: layers.collect(),
            };
            for name in image.names() {
                self.images.lock().unwrap().insert(name.clone(), stored.clone());
            }
        }
        reply(200, "{\"stream\":\"Loaded image: it\\n\"}\r\n")
    }

    fn save(&self, name: &str) -> Response<Body> {
        let images = self.images.lock().unwrap();
        let found = match name.strip_prefix("sha256:") {
            Some(id) => images.values().find(|image| image.config_hex == id),
            None => images.get(&Reference::parse_normalized(name).unwrap().to_string()),
        };
        let Some(image) = found else {
            return reply(404, &format!("{{\"message\":\"No such image: {name}\"}}"));
        };
        let mut tar = Tar::new();
        let layers: Vec<_> =
            image.layers.iter().map(|(hex, _)| format!("{hex}/layer.tar")).collect();
        let members: BTreeMap<_, _> = layers.iter().zip(&image.layers).collect();
        for (member, (_, bytes)) in members {
            tar = tar.file(member.as_str(), bytes.clone());
        }
        let config = format!("{}.json", image.config_hex);
        let manifest =
            serde_json::json!([{"Config": config, "RepoTags": [name], "Layers": layers}]);
        let tar =
            tar.file(config, image.config.clone()).file("manifest.json", manifest.to_string());
        let bytes = Bytes::from(tar.finish());
        match self.fault {
            Fault::Short => {
                let half = bytes.slice(..bytes.len() / 2);
                let pieces = [Ok(Frame::data(half)), Err(std::io::Error::other("no more"))];
                Response::new(StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync())
            }
            Fault::Endless => {
                let zeros = Bytes::from(vec![b'x'; 64 << 10]);
                let pieces =
                    futures_util::stream::repeat(zeros).map(|bytes| Ok(Frame::data(bytes)));
                Response::new(StreamBody::new(pieces).boxed_unsync())
            }
            _ => Response::new(Full::new(bytes).map_err(|never| match never {}).boxed_unsync()),
        }
    }
}

fn reply(status: u16, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {});
    Response::builder().status(status).body(body.boxed_unsync()).unwrap()
}
