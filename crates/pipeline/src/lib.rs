//! The background job: enumerate, extract, cluster, score, publish.
