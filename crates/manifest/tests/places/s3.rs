//! A real S3-compatible server in this process: `s3s` speaks the protocol, signatures included, `s3s-fs` keeps
//! objects as files. Also used by the end-to-end tests.

#![allow(unreachable_pub, reason = "public in the harness that shares the file")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The only user that the server knows.
pub const ACCESS_KEY: &str = "AKEXAMPLE";
/// Of that user.
pub const SECRET_KEY: &str = "a-secret-of-the-tests";

/// The server, until it is dropped.
#[derive(Debug)]
pub struct S3 {
    address: SocketAddr,
    root: TempDir,
    /// Serves while it lives.
    _runtime: Runtime,
}

impl S3 {
    /// Starts a server without buckets on a free port of this machine.
    #[must_use]
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, service));
        Self {
            address,
            root,
            _runtime: runtime,
        }
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client needs to know, under the names of the environment variables.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let endpoint = self.endpoint();
        let settings = [
            ("AWS_ENDPOINT_URL", &*endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    /// Where the objects of a bucket lie as files. Made where it is not there.
    #[must_use]
    pub fn bucket(&self, name: &str) -> PathBuf {
        let bucket = self.root.path().join(name);
        fs::create_dir_all(&bucket).unwrap();
        bucket
    }

    /// Writes an object, or another over it.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.bucket(bucket).join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Copies a file, or a folder with all that is in it.
    #[allow(
        dead_code,
        reason = "not every test that shares the file copies folders"
    )]
    pub fn put_all(&self, bucket: &str, key: &str, from: &Path) {
        if from.is_dir() {
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                self.put_all(bucket, &format!("{key}/{name}"), &entry.path());
            }
        } else {
            self.put(bucket, key.trim_start_matches('/'), fs::read(from).unwrap());
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        // Head and body go out in two pieces.
        let _ = socket.set_nodelay(true);
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // A client that goes away is no failure of a test.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
