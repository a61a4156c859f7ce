//! Graph rewriting before tract optimises: regions that our kernels cover become one operator each.
//!
//! Results change only by the order of sums. Unknown operators stay with tract, and so does a whole region if one of
//! its nodes cannot be translated.

use super::lower::{Lowering, is_heavy, may_lower};
use super::program::{Draft, GraphProgram};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::model::Rewriter;
use tract_onnx::tract_core::ops::cast::Cast;
use vetrina_kernels::Level;

/// Applies all rewrites for this instruction set.
pub fn rewrite(model: &mut TypedModel, level: Level) -> TractResult<()> {
    let rewriter = Rewriter::default().with_rule_for::<Cast>("widen", widen);
    rewriter.rewrite(&(), model)?;
    model.prop_consts()?;
    simplify_resizes(model)?;
    // Each round replaces one region and renumbers the nodes.
    let mut kept = HashSet::new();
    while let Some(region) = next_region(model, &kept)? {
        match lower(model, &region, level) {
            Ok(program) => replace(model, &region, program)?,
            Err(node) => {
                log::debug!("{} stays with tract", model.node(node));
                kept.insert(model.node(node).name.clone());
            }
        }
    }
    Ok(())
}

/// Widens 16-bit weights once, here: tract would repeat the cast of a large weight in every run.
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

/// Lets tract replace resizes that only repeat places with its simpler operator.
fn simplify_resizes(model: &mut TypedModel) -> TractResult<()> {
    // Two rounds: from ONNX's operator to tract's, then to the simpler one.
    for _ in 0..2 {
        for id in model.eval_order()? {
            let node = model.node(id);
            if node.op.name() == "Resize"
                && let Some(patch) = node.op.declutter(model, node)?
            {
                patch.apply(model)?;
            }
        }
    }
    model.compact()
}

/// Nodes that become one operator, in execution order, with their outside inputs and outputs.
struct GraphRegion {
    nodes: Vec<usize>,
    inputs: Vec<OutletId>,
    outputs: Vec<OutletId>,
}

/// The next region worth replacing. Nodes are grouped by the number of changes between known and unknown operators
/// before them, so that no path leaves a region and re-enters it.
fn next_region(model: &TypedModel, kept: &HashSet<String>) -> TractResult<Option<GraphRegion>> {
    let order = model.eval_order()?;
    let mut depth: HashMap<usize, usize> = HashMap::new();
    for id in &order {
        let node = model.node(*id);
        let parity = usize::from(!may_lower(node) || kept.contains(&node.name));
        let before = node.inputs.iter().filter_map(|input| depth.get(&input.node)).max().copied().unwrap_or(0);
        let is_const = model.outlet_fact(OutletId::from(*id)).is_ok_and(|fact| fact.konst.is_some());
        if !is_const {
            depth.insert(*id, before + (before + parity) % 2);
        }
    }
    let heavy = |id: &&usize| depth.get(*id).is_some_and(|depth| depth % 2 == 0) && is_heavy(model.node(**id));
    let Some(at) = order.iter().find(heavy).and_then(|id| depth.get(id)) else { return Ok(None) };
    let nodes: Vec<usize> = order.iter().copied().filter(|id| depth.get(id) == Some(at)).collect();
    let inside: HashSet<usize> = nodes.iter().copied().collect();
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for id in &nodes {
        for input in &model.node(*id).inputs {
            let outside = !inside.contains(&input.node) && model.outlet_fact(*input)?.konst.is_none();
            if outside && !inputs.contains(input) {
                inputs.push(*input);
            }
        }
        let outlet = OutletId::from(*id);
        let read = model.outlet_successors(outlet).iter().any(|inlet| !inside.contains(&inlet.node));
        if read || model.output_outlets()?.contains(&outlet) {
            outputs.push(outlet);
        }
    }
    Ok(Some(GraphRegion { nodes, inputs, outputs }))
}

/// Translates a region. `Err`: the node that cannot be translated.
fn lower(model: &TypedModel, region: &GraphRegion, level: Level) -> Result<GraphProgram, usize> {
    let mut lowering = Lowering::new(model, Draft::new(level), &region.outputs);
    for input in &region.inputs {
        // Blame the first node that reads the input.
        let reader = || region.nodes.iter().copied().find(|id| model.node(*id).inputs.contains(input));
        lowering.input(*input).ok_or_else(|| reader().unwrap_or(region.nodes[0]))?;
    }
    for id in &region.nodes {
        lowering.node(model.node(*id)).ok_or(*id)?;
    }
    let mut outputs = Vec::new();
    for outlet in &region.outputs {
        outputs.push(lowering.value(*outlet).cloned().ok_or(outlet.node)?);
    }
    lowering.draft.finish(&outputs).ok_or(region.nodes[0])
}

fn replace(model: &mut TypedModel, region: &GraphRegion, program: GraphProgram) -> TractResult<()> {
    let name = format!("region.{}", model.node(region.nodes[0]).name);
    let mut patch = TypedModelPatch::default();
    let inputs = patch.taps(model, &region.inputs)?;
    let wires = patch.wire_node(name, RegionOp(Arc::new(program)), &inputs)?;
    for (outlet, wire) in region.outputs.iter().zip(wires) {
        patch.shunt_outside(model, *outlet, wire)?;
    }
    patch.apply(model)?;
    model.compact()
}

/// A program as a tract operator.
#[derive(Clone, Debug)]
pub struct RegionOp(pub Arc<GraphProgram>);

/// Equal only if they are the same object.
impl PartialEq for RegionOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for RegionOp {}

impl Hash for RegionOp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Op for RegionOp {
    fn name(&self) -> StaticName {
        "Region".into()
    }

    op_as_typed_op!();
}

impl EvalOp for RegionOp {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut slices = Vec::with_capacity(inputs.len());
        for input in &inputs {
            slices.push(input.try_as_plain_ram()?.as_slice::<f32>()?);
        }
        let outputs = self.0.run(&slices);
        outputs.iter().map(|output| Ok(Tensor::from_shape(output.shape(), output.data())?.into_tvalue())).collect()
    }
}

impl TypedOp for RegionOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let fits =
            inputs.iter().zip(self.0.input_lengths()).all(|(fact, length)| fact.shape.volume() == length.to_dim());
        ensure!(fits && inputs.len() == self.0.input_lengths().len(), "a region's inputs do not fit its program");
        Ok(self.0.output_shapes().map(f32::fact).collect())
    }

    as_op!();
}
