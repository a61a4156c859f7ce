//! Turns a draft into a program: fuses steps, plans kernels, assigns memory.

use super::draft::{BufferPlace, ConvSketch, Draft, Sketch, Value, ValueLayout, What, winograd_pays};
use super::step::{GraphStep, StepKind};
use super::{Form, GraphProgram, Home, mixes};
use std::collections::HashMap;
use std::sync::Mutex;
use vetrina_kernels::{Conv, ConvShape, Depthwise, LANES, Level, Residual, Rows, Stem, Winograd, blocks};

/// Size in bytes of an inner map from which a fused inverted residual pays: more than a core's cache keeps.
const LARGE_MAP: usize = 2 << 20;

impl Draft {
    /// Plans kernels and memory. `None`: an output is not available in a layout that its reader accepts.
    pub fn finish(mut self, outputs: &[Value]) -> Option<GraphProgram> {
        let mut homes: HashMap<usize, usize> = HashMap::new();
        let mut forms = Vec::new();
        for (index, output) in outputs.iter().enumerate() {
            // Maps keep their layout: the reader may accept it.
            let of_map = matches!(output.layout, ValueLayout::Blocked | ValueLayout::Last);
            let mut value = if of_map { output.clone() } else { self.turn(output, ValueLayout::Plain)? };
            let fresh = matches!(value.place, BufferPlace::Buffer(buffer) if !homes.contains_key(&buffer));
            if !fresh {
                let (shape, layout) = (value.shape.clone(), value.layout);
                value = self.push("copy", What::Planned(StepKind::Copy), vec![value.place], shape, layout);
            }
            let BufferPlace::Buffer(buffer) = value.place else { return None };
            homes.insert(buffer, index);
            forms.push(Form { shape: value.shape, layout: value.layout, length: self.buffers[buffer] });
        }
        self.drop_unread(&homes);
        self.fuse_residuals(&homes);
        let (homes, slots) = self.memory(&homes);
        let inputs: Vec<usize> = self.inputs.iter().map(|shape| shape.iter().product()).collect();
        let (level, lengths) = (self.level, self.buffers);
        let place = |place: &BufferPlace| match *place {
            BufferPlace::Input(index) => (Home::Input(index), inputs[index]),
            BufferPlace::Buffer(buffer) => (homes[buffer], lengths[buffer]),
        };
        let plan = |sketch: Sketch| GraphStep {
            inputs: sketch.inputs.iter().map(place).collect(),
            output: place(&BufferPlace::Buffer(sketch.output)),
            name: sketch.name,
            kind: plan(level, sketch.what, sketch.maps),
            maps: sketch.maps,
        };
        let steps: Vec<GraphStep> = self.sketches.into_iter().map(plan).collect();
        let mixes = mixes::mixes(&steps, &self.inputs);
        Some(GraphProgram {
            level,
            steps,
            mixes,
            inputs: inputs.clone(),
            outputs: forms,
            slots,
            free: Mutex::default(),
        })
    }

    /// Number of steps that read a buffer; being an output counts as one more.
    fn readers(&self, buffer: usize, outputs: &HashMap<usize, usize>) -> usize {
        let reads = self
            .sketches
            .iter()
            .flat_map(|sketch| &sketch.inputs)
            .filter(|place| **place == BufferPlace::Buffer(buffer));
        reads.count() + usize::from(outputs.contains_key(&buffer))
    }

    fn drop_unread(&mut self, outputs: &HashMap<usize, usize>) {
        for at in (0..self.sketches.len()).rev() {
            if self.readers(self.sketches[at].output, outputs) == 0 {
                self.sketches.remove(at);
            }
        }
    }

    /// Fuses pointwise, depthwise and pointwise convolutions whose inner maps are large and have no other reader.
    fn fuse_residuals(&mut self, outputs: &HashMap<usize, usize>) {
        for at in 0..self.sketches.len() {
            if let Some((fused, gone)) = self.residual_at(at, outputs) {
                self.sketches[at] = fused;
                for index in gone {
                    self.sketches[index].inputs.clear();
                    self.sketches[index].what = What::Planned(StepKind::Copy);
                }
            }
        }
        self.sketches.retain(|sketch| !sketch.inputs.is_empty());
    }

    /// The fused step that replaces the projection `at`, and the steps that it replaces.
    fn residual_at(&self, at: usize, outputs: &HashMap<usize, usize>) -> Option<(Sketch, Vec<usize>)> {
        let alone = |place: BufferPlace| {
            let BufferPlace::Buffer(buffer) = place else { return None };
            let maker = self.sketches.iter().position(|sketch| sketch.output == buffer)?;
            (self.readers(buffer, outputs) == 1).then_some(maker)
        };
        let last = &self.sketches[at];
        let What::Conv(project) = &last.what else { return None };
        let middle = alone(*last.inputs.first()?)?;
        let What::Depthwise(depthwise) = &self.sketches[middle].what else { return None };
        let first = self.sketches[middle].inputs.first().and_then(|place| alone(*place));
        let first =
            first.filter(|first| matches!(&self.sketches[*first].what, What::Conv(conv) if is_pointwise(&conv.shape)));
        let expand = first.and_then(|first| match &self.sketches[first].what {
            What::Conv(conv) if self.sketches[first].inputs.len() == 1 => Some(conv),
            _ => None,
        });
        let shape = &depthwise.shape;
        let inner = blocks(shape.channels) * LANES * size_of::<f32>() * shape.input[0] * shape.input[1];
        if inner < LARGE_MAP || !is_pointwise(&project.shape) {
            return None;
        }
        let fused = Residual::new(
            expand.map(|conv| plan_conv(self.level, conv)),
            Depthwise::new(self.level, *shape, &depthwise.weights, &depthwise.bias, depthwise.clamp),
            plan_conv(self.level, project),
        )?;
        let start = expand.and(first).unwrap_or(middle);
        let mut inputs = vec![*self.sketches[start].inputs.first()?];
        inputs.extend(last.inputs.get(1));
        let what = What::Planned(StepKind::Residual(fused));
        let gone = if expand.is_some() { vec![middle, start] } else { vec![middle] };
        Some((Sketch { name: last.name.clone(), what, maps: last.maps, inputs, output: last.output }, gone))
    }

    /// Assigns each buffer a home and returns the size of each slot in blocks. A slot is reused after the last read of
    /// its value.
    fn memory(&self, outputs: &HashMap<usize, usize>) -> (Vec<Home>, Vec<usize>) {
        let mut last = vec![0; self.buffers.len()];
        for (at, sketch) in self.sketches.iter().enumerate() {
            last[sketch.output] = at;
            for place in &sketch.inputs {
                if let BufferPlace::Buffer(buffer) = place {
                    last[*buffer] = at;
                }
            }
        }
        let mut homes = vec![Home::Input(usize::MAX); self.buffers.len()];
        let (mut slots, mut free): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for (buffer, output) in outputs {
            homes[*buffer] = Home::Output(*output);
        }
        for (at, sketch) in self.sketches.iter().enumerate() {
            if homes[sketch.output] == Home::Input(usize::MAX) {
                let need = self.buffers[sketch.output].div_ceil(LANES);
                // The smallest slot that is large enough, otherwise the largest, which grows.
                let key = |slot: &usize| {
                    if slots[*slot] >= need { (0, slots[*slot]) } else { (1, usize::MAX - slots[*slot]) }
                };
                let slot = match (0..free.len()).min_by_key(|index| key(&free[*index])) {
                    Some(index) => free.swap_remove(index),
                    None => {
                        slots.push(0);
                        slots.len() - 1
                    }
                };
                slots[slot] = slots[slot].max(need);
                homes[sketch.output] = Home::Slot(slot);
            }
            for (buffer, last) in last.iter().enumerate() {
                if let (Home::Slot(slot), true) = (homes[buffer], *last == at) {
                    free.push(slot);
                }
            }
        }
        (homes, slots)
    }
}

fn is_pointwise(shape: &ConvShape) -> bool {
    shape.kernel == [1, 1] && shape.stride == 1 && shape.before == [0, 0] && shape.input == shape.output
}

fn plan_conv(level: Level, conv: &ConvSketch) -> Conv {
    Conv::new(level, conv.shape, &conv.weights, &conv.bias, conv.clamp)
}

fn plan(level: Level, what: What, maps: usize) -> StepKind {
    match what {
        What::Stem(conv) => StepKind::Stem(Stem::new(level, conv.shape, &conv.weights, &conv.bias, conv.clamp)),
        What::Conv(conv) if winograd_pays(&conv.shape, maps) => {
            StepKind::Winograd(Winograd::new(level, conv.shape, &conv.weights, &conv.bias, conv.clamp))
        }
        What::Conv(conv) => StepKind::Conv(plan_conv(level, &conv)),
        What::Depthwise(conv) => {
            StepKind::Depthwise(Depthwise::new(level, conv.shape, &conv.weights, &conv.bias, conv.clamp))
        }
        What::Rows(rows) => {
            let planned = Rows::new(level, rows.shape, &rows.weights, &rows.bias, rows.clamp);
            StepKind::Rows(planned, rows.places, rows.count, rows.add)
        }
        What::Planned(kind) => kind,
    }
}
