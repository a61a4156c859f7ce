//! Kernels at the shapes of both networks, in multiply-adds per second, next to the processor's peak rate.
//!
//! criterion calls multiply-adds elements: "Gelem/s" are GMAC/s. A kernel whose sums do not stay in registers is
//! obvious here.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use std::hint::black_box;
use vetrina_kernels::{
    Buffer, Conv, ConvShape, Depthwise, DepthwiseShape, Level, RowPlaces, Rows, Stem, UNCLAMPED, Winograd, blocks,
    levels, peak_products,
};

/// Values from -1 to 1, the same on every run.
fn noise(length: usize) -> Vec<f32> {
    (0..length).map(|at| (at * 37 % 101) as f32 / 50.0 - 1.0).collect()
}

fn map(channels: usize, size: [usize; 2]) -> Buffer {
    let mut map = Buffer::zeros(blocks(channels) * size[0] * size[1]);
    map.values_mut().iter_mut().enumerate().for_each(|(at, value)| *value = (at * 37 % 101) as f32 / 50.0 - 1.0);
    map
}

fn shape([inputs, outputs]: [usize; 2], side: usize, stride: usize, output: [usize; 2]) -> ConvShape {
    let before = if stride == 1 { side / 2 } else { 0 };
    let input = output.map(|length| length * stride);
    ConvShape { inputs, outputs, kernel: [side, side], stride, before: [before, before], input, output }
}

fn convolutions(group: &mut BenchmarkGroup<WallTime>, level: Level) {
    // Pointwise: inputs, outputs, height, width.
    let flat = [
        [16, 96, 192, 128],
        [96, 24, 96, 64],
        [24, 144, 96, 64],
        [32, 192, 48, 32],
        [64, 384, 24, 16],
        [576, 96, 24, 16],
        [960, 160, 12, 8],
        [64, 256, 80, 80],
        [2048, 512, 10, 10],
    ];
    let square = [[64, 64, 48, 32], [64, 64, 6, 4], [214, 64, 12, 12], [256, 256, 80, 80], [512, 512, 10, 10]];
    let all = flat.map(|shape| (1, shape)).into_iter().chain(square.map(|shape| (3, shape)));
    for (side, [inputs, outputs, height, width]) in all {
        let shape = shape([inputs, outputs], side, 1, [height, width]);
        let weights = noise(inputs * outputs * side * side);
        let conv = Conv::new(level, shape, &weights, &noise(outputs), UNCLAMPED);
        let (input, mut output) = (map(inputs, shape.input), map(outputs, shape.output));
        let mut scratch = Buffer::default();
        group.throughput(Throughput::Elements(shape.products() as u64));
        let name = format!("{side}x{side} {inputs} -> {outputs}, {height}x{width}");
        group.bench_function(&name, |bench| {
            bench.iter(|| conv.run(black_box(&input), None, &mut scratch, &mut output));
        });
        if side == 3 {
            let conv = Winograd::new(level, shape, &weights, &noise(outputs), UNCLAMPED);
            group.bench_function(format!("{name}, winograd"), |bench| {
                bench.iter(|| conv.run(black_box(&input), &mut scratch, &mut output));
            });
        }
    }
}

fn others(group: &mut BenchmarkGroup<WallTime>, level: Level) {
    for (channels, side, stride, output) in
        [(96, 3, 2, [96, 64]), (144, 3, 1, [96, 64]), (576, 3, 1, [24, 16]), (192, 5, 1, [24, 16])]
    {
        let (input, before) = (output.map(|length| length * stride), [side / 2, side / 2]);
        let shape = DepthwiseShape { channels, side, stride, before, input, output };
        let conv = Depthwise::new(level, shape, &noise(channels * side * side), &noise(channels), UNCLAMPED);
        let (input, mut output) = (map(channels, input), map(channels, output));
        group.throughput(Throughput::Elements(shape.products() as u64));
        group.bench_function(format!("depthwise {side}x{side}/{stride} {channels}"), |bench| {
            bench.iter(|| conv.run(black_box(&input), &mut output));
        });
    }
    for (side, outputs, output) in [(3, 32, [192, 128]), (7, 64, [160, 160])] {
        let shape = shape([3, outputs], side, 2, output);
        let stem = Stem::new(level, shape, &noise(3 * outputs * side * side), &noise(outputs), UNCLAMPED);
        let (input, mut output) = (noise(3 * shape.input[0] * shape.input[1]), map(outputs, output));
        let mut scratch = Buffer::default();
        group.throughput(Throughput::Elements(shape.products() as u64));
        group.bench_function(format!("stem {side}x{side}"), |bench| {
            bench.iter(|| stem.run(black_box(&input), &mut scratch, &mut output));
        });
    }
    for (inputs, outputs, count) in [(214, 64, 4900), (3136, 512, 100), (12544, 1024, 1000), (1454, 256, 1)] {
        let rows = Rows::new(level, [inputs, outputs], &noise(inputs * outputs), &noise(outputs), UNCLAMPED);
        let (input, mut output) = (noise(inputs * count), noise(outputs * count));
        let mut scratch = Buffer::default();
        group.throughput(Throughput::Elements((inputs * outputs * count) as u64));
        group.bench_function(format!("rows {count} x {inputs} -> {outputs}"), |bench| {
            bench.iter(|| rows.run(black_box(&input), RowPlaces::DENSE, count, false, &mut scratch, &mut output));
        });
    }
}

fn kernels(criterion: &mut Criterion) {
    for (name, level) in levels() {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.throughput(Throughput::Elements(peak_products(level, 10_000) as u64));
        group.bench_function("peak: multiply-adds in registers", |bench| bench.iter(|| peak_products(level, 10_000)));
        convolutions(&mut group, level);
        others(&mut group, level);
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
