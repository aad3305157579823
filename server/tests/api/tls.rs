//! HTTPS: the same calls over TLS, with a certificate that may be renewed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::client::{Answer, Client, finish};
use crate::model::Model;
use crate::process::{Server, refusal, terminate, until};

/// A certificate for 127.0.0.1 that vouches for itself, and its key.
struct Pair {
    dir: TempDir,
}

impl Pair {
    fn new() -> Pair {
        let pair = Pair { dir: tempfile::tempdir().unwrap() };
        make(&pair.cert(), &pair.key());
        pair
    }

    fn cert(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    fn server(&self) -> Server {
        let (cert, key) = (self.cert(), self.key());
        let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
        Server::start_with(&["--token", "t0", "--tls-cert", cert, "--tls-key", key])
    }

    /// Trusts the certificate as it is now, and nothing else.
    fn trust(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.cert()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

fn make(cert: &Path, key: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(cert)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn connect(server: &Server, config: &Arc<ClientConfig>) -> Stream {
    let socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
}

/// Sends a request; fails when the handshake does.
fn call(
    server: &Server,
    config: &Arc<ClientConfig>,
    client: &Client,
    method: &str,
    target: &str,
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = connect(server, config);
    let head = client.head(method, target, &format!("Content-Length: {}\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()?;
    Ok(finish(stream))
}

#[test]
fn calls_work_over_tls_and_not_beside_it() {
    let pair = Pair::new();
    let server = pair.server();
    let (config, client) = (pair.trust(&["h2", "http/1.1"]), server.client());
    let mut model = Model::new(512);
    let ltx = model.commit(&[(1, 1)], 1);
    call(&server, &config, &client, "POST", "/db/tx?db=a", &ltx).unwrap().assert_ok();
    let target = "/db/snapshot?db=a&format=sqlite";
    let file = call(&server, &config, &client, "GET", target, b"").unwrap().assert_ok();
    assert!(file.body == model.file());
    let stranger = server.stranger();
    let refused = call(&server, &config, &stranger, "GET", "/pos", b"").unwrap();
    refused.assert_refused(401, "EINVALIDAUTH");
    // A client that knows another protocol only, one that trusts another certificate, and none.
    assert!(call(&server, &pair.trust(&["h2"]), &client, "GET", "/pos", b"").is_err());
    let other = Pair::new().trust(&[]);
    assert!(call(&server, &other, &client, "GET", "/pos", b"").is_err());
    let head = client.head("GET", "/pos", "");
    let mut plain = client.begin(head.as_bytes());
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"), "answered in the clear");
    call(&server, &config, &client, "GET", "/pos", b"").unwrap().assert_ok();
}

#[test]
fn a_client_that_comes_back_resumes_its_session() {
    let pair = Pair::new();
    let server = pair.server();
    let (config, client) = (pair.trust(&["http/1.1"]), server.client());
    let head = client.head("GET", "/pos", "");
    let kinds = [(); 2].map(|()| {
        let mut stream = connect(&server, &config);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // The tickets come with the answer.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        stream.conn.handshake_kind().unwrap()
    });
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}

#[test]
fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let pair = Pair::new();
    let server = pair.server();
    let client = server.client();
    let works = |config: &Arc<ClientConfig>| {
        call(&server, config, &client, "GET", "/pos", b"").is_ok_and(|answer| answer.status == 200)
    };
    let first = pair.trust(&[]);
    assert!(works(&first));
    // Between the two renames certificate and key do not fit: that is waited out.
    make(&pair.cert(), &pair.key());
    let second = pair.trust(&[]);
    until("the new certificate is shown", || works(&second));
    assert!(!works(&first));
    std::fs::write(pair.cert(), "no certificate").unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(works(&second));
}

#[test]
fn a_commit_under_way_finishes_when_the_server_stops() {
    let pair = Pair::new();
    let mut server = pair.server();
    let (config, client) = (pair.trust(&[]), server.client());
    // Neither of these must hold the end up.
    let silent = TcpStream::connect(server.address()).unwrap();
    let idle = {
        let mut stream = connect(&server, &config);
        stream
            .write_all(
                format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).as_bytes(),
            )
            .unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream
    };
    let ltx = Model::new(512).commit(&[(1, 1)], 1);
    let (early, late) = ltx.split_at(100);
    let mut stream = connect(&server, &config);
    let length = format!("Content-Length: {}\r\n", ltx.len());
    stream.write_all(client.head("POST", "/db/tx?db=a", &length).as_bytes()).unwrap();
    stream.write_all(early).unwrap();
    stream.flush().unwrap();
    let in_flight = "litevfs_cloud_requests_in_flight 2";
    until("the commit is under way", || {
        let answer = call(&server, &config, &client, "GET", "/metrics", b"").unwrap();
        String::from_utf8(answer.body).unwrap().contains(in_flight)
    });
    terminate(server.pid());
    until("no new connection is taken", || TcpStream::connect(server.address()).is_err());
    stream.write_all(late).unwrap();
    stream.flush().unwrap();
    finish(stream).assert_ok();
    assert!(server.wait());
    assert!(!server.log().contains("still under way"), "{}", server.log());
    drop((silent, idle));
    server.restart();
    let answer = call(&server, &config, &client, "GET", "/pos", b"").unwrap().assert_ok();
    assert_eq!(answer.json()["a"]["txid"], "0000000000000001");
}

#[test]
fn files_that_are_no_certificate_and_key_are_refused() {
    let (pair, other) = (Pair::new(), Pair::new());
    let (cert, key) = (pair.cert(), pair.key());
    let refused = |cert: &Path, key: &Path| {
        let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
        let data = pair.dir.path().join("data");
        let args = ["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        refusal(&[&args[..], &["--tls-cert", cert, "--tls-key", key]].concat())
    };
    assert!(refused(&pair.dir.path().join("none"), &key).contains("--tls-cert"));
    assert!(refused(&key, &key).contains("no PEM certificate"));
    assert!(refused(&cert, &cert).contains("no PEM private key"));
    assert!(refused(&cert, &other.key()).contains("--tls-key"));
    let half = refusal(&["serve", "--tls-cert", cert.to_str().unwrap()]);
    assert!(half.contains("--tls-key"), "{half}");
}
