//! Rust generated from `proto/`; nothing by hand. Field documentation lives in the `.proto` files.

#![expect(
    missing_docs,
    reason = "the comments of the .proto files are the documentation"
)]
#![expect(clippy::all, reason = "generated code")]

/// The package `curriculum.v1`: both services, their clients and their messages.
pub mod v1 {
    tonic::include_proto!("curriculum.v1");

    /// Serialised descriptors of the package, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("descriptors");
}
