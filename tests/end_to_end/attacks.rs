//! Clients that want what is not theirs: files beside the allowed folder, and other machines through the server.

use curriculum_proto::v1::{self, JobState};
use curriculum_tests::{
    Home, Launch, TestServer,
    calls::submission,
    data::{self, Image},
    tables,
};
use flate2::{Compression, write::GzEncoder};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::symlink,
    path::Path,
    thread,
};
use tonic::Code;

/// A server that may read some places only.
async fn launch(home: &Home, allow: &[&str]) -> TestServer {
    let settings = format!("[model]\nthreads = 1\n[sources]\nallow = {allow:?}\n");
    let launch = Launch {
        settings: &settings,
        ..Launch::default()
    };
    TestServer::launch(home, launch).await
}

/// That nothing of a source may be read, as it is said: the refusal, or the errors of all samples of its job.
async fn refused(server: &TestServer, source: &str) -> Vec<String> {
    let request = v1::SubmitJobRequest {
        source: source.to_owned(),
        ..submission("c", Path::new(""), 2)
    };
    let job = match server.submit(request).await {
        Ok(submitted) => submitted.job.unwrap(),
        Err(status) => {
            let codes = [Code::PermissionDenied, Code::InvalidArgument];
            assert!(codes.contains(&status.code()), "{source}: {status}");
            return vec![status.message().to_owned()];
        }
    };
    let ended = server.ended(&job.id).await;
    assert_eq!(ended.state(), JobState::Failed, "{source}: {ended:?}");
    let errors = server.job(&job.id).await.errors;
    assert_eq!(errors.len() as u64, ended.sample_count, "{source}");
    errors.into_iter().map(|error| error.reason).collect()
}

/// That it is refused, and not missing, broken or without an answer.
async fn expect_refusal(server: &TestServer, source: &str) {
    for reason in refused(server, source).await {
        let texts = [
            "refused",
            "unknown scheme",
            "a user name or password",
            "not the name of",
        ];
        let is_refusal = texts.iter().any(|text| reason.contains(text));
        assert!(is_refusal, "{source}: {reason}");
    }
}

fn rows(folder: &Path, name: &str, paths: &[String]) {
    let table = |comma: &str| {
        let rows = paths.iter().enumerate();
        let rows = rows.map(|(index, path)| format!("{index}{comma}{path}\n"));
        format!("id{comma}path\n{}", rows.collect::<String>())
    };
    fs::write(folder.join(format!("{name}.csv")), table(",")).unwrap();
    fs::write(folder.join(format!("{name}.tsv")), table("\t")).unwrap();
    let jsonl = paths.iter().enumerate();
    let jsonl = jsonl.map(|(index, path)| data::row(&index.to_string(), path, "x") + "\n");
    fs::write(
        folder.join(format!("{name}.jsonl")),
        jsonl.collect::<String>(),
    )
    .unwrap();
    tables::write_paths(&folder.join(format!("{name}.parquet")), paths);
}

/// Every kind of source, in a folder of its own.
fn every_kind(folder: &Path, images: &[Image]) -> Vec<&'static str> {
    data::write_folder(&folder.join("images"), images);
    let flat = folder.join("flat");
    fs::create_dir(&flat).unwrap();
    for (index, image) in images.iter().enumerate() {
        fs::write(flat.join(format!("{index}.png")), &image.bytes).unwrap();
    }
    data::write_tar(&folder.join("shard.tar"), images);
    tables::write_parquet(&folder.join("embedded.parquet"), images, 100);
    let paths: Vec<_> = images
        .iter()
        .map(|image| format!("images/{}", image.key))
        .collect();
    rows(folder, "rows", &paths);
    let values = vec![1; 4 * 4 * images.len()];
    let shape = format!("({}, 4)", images.len());
    data::write_npy(&folder.join("features.npy"), "<f4", false, &shape, &values);
    fs::write(folder.join("shards.txt"), "shard.tar\n").unwrap();
    tables::write_vectors(&folder.join("vectors.parquet"), images.len());
    fs::create_dir(folder.join("clusters")).unwrap();
    tables::write_clusters(&folder.join("clusters/part.0.parquet"), images.len());
    for file in ["shard.tar", "rows.csv", "rows.jsonl"] {
        let bytes = fs::read(folder.join(file)).unwrap();
        let packed = File::create(folder.join(format!("{file}.gz"))).unwrap();
        let mut packed = GzEncoder::new(packed, Compression::fast());
        packed.write_all(&bytes).unwrap();
        packed.finish().unwrap();
    }
    vec![
        "images",
        "flat",
        "shard.tar",
        "embedded.parquet",
        "rows.csv",
        "rows.tsv",
        "rows.jsonl",
        "rows.parquet",
        "features.npy",
        "shards.txt",
        "shard.tar.gz",
        "rows.csv.gz",
        "rows.jsonl.gz",
        "vectors.parquet",
        "clusters",
    ]
}

#[tokio::test]
async fn no_kind_of_source_leads_out_of_the_allowed_folder() {
    let home = Home::new();
    let (inside, outside) = (home.path("inside"), home.path("outside"));
    let images = data::images(60);
    for folder in [&inside, &outside] {
        fs::create_dir(folder).unwrap();
    }
    let kinds = every_kind(&outside, &images);
    every_kind(&inside, &images);
    let server = launch(&home, &[inside.to_str().unwrap()]).await;
    let at = |name: &str| inside.join(name).display().to_string();

    let mut sources = Vec::new();
    for kind in &kinds {
        let target = outside.join(kind);
        // Any kind of file must be recognised by the name of the link.
        let link = format!("link-{kind}");
        symlink(&target, inside.join(&link)).unwrap();
        sources.extend([
            target.display().to_string(),
            format!("file://{}", target.display()),
            at(&format!("../outside/{kind}")),
            at(&link),
        ]);
    }
    // Through what lists other files.
    for (name, line) in [
        ("up.txt", "../outside/shard.tar".to_owned()),
        (
            "absolute.txt",
            outside.join("shard.tar").display().to_string(),
        ),
        (
            "url.txt",
            format!("file://{}", outside.join("shard.tar").display()),
        ),
        ("braces.txt", "../{outside,inside}/shard.tar".to_owned()),
    ] {
        fs::write(inside.join(name), line + "\n").unwrap();
        sources.push(at(name));
    }
    sources.push(
        home.path("{inside,outside}/shard.tar")
            .display()
            .to_string(),
    );
    // Through rows, and through folders.
    let few = &images[..4];
    let target = |image: &Image| outside.join("images").join(&image.key);
    for folder in ["folder/class", "linked-class"] {
        fs::create_dir_all(inside.join(folder)).unwrap();
    }
    for (index, image) in few.iter().enumerate() {
        symlink(target(image), inside.join(format!("leak-{index}.png"))).unwrap();
        let link = format!("folder/class/leak-{index}.png");
        symlink(target(image), inside.join(link)).unwrap();
    }
    let class = target(&few[0]).parent().unwrap().to_owned();
    symlink(class, inside.join("linked-class/class")).unwrap();
    sources.extend(["folder", "folder/class", "linked-class"].map(at));
    type Leak<'a> = &'a dyn Fn(usize, &Image) -> String;
    let leaks: [(&str, Leak<'_>); 5] = [
        ("up", &|_, image| format!("../outside/images/{}", image.key)),
        ("inner", &|_, image| {
            format!("images/../../outside/images/{}", image.key)
        }),
        ("absolute", &|_, image| target(image).display().to_string()),
        ("url", &|_, image| {
            format!("file://{}", target(image).display())
        }),
        ("linked", &|index, _| format!("leak-{index}.png")),
    ];
    for (name, leak) in leaks {
        let paths = few
            .iter()
            .enumerate()
            .map(|(index, image)| leak(index, image));
        rows(&inside, &format!("row-{name}"), &paths.collect::<Vec<_>>());
        for extension in ["csv", "tsv", "jsonl", "parquet"] {
            sources.push(at(&format!("row-{name}.{extension}")));
        }
    }
    // Through archives, which others might unpack.
    for (name, member) in [
        ("up.tar", "../outside/images/a"),
        ("root.tar", "/etc/passwd"),
    ] {
        write_link(&inside.join(name), member, &target(&few[0]));
        sources.push(at(name));
    }

    for source in &sources {
        expect_refusal(&server, source).await;
    }
    let list = v1::ListCurriculaRequest::default();
    let listed = server.curricula().list_curricula(list).await.unwrap();
    assert_eq!(listed.into_inner().curricula, [], "no version");

    // What is inside is read, also where a link leads there.
    symlink(inside.join("shard.tar"), inside.join("link-inside.tar")).unwrap();
    for kind in kinds.iter().chain(&["link-inside.tar"]) {
        let source = inside.join(kind);
        let mut request = submission("c", &source, 2);
        if *kind == "clusters" {
            // They have been made.
            request.parameters = None;
        }
        let job = server.publish(request).await;
        assert_eq!((job.sample_count, job.failed_count), (60, 0), "{kind}");
    }
}

/// An archive of a picture that is a link, under a name of one's choice.
fn write_link(path: &Path, name: &str, target: &Path) {
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_link_name(target).unwrap();
    let name = format!("{name}.png");
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    archive.append(&header, std::io::empty()).unwrap();
    archive.into_inner().unwrap();
}

/// This machine's own servers and its neighbours are not for clients of this one.
#[tokio::test]
async fn no_source_leads_into_the_network_around_the_server() {
    let home = Home::new();
    let canary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    let inside = home.path("inside");
    fs::create_dir(&inside).unwrap();
    // A prefix of a web server elsewhere does not help either.
    let allow = [inside.to_str().unwrap(), "https://data.example/"];
    let server = launch(&home, &allow).await;

    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "user@127.0.0.1",
        "data.example@127.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "metadata.google.internal",
    ];
    for host in hosts {
        for (scheme, file) in [("http", "x.jsonl"), ("https", "x.tar"), ("http", "")] {
            let url = format!("{scheme}://{host}:{port}/{file}");
            expect_refusal(&server, &url).await;
        }
        if !["127.0.0.1", "localhost", "[::1]", "169.254.169.254"].contains(&host) {
            continue;
        }
        let url = |file: &str| format!("http://{host}:{port}/{file}");
        rows(&inside, "rows", &["a.png", "b.png", "c.png"].map(url));
        fs::write(inside.join("list.txt"), url("x.tar")).unwrap();
        for name in [
            "rows.csv",
            "rows.tsv",
            "rows.jsonl",
            "rows.parquet",
            "list.txt",
        ] {
            expect_refusal(&server, inside.join(name).to_str().unwrap()).await;
        }
    }
    for scheme in ["ftp", "gopher", "data", "s3", "gs", "az"] {
        expect_refusal(&server, &format!("{scheme}://127.0.0.1:{port}/x.jsonl")).await;
    }
    let came = canary.accept().unwrap_err();
    assert_eq!(came.kind(), ErrorKind::WouldBlock, "nobody came");
}

/// A server that may be read, but that sends whoever asks on to another: the rest of the path.
fn forwarding() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let target = line.split(' ').nth(1).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 302 Found\r\nLocation: http:/{target}\r\nContent-Length: 0\r\n\r\n"
            );
            // The client may have seen enough.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[tokio::test]
async fn redirects_do_not_lead_into_the_network_either() {
    let home = Home::new();
    let canary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    let web = format!("http://localhost:{}/", forwarding());
    let server = launch(&home, &[&web]).await;
    for target in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "169.254.169.254".to_owned(),
        "[fe80::1]".to_owned(),
    ] {
        let reasons = refused(&server, &format!("{web}{target}/x.jsonl")).await;
        assert!(reasons[0].contains("redirect"), "{target}: {reasons:?}");
    }
    let came = canary.accept().unwrap_err();
    assert_eq!(came.kind(), ErrorKind::WouldBlock, "nobody came");
}

/// Without a list a server on loopback reads what its user may; a metadata service is no source even then.
#[tokio::test]
async fn metadata_services_are_no_sources_whatever_is_allowed() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    for host in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
    ] {
        let reasons = refused(&server, &format!("http://{host}/latest/x.jsonl")).await;
        assert!(reasons[0].contains("link-local"), "{host}: {reasons:?}");
    }
}
