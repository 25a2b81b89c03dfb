#![doc = include_str!("../README.md")]

mod attempt;
mod body;
mod client;
mod error;
mod gate;
mod options;
mod origin;
mod redact;
mod request;
mod response;
mod retry;
mod tls;

pub use body::{BodyStream, BoxError, UploadBody};
pub use client::HttpClient;
pub use error::{Error, ErrorKind};
pub use gate::{Gates, Limits};
pub use options::{Deadlines, HttpOptions, Proxies};
pub use origin::{InvalidOrigin, Origin, Refusal, Scheme, Sending, may_send};
pub use redact::redact_url;
pub use request::{Request, RequestBody};
pub use response::{Response, ResponseStream, content_length};
pub use retry::{Backoff, RetryEvent, RetryOptions, RetryReason, RetrySink, retry_after};
pub use tls::{ClientIdentity, SystemRoots, TlsOptions, check_certificates};
