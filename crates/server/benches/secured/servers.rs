//! The servers that are compared.

use crate::{Client, bare::Bare, home::Home};
use curriculum_proto::v1::{
    curriculum_service_client::CurriculumServiceClient,
    curriculum_service_server::CurriculumServiceServer,
};
use curriculum_server::{
    Config, Overrides,
    config::{Auth, Tls},
    serve_only,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::fs;
use tempfile::tempdir;
use tokio::net::TcpListener;
use tonic::{
    metadata::{Ascii, MetadataValue},
    service::Routes,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

/// The service of constant bytes behind transport and layers, with so many keys, and the header of one.
pub(crate) async fn behind_layers(keys: usize) -> (Client, Option<MetadataValue<Ascii>>) {
    let folder = tempdir().unwrap();
    let mut config = Config::load(None, &Overrides::default()).unwrap();
    let key = |number: usize| format!("{number:020}");
    if keys > 0 {
        let file = folder.path().join("keys");
        let lines: String = (0..keys).map(|number| key(number) + "\n").collect();
        fs::write(&file, lines).unwrap();
        config.auth = Auth {
            read_keys_file: Some(file),
            ..Auth::default()
        };
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Routes::new(CurriculumServiceServer::new(Bare::new()));
    let serving = serve_only(&config, listener, routes).unwrap();
    tokio::spawn(async move {
        serving.await;
        drop(folder);
    });
    let header = (keys > 0).then(|| format!("Bearer {}", key(0)).parse().unwrap());
    (CurriculumServiceClient::connect(url).await.unwrap(), header)
}

/// A server of the same version with a certificate.
pub(crate) async fn encrypted(home: &Home) -> Client {
    // Until the process ends, as the server looks at the files.
    let folder = tempdir().unwrap().keep();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.join("crt"), folder.join("key"));
    fs::write(&cert_file, cert.pem()).unwrap();
    fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    let url = home.url_with(Tls {
        cert_file: Some(cert_file),
        key_file: Some(key_file),
        client_ca_file: None,
    });
    let url = url.await;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(cert.pem()));
    let endpoint = Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap();
    CurriculumServiceClient::new(endpoint.connect().await.unwrap())
}
