//! Whose certificates are believed.

use std::io::{self, Write};
use std::sync::Arc;

use url::Url;

use super::{AUTHORITY, Egress, HttpClient, HttpError, Server, failure, get, ok, open};

/// A server on a thread that speaks TLS with the certificate of the tests and says hello.
fn tls_server() -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_slice(include_bytes!("../../../../tests/tls/server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../../../tests/tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, socket);
            let _ = io::Read::read(&mut stream, &mut [0; 4096])
                .and_then(|_| stream.write_all(&ok("hello")))
                .and_then(|()| stream.flush());
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_is_believed_if_its_authority_is_known_and_it_is_for_the_host() {
    let port = tls_server();
    let url = |host: &str| format!("https://{host}:{port}/").parse::<Url>().unwrap();
    assert_eq!(open().send(get(url("127.0.0.1"))).await.unwrap().body, b"hello");
    let stranger = HttpClient::new(Egress::open(), None).unwrap();
    let error = failure(&stranger, get(url("127.0.0.1"))).await;
    assert!(
        matches!(error, HttpError::Untrusted { .. }) && error.to_string().contains("--ca-file"),
        "{error}"
    );
    let error = failure(&open(), get(url("127.0.0.2"))).await;
    assert!(
        matches!(&error, HttpError::Certificate { reason, .. } if reason.contains("not for this host")),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_says_so() {
    let server = Server::answering(vec![ok("plain")]).await;
    let error = failure(&open(), get(format!("https://127.0.0.1:{}/", server.port).parse().unwrap())).await;
    assert!(
        matches!(&error, HttpError::Tls { reason, .. } if reason.contains("plain http")),
        "{error}"
    );
}

#[test]
fn a_ca_file_that_holds_no_usable_certificate_is_refused_with_its_reason() {
    let authority = String::from_utf8_lossy(AUTHORITY);
    let cut = authority.split("-----END").next().unwrap();
    for (pem, hint) in [
        (String::new(), "holds no certificate"),
        ("certificate".to_owned(), "holds no certificate"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
            "holds no certificate",
        ),
        (cut.to_owned(), "no -----END line"),
        (
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_owned(),
            "not base64",
        ),
        (
            format!("{authority}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "number 2",
        ),
    ] {
        let message = HttpClient::new(Egress::open(), Some(pem.as_bytes())).unwrap_err().to_string();
        assert!(message.contains(hint), "{hint}: {message}");
    }
}
