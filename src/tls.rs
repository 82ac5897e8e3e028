//! How a TLS server's certificate is judged, and what we show of our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Whose certificate is taken for the server's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// Anyone's: encrypted, and not verified.
    Anyone,
    /// One that an authority of the system vouches for, under the server's name.
    System,
    /// The same with the authorities in this PEM file.
    Authorities(&'a Path),
    /// Any that one of these authorities vouches for, under whatever name.
    AnyNameOf(&'a Path),
}

/// PEM files of our own certificate (with its chain) and its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) certificate: &'a Path,
    pub(crate) key: &'a Path,
}

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read {what} from {path} (give a PEM file that warren may read)", path = path.display())]
    Pem {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error(
        "find the system's certificate authorities (install ca-certificates, or name a CA file)"
    )]
    NoAuthorities,
    #[error("take {path} as certificate authority (give a file with CA certificates)", path = path.display())]
    Authority {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("verify certificates with {path} (give a file with CA certificates)", path = path.display())]
    Verifier {
        path: PathBuf,
        #[source]
        source: rustls::client::VerifierBuilderError,
    },
    #[error(
        "use {certificate} with {key} as our certificate (give a certificate and its own private key)",
        certificate = certificate.display(), key = key.display()
    )]
    ClientCertificate {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

/// Reads the files that are named.
///
/// # Errors
/// When one of them can't be used, or no authority is known at all.
pub(crate) fn client_config(
    trust: Trust<'_>,
    identity: Option<Identity<'_>>,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    let authorities = match trust {
        Trust::Anyone => None,
        Trust::System => Some(Authorities::of_system(&provider)?),
        Trust::Authorities(path) => Some(Authorities::of(path, false, &provider)?),
        Trust::AnyNameOf(path) => Some(Authorities::of(path, true, &provider)?),
    };
    let judge = Judge {
        authorities,
        provider,
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge));
    let Some(Identity { certificate, key }) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("our certificate", certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Pem {
        what: "our private key",
        path: key.to_owned(),
        source,
    })?;
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|source| TlsError::ClientCertificate {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })
}

/// At least one.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Pem {
        what,
        path: path.to_owned(),
        source,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(failed(pem::Error::NoItemsFound));
    }
    Ok(found)
}

/// As the agents' OpenSSL judges, which differs from webpki in one thing: a certificate that is an authority itself may be
/// a server's, too, if it is the very one that was given. `openssl req -x509` makes such. The handshake's own signature is
/// always checked.
#[derive(Debug)]
struct Judge {
    /// `None`: nothing is verified, as the operator wants it.
    authorities: Option<Authorities>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Authorities {
    chain: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
    /// Whatever name is in the certificate.
    any_name: bool,
}

impl Authorities {
    fn of(path: &Path, any_name: bool, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let given = certificates("certificate authorities", path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &given {
            roots
                .add(certificate.clone())
                .map_err(|source| TlsError::Authority {
                    path: path.to_owned(),
                    source,
                })?;
        }
        let chain = verifier(roots, provider).map_err(|source| TlsError::Verifier {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            chain,
            given,
            any_name,
        })
    }

    /// Those that can't be read are skipped, as every TLS library does: a distribution ships some odd ones.
    fn of_system(provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Ok(Self {
            chain: verifier(roots, provider).map_err(|_| TlsError::NoAuthorities)?,
            given: Vec::new(),
            any_name: false,
        })
    }
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let judged =
            authorities
                .chain
                .verify_server_cert(end_entity, intermediates, name, ocsp, now);
        let Err(rustls::Error::InvalidCertificate(error)) = &judged else {
            return judged;
        };
        match error {
            // The name is what is looked at last: all else is well.
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                if authorities.any_name =>
            {
                Ok(ServerCertVerified::assertion())
            }
            // What webpki says of an authority as a server, and has no name for in rustls. The time has been looked at by then.
            CertificateError::Other(_) if authorities.given.contains(end_entity) => {
                if !authorities.any_name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            _ => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
