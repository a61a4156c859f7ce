//! A region of a graph as a list of steps on preallocated buffers: runs a network on the CPU.
//!
//! `draft` collects the steps while the graph is read, `finish` fuses steps and plans memory, `step` runs them. Maps
//! stay in the kernels' layout between steps; they are converted only if a step or an outside reader needs another one.

mod draft;
mod finish;
mod mixes;
mod plain;
mod step;

pub use draft::{Draft, Value, ValueLayout};

use crate::seam::{FeatureMap, MapLayout};
use crate::tensor::Tensor;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use step::GraphStep;
use vetrina_kernels::{Buffer, Level, Rows, blocked_to_planar};

/// Steps and the memory that they share.
#[derive(Debug)]
pub struct GraphProgram {
    level: Level,
    steps: Vec<GraphStep>,
    /// The steps that mix the channels of RoIs, if nothing else reads the input.
    mixes: Vec<usize>,
    /// Length of each input in values.
    inputs: Vec<usize>,
    outputs: Vec<Form>,
    /// Size of each memory slot in blocks.
    slots: Vec<usize>,
    /// Memory of finished runs, for reuse. Several threads may run one program.
    free: Mutex<Vec<Memory>>,
}

#[derive(Debug)]
struct Memory {
    slots: Vec<Buffer>,
    /// Scratch memory of the running step.
    scratch: Buffer,
}

/// Cost of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCost {
    /// Name of the last graph node that the step includes.
    pub name: String,
    pub kind: String,
    /// Multiply-adds.
    pub products: usize,
    /// Minimum of several runs.
    pub seconds: f64,
}

/// How one graph is run: by our kernels and by tract.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgramPlan {
    /// Steps of our kernels.
    pub steps: Vec<StepCost>,
    /// Operators run by tract.
    pub by_tract: Vec<String>,
}

/// Layout and shape of an output after the last step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Form {
    shape: Vec<usize>,
    layout: ValueLayout,
    /// Length in values, including padding channels.
    length: usize,
}

/// Where a step reads from or writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Input(usize),
    Slot(usize),
    Output(usize),
}

impl GraphProgram {
    /// Shape of each output.
    pub fn output_shapes(&self) -> impl ExactSizeIterator<Item = &[usize]> {
        self.outputs.iter().map(|form| &form.shape[..])
    }

    /// Length of each input in values.
    pub fn input_lengths(&self) -> &[usize] {
        &self.inputs
    }

    /// Runs all steps. Inputs must have the [`GraphProgram::input_lengths`]; outputs are row-major.
    pub fn run(&self, inputs: &[&[f32]]) -> Vec<Tensor> {
        self.run_plain(inputs, &[])
    }

    /// The products along the channels of RoIs with which the program begins, for the first, second, ... RoI of a row. Empty: it
    /// begins with something else.
    pub fn mixes(&self) -> impl Iterator<Item = &Rows> {
        mixes::of(&self.steps, &self.mixes)
    }

    /// As [`GraphProgram::run`], given the results of [`GraphProgram::mixes`] in place of the input. `None`: their lengths are
    /// not the program's.
    pub fn run_mixed(&self, mixed: &[&[f32]]) -> Option<Vec<Tensor>> {
        let lengths = self.mixes.iter().map(|step| self.steps[*step].output.1);
        let fits = !mixed.is_empty() && lengths.eq(mixed.iter().map(|values| values.len()));
        fits.then(|| self.run_plain(&[], mixed))
    }

    fn run_plain(&self, inputs: &[&[f32]], mixed: &[&[f32]]) -> Vec<Tensor> {
        let outputs = self.run_with(inputs, mixed, |_, run| run()).into_iter().zip(&self.outputs);
        outputs.map(|(data, form)| form.plain(data)).collect()
    }

    /// As [`GraphProgram::run`], but returns the first `count` outputs as feature maps in their present layout.
    pub fn run_to_maps(&self, inputs: &[&[f32]], count: usize) -> (Vec<FeatureMap>, Vec<Tensor>) {
        let mut outputs = self.run_with(inputs, &[], |_, run| run()).into_iter().zip(&self.outputs);
        let maps = outputs.by_ref().take(count).map(|(data, form)| form.map(data)).collect();
        (maps, outputs.map(|(data, form)| form.plain(data)).collect())
    }

    /// Minimum time of each step in `rounds` runs on pseudo-random input.
    pub fn measure(&self, rounds: usize) -> Vec<StepCost> {
        let noise = |length: &usize| (0..*length).map(|at| (at * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let inputs: Vec<Vec<f32>> = self.inputs.iter().map(noise).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let cost = |step: &GraphStep| StepCost {
            name: step.name.clone(),
            kind: step.kind.to_string(),
            products: step.products(),
            seconds: f64::INFINITY,
        };
        let mut costs: Vec<StepCost> = self.steps.iter().map(cost).collect();
        for _ in 0..rounds {
            self.run_with(&inputs, &[], |step, run| {
                let start = Instant::now();
                run();
                costs[step].seconds = costs[step].seconds.min(start.elapsed().as_secs_f64());
            });
        }
        costs
    }

    /// Runs all steps; those of [`GraphProgram::mixes`] only copy `mixed`, if it is given.
    fn run_with(
        &self,
        inputs: &[&[f32]],
        mixed: &[&[f32]],
        mut each: impl FnMut(usize, &mut dyn FnMut()),
    ) -> Vec<Vec<f32>> {
        let mut memory = self.memory();
        let mut outputs: Vec<Vec<f32>> = self.outputs.iter().map(|form| vec![0.0; form.length]).collect();
        for (place, step) in self.steps.iter().enumerate() {
            let given = self.mixes.iter().position(|mix| *mix == place).and_then(|mix| mixed.get(mix).copied());
            each(place, &mut || self.run_step(step, inputs, given, &mut memory, &mut outputs));
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

    /// Runs a step, or copies its result if that is given.
    fn run_step(
        &self,
        step: &GraphStep,
        inputs: &[&[f32]],
        given: Option<&[f32]>,
        memory: &mut Memory,
        outputs: &mut [Vec<f32>],
    ) {
        let Memory { slots, scratch } = memory;
        // The output is taken out of the memory during the step, so that the rest can be borrowed.
        let (mut slot, mut output) = (Buffer::default(), Vec::new());
        match step.output.0 {
            Home::Slot(index) => slot = std::mem::take(&mut slots[index]),
            Home::Output(index) => output = std::mem::take(&mut outputs[index]),
            Home::Input(_) => return,
        }
        let source = |(home, length): &(Home, usize)| match *home {
            Home::Input(index) => &inputs[index][..*length],
            Home::Slot(index) => &slots[index].values()[..*length],
            Home::Output(index) => &outputs[index][..*length],
        };
        let target = match step.output.0 {
            Home::Output(_) => &mut output[..],
            _ => &mut slot.values_mut()[..step.output.1],
        };
        match given {
            Some(values) => target.copy_from_slice(values),
            None => step.run(self.level, &step.inputs.iter().map(source).collect::<Vec<_>>(), scratch, target),
        }
        match step.output.0 {
            Home::Slot(index) => slots[index] = slot,
            Home::Output(index) => outputs[index] = output,
            Home::Input(_) => {}
        }
    }
}

impl Form {
    /// Converts to a row-major tensor.
    fn plain(&self, data: Vec<f32>) -> Tensor {
        let [maps, channels, height, width] = self.shape[..] else { return Tensor::new(self.shape.clone(), data) };
        let (places, length) = (height * width, channels * height * width);
        let data = match self.layout {
            ValueLayout::Blocked => {
                let mut plain = vec![0.0; maps * length];
                let each = data.chunks_exact(data.len() / maps).zip(plain.chunks_exact_mut(length));
                each.for_each(|(map, plain)| blocked_to_planar(places, map.as_chunks().0, plain));
                plain
            }
            ValueLayout::Last => {
                let turned = |map: &[f32]| -> Vec<f32> {
                    (0..length).map(|at| map[at % places * channels + at / places]).collect()
                };
                data.chunks_exact(length).flat_map(turned).collect()
            }
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
