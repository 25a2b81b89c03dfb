//! `dray serve`

use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask_program::duration::GoDuration;
use cask_program::report::Hinted;
use cask_program::stop;
use cask_registry_server::{
    AccessEvent, Htpasswd, Registry, RegistryOptions, RepositoryName, Server, ServerOptions,
    TlsIdentity,
};
use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;

/// Serve a directory of OCI layouts, or one layout, as a registry
///
/// Prints the address as a URL, and then a line on standard error for each request. Ends at an
/// interrupt.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A directory with layouts (an empty one will do), or a layout
    directory: PathBuf,
    /// Listen here; with port 0 the system chooses one
    #[arg(long, default_value = "127.0.0.1:5000", value_name = "ADDRESS:PORT")]
    listen: String,
    /// Call the repository so, where the directory is one layout [default: the directory's name]
    #[arg(long)]
    name: Option<RepositoryName>,
    /// Take nothing and delete nothing
    #[arg(long)]
    read_only: bool,
    /// Use TLS with this certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let only these users in: the file has a line for each, by `htpasswd -B`
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// Listen even where others can read and write without a password or TLS
    #[arg(long)]
    insecure_listen: bool,
    /// Tell nothing of requests
    #[arg(short, long)]
    quiet: bool,
}

/// Serves until it is stopped, which is a success.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, context))
}

/// Allows as many open files as may be: connections, responses and unfinished uploads have one each.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer files it serves fewer clients at a time.
    let _ = setrlimit(Resource::Nofile, limit);
}

async fn serve(arguments: &Arguments, context: &Context) -> Result<()> {
    let address = address(arguments)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let registry = Registry::open(&arguments.directory, registry_options(arguments)?)?;
    let server = Server::bind(address, registry, server_options(arguments)?).await?;
    cask_program::output::line(&server.url())?;
    let timeout = context.global.command_timeout.map(|GoDuration(timeout)| timeout);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stop::elapsed(timeout) => {}
    }
    server.shut_down().await;
    Ok(())
}

/// Where to listen, if that is safe.
fn address(arguments: &Arguments) -> Result<SocketAddr> {
    let listen = &arguments.listen;
    let mut found = listen.to_socket_addrs().map_err(|error| Hinted {
        message: format!("invalid address {listen:?}: {error}"),
        hint: "an address is IP:PORT, such as 127.0.0.1:5000 or [::1]:0",
    })?;
    let Some(address) = found.next() else { bail!("the name {listen:?} has no address") };
    let guarded = arguments.tls_cert.is_some() && arguments.htpasswd.is_some();
    if !(address.ip().is_loopback() || guarded || arguments.insecure_listen) {
        return Err(Hinted {
            message: format!("others could reach {address}, and everything would be open to them"),
            hint: "use --tls-cert, --tls-key and --htpasswd; or --insecure-listen if that is meant",
        }
        .into());
    }
    Ok(address)
}

fn registry_options(arguments: &Arguments) -> Result<RegistryOptions> {
    let mut options = RegistryOptions::default();
    options.name = arguments.name.clone();
    options.read_only = arguments.read_only;
    if let Some(path) = &arguments.htpasswd {
        let text = String::from_utf8(read(path)?);
        let text = text.with_context(|| format!("reading {}", path.display()))?;
        let users = Htpasswd::parse(&text);
        options.htpasswd = Some(users.with_context(|| format!("reading {}", path.display()))?);
    }
    Ok(options)
}

fn server_options(arguments: &Arguments) -> Result<ServerOptions> {
    let mut options = ServerOptions::default();
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        let identity = TlsIdentity::from_pem(&read(certificate)?, &read(key)?);
        let files = || format!("using {} and {}", certificate.display(), key.display());
        options.tls = Some(identity.with_context(files)?);
    }
    if !arguments.quiet {
        options.access_log = Some(Arc::new(log));
    }
    Ok(options)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// One line: who, what, the status, the bytes that were sent, the time it took, with what.
fn log(event: &AccessEvent) {
    let AccessEvent { remote, method, target, version, .. } = event;
    let user = event.user.as_deref().unwrap_or("-").escape_debug();
    let agent = event.user_agent.as_deref().unwrap_or("-").escape_debug();
    let milliseconds = event.duration.as_secs_f64() * 1000.0;
    let (status, bytes) = (event.status.as_u16(), event.response_bytes);
    let mut line = format!(
        "{remote} {user} \"{method} {} {version:?}\" {status} {bytes} {milliseconds:.1}ms \"{agent}\"",
        target.escape_debug()
    );
    if !event.complete {
        line.push_str(" (broken off)");
    }
    if let Some(error) = &event.error {
        line.push_str(&format!(" ({})", error.escape_debug()));
    }
    line.push('\n');
    // A log that nobody reads any more is no reason to stop.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
