//! TLS for clients and cores that speak TCP: a relay at a port of its own takes off the TLS of what comes, or puts it
//! on, and passes the bytes on.

use crate::support::certificates::{authority, certificate};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore};
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// How often a waiting thread looks whether it should stop, in milliseconds.
const LOOK: i32 = 50;

/// A folder with an authority `ca`, another one, `other`, and certificates for 127.0.0.1: `proxy`, `core` and `client`
/// by the first, `stranger` by the other. The first has made `elsewhere`, too, for another machine.
pub struct Papers {
    folder: PathBuf,
}

impl Papers {
    #[track_caller]
    pub fn make(folder: &Path) -> Papers {
        for name in ["ca", "other"] {
            authority(folder, name);
        }
        for (by, name, address) in [
            ("ca", "proxy", "127.0.0.1"),
            ("ca", "core", "127.0.0.1"),
            ("ca", "client", "127.0.0.1"),
            ("ca", "elsewhere", "192.0.2.1"),
            ("other", "stranger", "127.0.0.1"),
        ] {
            certificate(folder, by, name, &format!("IP:{address}"));
        }
        Papers {
            folder: folder.to_owned(),
        }
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        let path = self.folder.join(format!("{name}.pem"));
        CertificateDer::from_pem_file(path).expect("a certificate")
    }

    fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        let path = self.folder.join(format!("{name}.key"));
        PrivateKeyDer::from_pem_file(path).expect("a key")
    }

    /// Who is believed: the authority `ca`.
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("ca")).expect("an authority");
        roots
    }

    /// A side that takes TLS as the owner of a certificate, from whoever shows one of `ca`'s.
    fn server(&self, name: &str) -> ServerConfig {
        let roots = Arc::new(self.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![self.certificate(name)], self.key(name))
            .expect("a certificate and its key")
    }

    /// A side that connects by TLS to owners of certificates of `ca`'s, and may have a certificate itself.
    fn client(&self, name: Option<&str>) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(self.roots());
        match name {
            None => config.with_no_client_auth(),
            Some(name) => config
                .with_client_auth_cert(vec![self.certificate(name)], self.key(name))
                .expect("a certificate and its key"),
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A relay. It stops when it is dropped.
pub struct TlsRelay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    faults: Mutex<Vec<String>>,
}

impl TlsRelay {
    /// In front of a core that takes TCP at `port`; shows the certificate of this name.
    #[track_caller]
    pub fn before_core(papers: &Papers, name: &str, port: u16) -> TlsRelay {
        let config = Arc::new(papers.server(name));
        let core = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TlsRelay::start(move |incoming| {
            let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            Ok((tls.into(), incoming, TcpStream::connect(core)?))
        })
    }

    /// Between a client that speaks TCP and a proxy that takes TLS; with a certificate or without one.
    #[track_caller]
    pub fn before_proxy(papers: &Papers, name: Option<&str>, proxy: SocketAddr) -> TlsRelay {
        let config = Arc::new(papers.client(name));
        TlsRelay::start(move |incoming| {
            let whom = ServerName::from(proxy.ip());
            let tls = ClientConnection::new(Arc::clone(&config), whom).map_err(io::Error::other)?;
            Ok((tls.into(), TcpStream::connect(proxy)?, incoming))
        })
    }

    /// `ways` gives what a connection that has come is: its TLS, the stream that carries it, and the plain one.
    #[track_caller]
    fn start(
        ways: impl Fn(TcpStream) -> io::Result<(Connection, TcpStream, TcpStream)> + Send + 'static,
    ) -> TlsRelay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let listener = std::thread::spawn(move || {
            let mut connections = Vec::new();
            while !own.stops() {
                wait(&[listener.as_raw_fd()]);
                let Ok((incoming, _)) = listener.accept() else {
                    continue;
                };
                let own = Arc::clone(&own);
                match ways(incoming) {
                    Ok((tls, secure, plain)) => connections.push(std::thread::spawn(move || {
                        if let Err(error) = pass_on(tls, secure, plain, &own) {
                            own.note(&error);
                        }
                    })),
                    Err(error) => own.note(&error),
                }
            }
            for connection in connections {
                // A thread that panicked has said so already.
                let _ = connection.join();
            }
        });
        TlsRelay {
            address,
            shared,
            listener: Some(listener),
        }
    }

    /// What has ended connections before their time, such as the other side's alerts.
    pub fn faults(&self) -> Vec<String> {
        self.shared.faults.lock().expect("the faults").clone()
    }
}

impl Drop for TlsRelay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            // As above: a panic has been printed.
            let _ = listener.join();
        }
    }
}

impl Shared {
    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, error: &io::Error) {
        let mut faults = self.faults.lock().expect("the faults");
        faults.push(error.to_string());
    }
}

/// Passes bytes on in both directions until one side has ended.
fn pass_on(
    mut tls: Connection,
    mut secure: TcpStream,
    mut plain: TcpStream,
    shared: &Shared,
) -> io::Result<()> {
    for stream in [&secure, &plain] {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
    }
    let mut buffer = vec![0; 65536];
    while !shared.stops() {
        while tls.wants_write() {
            tls.write_tls(&mut secure)?;
        }
        let [from_secure, from_plain] = wait(&[secure.as_raw_fd(), plain.as_raw_fd()]);
        if from_secure {
            if tls.read_tls(&mut secure)? == 0 {
                return Ok(());
            }
            if let Err(error) = tls.process_new_packets() {
                // The alert that tells the other side why.
                tls.write_tls(&mut secure)?;
                return Err(io::Error::other(error));
            }
            loop {
                match tls.reader().read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(length) => plain.write_all(&buffer[..length])?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        if from_plain {
            match plain.read(&mut buffer)? {
                0 => return Ok(()),
                length => tls.writer().write_all(&buffer[..length])?,
            }
        }
    }
    Ok(())
}

/// Waits until there is something to read, for a moment at most; says where.
fn wait<const N: usize>(descriptors: &[i32; N]) -> [bool; N] {
    let mut waits = descriptors.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: the pollfds outlive the call.
    unsafe { libc::poll(waits.as_mut_ptr(), N as libc::nfds_t, LOOK) };
    waits.map(|wait| wait.revents != 0)
}
