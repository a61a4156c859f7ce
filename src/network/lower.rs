//! Translates one node of tract's graph into steps of a program. `None`: the node stays with tract.

use super::program::{Draft, Value, ValueLayout};
use std::collections::HashMap;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, PadMode, Slice, StridedSlice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Add, Div, Max, Min, Mul, Sqrt, Sub};
use tract_onnx::tract_core::ops::nn::resize::NearestUpsample;
use tract_onnx::tract_core::ops::nn::{DataFormat, Reduce, Reducer, Sigmoid};
use vetrina_kernels::{Binary, ConvShape, DepthwiseShape, Pool, PoolKind, Unary};

/// Translation of one region of a graph into a program.
pub struct Lowering<'a> {
    model: &'a TypedModel,
    pub draft: Draft,
    values: HashMap<OutletId, Value>,
    /// Zero padding above and to the left of a map, and the unpadded map. The reader includes the padding in its own.
    borders: HashMap<OutletId, (OutletId, [usize; 2])>,
    /// Outlets that are read outside the region.
    wanted: &'a [OutletId],
}

/// Quick test whether an operator may have steps. `true` is not a promise.
pub fn may_lower(node: &TypedNode) -> bool {
    let op = &node.op;
    let known = op.is::<Conv>()
        || op.is::<Pad>()
        || op.is::<TypedBinOp>()
        || op.is::<MaxPool>()
        || op.is::<SumPool>()
        || op.is::<NearestUpsample>()
        || op.is::<TypedConcat>()
        || op.is::<EinSum>()
        || op.is::<AxisOp>()
        || op.is::<Slice>()
        || op.is::<StridedSlice>()
        || op.is::<Reduce>();
    known || node.op_as::<ElementWiseOp>().is_some_and(|op| unary(op).is_some())
}

/// Whether an operator is expensive enough to make a program worthwhile.
pub fn is_heavy(node: &TypedNode) -> bool {
    node.op.is::<Conv>() || node.op.is::<EinSum>()
}

/// The shape, if all its dimensions are known.
fn lengths(fact: &TypedFact) -> Option<Vec<usize>> {
    (fact.datum_type == f32::datum_type()).then(|| fact.shape.as_concrete().map(<[usize]>::to_vec)).flatten()
}

fn unary(op: &ElementWiseOp) -> Option<Unary> {
    let ElementWiseOp(kind, None) = op else { return None };
    if kind.is::<Sqrt>() {
        Some(Unary::Sqrt)
    } else if kind.is::<Sigmoid>() {
        Some(Unary::Sigmoid)
    } else {
        None
    }
}

fn binary(op: &TypedBinOp) -> Option<Binary> {
    let TypedBinOp(kind, None) = op else { return None };
    let all = [
        (kind.is::<Add>(), Binary::Add),
        (kind.is::<Sub>(), Binary::Subtract),
        (kind.is::<Mul>(), Binary::Multiply),
        (kind.is::<Div>(), Binary::Divide),
        (kind.is::<Max>(), Binary::Max),
        (kind.is::<Min>(), Binary::Min),
    ];
    all.into_iter().find_map(|(is, kind)| is.then_some(kind))
}

impl<'a> Lowering<'a> {
    pub fn new(model: &'a TypedModel, draft: Draft, wanted: &'a [OutletId]) -> Self {
        Lowering { model, draft, values: HashMap::new(), borders: HashMap::new(), wanted }
    }

    /// Adds a value from outside the region. `None`: its shape is unknown or it is not f32.
    pub fn input(&mut self, outlet: OutletId) -> Option<()> {
        let shape = lengths(self.model.outlet_fact(outlet).ok()?)?;
        let value = self.draft.input(shape);
        self.values.insert(outlet, value);
        Some(())
    }

    pub fn value(&self, outlet: OutletId) -> Option<&Value> {
        self.values.get(&outlet)
    }

    /// Adds the steps of a node whose inputs are already translated.
    pub fn node(&mut self, node: &TypedNode) -> Option<()> {
        if node.outputs.len() != 1 {
            return None;
        }
        let shape = lengths(&node.outputs[0].fact)?;
        let value = if let Some(conv) = node.op_as::<Conv>() {
            self.conv(node, conv)?
        } else if let Some(pad) = node.op_as::<Pad>() {
            return self.pad(node, pad);
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            self.binary(node, binary(op)?)?
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            self.draft.unary(&node.name, self.values.get(&node.inputs[0])?, unary(op)?)?
        } else if let Some(pool) = node.op_as::<MaxPool>() {
            pool.with_index_outputs.is_none().then_some(())?;
            self.pool(node, &pool.pool_spec, PoolKind::Max)?
        } else if let Some(pool) = node.op_as::<SumPool>() {
            pool.normalize.then_some(())?;
            let kind = if pool.count_include_pad { PoolKind::Mean } else { PoolKind::MeanInside };
            self.pool(node, &pool.pool_spec, kind)?
        } else if let Some(op) = node.op_as::<NearestUpsample>() {
            let [1, 1, down, across] = op.scales[..] else { return None };
            self.draft.upsample(&node.name, self.values.get(&node.inputs[0])?, [down, across])?
        } else if let Some(op) = node.op_as::<TypedConcat>() {
            let values: Option<Vec<Value>> = node.inputs.iter().map(|input| self.values.get(input).cloned()).collect();
            let values = values?;
            self.draft.concat(&node.name, &values.iter().collect::<Vec<_>>(), op.axis)?
        } else if let Some(op) = node.op_as::<EinSum>() {
            self.product(node, op)?
        } else {
            self.shaping(node, &shape)?
        };
        (value.shape == shape).then(|| self.values.insert(node.id.into(), value))?;
        Some(())
    }

    /// Operators that only move values, sum them or rename axes.
    fn shaping(&mut self, node: &TypedNode, shape: &[usize]) -> Option<Value> {
        let value = self.values.get(&node.inputs[0])?.clone();
        if let Some(op) = node.op_as::<AxisOp>() {
            return self.axis(node, op, &value, shape);
        }
        if let Some(op) = node.op_as::<Reduce>() {
            let (Reducer::Sum, [axis]) = (op.reducer, &op.axes[..]) else { return None };
            return self.draft.sum(&node.name, &value, *axis);
        }
        if let Some(op) = node.op_as::<Slice>() {
            let range = [op.start.to_usize().ok()?, op.end.to_usize().ok()?];
            return self.draft.slice(&node.name, &value, op.axis, range);
        }
        // One axis and stride 1 only: the start then follows from the lengths and the first constant.
        let op = node.op_as::<StridedSlice>()?;
        let changed: Vec<usize> =
            (0..shape.len()).filter(|axis| value.shape.get(*axis) != Some(&shape[*axis])).collect();
        let ([axis], true) = (&changed[..], value.shape.len() == shape.len()) else { return None };
        let plain = (op.begin_mask, op.end_mask, op.shrink_axis_mask) == (0, 0, 0);
        let one = |input: usize| -> Option<i64> {
            let constant = self.constant(*node.inputs.get(input)?)?;
            let all = constant.cast_to::<i64>().ok()?;
            let all = all.try_as_plain_ram().ok()?.as_slice::<i64>().ok()?.to_vec();
            (all.len() == 1).then(|| all[0])
        };
        let steps = op.optional_steps_input.map_or(Some(1), one)?;
        let named = op.optional_axes_input.map_or(Some(0), one)?;
        let begin = usize::try_from(one(1)?).ok()?;
        let here = usize::try_from(named).ok() == Some(*axis);
        (plain && steps == 1 && here && begin + shape[*axis] <= value.shape[*axis]).then_some(())?;
        self.draft.slice(&node.name, &value, *axis, [begin, begin + shape[*axis]])
    }

    fn axis(&mut self, node: &TypedNode, op: &AxisOp, value: &Value, shape: &[usize]) -> Option<Value> {
        if let AxisOp::Move(from, to) = op {
            let mut order: Vec<usize> = (0..shape.len()).collect();
            let axis = order.remove(*from);
            order.insert(*to, axis);
            return self.draft.permute(&node.name, value, &order);
        }
        // The remaining axis operators do not move values that are row-major or in complete rows.
        let rows = matches!(value.layout, ValueLayout::Rows(_)) && value.shape.last() == shape.last();
        let value = if rows { value.clone() } else { self.draft.turn(value, ValueLayout::Plain)? };
        Some(value.with_shape(shape.to_vec()))
    }

    fn constant(&self, outlet: OutletId) -> Option<Arc<Tensor>> {
        self.model.outlet_fact(outlet).ok()?.konst.clone()
    }

    /// A constant as f32.
    fn floats(&self, outlet: OutletId) -> Option<(Vec<usize>, Vec<f32>)> {
        let constant = self.constant(outlet)?;
        let wide = constant.datum_type() == f32::datum_type() || constant.datum_type() == f16::datum_type();
        wide.then_some(())?;
        let floats = constant.cast_to::<f32>().ok()?;
        let values = floats.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.to_vec();
        Some((constant.shape().to_vec(), values))
    }

    /// Whether exactly one node reads an outlet.
    fn read_once(&self, outlet: OutletId) -> bool {
        self.model.outlet_successors(outlet).len() == 1 && !self.wanted.contains(&outlet)
    }

    /// Zero padding of a map: recorded, and included by the convolutions that read it.
    fn pad(&mut self, node: &TypedNode, pad: &Pad) -> Option<()> {
        let PadMode::Constant(value) = &pad.mode else { return None };
        let zeros = value.is_zero().ok()? && pad.pads.len() == 4 && pad.pads[..2].iter().all(|pair| *pair == (0, 0));
        let outlet = OutletId::from(node.id);
        let readers = self.model.outlet_successors(outlet);
        let convs = readers.iter().all(|inlet| inlet.slot == 0 && self.model.node(inlet.node).op.is::<Conv>());
        (zeros && convs && !self.wanted.contains(&outlet)).then_some(())?;
        self.borders.insert(outlet, (node.inputs[0], [pad.pads[2].0, pad.pads[3].0]));
        Some(())
    }

    fn conv(&mut self, node: &TypedNode, conv: &Conv) -> Option<Value> {
        let spec = &conv.pool_spec;
        let plain = conv.q_params.is_none()
            && conv.kernel_fmt == KernelFormat::OIHW
            && spec.data_format == DataFormat::NCHW
            && spec.kernel_shape.len() == 2
            && spec.dilations().iter().all(|dilation| *dilation == 1)
            && spec.stride(0) == spec.stride(1)
            && (1..=2).contains(&spec.stride(0));
        plain.then_some(())?;
        let [_, channels, height, width] = lengths(self.model.outlet_fact(node.inputs[0]).ok()?)?[..] else {
            return None;
        };
        let padding = spec.computed_padding(&[height, width]);
        let mut before = [padding[0].pad_before, padding[1].pad_before];
        let (source, zeros) = self.borders.get(&node.inputs[0]).copied().unwrap_or((node.inputs[0], [0, 0]));
        before = [before[0] + zeros[0], before[1] + zeros[1]];
        let value = self.values.get(&source)?.clone();
        let (input, output) = ([value.shape[2], value.shape[3]], [padding[0].convoluted, padding[1].convoluted]);
        let kernel = [spec.kernel_shape[0], spec.kernel_shape[1]];
        let (_, weights) = self.floats(node.inputs[1])?;
        let (_, mut bias) = self.floats(node.inputs[2])?;
        if bias.len() == 1 {
            bias.resize(spec.output_channels, bias[0]);
        }
        let volume = spec.output_channels * channels / conv.group * kernel[0] * kernel[1];
        (weights.len() == volume && bias.len() == spec.output_channels).then_some(())?;
        let stride = spec.stride(0);
        if conv.group == 1 {
            let (inputs, outputs) = (channels, spec.output_channels);
            let shape = ConvShape { inputs, outputs, kernel, stride, before, input, output };
            return self.draft.conv(&node.name, &value, shape, weights, bias);
        }
        let depthwise = conv.group == channels && spec.output_channels == channels && kernel[0] == kernel[1];
        (depthwise && matches!(kernel[0], 3 | 5)).then_some(())?;
        let shape = DepthwiseShape { channels, side: kernel[0], stride, before, input, output };
        self.draft.depthwise(&node.name, &value, shape, weights, bias)
    }

    fn pool(&mut self, node: &TypedNode, spec: &PoolSpec, kind: PoolKind) -> Option<Value> {
        let value = self.values.get(&node.inputs[0])?.clone();
        let [_, _, height, width] = value.shape[..] else { return None };
        let plain = spec.data_format == DataFormat::NCHW && spec.dilations().iter().all(|dilation| *dilation == 1);
        (plain && spec.kernel_shape.len() == 2).then_some(())?;
        let padding = spec.computed_padding(&[height, width]);
        let pool = Pool {
            kind,
            kernel: [spec.kernel_shape[0], spec.kernel_shape[1]],
            stride: [spec.stride(0), spec.stride(1)],
            before: [padding[0].pad_before, padding[1].pad_before],
            input: [height, width],
            output: [padding[0].convoluted, padding[1].convoluted],
        };
        self.draft.pool(&node.name, &value, pool)
    }

    fn binary(&mut self, node: &TypedNode, kind: Binary) -> Option<Value> {
        let [a, b] = node.inputs[..] else { return None };
        match (self.values.get(&a).cloned(), self.values.get(&b).cloned()) {
            (Some(first), Some(second)) => {
                if kind == Binary::Add {
                    for ((value, outlet), (other, of_other)) in
                        [((&second, b), (&first, a)), ((&first, a), (&second, b))]
                    {
                        let once = self.read_once(outlet) && a != b;
                        let spare = self.read_once(of_other);
                        let within = once.then(|| self.draft.add_within(value, other, spare)).flatten();
                        if within.is_some() {
                            return within;
                        }
                    }
                }
                self.draft.binary(&node.name, kind, &[&first, &second], None)
            }
            (Some(value), None) => self.with_constant(node, kind, (&value, a), (1, b)),
            (None, Some(value)) => self.with_constant(node, kind, (&value, b), (0, a)),
            (None, None) => None,
        }
    }

    fn with_constant(
        &mut self,
        node: &TypedNode,
        kind: Binary,
        (value, outlet): (&Value, OutletId),
        (side, constant): (usize, OutletId),
    ) -> Option<Value> {
        let (shape, data) = self.floats(constant)?;
        let once = self.read_once(outlet);
        if let [number] = data[..] {
            let clamp = match kind {
                Binary::Max => Some([number, f32::INFINITY]),
                Binary::Min => Some([f32::NEG_INFINITY, number]),
                _ => None,
            };
            if let Some(clamp) = clamp
                && once
                && self.draft.clamp(value, clamp)
            {
                return Some(value.clone());
            }
            let unary = if side == 1 { Unary::Right(kind, number) } else { Unary::Left(number, kind) };
            return self.draft.unary(&node.name, value, unary);
        }
        let a_column = shape.last() == Some(&data.len()) && value.shape.last() == Some(&data.len());
        if kind == Binary::Add && once && a_column && self.draft.add_bias(value, &data) {
            return Some(value.clone());
        }
        (shape.len() == value.shape.len()).then_some(())?;
        self.draft.binary(&node.name, kind, &[value], Some((side, shape, data)))
    }

    /// Rows times a constant matrix, or a product of two computed values.
    fn product(&mut self, node: &TypedNode, op: &EinSum) -> Option<Value> {
        (op.q_params.is_none() && node.inputs.len() == 2 && op.operating_dt == f32::datum_type()).then_some(())?;
        let (inputs, outputs) = op.axes.to_strs();
        let (a, b) = (inputs[0].as_str(), inputs[1].as_str());
        let output = outputs[0].as_str();
        let value = self.values.get(&node.inputs[0])?.clone();
        if let Some(other) = self.values.get(&node.inputs[1]).cloned() {
            let [batch, m, k] = a.chars().collect::<Vec<_>>()[..] else { return None };
            let n = b.chars().last()?;
            let fits = b == format!("{batch}{k}{n}") && output == format!("{batch}{m}{n}");
            return fits.then(|| self.draft.dots(&node.name, &value, &other)).flatten();
        }
        let (shape, data) = self.floats(node.inputs[1])?;
        let [x, y] = b.chars().collect::<Vec<_>>()[..] else { return None };
        let k = a.chars().last()?;
        let n = if x == k { y } else { x };
        let outer = &a[..a.len() - k.len_utf8()];
        let fits = [x, y].contains(&k) && !outer.contains([k, n]) && output == format!("{outer}{n}");
        fits.then_some(())?;
        // Inputs x outputs; in the graph either may come first.
        let (inputs, outputs) = if x == k { (shape[0], shape[1]) } else { (shape[1], shape[0]) };
        let weights =
            if x == k { data } else { (0..data.len()).map(|at| data[at % outputs * inputs + at / outputs]).collect() };
        self.draft.rows(&node.name, &value, outputs, weights)
    }
}
