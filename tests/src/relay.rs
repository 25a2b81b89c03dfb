//! A slow way to a server, which counts what goes through.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many bytes go through at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// A way to a server, for as long as the process lives.
pub struct Relay {
    address: String,
    down: Arc<Way>,
    up: Arc<Way>,
}

/// One direction.
struct Way {
    bytes: AtomicU64,
    /// How many go through in a second, by all connections together.
    pace: u64,
    turn: Mutex<()>,
}

impl Relay {
    /// A way to `host:port` that lets so many bytes through in a second, in each direction.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub fn start(target: &str, bytes_per_second: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let way = || Way { bytes: AtomicU64::new(0), pace: bytes_per_second, turn: Mutex::new(()) };
        let (down, up) = (Arc::new(way()), Arc::new(way()));
        let (target, ways) = (target.to_owned(), (Arc::clone(&down), Arc::clone(&up)));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { continue };
                let (down, up) = (Arc::clone(&ways.0), Arc::clone(&ways.1));
                std::thread::spawn(move || up.carry(from, to));
                std::thread::spawn(move || down.carry(server, client));
            }
        });
        Self { address, down, up }
    }

    /// Host and port, which lead to the server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How many bytes came from the server.
    pub fn down(&self) -> u64 {
        self.down.bytes.load(Ordering::SeqCst)
    }

    /// How many bytes went to the server.
    pub fn up(&self) -> u64 {
        self.up.bytes.load(Ordering::SeqCst)
    }

    /// Waits until so many bytes went through in both directions together.
    ///
    /// # Panics
    /// If that takes longer than a minute.
    pub fn wait(&self, bytes: u64) {
        let started = Instant::now();
        while self.down() + self.up() < bytes {
            assert!(started.elapsed() < Duration::from_secs(60), "{} + {}", self.down(), self.up());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Way {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            let turn = self.turn.lock().expect("nobody panics here");
            std::thread::sleep(Duration::from_secs_f64(count as f64 / self.pace as f64));
            drop(turn);
            if to.write_all(&chunk[..count]).is_err() {
                break;
            }
            self.bytes.fetch_add(count as u64, Ordering::SeqCst);
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }
}
