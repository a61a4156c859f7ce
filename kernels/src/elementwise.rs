//! Elementwise operators, for any layout.

use crate::Level;
use crate::dispatch::on;

/// An operator on two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Max,
    Min,
}

impl Binary {
    /// Applies the operator.
    #[inline(always)]
    pub fn of(self, a: f32, b: f32) -> f32 {
        match self {
            Binary::Add => a + b,
            Binary::Subtract => a - b,
            Binary::Multiply => a * b,
            Binary::Divide => a / b,
            Binary::Max => a.max(b),
            Binary::Min => a.min(b),
        }
    }
}

/// An operator on one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    Sqrt,
    Sigmoid,
    /// The value on the left, a constant on the right.
    Right(Binary, f32),
    /// A constant on the left, the value on the right.
    Left(f32, Binary),
}

/// `output` = `a` (op) `b`, elementwise. All three have the same length.
pub fn binary(level: Level, kind: Binary, a: &[f32], b: &[f32], output: &mut [f32]) {
    let all = output.iter_mut().zip(a.iter().zip(b));
    // One loop per operator: no branch inside a loop.
    macro_rules! with {
        ($kind:expr) => {
            on!(level, _simd => all.for_each(|(out, (a, b))| *out = $kind.of(*a, *b)))
        };
    }
    match kind {
        Binary::Add => with!(Binary::Add),
        Binary::Subtract => with!(Binary::Subtract),
        Binary::Multiply => with!(Binary::Multiply),
        Binary::Divide => with!(Binary::Divide),
        Binary::Max => with!(Binary::Max),
        Binary::Min => with!(Binary::Min),
    }
}

/// `output` = `kind` of `input`, elementwise.
pub fn unary(level: Level, kind: Unary, input: &[f32], output: &mut [f32]) {
    let all = output.iter_mut().zip(input);
    macro_rules! with {
        ($value:ident => $result:expr) => {
            on!(level, _simd => all.for_each(|(out, $value)| *out = $result))
        };
    }
    match kind {
        Unary::Sqrt => with!(value => value.sqrt()),
        Unary::Sigmoid => with!(value => 1.0 / (1.0 + (-value).exp())),
        Unary::Right(kind, number) => match kind {
            Binary::Add => with!(value => value + number),
            Binary::Max => with!(value => value.max(number)),
            Binary::Min => with!(value => value.min(number)),
            kind => with!(value => kind.of(*value, number)),
        },
        Unary::Left(number, kind) => with!(value => kind.of(number, *value)),
    }
}
