//! Every call that there is. One that is not here is refused, so that nobody can forget to say who may make
//! it; a test compares the table with the services' descriptors.

use std::{collections::HashMap, sync::LazyLock};

/// What a key must allow for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Nothing, not even a key.
    None,
    /// To read. Calls that name a curriculum check that the key may see it (`access::check`).
    Read,
    Write,
}

/// How long a call may be at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// As long as the server's limit; it counts as at work until its answer has been sent.
    Limited,
    /// As long as its client likes: its work grows with the data, listing a source may take minutes and an
    /// upload as long as its client sends. It ends when the client goes away.
    Unlimited,
    /// It answers at once and then tells what changes, for as long as its client likes. Nothing is at work
    /// between two messages.
    Watch,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    path: &'static str,
    pub(crate) right: Right,
    pub(crate) time: Time,
    /// Bytes of a message to it, at most.
    pub(crate) message: usize,
}

impl Method {
    /// Whether its client sends data, in as many messages as it likes.
    pub(crate) fn is_upload(&self) -> bool {
        self.message > WRITE
    }
}

/// For the name of a service.
const SHORT: usize = 4 << 10;

/// Ten thousand iterations are less than half of it.
const READ: usize = 256 << 10;

const WRITE: usize = 1 << 20;

/// Pieces of a version are of 1 MiB.
const PIECE: usize = 4 << 20;

/// An image of 32 MiB and what names it.
const IMAGE: usize = 36 << 20;

/// The largest of all.
pub(crate) const MAX_MESSAGE: usize = IMAGE;

const fn read(path: &'static str) -> Method {
    Method {
        path,
        right: Right::Read,
        time: Time::Limited,
        message: READ,
    }
}

const fn write(path: &'static str, time: Time, message: usize) -> Method {
    Method {
        path,
        right: Right::Write,
        time,
        message,
    }
}

const fn health(path: &'static str, time: Time) -> Method {
    Method {
        path,
        right: Right::None,
        time,
        message: SHORT,
    }
}

const METHODS: [Method; 23] = [
    read("/curriculum.v1.CurriculumService/GetWeights"),
    read("/curriculum.v1.CurriculumService/GetSchedule"),
    read("/curriculum.v1.CurriculumService/SampleIndices"),
    read("/curriculum.v1.CurriculumService/GetDifficulty"),
    read("/curriculum.v1.CurriculumService/GetCurriculum"),
    read("/curriculum.v1.CurriculumService/ListCurricula"),
    read("/curriculum.v1.CurriculumService/ExportVersion"),
    write(
        "/curriculum.v1.IngestService/SubmitJob",
        Time::Unlimited,
        WRITE,
    ),
    write("/curriculum.v1.IngestService/GetJob", Time::Limited, WRITE),
    write(
        "/curriculum.v1.IngestService/ListJobs",
        Time::Limited,
        WRITE,
    ),
    write("/curriculum.v1.IngestService/WatchJob", Time::Watch, WRITE),
    write(
        "/curriculum.v1.IngestService/CancelJob",
        Time::Limited,
        WRITE,
    ),
    write(
        "/curriculum.v1.IngestService/RetryJob",
        Time::Limited,
        WRITE,
    ),
    write(
        "/curriculum.v1.IngestService/PushFeatures",
        Time::Unlimited,
        IMAGE,
    ),
    write(
        "/curriculum.v1.IngestService/PushImages",
        Time::Unlimited,
        IMAGE,
    ),
    write("/curriculum.v1.IngestService/GetPush", Time::Limited, WRITE),
    write(
        "/curriculum.v1.IngestService/PromoteVersion",
        Time::Limited,
        WRITE,
    ),
    write(
        "/curriculum.v1.IngestService/RollBackAlias",
        Time::Limited,
        WRITE,
    ),
    write(
        "/curriculum.v1.IngestService/DeleteVersion",
        Time::Limited,
        WRITE,
    ),
    write(
        "/curriculum.v1.IngestService/ImportVersion",
        Time::Unlimited,
        PIECE,
    ),
    health("/grpc.health.v1.Health/Check", Time::Limited),
    health("/grpc.health.v1.Health/Watch", Time::Watch),
    Method {
        path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        right: Right::Read,
        time: Time::Watch,
        message: SHORT,
    },
];

/// All paths, as in `/curriculum.v1.CurriculumService/GetWeights`.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|method| method.path)
}

/// The call of a path.
pub(crate) fn find(path: &str) -> Option<&'static Method> {
    static BY_PATH: LazyLock<HashMap<&str, &Method>> =
        LazyLock::new(|| METHODS.iter().map(|method| (method.path, method)).collect());
    BY_PATH.get(path).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use std::collections::BTreeSet;

    #[test]
    fn every_call_has_an_entry_and_every_entry_is_a_call() {
        let sets = [
            curriculum_proto::v1::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ];
        let mut calls = BTreeSet::new();
        for set in sets {
            for file in FileDescriptorSet::decode(set).unwrap().file {
                for service in &file.service {
                    for method in &service.method {
                        let (package, service) = (file.package(), service.name());
                        calls.insert(format!("/{package}.{service}/{}", method.name()));
                    }
                }
            }
        }
        let entries: BTreeSet<_> = METHODS.iter().map(|m| m.path.to_owned()).collect();
        assert_eq!(entries, calls);
        assert_eq!(entries.len(), METHODS.len());
    }

    /// What changes anything, or tells of jobs, is not for trainers.
    #[test]
    fn rights_follow_the_services() {
        for method in &METHODS {
            let expected = match method.path.split('/').nth(1).unwrap() {
                "curriculum.v1.IngestService" => Right::Write,
                "grpc.health.v1.Health" => Right::None,
                _ => Right::Read,
            };
            assert_eq!(method.right, expected, "{}", method.path);
        }
    }
}
