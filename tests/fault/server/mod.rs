//! A server on loopback. It plays one fault of a script per request and keeps a journal.
//!
//! A drop of the server shuts down every socket and joins every thread.

pub(crate) mod fault;
pub(crate) mod journal;
mod line;
mod play;
mod proof;

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::server::fault::Fault;
use crate::server::journal::{Entries, Journal};
use crate::server::line::{Closing, Line};
use crate::server::play::Next;

/// Bytes. The kernel makes the buffer a little larger: its minimum.
const SMALL_WINDOW: usize = 2048;
/// Bytes. A client's first send buffer is a multiple of its segment. With the 64 KiB segments of loopback it would hold
/// 2.5 MiB before a write stalls.
const SMALL_SEGMENT: u32 = 536;
const BACKLOG: i32 = 128;

/// The faults in the order of the requests, over all connections.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// The same fault each time.
    Always(Fault),
    /// One after the other, then the last one again and again.
    InOrder(Vec<Fault>),
}

impl Script {
    fn fault(&self, request: usize) -> Fault {
        match self {
            Self::Always(fault) => fault.clone(),
            Self::InOrder(faults) => match faults.get(request).or(faults.last()) {
                Some(fault) => fault.clone(),
                None => Fault::Close,
            },
        }
    }

    fn stalls_the_writer(&self) -> bool {
        match self {
            Self::Always(fault) => fault.stalls_the_writer(),
            Self::InOrder(faults) => faults.iter().any(Fault::stalls_the_writer),
        }
    }
}

impl From<Fault> for Script {
    fn from(fault: Fault) -> Self {
        Self::Always(fault)
    }
}

impl From<Vec<Fault>> for Script {
    fn from(faults: Vec<Fault>) -> Self {
        Self::InOrder(faults)
    }
}

/// See the module. Dereferences to its [`Journal`].
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// The state that the acceptor and the connections share.
#[derive(Debug)]
struct Shared {
    journal: Arc<Journal>,
    closing: Arc<Closing>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    script: Script,
    /// The number of faults used so far.
    played: usize,
    /// Weak, since a fault ends with the close of the socket, and only the drop of its last owner closes it.
    streams: Vec<Weak<TcpStream>>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(script: impl Into<Script>) -> io::Result<Self> {
        let script = script.into();
        let listener = listen(BACKLOG, script.stalls_the_writer())?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            journal: Arc::default(),
            closing: Arc::default(),
            state: Mutex::new(State { script, played: 0, streams: Vec::new(), threads: Vec::new() }),
        });
        let acceptor = thread::Builder::new().name("fault-accept".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        })?;
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Begins another script with an empty journal. An earlier client must be done: its later requests count for the
    /// new script.
    pub(crate) fn begin(&self, script: impl Into<Script>) {
        let mut state = self.shared.state();
        (state.script, state.played) = (script.into(), 0);
        self.write(|entries| *entries = Entries::default());
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for a [`Config`](tinker_telemetry::Config).
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same for a client with TLS.
    pub(crate) fn tls_base_url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Deref for Server {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.shared.journal
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closing.set();
        // Wakes the acceptor, which then sees that the server is closing.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let (streams, threads) = {
            let mut state = self.shared.state();
            (std::mem::take(&mut state.streams), std::mem::take(&mut state.threads))
        };
        for stream in streams.iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self) -> Fault {
        let mut state = self.state();
        state.played += 1;
        state.script.fault(state.played - 1)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (connection, stream) in listener.incoming().enumerate() {
        if shared.closing.is_set() {
            return;
        }
        let Ok(stream) = stream.map(Arc::new) else { continue };
        let _ = stream.set_nodelay(true);
        shared.journal.write(|entries| entries.connections += 1);
        let watched = Arc::downgrade(&stream);
        let line = Line::new(stream, connection, Arc::clone(&shared.journal), Arc::clone(&shared.closing));
        let serving = thread::Builder::new().name("fault-serve".to_owned()).spawn({
            let shared = Arc::clone(shared);
            move || serve(line, &shared)
        });
        let mut state = shared.state();
        state.streams.retain(|stream| stream.strong_count() > 0);
        state.threads.retain(|thread| !thread.is_finished());
        state.streams.push(watched);
        state.threads.extend(serving);
    }
}

/// Plays one fault after the other until one ends the connection. Only a client that sends a byte uses up a fault. A
/// fault that never reads begins without one.
fn serve(mut line: Line, shared: &Shared) {
    let silent = matches!(shared.state().script, Script::Always(Fault::ReadStall));
    while silent || line.wait_for_request().is_ok() {
        match shared.next_fault().play(&mut line) {
            Ok(Next::Keep) => {}
            Ok(Next::Close) | Err(_) => return,
        }
    }
}

/// A port where connecting hangs: its backlog is full and no connection is accepted.
#[derive(Debug)]
pub(crate) struct FullBacklog {
    address: SocketAddr,
    _listener: TcpListener,
    _fillers: Vec<TcpStream>,
}

impl FullBacklog {
    pub(crate) fn start() -> io::Result<Self> {
        // Kernels round a backlog of 0 up, and none up to this number.
        const MAX_FILLERS: usize = 64;
        let listener = listen(0, false)?;
        let address = listener.local_addr()?;
        let mut fillers = Vec::new();
        while fillers.len() < MAX_FILLERS {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(filler) => fillers.push(filler),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self { address, _listener: listener, _fillers: fillers });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the backlog never fills"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A port where no server listens: bound, so that no other test gets it.
#[derive(Debug)]
pub(crate) struct Refused(Socket);

impl Refused {
    pub(crate) fn start() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        Ok(Self(socket))
    }

    pub(crate) fn base_url(&self) -> String {
        let address = self.0.local_addr().ok().and_then(|address| address.as_socket());
        format!("http://{}", address.expect("it is bound"))
    }

    /// The server comes.
    pub(crate) fn listen(self) -> io::Result<TcpListener> {
        self.0.listen(BACKLOG)?;
        Ok(self.0.into())
    }
}

fn listen(backlog: i32, small_window: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if small_window {
        // Accepted sockets inherit both. On the accepted socket itself they would be set only after the handshake.
        socket.set_recv_buffer_size(SMALL_WINDOW)?;
        SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT)?;
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}
