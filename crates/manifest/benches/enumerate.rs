//! How fast sources are listed, and in how much memory: rows per second and peak anonymous memory, one thread.
//!
//! `cargo bench -p curriculum-manifest --bench enumerate [-- ROWS [NAME]]`, 1,000,000 rows unless said otherwise, and
//! every source unless one is named, such as `paths.parquet`. The files are written before the clock starts, and lie in the page cache. Each format is listed in a process of its own, so
//! that its memory is its own; the rows' index lies in the folder of temporary files.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and a failure ends it"
)]

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use curriculum_manifest::{Access, Manifest, Source};
use flate2::write::GzEncoder;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const ROWS: usize = 1_000_000;
const FILES: [&str; 8] = [
    "rows.jsonl",
    "rows.jsonl.gz",
    "rows.jsonl.zst",
    "rows.csv",
    "paths.parquet",
    "images.parquet",
    "shard.tar",
    "rows.npy",
];
/// A source is listed again, up to twice, while that is a matter of seconds; the fastest counts.
const ROUNDS: usize = 3;
const ROUND_SECONDS: f64 = 20.0;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--list") {
        return list(Path::new(&arguments[at + 1]));
    }
    let rows = arguments.iter().find_map(|argument| argument.parse().ok());
    let rows = rows.unwrap_or(ROWS);
    let named: Vec<&str> = FILES
        .into_iter()
        .filter(|name| arguments.iter().any(|argument| argument == name))
        .collect();
    let names = if named.is_empty() {
        FILES.to_vec()
    } else {
        named
    };
    let folder = tempfile::tempdir().unwrap();
    println!(
        "{:<16} {:>12} {:>10} {:>16}",
        "source", "rows/s", "seconds", "peak memory"
    );
    for name in names {
        let path = folder.path().join(name);
        write(&path, rows);
        let mut command = Command::new(env::current_exe().unwrap());
        let output = command.arg("--list").arg(&path).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        print!("{}", String::from_utf8(output.stdout).unwrap());
        fs::remove_file(path).unwrap();
    }
}

/// Lists one source some times, and prints a line.
fn list(path: &Path) {
    let source = Source::new(path.to_str().unwrap());
    let access = Access::unrestricted();
    let mut best = f64::INFINITY;
    let mut rows = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let manifest =
            Manifest::open(&source, &access, &mut |_| ControlFlow::Continue(())).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        best = best.min(seconds);
        rows = manifest.len();
        if seconds > ROUND_SECONDS {
            break;
        }
    }
    let name = path.file_name().unwrap().to_str().unwrap();
    let rate = rows as f64 / best;
    println!(
        "{name:<16} {rate:>12.0} {best:>10.3} {:>12.1} MiB",
        peak_mib()
    );
}

/// The most anonymous memory that this process had: what `VmHWM` counts, less the files that it maps.
fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        number.unwrap_or(0.0) / 1024.0
    };
    of("VmHWM:") - of("RssFile:")
}

fn id(row: usize) -> String {
    format!("class_{:04}/n{:04}_{row:08}.jpeg", row % 1000, row % 1000)
}

fn write(path: &Path, rows: usize) {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl") => write_lines(create(path), rows),
        Some("gz") => write_lines(
            GzEncoder::new(create(path), flate2::Compression::fast()),
            rows,
        ),
        Some("zst") => {
            let encoder = zstd::Encoder::new(create(path), 3).unwrap();
            write_lines(encoder.auto_finish(), rows);
        }
        Some("csv") => {
            let mut file = create(path);
            writeln!(file, "id,path,label").unwrap();
            (0..rows).for_each(|row| {
                writeln!(file, "{row},{},class_{:04}", id(row), row % 1000).unwrap()
            });
        }
        Some("tar") => write_tar(path, rows),
        Some("npy") => write_npy(path, rows),
        _ => write_parquet(path, rows),
    }
}

fn create(path: &Path) -> BufWriter<File> {
    BufWriter::with_capacity(1 << 20, File::create(path).unwrap())
}

fn write_lines(mut file: impl Write, rows: usize) {
    for row in 0..rows {
        let label = row % 1000;
        writeln!(
            file,
            "{{\"id\": \"{row}\", \"path\": \"images/{}\", \"label\": \"class_{label:04}\", \"caption\": \"a photograph\"}}",
            id(row)
        )
        .unwrap();
    }
}

fn write_parquet(path: &Path, rows: usize) {
    let has_images = path.file_name().unwrap() == "images.parquet";
    let schema = match has_images {
        true => {
            "message m { required group image { required binary bytes; required binary path (UTF8); } required int64 label; }"
        }
        false => "message m { required binary path (UTF8); required binary label (UTF8); }",
    };
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties =
        WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY);
    let mut file =
        SerializedFileWriter::new(create(path), schema, properties.build().into()).unwrap();
    for start in (0..rows).step_by(100_000) {
        let group_rows = start..rows.min(start + 100_000);
        let mut group = file.next_row_group().unwrap();
        let texts = |text: &dyn Fn(usize) -> String| -> Vec<ByteArray> {
            group_rows
                .clone()
                .map(|row| ByteArray::from(text(row).into_bytes()))
                .collect()
        };
        let mut columns = vec![texts(&id)];
        match has_images {
            true => columns.insert(0, texts(&|row| format!("{row:0256}"))),
            false => columns.push(texts(&|row| format!("class_{:04}", row % 1000))),
        }
        for values in columns {
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, None, None)
                .unwrap();
            column.close().unwrap();
        }
        if has_images {
            let labels: Vec<i64> = group_rows.map(|row| row as i64 % 1000).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<Int64Type>()
                .write_batch(&labels, None, None)
                .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    file.close().unwrap();
}

/// Images of 300 bytes: a header and a block each.
fn write_tar(path: &Path, rows: usize) {
    let mut tar = tar::Builder::new(create(path));
    for row in 0..rows {
        let mut header = tar::Header::new_ustar();
        header.set_size(300);
        tar.append_data(&mut header, id(row), &[7; 300][..])
            .unwrap();
    }
    tar.into_inner().unwrap().flush().unwrap();
}

fn write_npy(path: &Path, rows: usize) {
    let header = format!("{{'descr': '<f2', 'fortran_order': False, 'shape': ({rows}, 8), }}\n");
    let mut file = create(path);
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(header.len() as u16).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    (0..rows).for_each(|_| file.write_all(&[0; 16]).unwrap());
}
