//! The server's end of TLS on 127.0.0.1, by a certificate that is made for one test and an authority that vouches for
//! nothing else: no key is stored anywhere.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server and the authority behind it.
pub struct LocalTls {
    config: Arc<ServerConfig>,
    ca_file: PathBuf,
    /// Holds the file for as long as somebody may read it.
    _folder: tempfile::TempDir,
}

impl LocalTls {
    /// A server that nobody knows yet.
    pub fn new() -> LocalTls {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, authority.self_signed(&authority_key).unwrap().pem()).unwrap();

        let mut server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        LocalTls { config: Arc::new(config), ca_file, _folder: folder }
    }

    /// The authority, in PEM: whoever is given this file trusts the server.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The server's end of an accepted connection; the handshake comes with the first read.
    pub fn accept(&self, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), socket)
    }
}
