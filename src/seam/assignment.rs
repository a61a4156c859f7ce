//! The best pairs of two lists: which track goes on with which detection (Hungarian method).

/// Pairs rows with columns, each at most once, so that the sum of their values is as large as possible. `value(row, column)`: `None`
/// forbids a pair. Pairs of a value of 0 or less are not made. Returns (row, column), by row.
pub fn assign(rows: usize, columns: usize, value: impl Fn(usize, usize) -> Option<f32>) -> Vec<(usize, usize)> {
    let size = rows.max(columns);
    let worth = |row: usize, column: usize| {
        let inside = row < rows && column < columns;
        inside
            .then(|| value(row, column))
            .flatten()
            .filter(|value| value.is_finite())
            .map_or(0.0, |value| value.max(0.0))
    };
    // A square of costs; a row or column that is missing is worth nothing to any.
    let cost: Vec<Vec<f64>> =
        (0..size).map(|row| (0..size).map(|column| -f64::from(worth(row, column))).collect()).collect();
    let row_of = cheapest(&cost);
    let mut pairs: Vec<(usize, usize)> = row_of.into_iter().enumerate().map(|(column, row)| (row, column)).collect();
    pairs.retain(|&(row, column)| worth(row, column) > 0.0);
    pairs.sort_unstable();
    pairs
}

/// The row of each column of a square of costs, for the smallest sum: rows are added one by one, each along the cheapest path of
/// changes to the earlier ones. Potentials keep all reduced costs at 0 or above.
fn cheapest(cost: &[Vec<f64>]) -> Vec<usize> {
    let size = cost.len();
    // Index `size` is a column outside the square, where the added row begins.
    let mut row_of: Vec<Option<usize>> = vec![None; size + 1];
    let (mut row_potential, mut column_potential) = (vec![0.0; size], vec![0.0; size + 1]);
    for added in 0..size {
        row_of[size] = Some(added);
        let mut reached = vec![false; size + 1];
        let mut least = vec![f64::INFINITY; size];
        let mut from = vec![size; size];
        let mut at = size;
        while let Some(row) = row_of[at] {
            reached[at] = true;
            let (mut step, mut next) = (f64::INFINITY, at);
            for column in (0..size).filter(|&column| !reached[column]) {
                let reduced = cost[row][column] - row_potential[row] - column_potential[column];
                if reduced < least[column] {
                    (least[column], from[column]) = (reduced, at);
                }
                if least[column] < step {
                    (step, next) = (least[column], column);
                }
            }
            for column in 0..=size {
                match row_of[column] {
                    Some(row) if reached[column] => {
                        row_potential[row] += step;
                        column_potential[column] -= step;
                    }
                    _ if column < size => least[column] -= step,
                    _ => {}
                }
            }
            at = next;
        }
        while at != size {
            let before = from[at];
            row_of[at] = row_of[before];
            at = before;
        }
    }
    row_of.into_iter().take(size).map(|row| row.unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The largest sum by trying everything.
    fn best(values: &[Vec<Option<f32>>], row: usize, taken: &mut Vec<usize>) -> f32 {
        let Some(columns) = values.get(row) else { return 0.0 };
        let mut most = best(values, row + 1, taken);
        for (column, value) in columns.iter().enumerate() {
            if let Some(value) = value
                && !taken.contains(&column)
            {
                taken.push(column);
                most = most.max(value + best(values, row + 1, taken));
                taken.pop();
            }
        }
        most
    }

    proptest! {
        #[test]
        fn no_other_pairs_are_worth_more(
            (columns, values) in (1usize..6).prop_flat_map(|columns| {
                let row = prop::collection::vec(prop::option::of(0.01f32..3.0), columns);
                (Just(columns), prop::collection::vec(row, 0..6))
            }),
        ) {
            let pairs = assign(values.len(), columns, |row, column| values[row][column]);
            let sum: f32 = pairs.iter().map(|&(row, column)| values[row][column].unwrap()).sum();
            prop_assert!((sum - best(&values, 0, &mut Vec::new())).abs() < 1e-4);
            let mut once: Vec<usize> = pairs.iter().map(|pair| pair.1).collect();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), pairs.len());
        }
    }

    #[test]
    fn a_weaker_pair_is_taken_where_the_sum_gains() {
        // Row 0 fits both columns, row 1 only the one that row 0 fits best.
        let values = [[Some(0.9), Some(0.8)], [Some(0.85), None]];
        assert_eq!(assign(2, 2, |row, column| values[row][column]), [(0, 1), (1, 0)]);
        assert_eq!(assign(0, 3, |_, _| Some(1.0)), []);
        assert_eq!(assign(1, 1, |_, _| Some(f32::NAN)), []);
    }
}
