//! A program under construction: values, and steps that can still absorb the operators that follow.

use super::plain::{Broadcast, Dots, Strided};
use super::step::{Part, PartLayout, StepKind};
use std::collections::HashMap;
use vetrina_kernels::blocks;
use vetrina_kernels::{
    Binary, Clamp, ConvShape, DepthwiseShape, LANES, Level, Pool, RowPlaces, Stem, UNCLAMPED, Unary,
};

/// Memory layout of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueLayout {
    /// Row-major.
    Plain,
    /// n x c x h x w, blocked (NCHW16c), one map after the other.
    Blocked,
    /// n x c x h x w, stored as n x h x w x c.
    Last,
    /// Row-major, but the rows along the last axis start where `RowPlaces` says.
    Rows(RowPlaces),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferPlace {
    Input(usize),
    Buffer(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub shape: Vec<usize>,
    pub layout: ValueLayout,
    pub place: BufferPlace,
}

impl Value {
    /// The same values with another shape.
    pub fn with_shape(&self, shape: Vec<usize>) -> Self {
        Value { shape, ..self.clone() }
    }

    fn length(&self) -> usize {
        self.shape.iter().product()
    }

    /// Channels and places of each map (n x c x h x w).
    fn map(&self) -> Option<(usize, usize)> {
        match self.shape[..] {
            [_, channels, height, width] => Some((channels, height * width)),
            _ => None,
        }
    }
}

/// A convolution before planning. Weights: outputs x inputs x kernel.
#[derive(Clone, Debug)]
pub(super) struct ConvSketch {
    pub(super) shape: ConvShape,
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) clamp: Clamp,
}

#[derive(Clone, Debug)]
pub(super) struct DepthwiseSketch {
    pub(super) shape: DepthwiseShape,
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) clamp: Clamp,
}

/// A matrix product before planning. Weights: inputs x outputs.
#[derive(Clone, Debug)]
pub(super) struct RowsSketch {
    pub(super) shape: [usize; 2],
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) clamp: Clamp,
    pub(super) places: RowPlaces,
    pub(super) count: usize,
    pub(super) add: bool,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // A handful of them, while a graph is loaded.
pub(super) enum What {
    Stem(ConvSketch),
    Conv(ConvSketch),
    Depthwise(DepthwiseSketch),
    Rows(RowsSketch),
    Planned(StepKind),
}

#[derive(Debug)]
pub(super) struct Sketch {
    pub(super) name: String,
    pub(super) what: What,
    /// How many maps it computes, one after the other: inputs and output are as many equal parts.
    pub(super) maps: usize,
    pub(super) inputs: Vec<BufferPlace>,
    pub(super) output: usize,
}

/// A program under construction.
#[derive(Debug)]
pub struct Draft {
    pub(super) level: Level,
    /// Shape of each input.
    pub(super) inputs: Vec<Vec<usize>>,
    /// Length of each buffer in values.
    pub(super) buffers: Vec<usize>,
    pub(super) sketches: Vec<Sketch>,
    /// Copies of values in another layout, to be reused.
    pub(super) turned: HashMap<(BufferPlace, &'static str), Value>,
}

impl Draft {
    pub fn new(level: Level) -> Self {
        Draft { level, inputs: Vec::new(), buffers: Vec::new(), sketches: Vec::new(), turned: HashMap::new() }
    }

    pub fn input(&mut self, shape: Vec<usize>) -> Value {
        self.inputs.push(shape.clone());
        Value { shape, layout: ValueLayout::Plain, place: BufferPlace::Input(self.inputs.len() - 1) }
    }

    pub(super) fn push(
        &mut self,
        name: &str,
        what: What,
        inputs: Vec<BufferPlace>,
        shape: Vec<usize>,
        layout: ValueLayout,
    ) -> Value {
        let length = match (layout, &shape[..]) {
            (ValueLayout::Blocked, [maps, channels, height, width]) => {
                maps * blocks(*channels) * LANES * height * width
            }
            _ => shape.iter().product(),
        };
        self.buffers.push(length);
        let output = self.buffers.len() - 1;
        self.sketches.push(Sketch { name: name.into(), what, maps: 1, inputs, output });
        Value { shape, layout, place: BufferPlace::Buffer(output) }
    }

    /// As [`Draft::push`], for a step on one map (the first axis of `shape` is the number of maps): it is repeated for each.
    fn push_each(
        &mut self,
        name: &str,
        what: What,
        inputs: Vec<BufferPlace>,
        shape: Vec<usize>,
        layout: ValueLayout,
    ) -> Value {
        let maps = shape[0];
        let value = self.push(name, what, inputs, shape, layout);
        if let Some(sketch) = self.sketches.last_mut() {
            sketch.maps = maps;
        }
        value
    }

    /// The step that computes a value; `None` for an input.
    fn maker(&self, value: &Value) -> Option<usize> {
        let BufferPlace::Buffer(buffer) = value.place else { return None };
        self.sketches.iter().rposition(|sketch| sketch.output == buffer)
    }

    /// Adds a convolution of a map. Weights: outputs x inputs x kernel.
    pub fn conv(
        &mut self,
        name: &str,
        value: &Value,
        shape: ConvShape,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Option<Value> {
        let sketch = ConvSketch { shape, weights, bias, clamp: UNCLAMPED };
        let (what, source) = if value.layout == ValueLayout::Plain && Stem::fits(&shape) {
            (What::Stem(sketch), value.clone())
        } else {
            (What::Conv(sketch), self.turn(value, ValueLayout::Blocked)?)
        };
        let [height, width] = shape.output;
        let whole = vec![value.shape[0], shape.outputs, height, width];
        Some(self.push_each(name, what, vec![source.place], whole, ValueLayout::Blocked))
    }

    /// Adds a depthwise convolution of a map. Weights: channels x kernel.
    pub fn depthwise(
        &mut self,
        name: &str,
        value: &Value,
        shape: DepthwiseShape,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Option<Value> {
        let source = self.turn(value, ValueLayout::Blocked)?;
        let what = What::Depthwise(DepthwiseSketch { shape, weights, bias, clamp: UNCLAMPED });
        let [height, width] = shape.output;
        let whole = vec![value.shape[0], shape.channels, height, width];
        Some(self.push_each(name, what, vec![source.place], whole, ValueLayout::Blocked))
    }

    /// Adds a product: rows along the last axis times a matrix of inputs x outputs.
    pub fn rows(&mut self, name: &str, value: &Value, outputs: usize, weights: Vec<f32>) -> Option<Value> {
        let source = match value.layout {
            ValueLayout::Rows(_) => value.clone(),
            _ => self.turn(value, ValueLayout::Plain)?,
        };
        let places = if let ValueLayout::Rows(places) = source.layout { places } else { RowPlaces::DENSE };
        let (inputs, outer) = value.shape.split_last()?;
        let shape = outer.iter().copied().chain([outputs]).collect();
        let what = What::Rows(RowsSketch {
            shape: [*inputs, outputs],
            weights,
            bias: vec![0.0; outputs],
            clamp: UNCLAMPED,
            places,
            count: outer.iter().product(),
            add: false,
        });
        Some(self.push(name, what, vec![source.place], shape, ValueLayout::Plain))
    }

    /// Fuses the addition of one number per column into the step that computes `value`, which must have no other
    /// reader.
    pub fn add_bias(&mut self, value: &Value, bias: &[f32]) -> bool {
        let Some(maker) = self.maker(value) else { return false };
        match &mut self.sketches[maker].what {
            What::Rows(rows) if rows.bias.len() == bias.len() && rows.clamp == UNCLAMPED => {
                rows.bias.iter_mut().zip(bias).for_each(|(slot, value)| *slot += value);
                true
            }
            _ => false,
        }
    }

    /// Fuses a clamp into the step that computes the value, which must have no other reader.
    pub fn clamp(&mut self, value: &Value, [low, high]: Clamp) -> bool {
        let Some(maker) = self.maker(value) else { return false };
        let clamp = match &mut self.sketches[maker].what {
            What::Stem(conv) | What::Conv(conv) => &mut conv.clamp,
            What::Depthwise(conv) => &mut conv.clamp,
            What::Rows(rows) => &mut rows.clamp,
            What::Planned(_) => return false,
        };
        *clamp = [clamp[0].max(low).min(high), clamp[1].min(high).max(low)];
        true
    }

    /// Fuses the addition of `other` into the step that computes `value`, which must have no other reader. `other` may
    /// be overwritten if `spare` is set.
    pub fn add_within(&mut self, value: &Value, other: &Value, spare: bool) -> Option<Value> {
        let maker = self.maker(value)?;
        if self.maker(other).is_some_and(|other| other > maker) || value.shape != other.shape {
            return None;
        }
        let add = match &self.sketches[maker].what {
            What::Conv(conv) => conv.clamp == UNCLAMPED && !winograd_pays(&conv.shape, self.sketches[maker].maps),
            What::Planned(StepKind::Upsample(..)) => true,
            What::Rows(rows) => rows.clamp == UNCLAMPED && !rows.add,
            _ => false,
        };
        if !add || self.sketches[maker].inputs.len() != 1 {
            return None;
        }
        if let What::Rows(_) = self.sketches[maker].what {
            return self.add_rows(maker, other, spare);
        }
        let source = if other.layout == ValueLayout::Blocked { other.clone() } else { return None };
        self.sketches[maker].inputs.push(source.place);
        Some(value.clone())
    }

    /// Lets the product of step `maker` accumulate into the buffer of `other`.
    fn add_rows(&mut self, maker: usize, other: &Value, spare: bool) -> Option<Value> {
        let (BufferPlace::Buffer(buffer), true, ValueLayout::Plain) = (other.place, spare, other.layout) else {
            return None;
        };
        let made = self.maker(other).map(|made| &self.sketches[made].what);
        if !matches!(made, Some(What::Rows(rows)) if rows.clamp == UNCLAMPED) {
            return None;
        }
        if let What::Rows(rows) = &mut self.sketches[maker].what {
            rows.add = true;
        }
        self.sketches[maker].output = buffer;
        Some(other.clone())
    }

    /// Adds a pool of a map, in the map's present layout.
    pub fn pool(&mut self, name: &str, value: &Value, pool: Pool) -> Option<Value> {
        let (channels, _) = value.map()?;
        let kind = match value.layout {
            ValueLayout::Plain => StepKind::PlainPool(pool, 1),
            ValueLayout::Last => StepKind::PlainPool(pool, channels),
            ValueLayout::Blocked => StepKind::BlockedPool(pool),
            ValueLayout::Rows(_) => return None,
        };
        let [height, width] = pool.output;
        let shape = vec![value.shape[0], channels, height, width];
        Some(self.push_each(name, What::Planned(kind), vec![value.place], shape, value.layout))
    }

    /// Adds nearest-neighbour upsampling by integer factors.
    pub fn upsample(&mut self, name: &str, value: &Value, factors: [usize; 2]) -> Option<Value> {
        let [maps, channels, height, width] = value.shape[..] else { return None };
        let source = self.turn(value, ValueLayout::Blocked)?;
        let size = [height * factors[0], width * factors[1]];
        let what = What::Planned(StepKind::Upsample(size, factors));
        let shape = vec![maps, channels, size[0], size[1]];
        Some(self.push_each(name, what, vec![source.place], shape, ValueLayout::Blocked))
    }

    pub fn unary(&mut self, name: &str, value: &Value, kind: Unary) -> Option<Value> {
        let value = self.dense(value)?;
        Some(self.push(
            name,
            What::Planned(StepKind::Unary(kind)),
            vec![value.place],
            value.shape.clone(),
            value.layout,
        ))
    }

    /// Adds an elementwise operator on two values; one may be a constant (`constant`: which one, its shape and values).
    /// Axes of length 1 are broadcast.
    pub fn binary(
        &mut self,
        name: &str,
        kind: Binary,
        values: &[&Value],
        constant: Option<(usize, Vec<usize>, Vec<f32>)>,
    ) -> Option<Value> {
        if let [a, b] = values
            && a.shape == b.shape
        {
            let a = self.dense(a)?;
            let b = self.turn(b, a.layout)?;
            let what = What::Planned(StepKind::Binary(kind));
            return Some(self.push(name, what, vec![a.place, b.place], a.shape.clone(), a.layout));
        }
        let values: Option<Vec<Value>> = values.iter().map(|value| self.turn(value, ValueLayout::Plain)).collect();
        let values = values?;
        let (shapes, constant) = match (&constant, &values[..]) {
            (None, [a, b]) => ([a.shape.clone(), b.shape.clone()], None),
            (Some((0, shape, data)), [b]) => ([shape.clone(), b.shape.clone()], Some((0, data.clone()))),
            (Some((_, shape, data)), [a]) => ([a.shape.clone(), shape.clone()], Some((1, data.clone()))),
            _ => return None,
        };
        let (broadcast, shape) = Broadcast::new(kind, [&shapes[0], &shapes[1]], constant)?;
        let places = values.iter().map(|value| value.place).collect();
        Some(self.push(name, What::Planned(StepKind::Broadcast(broadcast)), places, shape, ValueLayout::Plain))
    }

    /// Concatenates values along `axis`: maps along their channels, other values along any axis.
    pub fn concat(&mut self, name: &str, values: &[&Value], axis: usize) -> Option<Value> {
        let mut shape = values.first()?.shape.clone();
        shape[axis] = values.iter().map(|value| value.shape[axis]).sum();
        // Values that are not maps are treated as channels last: the axes before `axis` are places.
        let of_maps = values.iter().all(|value| value.map().is_some()) && axis == 1;
        let (mut parts, mut places) = (Vec::new(), Vec::new());
        for value in values {
            let value = if of_maps { self.dense(value)? } else { self.turn(value, ValueLayout::Plain)? };
            let channels = if of_maps { value.shape[1] } else { value.shape[axis..].iter().product() };
            let layout = match value.layout {
                ValueLayout::Blocked => PartLayout::Blocked,
                ValueLayout::Plain if of_maps => PartLayout::Planar,
                _ => PartLayout::Last,
            };
            parts.push(Part { channels, layout });
            places.push(value.place);
        }
        if of_maps {
            let what = What::Planned(StepKind::Concat(parts, shape[2] * shape[3]));
            return Some(self.push_each(name, what, places, shape, ValueLayout::Last));
        }
        let what = What::Planned(StepKind::Concat(parts, shape[..axis].iter().product()));
        Some(self.push(name, what, places, shape, ValueLayout::Plain))
    }

    /// Permutes axes. `order`: for each axis of the result, the axis of the value.
    pub fn permute(&mut self, name: &str, value: &Value, order: &[usize]) -> Option<Value> {
        let shape: Vec<usize> = order.iter().map(|axis| value.shape[*axis]).collect();
        if order == [0, 3, 1, 2] && value.layout == ValueLayout::Plain {
            return Some(Value { shape, layout: ValueLayout::Last, place: value.place });
        }
        if order == [0, 2, 3, 1] {
            let last = self.turn(value, ValueLayout::Last)?;
            return Some(Value { shape, layout: ValueLayout::Plain, place: last.place });
        }
        let plain = self.turn(value, ValueLayout::Plain)?;
        Some(self.strided(name, &plain, Strided::permuted(&plain.shape, order)))
    }

    /// Takes the range from `begin` to `end` along one axis. For rows this is a view, not a copy.
    pub fn slice(&mut self, name: &str, value: &Value, axis: usize, [begin, end]: [usize; 2]) -> Option<Value> {
        let plain = self.turn(value, ValueLayout::Plain)?;
        if axis + 1 < plain.shape.len() {
            let (inner, row) = (plain.shape[axis + 1..].iter().product::<usize>(), *plain.shape.last()?);
            let mut shape = plain.shape.clone();
            shape[axis] = end - begin;
            let group = (end - begin) * inner / row;
            let places = RowPlaces { start: begin * inner, group, jump: plain.shape[axis] * inner };
            return Some(Value { shape, layout: ValueLayout::Rows(places), place: plain.place });
        }
        Some(self.strided(name, &plain, Strided::slice(&plain.shape, axis, begin, end - begin)))
    }

    /// Sums along one axis, which keeps the length 1.
    pub fn sum(&mut self, name: &str, value: &Value, axis: usize) -> Option<Value> {
        let plain = self.turn(value, ValueLayout::Plain)?;
        Some(self.strided(name, &plain, Strided::sum(&plain.shape, axis)))
    }

    /// Adds the products of n x m x k and n x k x j, one for each of the n.
    pub fn dots(&mut self, name: &str, a: &Value, b: &Value) -> Option<Value> {
        let (a, b) = (self.turn(a, ValueLayout::Plain)?, self.turn(b, ValueLayout::Plain)?);
        let ([count, m, k], [same, inner, n]) = (&a.shape[..], &b.shape[..]) else { return None };
        let shape = vec![*count, *m, *n];
        let what = What::Planned(StepKind::Dots(Dots { m: *m, k: *k, n: *n }));
        (k == inner && count == same)
            .then(|| self.push_each(name, what, vec![a.place, b.place], shape, ValueLayout::Plain))
    }

    fn strided(&mut self, name: &str, value: &Value, op: Strided) -> Value {
        let shape = op.shape().to_vec();
        self.push(name, What::Planned(StepKind::Strided(op)), vec![value.place], shape, ValueLayout::Plain)
    }

    /// The value with contiguous rows.
    fn dense(&mut self, value: &Value) -> Option<Value> {
        if let ValueLayout::Rows(_) = value.layout { self.turn(value, ValueLayout::Plain) } else { Some(value.clone()) }
    }

    /// The value in another layout. `None` if the layout is for maps and the value is not a map.
    pub fn turn(&mut self, value: &Value, layout: ValueLayout) -> Option<Value> {
        if value.layout == layout {
            return Some(value.clone());
        }
        if let ValueLayout::Rows(places) = value.layout {
            let row = *value.shape.last()?;
            let count = value.length() / row;
            let op = Strided::rows(
                places.start,
                [count / places.group.min(count), places.group.min(count), row],
                places.jump,
            );
            let plain = self.strided("rows", value, op).with_shape(value.shape.clone());
            return self.turn(&plain, layout);
        }
        let (channels, places) = value.map()?;
        let key = match layout {
            ValueLayout::Plain => "plain",
            ValueLayout::Blocked => "blocked",
            ValueLayout::Last => "last",
            ValueLayout::Rows(_) => return None,
        };
        if let Some(known) = self.turned.get(&(value.place, key)) {
            return Some(known.clone());
        }
        let kind = match (value.layout, layout) {
            (ValueLayout::Plain, ValueLayout::Blocked) => StepKind::PlanarToBlocked(places),
            (ValueLayout::Blocked, ValueLayout::Plain) => StepKind::BlockedToPlanar(places),
            (ValueLayout::Blocked, ValueLayout::Last) => StepKind::BlockedToLast(channels, places),
            (ValueLayout::Last, ValueLayout::Blocked) => StepKind::LastToBlocked(channels),
            (ValueLayout::Last, _) => StepKind::Strided(Strided::permuted(&[places, channels], &[1, 0])),
            (_, _) => StepKind::Strided(Strided::permuted(&[channels, places], &[1, 0])),
        };
        let turned = self.push_each("layout", What::Planned(kind), vec![value.place], value.shape.clone(), layout);
        self.turned.insert((value.place, key), turned.clone());
        Some(turned)
    }
}

/// Whether Winograd is faster for a 3x3 convolution of so many maps. Its transformed weights, four times as many, are read once
/// for the tiles of all of them; places of a tile beyond the map are lost.
pub(super) fn winograd_pays(shape: &ConvShape, maps: usize) -> bool {
    let tiles = maps * shape.output[0].div_ceil(4) * shape.output[1].div_ceil(4);
    let places = maps * shape.output[0] * shape.output[1];
    let bytes = 36 * size_of::<f32>() * shape.inputs * shape.outputs;
    let fits = shape.kernel == [3, 3] && shape.stride == 1;
    fits && tiles >= 4 && 36 * tiles < 5 * places && bytes <= tiles * (3 << 20)
}
