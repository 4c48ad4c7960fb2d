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
}

const fn method(path: &'static str, right: Right, time: Time) -> Method {
    Method { path, right, time }
}

const fn read(path: &'static str) -> Method {
    method(path, Right::Read, Time::Limited)
}

const fn write(path: &'static str) -> Method {
    method(path, Right::Write, Time::Limited)
}

const METHODS: [Method; 23] = [
    read("/curriculum.v1.CurriculumService/GetWeights"),
    read("/curriculum.v1.CurriculumService/GetSchedule"),
    read("/curriculum.v1.CurriculumService/SampleIndices"),
    read("/curriculum.v1.CurriculumService/GetDifficulty"),
    read("/curriculum.v1.CurriculumService/GetCurriculum"),
    read("/curriculum.v1.CurriculumService/ListCurricula"),
    read("/curriculum.v1.CurriculumService/ExportVersion"),
    method(
        "/curriculum.v1.IngestService/SubmitJob",
        Right::Write,
        Time::Unlimited,
    ),
    write("/curriculum.v1.IngestService/GetJob"),
    write("/curriculum.v1.IngestService/ListJobs"),
    method(
        "/curriculum.v1.IngestService/WatchJob",
        Right::Write,
        Time::Watch,
    ),
    write("/curriculum.v1.IngestService/CancelJob"),
    write("/curriculum.v1.IngestService/RetryJob"),
    method(
        "/curriculum.v1.IngestService/PushFeatures",
        Right::Write,
        Time::Unlimited,
    ),
    method(
        "/curriculum.v1.IngestService/PushImages",
        Right::Write,
        Time::Unlimited,
    ),
    write("/curriculum.v1.IngestService/GetPush"),
    write("/curriculum.v1.IngestService/PromoteVersion"),
    write("/curriculum.v1.IngestService/RollBackAlias"),
    write("/curriculum.v1.IngestService/DeleteVersion"),
    method(
        "/curriculum.v1.IngestService/ImportVersion",
        Right::Write,
        Time::Unlimited,
    ),
    method("/grpc.health.v1.Health/Check", Right::None, Time::Limited),
    method("/grpc.health.v1.Health/Watch", Right::None, Time::Watch),
    method(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Right::Read,
        Time::Watch,
    ),
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
