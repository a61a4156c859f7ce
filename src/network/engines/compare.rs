//! Compares the outputs of an engine with those of the CPU for the same inputs.

use crate::network::backend::Precision;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Difference of one output from the CPU's, relative to the CPU's largest absolute value.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Figure {
    pub output: String,
    /// Maximum absolute difference.
    pub worst: f64,
    /// Root mean square difference.
    pub typical: f64,
}

/// Allowed differences. A wrong layout, wrong order or overflow exceeds them by far; the loss of a lower precision does
/// not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub worst: f64,
    pub typical: f64,
}

impl Tolerance {
    pub fn of(precision: Precision) -> Self {
        match precision {
            Precision::Fp32 => Tolerance { worst: 1e-3, typical: 1e-4 },
            Precision::Fp16 => Tolerance { worst: 3e-2, typical: 5e-3 },
            Precision::Int8 => Tolerance { worst: 0.5, typical: 0.1 },
        }
    }

    pub fn allows(&self, figure: &Figure) -> bool {
        // NaN is never within the tolerance.
        figure.worst <= self.worst && figure.typical <= self.typical
    }
}

/// Compares output by output. `names`, `cpu` and `other` are in the graph's order.
///
/// # Errors
/// A message, if the number of outputs or a shape differs.
pub fn compare(names: &[String], cpu: &[Tensor], other: &[Tensor]) -> Result<Vec<Figure>, String> {
    if cpu.len() != other.len() || cpu.len() != names.len() {
        return Err(format!("{} outputs instead of {}", other.len(), cpu.len()));
    }
    let outputs = names.iter().zip(cpu).zip(other);
    outputs
        .map(|((name, cpu), other)| {
            if cpu.shape() != other.shape() {
                return Err(format!("{name} has the shape {:?} instead of {:?}", other.shape(), cpu.shape()));
            }
            Ok(figure(name, cpu.data(), other.data()))
        })
        .collect()
}

fn figure(name: &str, cpu: &[f32], other: &[f32]) -> Figure {
    let scale = cpu.iter().fold(0.0f64, |most, value| most.max(f64::from(value.abs()))).max(1e-12);
    let (mut worst, mut squares) = (0.0f64, 0.0f64);
    for (a, b) in cpu.iter().zip(other) {
        let difference = (f64::from(*a) - f64::from(*b)).abs() / scale;
        // `f64::max` would ignore NaN.
        worst = if difference > worst || difference.is_nan() { difference } else { worst };
        squares += difference * difference;
    }
    let typical = (squares / cpu.len().max(1) as f64).sqrt();
    Figure { output: name.to_owned(), worst: if squares.is_nan() { f64::NAN } else { worst }, typical }
}

/// The largest figures of several runs, output by output.
pub fn worst_of(runs: Vec<Vec<Figure>>) -> Vec<Figure> {
    let mut all = Vec::<Figure>::new();
    for figure in runs.into_iter().flatten() {
        match all.iter_mut().find(|known| known.output == figure.output) {
            Some(known) if figure.worst > known.worst || figure.worst.is_nan() => *known = figure,
            Some(_) => {}
            None => all.push(figure),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["a".into()]
    }

    fn one(values: &[f32]) -> Vec<Tensor> {
        vec![Tensor::new([values.len()], values.to_vec())]
    }

    #[test]
    fn differences_are_relative_to_the_largest_value() {
        let figures = compare(&names(), &one(&[0.0, -200.0, 1.0, 4.0]), &one(&[0.0, -200.0, 3.0, 4.0])).unwrap();
        assert!((figures[0].worst - 0.01).abs() < 1e-9 && (figures[0].typical - 0.005).abs() < 1e-9, "{figures:?}");
        assert!(Tolerance::of(Precision::Fp16).allows(&figures[0]));
        assert!(!Tolerance::of(Precision::Fp32).allows(&figures[0]));
    }

    #[test]
    fn nan_is_never_allowed() {
        for bad in [f32::NAN, f32::INFINITY] {
            let figures = compare(&names(), &one(&[1.0, 2.0, 3.0]), &one(&[1.0, bad, 3.0])).unwrap();
            for precision in Precision::ALL {
                assert!(!Tolerance::of(precision).allows(&figures[0]), "{figures:?}");
            }
            let one = Tolerance { worst: 1e9, typical: 1e9 };
            assert!(!one.allows(&worst_of(vec![figures.clone(), figures])[0]));
        }
    }

    #[test]
    fn other_shapes_and_counts_are_errors() {
        let two = [one(&[1.0]), one(&[1.0])].concat();
        assert!(compare(&names(), &one(&[1.0]), &two).unwrap_err().contains("2 outputs instead of 1"));
        let wide = vec![Tensor::new([1, 1], vec![1.0])];
        assert!(compare(&names(), &one(&[1.0]), &wide).unwrap_err().contains("shape"));
    }

    #[test]
    fn swapped_outputs_are_beyond_every_tolerance() {
        let names = ["a".to_owned(), "b".to_owned()];
        let right = [one(&[1.0, -2.0, 0.5]), one(&[30.0, 10.0, -20.0])].concat();
        let swapped = [right[1].clone(), right[0].clone()];
        let figures = compare(&names, &right, &swapped).unwrap();
        assert!(figures.iter().all(|figure| !Tolerance::of(Precision::Int8).allows(figure)), "{figures:?}");
    }

    #[test]
    fn the_worst_of_several_runs_is_kept() {
        let figure = |worst| vec![Figure { output: "a".into(), worst, typical: 0.0 }];
        assert_eq!(worst_of(vec![figure(0.1), figure(0.3), figure(0.2)]), figure(0.3));
    }
}
