//! The batch of a head: graphs are exported for a fixed number of RoIs. TensorRT gets a dynamic batch, the CPU a few RoIs at
//! a time. The aggregator's sequence length is dynamic on both.

use crate::fault::{Fault, Kind, Result};
use crate::network::manifest::{GraphName, Manifest};
use prost::Message;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{ModelProto, ValueInfoProto};

/// Maximum number of RoIs per match head run.
pub const MOST_ROIS: usize = 100;

/// Minimum, typical and maximum size of a graph's dynamic dimension. The aggregator's minimum is 2: a single
/// observation does not need it. The trunk has no dynamic dimension.
pub fn sizes(graph: GraphName, manifest: &Manifest) -> [i64; 3] {
    let (keep, each) = (manifest.proposals.keep as i64, manifest.proposals.rois_each() as i64);
    match graph {
        GraphName::Trunk => [1, 1, 1],
        GraphName::BoxHead => [each, each * keep, each * keep],
        GraphName::MatchHead => [1, 8, MOST_ROIS as i64],
        GraphName::Aggregator => [2, 10, 100],
    }
}

/// Another batch for a head's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// Dynamic: as many rows as a run has.
    Open,
    /// Exactly this many rows of the result.
    Rows(usize),
}

/// Sets the batch of a head's graph; other graphs stay unchanged. If a row of the result takes several RoIs, the input's batch
/// is that multiple. Rows of a head do not depend on each other.
///
/// # Errors
/// [`Kind::Model`]: not an ONNX graph.
pub fn with_batch(graph: GraphName, onnx: Vec<u8>, wanted: Batch) -> Result<Vec<u8>> {
    if !matches!(graph, GraphName::BoxHead | GraphName::MatchHead) {
        return Ok(onnx);
    }
    let mut model = ModelProto::decode(&onnx[..]).map_err(|error| {
        Fault::new(Kind::Model, format!("cannot read the graph of the {}", graph.name()))
            .cause(error)
            .cure("export it again")
    })?;
    let graph = model.graph.get_or_insert_default();
    graph.value_info.clear();
    let rows = graph.output.first_mut().and_then(batch).and_then(|batch| batch.value.clone());
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(batch) = batch(value) else { continue };
        let each = match (&batch.value, &rows) {
            (Some(Value::DimValue(rois)), Some(Value::DimValue(rows))) if *rows > 0 => rois / rows,
            _ => 1,
        };
        batch.value = Some(match wanted {
            Batch::Rows(rows) => Value::DimValue(each * rows as i64),
            Batch::Open if each > 1 => Value::DimParam(format!("{each}*N")),
            Batch::Open => Value::DimParam("N".into()),
        });
    }
    Ok(model.encode_to_vec())
}

/// First dimension of a graph's input or output.
fn batch(value: &mut ValueInfoProto) -> Option<&mut Dimension> {
    let tract_onnx::pb::type_proto::Value::TensorType(tensor) = value.r#type.as_mut()?.value.as_mut()?;
    tensor.shape.as_mut()?.dim.first_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Graphs;
    use crate::tensor::Tensor;
    use std::path::Path;

    fn shipped() -> Manifest {
        Manifest::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact")).unwrap()
    }

    /// tract accepts dynamic graphs too: rows computed in one batch must equal rows computed one by one.
    #[test]
    fn a_head_with_an_open_batch_computes_each_row_as_before() {
        let manifest = shipped();
        let folder = tempfile::tempdir().unwrap();
        let (keep, each) = (manifest.proposals.keep, manifest.proposals.rois_each());
        for (graph, side, fixed, each) in [(GraphName::BoxHead, 7, keep, each), (GraphName::MatchHead, 14, 1, 1)] {
            let path = manifest.graph_path(graph);
            let opened = folder.path().join("opened.onnx");
            std::fs::write(&opened, with_batch(graph, std::fs::read(&path).unwrap(), Batch::Open).unwrap()).unwrap();
            let length = each * side * side * manifest.features.channels;
            let rois: Vec<f32> = (0..3 * length).map(|at| (at * at % 1009) as f32 / 1009.0).collect();
            let shape = |rows| [each * rows, side, side, manifest.features.channels];
            let together = Graphs::load_graph(&opened).unwrap().run(vec![Tensor::new(shape(3), rois.clone())]).unwrap();
            let mut one = Graphs::load_graph(&path).unwrap();
            for (row, roi) in rois.chunks(length).enumerate() {
                let padded = [roi, &vec![0.0; (fixed - 1) * length]].concat();
                let alone = one.run(vec![Tensor::new(shape(fixed), padded)]).unwrap();
                for (together, alone) in together.iter().zip(&alone) {
                    let columns = together.shape()[1];
                    let pairs = together.data()[row * columns..].iter().zip(&alone.data()[..columns]);
                    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(together.shape()[0] == 3 && worst < 1e-4, "{graph:?}: {worst}");
                }
            }
        }
    }

    #[test]
    fn other_graphs_stay_unchanged_and_invalid_onnx_is_refused() {
        for graph in [GraphName::Trunk, GraphName::Aggregator] {
            assert_eq!(with_batch(graph, vec![1, 2, 3], Batch::Open).unwrap(), [1, 2, 3]);
        }
        assert_eq!(with_batch(GraphName::BoxHead, vec![0xff; 9], Batch::Open).unwrap_err().kind(), Kind::Model);
    }
}
