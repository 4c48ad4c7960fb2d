//! The gRPC services and their life cycle.
