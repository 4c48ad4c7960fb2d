//! Where an empty cluster goes: to the row farthest from its own centroid.

/// For each of `count` empty clusters a row: the farthest first, the lowest number on ties. Fewer
/// than `count` if fewer rows lie away from their centroids; the clusters left over stay empty.
pub(crate) fn farthest_rows(distances: &[f32], count: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..distances.len())
        .filter(|&row| distances[row] > 0.0)
        .collect();
    rows.sort_unstable_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
    rows.truncate(count);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_farthest_rows_come_first_and_rows_at_rest_never() {
        let distances = [0.0, 2.0, 5.0, 2.0, 0.0];
        assert_eq!(farthest_rows(&distances, 2), [2, 1]);
        assert_eq!(farthest_rows(&distances, 9), [2, 1, 3]);
    }
}
