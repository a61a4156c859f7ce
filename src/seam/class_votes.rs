//! The class of a followed garment: what its latest observations say, by their scores.

use super::region::Region;

/// What remains of a vote with each newer one: about ten observations decide, as many as a window holds.
const KEPT: f32 = 0.9;

/// Scores of the latest observations, summed by class.
#[derive(Clone, Debug, Default)]
pub struct ClassVotes {
    by_class: Vec<f32>,
}

impl ClassVotes {
    pub fn add(&mut self, class: usize, score: f32) {
        self.by_class.iter_mut().for_each(|votes| *votes *= KEPT);
        if self.by_class.len() <= class {
            self.by_class.resize(class + 1, 0.0);
        }
        self.by_class[class] += score;
    }

    /// The class with most votes in the region with most votes: a shirt that flickers between long and short sleeves does not
    /// become the skirt that it was taken for once. `regions`: of each class; a class without one stands alone.
    pub fn winner(&self, regions: &[Option<Region>]) -> Option<usize> {
        let region = |class: usize| regions.get(class).copied().flatten();
        let of_region = |class: usize| match region(class) {
            None => self.by_class[class],
            some => {
                (0..self.by_class.len()).filter(|&other| region(other) == some).map(|other| self.by_class[other]).sum()
            }
        };
        (0..self.by_class.len()).max_by(|&a, &b| {
            let by_region = of_region(a).total_cmp(&of_region(b));
            by_region.then(self.by_class[a].total_cmp(&self.by_class[b])).then(b.cmp(&a))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_decides_before_the_class_and_the_latest_before_the_first() {
        let regions = [Some(Region::Upper), Some(Region::Upper), Some(Region::Lower), None];
        let mut votes = ClassVotes::default();
        assert_eq!(votes.winner(&regions), None);
        for (class, score) in [(0, 0.6), (2, 0.9), (1, 0.7)] {
            votes.add(class, score);
        }
        assert_eq!(votes.winner(&regions), Some(1), "two of three say upper");
        assert_eq!(votes.winner(&[]), Some(2), "without regions each class stands alone");
        (0..20).for_each(|_| votes.add(3, 0.9));
        assert_eq!(votes.winner(&regions), Some(3));
    }
}
