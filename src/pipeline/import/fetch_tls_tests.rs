//! Pictures by https, from a server on this machine (`openssl s_server`) whose certificate is made for the test and believed in it alone.

use super::*;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;
use ureq::tls::{Certificate, RootCerts};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 the beginning of a JPEG";

/// Serves the files of its folder, which are whole answers.
struct TlsServer {
    folder: TempDir,
    address: SocketAddr,
    child: Child,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl").args(arguments.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&made.stderr));
}

impl TlsServer {
    /// `None` where there is no openssl.
    fn start() -> Option<Self> {
        Command::new("openssl").arg("version").output().ok()?;
        let folder = tempfile::tempdir().unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\n").unwrap();
        openssl(folder.path(), &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
        openssl(folder.path(), &format!("req -new {key} -keyout key.pem -out request.pem -subj /CN=localhost"));
        let sign =
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem";
        openssl(folder.path(), sign);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("openssl")
            .args(["s_server", "-HTTP", "-quiet", "-cert", "cert.pem", "-key", "key.pem", "-accept"])
            .arg(address.to_string())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(TlsServer { folder, address, child })
    }

    fn url(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}", self.address.port())
    }

    fn put(&self, name: &str, head: &str, body: &[u8]) {
        let whole = [format!("HTTP/1.0 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat();
        fs::write(self.folder.path().join(name), whole).unwrap();
    }

    /// As the product fetches from the public network, and from this server; `believed`: its certificate is a known authority's.
    fn fetcher(&self, into: &Path, believed: bool) -> PictureFetcher {
        let authority = fs::read(self.folder.path().join("ca.pem")).unwrap();
        let roots = RootCerts::Specific(Arc::new(vec![Certificate::from_pem(&authority).unwrap()]));
        let tls = if believed { TlsConfig::builder().root_certs(roots).build() } else { TlsConfig::default() };
        let guard =
            AddressGuard { inner: DefaultResolver::default(), from: FetchFrom::Public, also: Some(self.address) };
        PictureFetcher::with(into, guard, tls).unwrap()
    }
}

#[test]
fn pictures_come_by_https_and_redirects_stay_there() {
    let Some(server) = TlsServer::start() else { return eprintln!("skipped: there is no openssl") };
    let into = tempfile::tempdir().unwrap();
    let fetcher = server.fetcher(into.path(), true);
    server.put("a.jpg", "200 OK\r\nContent-Type: image/jpeg", JPEG);
    let begun = Instant::now();
    // The server takes a moment to start.
    while let Err(reason) = fetcher.get("a", &server.url("a.jpg")) {
        let (FetchFailure::Host(reason) | FetchFailure::Picture(reason)) = reason;
        assert!(begun.elapsed() < Duration::from_secs(20), "{reason}");
        std::thread::sleep(Duration::from_millis(50));
    }
    fetcher.fetch(&server.url("a.jpg")).unwrap();
    assert_eq!(fs::read(into.path().join(fetched_name(&server.url("a.jpg")))).unwrap(), JPEG);

    let port = server.address.port();
    for (name, location, says) in [
        ("moved.jpg", server.url("a.jpg"), None),
        ("plain.jpg", format!("http://localhost:{port}/a.jpg"), Some("not https")),
        ("router.jpg", "https://192.168.1.1/a.jpg".to_owned(), Some("192.168.1.1 is an address of the local network")),
        ("own.jpg", format!("https://127.0.0.1:{}/a.jpg", port ^ 1), Some("is an address of the local network")),
        ("six.jpg", "https://[::1]/a.jpg".to_owned(), Some("is an address of the local network")),
        ("cloud.jpg", "https://169.254.169.254/a.jpg".to_owned(), Some("is an address of the local network")),
        ("name.jpg", format!("https://localhost:{}/a.jpg", port ^ 1), Some("is an address of the local network")),
    ] {
        server.put(name, &format!("302 Found\r\nLocation: {location}"), b"");
        let fetched = fetcher.fetch(&server.url(name));
        match says {
            None => fetched.unwrap(),
            Some(says) => assert!(fetched.as_ref().is_err_and(|reason| reason.contains(says)), "{name}: {fetched:?}"),
        }
        let is_kept = into.path().join(fetched_name(&server.url(name))).exists();
        assert_eq!(is_kept, says.is_none(), "{name}");
    }

    let stranger = server.fetcher(into.path(), false);
    let reason = stranger.fetch(&server.url("moved.jpg?again")).unwrap_err();
    assert!(reason.contains("certificate"), "nobody vouches for the server: {reason}");
}
