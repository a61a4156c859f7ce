//! What is changed in a graph before tract optimises it. Nothing here changes what the graph computes.

use super::depthwise::Depthwise;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::model::Rewriter;
use tract_onnx::tract_core::ops::array::{Pad, PadMode};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::math::{Max, Min};
use tract_onnx::tract_core::ops::nn::DataFormat;

/// Applies all that helps on this machine.
pub fn rewrite(model: &mut TypedModel) -> TractResult<()> {
    let rewriter = Rewriter::default().with_rule_for::<Cast>("widen", widen);
    rewriter.rewrite(&(), model)?;
    model.prop_consts()?;
    // Elsewhere tract has kernels of its own for every case, and ours was not measured.
    if cfg!(target_arch = "x86_64") {
        let rewriter = Rewriter::default().with_rule_for::<Conv>("depthwise", depthwise);
        rewriter.rewrite(&(), model)?;
    }
    Ok(())
}

/// Weights stored in 16 bits are widened once, here: tract leaves the cast of a large one for every run.
fn widen(
    _: &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    cast: &Cast,
) -> TractResult<Option<TypedModelPatch>> {
    let Some(stored) = model.outlet_fact(node.inputs[0])?.konst.clone() else { return Ok(None) };
    if stored.datum_type() != f16::datum_type() || cast.to != f32::datum_type() {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::default();
    let wide = patch.add_const(name, stored.cast_to::<f32>()?.into_owned())?;
    patch.shunt_outside(model, node.id.into(), wide)?;
    Ok(Some(patch))
}

/// A depthwise 3x3 convolution, with the zeros before it and the limits after it, becomes ours.
fn depthwise(
    _: &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    conv: &Conv,
) -> TractResult<Option<TypedModelPatch>> {
    let Some((op, source)) = as_depthwise(model, node, conv)? else { return Ok(None) };
    let (op, last) = with_limits(model, node, op)?;
    let mut patch = TypedModelPatch::default();
    let mut wires = patch.taps(model, &node.inputs)?;
    wires[0] = patch.tap_model(model, source)?;
    let wires = patch.wire_node(format!("{name}.depthwise"), op, &wires)?;
    patch.shunt_outside(model, last.into(), wires[0])?;
    Ok(Some(patch))
}

/// The operator for `conv` and what it reads, where it can do that.
fn as_depthwise(model: &TypedModel, node: &TypedNode, conv: &Conv) -> TractResult<Option<(Depthwise, OutletId)>> {
    let (spec, channels) = (&conv.pool_spec, conv.pool_spec.input_channels);
    let stride = spec.stride(0);
    let fits = conv.q_params.is_none()
        && channels > 1
        && conv.group == channels
        && spec.output_channels == channels
        && spec.data_format == DataFormat::NCHW
        && spec.kernel_shape[..] == [3, 3]
        && spec.dilations().iter().all(|dilation| *dilation == 1)
        && spec.strides().iter().all(|axis| *axis == stride)
        && (1..=2).contains(&stride);
    let facts = model.node_input_facts(node.id)?;
    if !fits || facts.iter().any(|fact| fact.datum_type != f32::datum_type()) {
        return Ok(None);
    }
    // Kernels lie as channels x 1 x 3 x 3 in either order that ONNX knows; a bias is one value a channel.
    let (Some(kernel), Some(bias)) = (facts[1].shape.as_concrete(), facts[2].shape.as_concrete()) else {
        return Ok(None);
    };
    let volume = |shape: &[usize]| shape.iter().product::<usize>();
    let Some([1, _, height, width]) = facts[0].shape.as_concrete() else { return Ok(None) };
    if kernel[..2] != [channels, 1] || volume(kernel) != 9 * channels || volume(bias) != channels {
        return Ok(None);
    }
    let padding = spec.computed_padding(&[*height, *width]);
    let mut before = [padding[0].pad_before, padding[1].pad_before];
    let output = [padding[0].convoluted, padding[1].convoluted];
    let (mut input, mut source) = ([*height, *width], node.inputs[0]);
    if let Some((zeros, from)) = zeros_before(model, source)? {
        let shape = model.outlet_fact(from)?.shape.as_concrete().map(<[usize]>::to_vec);
        if let Some([_, _, height, width]) = shape.as_deref() {
            (input, source) = ([*height, *width], from);
            before = [before[0] + zeros[0], before[1] + zeros[1]];
        }
    }
    Ok(Some((Depthwise::new(channels, input, output, stride, before), source)))
}

/// How many zeros a padding before `outlet` puts above and to the left, and what it reads.
fn zeros_before(model: &TypedModel, outlet: OutletId) -> TractResult<Option<([usize; 2], OutletId)>> {
    let node = model.node(outlet.node);
    let Some(Pad { pads, mode: PadMode::Constant(value) }) = node.op_as::<Pad>() else { return Ok(None) };
    let spatial = pads.len() == 4 && pads[..2].iter().all(|pair| *pair == (0, 0));
    Ok((spatial && value.is_zero()?).then(|| ([pads[2].0, pads[3].0], node.inputs[0])))
}

/// Takes in the limits of a ReLU that follow, and says which node was the last.
fn with_limits(model: &TypedModel, node: &TypedNode, mut op: Depthwise) -> TractResult<(Depthwise, usize)> {
    let mut last = node.id;
    while let Some(next) = model.single_succ(last)? {
        let Some(TypedBinOp(kind, None)) = next.op_as::<TypedBinOp>() else { break };
        let Some(limit) = other_input(model, next, last)? else { break };
        if kind.is::<Max>() {
            op = op.at_least(limit);
        } else if kind.is::<Min>() {
            op = op.at_most(limit);
        } else {
            break;
        }
        last = next.id;
    }
    Ok((op, last))
}

/// The one number that a binary operator takes beside the output of `from`.
fn other_input(model: &TypedModel, node: &TypedNode, from: usize) -> TractResult<Option<f32>> {
    let other = node.inputs.iter().find(|input| input.node != from);
    let Some(value) = other.map(|input| model.outlet_fact(*input)).transpose()?.and_then(|fact| fact.konst.clone())
    else {
        return Ok(None);
    };
    if value.len() != 1 || value.datum_type() != f32::datum_type() {
        return Ok(None);
    }
    Ok(Some(value.try_as_plain_ram()?.as_slice::<f32>()?[0]))
}
