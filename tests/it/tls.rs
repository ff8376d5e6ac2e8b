//! TLS in front of a plain server, with an authority of our own: the bytes are passed on as they
//! come, so the server sees what the client negotiated, HTTP/1.1 or HTTP/2.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rcgen::{KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::temp::TempFile;

/// HTTP/2 and HTTP/1.1, as servers offer them.
pub(crate) const BOTH: &[&str] = &["h2", "http/1.1"];

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Nothing: it is for `localhost`.
    Right,
    /// It is for another name.
    WrongName,
    /// Its time is over.
    Expired,
}

/// An authority that nobody trusts who does not have its file.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: TempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let file = TempFile::new("authority.pem", &params.self_signed(&key).unwrap().pem());
        Self { issuer: Issuer::new(params, key), file }
    }

    /// Its own certificate, for `SSL_CERT_FILE`.
    pub(crate) fn path(&self) -> &str {
        self.file.path()
    }

    fn server(&self, certificate: Certificate, protocols: &[&str]) -> ServerConfig {
        let name =
            if certificate == Certificate::WrongName { "elsewhere.test" } else { "localhost" };
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if certificate == Certificate::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 12, 31);
        }
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// A TLS server in front of another, while it lives.
pub(crate) struct Front {
    port: u16,
    negotiated: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Front {
    /// Starts one that offers these protocols.
    pub(crate) async fn start(
        backend: SocketAddr,
        authority: &Authority,
        certificate: Certificate,
        protocols: &[&str],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(certificate, protocols)));
        let negotiated = Arc::<Mutex<Vec<String>>>::default();
        let mut serving = JoinSet::new();
        let seen = Arc::clone(&negotiated);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                connections.spawn(async move {
                    // A client that does not trust us ends the handshake; so be it.
                    let Ok(mut client) = acceptor.accept(socket).await else { return };
                    let protocol = client.get_ref().1.alpn_protocol().unwrap_or_default();
                    seen.lock().unwrap().push(String::from_utf8_lossy(protocol).into_owned());
                    let mut server = TcpStream::connect(backend).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port, negotiated, _serving: serving }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// What each connection so far has agreed upon.
    pub(crate) fn negotiated(&self) -> Vec<String> {
        self.negotiated.lock().unwrap().clone()
    }
}
