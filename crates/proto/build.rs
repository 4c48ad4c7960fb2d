//! Compiles `proto/` without `protoc`: protox parses, tonic generates.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 3] = [
    "curriculum/v1/types.proto",
    "curriculum/v1/curriculum.proto",
    "curriculum/v1/ingest.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    // tonic prints its own rerun lines only when it runs protoc itself.
    println!("cargo:rerun-if-changed={}", root.display());

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(FILES)?;

    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .bytes(".curriculum.v1.WeightsChunk.values")
        .bytes(".curriculum.v1.DifficultyChunk")
        .bytes(".curriculum.v1.SampleIndicesResponse.indices")
        .btree_map(".curriculum.v1.Extractor.nodes_by_provider")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
