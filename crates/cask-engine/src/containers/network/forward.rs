//! Ports of this machine that lead into the network of a user's container, where no rule of the kernel can.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::ports::{Held, Reserved};
use crate::{Error, ErrorKind, Result};

/// The largest datagram.
const DATAGRAM: usize = 65_536;
/// How much of a connection is moved at once.
const PIECE: usize = 65_536;
/// How long somebody who sent a datagram may be answered.
const IDLE: Duration = Duration::from_secs(60);
/// The most connections of a port at a time, and the most of those who send it datagrams: others are not heard.
const MOST: usize = 1024;
/// How long nothing is accepted where this process has too much open.
const PAUSE: Duration = Duration::from_millis(50);

/// Both ends of a connection.
type Ends = (TcpStream, TcpStream);

/// What is connected.
#[derive(Default)]
struct Open {
    connections: Vec<Weak<Ends>>,
    /// Nothing comes to it any more.
    is_over: bool,
}

impl Open {
    /// Remembers a connection, unless it comes too late.
    fn take(&mut self, ends: &Arc<Ends>) -> bool {
        self.connections.retain(|one| one.strong_count() > 0);
        if !self.is_over {
            self.connections.push(Arc::downgrade(ends));
        }
        !self.is_over
    }

    /// Cuts all of them off, and those that are just being made.
    fn end(&mut self) {
        self.is_over = true;
        for ends in self.connections.iter().filter_map(Weak::upgrade) {
            let _ = ends.0.shutdown(Shutdown::Both);
            let _ = ends.1.shutdown(Shutdown::Both);
        }
    }
}

/// Forwards as long as it lives: what is connected when it is dropped is cut off.
pub(super) struct Forward {
    /// Closed, it has all threads end that listen.
    stop: Option<std::io::PipeWriter>,
    listening: Vec<JoinHandle<()>>,
    open: Arc<Mutex<Open>>,
}

impl Forward {
    /// Has each of the ports lead to the same container, whose network is entered.
    pub(super) fn start(
        ports: Vec<Reserved>,
        namespace: &OwnedFd,
        addresses: &[IpAddr],
    ) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::NotStarted, "forwarding ports", "").with_source(error)
        };
        let (stopped, stop) = std::io::pipe().map_err(failed)?;
        let mut forward = Self { stop: Some(stop), listening: Vec::new(), open: Arc::default() };
        let address = addresses.iter().find(|one| one.is_ipv4()).or(addresses.first());
        let Some(address) = address.copied() else { return Ok(forward) };
        for port in ports {
            let namespace = namespace.try_clone().map_err(failed)?;
            let stopped = stopped.try_clone().map_err(failed)?;
            let (to, open) = (SocketAddr::new(address, port.inner), forward.open.clone());
            let listen = move || {
                // What it opens from here on is in the network of the container.
                if cask_runtime::enter_network_namespace(namespace.as_fd()).is_err() {
                    return;
                }
                drop(namespace);
                match port.held {
                    Held::Tcp(listener) => accept(&listener, &stopped, to, &open),
                    Held::Udp(socket) => receive(&socket, &stopped, to),
                }
            };
            let spawned = std::thread::Builder::new().name("cask-port".to_owned()).spawn(listen);
            forward.listening.push(spawned.map_err(failed)?);
        }
        Ok(forward)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.stop.take();
        for thread in self.listening.drain(..) {
            let _ = thread.join();
        }
        self.open.lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}

/// Waits until there is something to read. `false` where it is over.
fn is_there(what: &impl AsFd, stopped: &impl AsFd) -> bool {
    let mut both = [PollFd::new(what, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
    loop {
        match poll(&mut both, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return both[1].revents().is_empty(),
        }
    }
}

fn accept(listener: &TcpListener, stopped: &impl AsFd, to: SocketAddr, open: &Arc<Mutex<Open>>) {
    // Whoever knocked may be gone again.
    let _ = listener.set_nonblocking(true);
    // Each connection has one more of it.
    let served = Arc::new(());
    while is_there(listener, stopped) {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => {
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        if Arc::strong_count(&served) > MOST {
            continue;
        }
        let (open, served) = (open.clone(), served.clone());
        let serve = move || {
            let _served = served;
            let _ = client.set_nonblocking(false);
            let Ok(server) = TcpStream::connect(to) else { return };
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let ends = Arc::new((client, server));
            if !open.lock().unwrap_or_else(PoisonError::into_inner).take(&ends) {
                return;
            }
            let back = ends.clone();
            let answers = std::thread::Builder::new().spawn(move || copy(&back.1, &back.0));
            copy(&ends.0, &ends.1);
            if let Ok(answers) = answers {
                let _ = answers.join();
            }
        };
        // Where no thread can be had, the connection is closed.
        let _ = std::thread::Builder::new().name("cask-port".to_owned()).spawn(serve);
    }
}

/// Moves everything from one end to the other, which is told where it ends.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if to.write_all(&piece[..length]).is_err() {
                    // Nobody listens any more: whoever sends shall know.
                    let _ = from.shutdown(Shutdown::Read);
                    break;
                }
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Somebody who sends datagrams has a socket in the container's network, as long as either side says something.
fn receive(socket: &UdpSocket, stopped: &impl AsFd, to: SocketAddr) {
    let mut clients: HashMap<SocketAddr, (UdpSocket, Instant)> = HashMap::new();
    let mut datagram = vec![0; DATAGRAM];
    let _ = socket.set_nonblocking(true);
    while is_there(socket, stopped) {
        let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
        clients.retain(|client, (_, heard)| *client == from || heard.elapsed() < IDLE);
        let is_full = clients.len() >= MOST;
        let (inner, heard) = match clients.entry(from) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => continue,
            Entry::Vacant(new) => match answer(socket, from, to) {
                Ok(answering) => new.insert((answering, Instant::now())),
                Err(_) => continue,
            },
        };
        *heard = Instant::now();
        let _ = inner.send(&datagram[..length]);
    }
}

/// Sends back what is answered to one of them, until nothing is any more.
fn answer(socket: &UdpSocket, client: SocketAddr, to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let inner = UdpSocket::bind((any, 0))?;
    inner.connect(to)?;
    inner.set_read_timeout(Some(IDLE))?;
    let (answers, outer) = (inner.try_clone()?, socket.try_clone()?);
    let send = move || {
        let mut datagram = vec![0; DATAGRAM];
        while let Ok(length) = answers.recv(&mut datagram) {
            let _ = outer.send_to(&datagram[..length], client);
        }
    };
    std::thread::Builder::new().name("cask-port".to_owned()).spawn(send)?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use rustix::net;

    use super::super::super::PortMapping;
    use super::super::ports::reserve;
    use super::*;

    fn port(protocol: &str, host_port: u16, container_port: u16) -> PortMapping {
        let (host_ip, protocol) = ("127.0.0.1".to_owned(), protocol.to_owned());
        PortMapping { host_ip, container_port, host_port, range: 1, protocol }
    }

    fn forward(protocol: &str, inner: u16) -> (Forward, SocketAddr) {
        let mut ports = [port(protocol, 0, inner)];
        super::super::ports::choose(&mut ports).unwrap();
        let own = OwnedFd::from(std::fs::File::open("/proc/self/ns/net").unwrap());
        let at = SocketAddr::new([127, 0, 0, 1].into(), ports[0].host_port);
        let reserved = reserve(&ports).unwrap();
        (Forward::start(reserved, &own, &["127.0.0.1".parse().unwrap()]).unwrap(), at)
    }

    #[test]
    fn connections_are_moved_both_ways() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let (forward, at) = forward("tcp", server.local_addr().unwrap().port());
        let mut client = TcpStream::connect(at).unwrap();
        let (mut inner, _) = server.accept().unwrap();
        client.write_all(b"asked").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        inner.read_to_string(&mut text).unwrap();
        inner.write_all(text.to_uppercase().as_bytes()).unwrap();
        drop(inner);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "ASKED");
        drop(forward);
        assert!(TcpListener::bind(at).is_ok(), "the port is free again");
        // Nobody listens where a port is only taken.
        let taken = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).unwrap();
        net::bind(&taken, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let nobody = SocketAddr::try_from(net::getsockname(&taken).unwrap()).unwrap().port();
        let (_forward, at) = super::tests::forward("tcp", nobody);
        assert!(matches!(TcpStream::connect(at).unwrap().read(&mut [0]), Ok(0) | Err(_)));
    }

    #[test]
    fn what_is_connected_or_just_connecting_is_cut_off_at_the_end() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..50 {
            let (forward, at) = forward("tcp", server.local_addr().unwrap().port());
            let mut client = TcpStream::connect(at).unwrap();
            // The system has connected it, maybe before this process knows.
            let _inner = server.accept().unwrap();
            drop(forward);
            assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
        }
    }

    #[test]
    fn datagrams_are_answered_to_who_sent_them() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (_forward, at) = forward("udp", server.local_addr().unwrap().port());
        let clients: Vec<UdpSocket> =
            (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (number, client) in (0_u8..).zip(&clients) {
            client.send_to(&[number], at).unwrap();
        }
        for _ in &clients {
            let mut datagram = [0; 8];
            let (length, from) = server.recv_from(&mut datagram).unwrap();
            server.send_to(&datagram[..length], from).unwrap();
        }
        for (number, client) in (0_u8..).zip(&clients) {
            let mut datagram = [0; 8];
            assert_eq!(client.recv(&mut datagram).unwrap(), 1);
            assert_eq!(datagram[0], number);
        }
    }
}
