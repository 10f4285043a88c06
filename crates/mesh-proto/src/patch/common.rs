//! The longest common subsequence of two lists, after Myers, "An O(ND) Difference Algorithm and Its Variations"
//! (Algorithmica 1, 1986): quick where the lists differ little, and bounded where they differ much.

/// No path ends on this diagonal.
const NOWHERE: u32 = u32::MAX;

/// The pairs of places that hold the same in `a` and `b`, as many as there can be, in order. `None` if finding them
/// takes more than half of the cells that are left: then other lists have a chance. A cell is the end of a diagonal in a
/// row, of 4 bytes, or a step along one, of none.
pub(super) fn common(a: &[u64], b: &[u64], cells_left: &mut usize) -> Option<Vec<(usize, usize)>> {
    let mut search = Search { a, b, rows: Vec::new(), cells_left: *cells_left / 2 };
    *cells_left -= search.cells_left;
    while !search.row()? {}
    *cells_left += search.cells_left;
    Some(search.pairs())
}

struct Search<'a> {
    a: &'a [u64],
    b: &'a [u64],
    /// Row `d` holds how far in `a` one gets with `d` removals and insertions, for each diagonal. Its place `i` is the
    /// diagonal `2 * i - d`, which is the place in `a` minus the place in `b`.
    rows: Vec<Vec<u32>>,
    cells_left: usize,
}

impl Search<'_> {
    /// Fill the next row. Whether it reaches the end of both lists.
    fn row(&mut self) -> Option<bool> {
        let d = self.rows.len();
        self.cells_left = self.cells_left.checked_sub(d + 1)?;
        let mut row = vec![NOWHERE; d + 1];
        let mut is_end = false;
        for (i, end) in row.iter_mut().enumerate() {
            let Some((x, y)) = self.start(d, i) else { continue };
            let same = self.a[x..].iter().zip(&self.b[y..]).take_while(|(a, b)| a == b).count();
            self.cells_left = self.cells_left.checked_sub(same)?;
            *end = u32::try_from(x + same).ok()?;
            is_end |= x + same == self.a.len() && y + same == self.b.len();
        }
        self.rows.push(row);
        Some(is_end)
    }

    /// Where in both lists the diagonal of row `d`, place `i`, begins: one removal or insertion behind the better of its
    /// neighbours in the row before.
    fn start(&self, d: usize, i: usize) -> Option<(usize, usize)> {
        let Some(before) = d.checked_sub(1) else { return Some((0, 0)) };
        let removed = i.checked_sub(1).and_then(|i| self.end(before, i)).map(|(x, y)| (x + 1, y));
        let inserted = self.end(before, i).map(|(x, y)| (x, y + 1));
        let removed = removed.filter(|(x, _)| *x <= self.a.len());
        let inserted = inserted.filter(|(_, y)| *y <= self.b.len());
        removed.max(inserted)
    }

    fn end(&self, d: usize, i: usize) -> Option<(usize, usize)> {
        let x = *self.rows[d].get(i)?;
        // The diagonal is x - y = 2 * i - d.
        (x != NOWHERE).then(|| (x as usize, x as usize + d - 2 * i))
    }

    /// The way back from the end.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        let (mut x, mut y) = (self.a.len(), self.b.len());
        for d in (0..self.rows.len()).rev() {
            let i = (x + d - y) / 2;
            let Some((from_x, from_y)) = self.start(d, i) else { break };
            while x > from_x {
                (x, y) = (x - 1, y - 1);
                pairs.push((x, y));
            }
            // Which neighbour it came from is what `start` chose.
            let Some(before) = d.checked_sub(1) else { break };
            let is_removed = i
                .checked_sub(1)
                .and_then(|i| self.end(before, i))
                .is_some_and(|end| (end.0 + 1, end.1) == (from_x, from_y));
            (x, y) = if is_removed { (from_x - 1, from_y) } else { (from_x, from_y - 1) };
        }
        pairs.reverse();
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by the table of the textbook: its length.
    fn longest(a: &[u64], b: &[u64]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for x in 0..a.len() {
            for y in 0..b.len() {
                table[x + 1][y + 1] =
                    if a[x] == b[y] { table[x][y] + 1 } else { table[x][y + 1].max(table[x + 1][y]) };
            }
        }
        table[a.len()][b.len()]
    }

    fn check(a: &[u64], b: &[u64]) {
        let pairs = common(a, b, &mut { usize::MAX }).expect("no bound");
        assert!(
            pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1),
            "{a:?} {b:?} {pairs:?}"
        );
        assert!(pairs.iter().all(|(x, y)| a[*x] == b[*y]), "{a:?} {b:?} {pairs:?}");
        assert_eq!(pairs.len(), longest(a, b), "{a:?} {b:?} {pairs:?}");
    }

    #[test]
    fn small_lists_keep_all_they_can() {
        check(&[], &[]);
        check(&[1], &[]);
        check(&[], &[1]);
        check(&[1], &[2]);
        check(&[1, 2, 3, 1, 2, 2, 1], &[3, 2, 1, 2, 1, 3]);
        check(&[1, 2, 3, 4], &[4, 1, 2, 3]);
    }

    #[test]
    fn a_window_that_slides_takes_few_cells() {
        let all: Vec<u64> = (0..5010).collect();
        let mut cells = 400_000;
        let pairs = common(&all[..5000], &all[10..], &mut cells).expect("few cells");
        assert_eq!(pairs.len(), 4990);
        assert!(cells > 390_000, "{cells}");
    }

    #[test]
    fn lists_with_nothing_in_common_meet_the_bound() {
        let (a, b): (Vec<u64>, Vec<u64>) = ((0..5000).collect(), (5000..10_000).collect());
        let mut cells = 1_000_000;
        assert_eq!(common(&a, &b, &mut cells), None);
        assert_eq!(cells, 500_000);
        assert_eq!(common(&a, &b, &mut cells), None);
        assert_eq!(cells, 250_000);
    }

    proptest! {
        #[test]
        fn no_longer_subsequence_is_common(
            a in prop::collection::vec(0u64..5, 0..30),
            b in prop::collection::vec(0u64..5, 0..30),
        ) {
            check(&a, &b);
        }
    }
}
