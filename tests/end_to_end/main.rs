//! The whole service, through the real binary: what users, operators and pipelines may rely on.
//!
//! | module | holds |
//! |---|---|
//! | `ingest` | from images to weights, in every layout |
//! | `sources` | the same images from every kind of source |
//! | `bad_input` | calls that are refused, and how it is said |
//! | `broken_images` | images that cannot be used |
//! | `client_faults` | requests that cannot be read, and clients that leave in the middle of one |
//! | `settings` | settings and data folders that a server refuses |
//! | `resume` | after a kill: the same bytes, without doing the work twice |
//! | `full_disk` | a disk that fills up |
//! | `kills` | SIGKILL at seeded moments of every stage |
//! | `shutdown` | SIGTERM, and cancelling jobs |
//! | `drain` | from SIGTERM to the end: readiness, GOAWAY, the second SIGTERM |
//! | `overload` | too many calls, calls beside a running job, health and reflection |
//! | `command_line` | the commands a pipeline runs, with their exit codes |
//! | `submit_wait` | waiting for a job: over restarts, with a time limit, for GitHub |
//! | `push` | samples that live in the client's process |
//! | `tensors` | samples that are the model's input already |
//! | `push_command` | sending samples from this machine, and jobs on them |
//! | `versions` | aliases, export and import, data folders checked and cleaned |
//! | `extract` | images to features without a server |
//! | `fit` | features and images to difficulties without a server, against the reference |
//! | `fit_input` | what `fit` refuses, and how it is said |
//! | `file_weights` | weights of a file of difficulties, against the reference |
//! | `export` | difficulties as tables |
//! | `sampling` | indices for ranks, and weights in two bytes |
//! | `models` | models by name: listed, pulled from a hub, looked into |
//! | `tls` | encryption, both ways, and certificates that change |
//! | `keys` | keys, what each may do, and what a call without one learns |
//! | `attacks` | files and machines that are not a client's |
//! | `oversized` | messages that are too large, and small images of gigabytes |
//! | `connections` | connections and clients that want too much |
//! | `metrics` | what a server says about the model it runs |
//! | `probes` | the side port and health: while it starts, and without a model |
//! | `scrape` | what `/metrics` says, against its list and the calls made |
//! | `logs` | names of calls in answers and logs, and what no line shows |
//! | `spans` | spans for a collector |
//! | `replicas` | read-only servers that follow a writer through an object store |
//! | `published` | a version, to be compared |
//! | `architecture` | which crate may depend on what |

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod architecture;
mod attacks;
mod bad_input;
mod broken_images;
mod client_faults;
mod command_line;
mod connections;
mod drain;
mod export;
mod extract;
mod file_weights;
mod fit;
mod fit_input;
mod full_disk;
mod ingest;
mod keys;
mod kills;
mod logs;
mod metrics;
mod models;
mod overload;
mod oversized;
mod probes;
mod published;
mod push;
mod push_command;
mod replicas;
mod resume;
mod sampling;
mod scrape;
mod settings;
mod shutdown;
mod sources;
mod spans;
mod submit_wait;
mod tensors;
mod tls;
mod versions;
