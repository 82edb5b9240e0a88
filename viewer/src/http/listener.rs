//! Accepts connections, each served by a thread of its own, up to a bound.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Answer, Connection};

/// Pages, programs and their connections that hang. Each costs a thread that mostly sleeps.
const MAX_CONNECTIONS: usize = 256;

pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// Serves until the process ends.
pub fn serve(listener: TcpListener, handle: impl Fn(Connection) + Send + Sync + 'static) {
    let handle = Arc::new(handle);
    let open = Arc::new(AtomicUsize::new(0));
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(mut connection) = stream.and_then(Connection::new) else {
                thread::sleep(Duration::from_millis(10)); // out of descriptors: some must close first
                continue;
            };
            let guard = Open::one_more(&open);
            if open.load(Ordering::Relaxed) > MAX_CONNECTIONS {
                let _ = connection.write(&Answer::detail(503, "too many connections").bytes(false, true));
                continue;
            }
            let handle = Arc::clone(&handle);
            // Without a thread the connection closes, and its client tries again.
            let _ = thread::Builder::new().name("connection".into()).stack_size(512 << 10).spawn(move || {
                let _guard = guard;
                handle(connection);
            });
        }
    };
    thread::Builder::new().name("accept".into()).spawn(accept).expect("a thread to accept connections");
}

/// Counts a connection for as long as it is open, even if its thread panics.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn one_more(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
