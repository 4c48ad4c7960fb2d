//! Every byte that is kept: records, difficulty, feature chunks.
