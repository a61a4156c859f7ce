//! A part of a graph as a list of steps on buffers that are planned once: what runs a network on the CPU.
//!
//! `draft` collects steps while a graph is read, `finish` fuses what can be one and plans memory, `step` runs them. Between steps a map
//! lies as the kernels want it, and is turned only where a step or a reader outside wants it otherwise.

mod draft;
mod finish;
mod plain;
mod step;

pub use draft::{Draft, Value, ValueLayout};

use crate::seam::{FeatureMap, MapLayout};
use crate::tensor::Tensor;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use step::GraphStep;
use vetrina_kernels::{Buffer, Level, blocked_to_planar};

/// Steps, and the memory that they share.
#[derive(Debug)]
pub struct GraphProgram {
    level: Level,
    steps: Vec<GraphStep>,
    /// Values of each input.
    inputs: Vec<usize>,
    outputs: Vec<Form>,
    /// Blocks of each slot of memory.
    slots: Vec<usize>,
    /// Memory of runs that are over, for the next ones. Several threads may run one program.
    free: Mutex<Vec<Memory>>,
}

#[derive(Debug)]
struct Memory {
    slots: Vec<Buffer>,
    /// Of the step that runs.
    scratch: Buffer,
}

/// What one step costs.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCost {
    /// Of the last of the graph's nodes that it does.
    pub name: String,
    pub kind: String,
    /// Multiply-adds.
    pub products: usize,
    /// The least of several runs.
    pub seconds: f64,
}

/// What runs where of one graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgramPlan {
    /// Steps of our kernels.
    pub steps: Vec<StepCost>,
    /// Operators that tract runs.
    pub by_tract: Vec<String>,
}

/// How an output lies in memory when the last step is over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Form {
    shape: Vec<usize>,
    layout: ValueLayout,
    /// Values with those of channels beyond the last.
    length: usize,
}

/// Where a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Input(usize),
    Slot(usize),
    Output(usize),
}

impl GraphProgram {
    /// The shape of each output.
    pub fn output_shapes(&self) -> impl ExactSizeIterator<Item = &[usize]> {
        self.outputs.iter().map(|form| &form.shape[..])
    }

    /// Values of each input.
    pub fn input_lengths(&self) -> &[usize] {
        &self.inputs
    }

    /// Runs all steps; inputs as long as [`GraphProgram::input_lengths`] says. Outputs are row-major in their shapes.
    pub fn run(&self, inputs: &[&[f32]]) -> Vec<Tensor> {
        let outputs = self.run_with(inputs, |_, run| run()).into_iter().zip(&self.outputs);
        outputs.map(|(data, form)| form.plain(data)).collect()
    }

    /// As [`GraphProgram::run`], but the first `count` outputs come as the maps that they are, in whichever layout they lie.
    pub fn run_to_maps(&self, inputs: &[&[f32]], count: usize) -> (Vec<FeatureMap>, Vec<Tensor>) {
        let mut outputs = self.run_with(inputs, |_, run| run()).into_iter().zip(&self.outputs);
        let maps = outputs.by_ref().take(count).map(|(data, form)| form.map(data)).collect();
        (maps, outputs.map(|(data, form)| form.plain(data)).collect())
    }

    /// The least time of each step in `rounds` runs on noise.
    pub fn measure(&self, rounds: usize) -> Vec<StepCost> {
        let noise = |length: &usize| (0..*length).map(|at| (at * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let inputs: Vec<Vec<f32>> = self.inputs.iter().map(noise).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let cost = |step: &GraphStep| StepCost {
            name: step.name.clone(),
            kind: step.kind.to_string(),
            products: step.kind.products(),
            seconds: f64::INFINITY,
        };
        let mut costs: Vec<StepCost> = self.steps.iter().map(cost).collect();
        for _ in 0..rounds {
            self.run_with(&inputs, |step, run| {
                let start = Instant::now();
                run();
                costs[step].seconds = costs[step].seconds.min(start.elapsed().as_secs_f64());
            });
        }
        costs
    }

    fn run_with(&self, inputs: &[&[f32]], mut each: impl FnMut(usize, &mut dyn FnMut())) -> Vec<Vec<f32>> {
        let mut memory = self.memory();
        let mut outputs: Vec<Vec<f32>> = self.outputs.iter().map(|form| vec![0.0; form.length]).collect();
        for (place, step) in self.steps.iter().enumerate() {
            each(place, &mut || self.run_step(step, inputs, &mut memory, &mut outputs));
        }
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        outputs
    }

    fn memory(&self) -> Memory {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Memory {
            slots: self.slots.iter().map(|blocks| Buffer::zeros(*blocks)).collect(),
            scratch: Buffer::default(),
        })
    }

    fn run_step(&self, step: &GraphStep, inputs: &[&[f32]], memory: &mut Memory, outputs: &mut [Vec<f32>]) {
        let Memory { slots, scratch } = memory;
        // What is written is taken out of the memory meanwhile, so that the rest can be read.
        let (mut slot, mut output) = (Buffer::default(), Vec::new());
        match step.output.0 {
            Home::Slot(index) => slot = std::mem::take(&mut slots[index]),
            Home::Output(index) => output = std::mem::take(&mut outputs[index]),
            Home::Input(_) => return,
        }
        let sources: Vec<&[f32]> = step
            .inputs
            .iter()
            .map(|(home, length)| match *home {
                Home::Input(index) => &inputs[index][..*length],
                Home::Slot(index) => &slots[index].values()[..*length],
                Home::Output(index) => &outputs[index][..*length],
            })
            .collect();
        let target = match step.output.0 {
            Home::Output(_) => &mut output[..],
            _ => &mut slot.values_mut()[..step.output.1],
        };
        step.kind.run(self.level, &sources, scratch, target);
        match step.output.0 {
            Home::Slot(index) => slots[index] = slot,
            Home::Output(index) => outputs[index] = output,
            Home::Input(_) => {}
        }
    }
}

impl Form {
    /// Row-major.
    fn plain(&self, data: Vec<f32>) -> Tensor {
        let [1, channels, height, width] = self.shape[..] else { return Tensor::new(self.shape.clone(), data) };
        let places = height * width;
        let data = match self.layout {
            ValueLayout::Blocked => {
                let mut plain = vec![0.0; channels * places];
                blocked_to_planar(places, data.as_chunks().0, &mut plain);
                plain
            }
            ValueLayout::Last => (0..data.len()).map(|at| data[at % places * channels + at / places]).collect(),
            ValueLayout::Plain | ValueLayout::Rows(_) => data,
        };
        Tensor::new(self.shape.clone(), data)
    }

    fn map(&self, data: Vec<f32>) -> FeatureMap {
        let layout = match self.layout {
            ValueLayout::Blocked => MapLayout::Blocked,
            ValueLayout::Last => MapLayout::Last,
            ValueLayout::Plain | ValueLayout::Rows(_) => return FeatureMap::from(&self.plain(data)),
        };
        FeatureMap::new([self.shape[1], self.shape[2], self.shape[3]], layout, data)
    }
}
