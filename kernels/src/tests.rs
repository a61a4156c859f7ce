//! Every operator at every instruction set of this machine, against its definition in f64, for many sizes.

use crate::testing::{convolve, difference, noise, to_blocked};
use crate::*;
use proptest::prelude::*;

/// Sizes, channels and padding: small, odd, not multiples of a block.
fn shapes(kernels: Vec<usize>, strides: std::ops::Range<usize>) -> impl Strategy<Value = ConvShape> {
    let sizes = (1usize..40, 1usize..40, 1usize..20, 1usize..30);
    (sizes, prop::sample::select(kernels), strides, 0usize..3, 0usize..3, 0usize..3).prop_filter_map(
        "the kernel does not fit",
        |((inputs, outputs, height, width), side, stride, top, left, after)| {
            let before = [top.min(side - 1), left.min(side - 1)];
            let input = [height, width];
            let padded = [0, 1].map(|axis| input[axis] + before[axis] + after.min(side - 1));
            let output = [0, 1].map(|axis| (padded[axis].checked_sub(side).map(|rest| rest / stride + 1)).unwrap_or(0));
            let kernel = [side, side];
            (output[0] * output[1] > 0).then_some(ConvShape { inputs, outputs, kernel, stride, before, input, output })
        },
    )
}

struct Case {
    input: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
}

fn case(shape: &ConvShape, groups: usize, seed: u64) -> Case {
    let taps = shape.kernel[0] * shape.kernel[1];
    Case {
        input: noise(groups * shape.inputs * shape.input[0] * shape.input[1], seed),
        weights: noise(shape.outputs * shape.inputs * taps, seed + 1),
        bias: noise(shape.outputs, seed + 2),
        residual: noise(shape.outputs * shape.output[0] * shape.output[1], seed + 3),
    }
}

const CLAMP: Clamp = [-1.5, 2.0];

fn places(size: [usize; 2]) -> usize {
    size[0] * size[1]
}

/// Output filled with values that an operator must overwrite.
fn unset(channels: usize, size: [usize; 2]) -> Vec<Block> {
    vec![[f32::NAN; LANES]; blocks(channels) * places(size)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn convolutions(shape in shapes(vec![1, 2, 3, 5], 1..3), add in any::<bool>(), seed in 0u64..1 << 20) {
        let case = case(&shape, 1, seed);
        let residual = add.then_some(&case.residual[..]);
        let wanted = convolve(&shape, 1, &case.input, &case.weights, &case.bias, residual, CLAMP);
        let (input, residual) = (to_blocked(&case.input, shape.inputs), residual.map(|r| to_blocked(r, shape.outputs)));
        for (name, level) in levels() {
            let conv = Conv::new(level, shape, &case.weights, &case.bias, CLAMP);
            let mut output = unset(shape.outputs, shape.output);
            conv.run(&input, residual.as_deref(), &mut Buffer::default(), &mut output);
            let off = difference(&output, &wanted, places(shape.output));
            prop_assert!(off < 1e-4, "{name}: {off}");
        }
    }

    #[test]
    fn winograd(shape in shapes(vec![3], 1..2), seed in 0u64..1 << 20) {
        let case = case(&shape, 1, seed);
        // Several maps in one run: their tiles share passes.
        let maps = [&case.input, &noise(case.input.len(), seed + 1), &noise(case.input.len(), seed + 2)].map(Vec::clone);
        let input: Vec<Block> = maps.iter().flat_map(|map| to_blocked(map, shape.inputs)).collect();
        for (name, level) in levels() {
            let conv = Winograd::new(level, shape, &case.weights, &case.bias, CLAMP);
            let mut output = unset(shape.outputs, shape.output).repeat(maps.len());
            conv.run(&input, &mut Buffer::default(), &mut output);
            for (map, found) in maps.iter().zip(output.chunks(output.len() / maps.len())) {
                let wanted = convolve(&shape, 1, map, &case.weights, &case.bias, None, CLAMP);
                let off = difference(found, &wanted, places(shape.output));
                prop_assert!(off < 1e-4, "{name}: {off}");
            }
        }
    }

    #[test]
    fn stems(shape in shapes(vec![3, 7], 2..3), seed in 0u64..1 << 20) {
        let shape = ConvShape { inputs: shape.inputs % 4 + 1, ..shape };
        prop_assert!(Stem::fits(&shape));
        let case = case(&shape, 1, seed);
        let wanted = convolve(&shape, 1, &case.input, &case.weights, &case.bias, None, CLAMP);
        for (name, level) in levels() {
            let stem = Stem::new(level, shape, &case.weights, &case.bias, CLAMP);
            let mut output = unset(shape.outputs, shape.output);
            stem.run(&case.input, &mut Buffer::default(), &mut output);
            let off = difference(&output, &wanted, places(shape.output));
            prop_assert!(off < 1e-4, "{name}: {off}");
        }
    }

    #[test]
    fn depthwise(shape in shapes(vec![3, 5], 1..3), seed in 0u64..1 << 20) {
        let channels = shape.outputs;
        let shape = ConvShape { inputs: 1, ..shape };
        let case = case(&shape, channels, seed);
        let wanted = convolve(&shape, channels, &case.input, &case.weights, &case.bias, None, CLAMP);
        let input = to_blocked(&case.input, channels);
        for (name, level) in levels() {
            let depthwise = Depthwise::new(level, depthwise_shape(&shape), &case.weights, &case.bias, CLAMP);
            let mut output = unset(channels, shape.output);
            depthwise.run(&input, &mut output);
            let off = difference(&output, &wanted, places(shape.output));
            prop_assert!(off < 1e-5, "{name}: {off}");
        }
    }

    #[test]
    fn inverted_residuals(
        shape in shapes(vec![3, 5], 1..3),
        inner in 1usize..200,
        expands in any::<bool>(),
        add in any::<bool>(),
        seed in 0u64..1 << 20,
    ) {
        let middle = ConvShape { inputs: 1, outputs: inner, input: [shape.input[0] + 24, shape.input[1]], ..shape };
        let middle = ConvShape { output: [(middle.input[0] - 1) / middle.stride + 1, middle.output[1]], before: [1, middle.before[1]], ..middle };
        let flat = |inputs, outputs, size| ConvShape { inputs, outputs, kernel: [1, 1], stride: 1, before: [0, 0], input: size, output: size };
        let first = flat(shape.inputs, inner, middle.input);
        let last = flat(inner, shape.outputs, middle.output);
        let (a, b, c) = (case(&first, 1, seed), case(&middle, inner, seed + 10), case(&last, 1, seed + 20));
        let residual = add.then(|| to_blocked(&c.residual, last.outputs));
        for (name, level) in levels() {
            let expand = expands.then(|| Conv::new(level, first, &a.weights, &a.bias, CLAMP));
            let depthwise = Depthwise::new(level, depthwise_shape(&middle), &b.weights, &b.bias, CLAMP);
            let project = Conv::new(level, last, &c.weights, &c.bias, UNCLAMPED);
            let input = if expands { to_blocked(&a.input, first.inputs) } else { to_blocked(&b.input, inner) };
            let (mut expanded, mut filtered) = (unset(inner, middle.input), unset(inner, middle.output));
            match &expand {
                Some(expand) => expand.run(&input, None, &mut Buffer::default(), &mut expanded),
                None => expanded.clone_from(&input),
            }
            depthwise.run(&expanded, &mut filtered);
            let (mut wanted, mut found) = (unset(last.outputs, last.output), unset(last.outputs, last.output));
            project.run(&filtered, residual.as_deref(), &mut Buffer::default(), &mut wanted);
            let Some(fused) = Residual::new(expand, depthwise, project) else { continue };
            fused.run(&input, residual.as_deref(), &mut Buffer::default(), &mut found);
            prop_assert!(found == wanted, "{name}: differs from the three convolutions in sequence");
        }
    }

    #[test]
    fn row_products(
        inputs in 1usize..600,
        outputs in 1usize..80,
        // Some of them more than one pass over the weights takes.
        count in prop_oneof![7 => 1usize..40, 1 => 260usize..300],
        add in any::<bool>(),
        seed in 0u64..1 << 20,
    ) {
        let (weights, bias) = (noise(inputs * outputs, seed), noise(outputs, seed + 1));
        // Every second row, as in a tensor that interleaves two outputs.
        let places = RowPlaces { start: inputs, group: 1, jump: 2 * inputs };
        let (input, before) = (noise(2 * inputs * count + inputs, seed + 2), noise(outputs * count, seed + 3));
        for (name, level) in levels() {
            let mut output = if add { before.clone() } else { vec![f32::NAN; outputs * count] };
            let rows = Rows::new(level, [inputs, outputs], &weights, &bias, CLAMP);
            rows.run(&input, places, count, add, &mut Buffer::default(), &mut output);
            for (at, found) in output.iter().enumerate() {
                let (row, column) = (at / outputs, at % outputs);
                let product = |k: usize| f64::from(input[inputs + 2 * inputs * row + k]) * f64::from(weights[k * outputs + column]);
                let sum = (0..inputs).map(product).sum::<f64>() + f64::from(bias[column]) + if add { f64::from(before[at]) } else { 0.0 };
                let off = (sum.clamp(-1.5, 2.0) - f64::from(*found)).abs();
                prop_assert!(off < 2e-5, "{name}: {off}");
            }
        }
    }

    #[test]
    fn products_of_two_matrices(m in 1usize..20, k in 1usize..70, n in 1usize..9, seed in 0u64..1 << 20) {
        let (rows, columns) = (noise(m * k, seed), noise(n * k, seed + 1));
        for (name, level) in levels() {
            let mut output = vec![f32::NAN; m * n];
            dots(level, k, &rows, &columns, &mut output);
            for (at, found) in output.iter().enumerate() {
                let product = |i: usize| f64::from(rows[at / n * k + i]) * f64::from(columns[at % n * k + i]);
                prop_assert!(((0..k).map(product).sum::<f64>() - f64::from(*found)).abs() < 1e-5, "{name}");
            }
        }
    }

    #[test]
    fn weighted_sums(
        channels in 1usize..90,
        places in 1usize..40,
        taps in prop::collection::vec((0usize..1000, -1f32..1.0), 0..20),
        seed in 0u64..1 << 20,
    ) {
        let taps: Vec<(usize, f32)> = taps.into_iter().map(|(place, weight)| (place % places, weight)).collect();
        let planar = noise(channels * places, seed);
        let turned = to_blocked(&planar, channels);
        let mut last = vec![f32::NAN; channels * places];
        blocked_to_last(channels, places, &turned, channels, 0, &mut last);
        for (name, level) in levels() {
            for (data, blocked) in [(&last[..], false), (turned.as_flattened(), true)] {
                let mut output = vec![f32::NAN; channels];
                Map { data, channels, places, blocked }.weighted_sum(level, &taps, &mut output);
                for (channel, found) in output.iter().enumerate() {
                    let term = |(place, weight): &(usize, f32)| f64::from(planar[channel * places + place]) * f64::from(*weight);
                    let wanted: f64 = taps.iter().map(term).sum();
                    prop_assert!((wanted - f64::from(*found)).abs() < 1e-5, "{name}, blocked {blocked}");
                }
            }
        }
    }

    #[test]
    fn layouts_round_trip(channels in 1usize..70, count in 1usize..90, seed in 0u64..1 << 20) {
        let planar = noise(channels * count, seed);
        let turned = to_blocked(&planar, channels);
        let mut back = vec![f32::NAN; planar.len()];
        blocked_to_planar(count, &turned, &mut back);
        prop_assert_eq!(&back, &planar);
        let pitch = channels + 3;
        let mut last = vec![f32::NAN; pitch * count];
        blocked_to_last(channels, count, &turned, pitch, 2, &mut last);
        let dense: Vec<f32> = last.chunks(pitch).flat_map(|place| place[2..2 + channels].to_vec()).collect();
        prop_assert!((0..count * channels).all(|at| dense[at] == planar[at % channels * count + at / channels]));
        let mut blocked = vec![[f32::NAN; LANES]; turned.len()];
        last_to_blocked(channels, &dense, &mut blocked);
        prop_assert_eq!(blocked, turned);
    }

    #[test]
    fn pools(shape in shapes(vec![1, 2, 3, 8], 1..4), kind in 0usize..3, seed in 0u64..1 << 20) {
        let channels = shape.outputs;
        let kind = [PoolKind::Max, PoolKind::Mean, PoolKind::MeanInside][kind];
        let ConvShape { kernel, before, input, output, stride, .. } = shape;
        let pool = Pool { kind, kernel, stride: [stride; 2], before, input, output };
        let planar = noise(channels * places(input), seed);
        let mut wanted = Vec::new();
        for channel in 0..channels {
            for place in 0..places(output) {
                let inside = |down: usize, across: usize| {
                    let y = (place / output[1] * stride + down).checked_sub(before[0]).filter(|y| *y < input[0])?;
                    let x = (place % output[1] * stride + across).checked_sub(before[1]).filter(|x| *x < input[1])?;
                    Some(f64::from(planar[(channel * input[0] + y) * input[1] + x]))
                };
                let under: Vec<f64> = (0..places(kernel)).filter_map(|at| inside(at / kernel[1], at % kernel[1])).collect();
                wanted.push(match kind {
                    PoolKind::Max => under.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    PoolKind::Mean => under.iter().sum::<f64>() / places(kernel) as f64,
                    PoolKind::MeanInside => under.iter().sum::<f64>() / under.len().max(1) as f64,
                });
            }
        }
        let mut found = vec![f32::NAN; wanted.len()];
        pool.run_plain(1, &planar, &mut Buffer::default(), &mut found);
        prop_assert!(wanted.iter().zip(&found).all(|(a, b)| *a == f64::from(*b) || (a - f64::from(*b)).abs() < 1e-5));
        for (name, level) in levels() {
            let mut blocked = unset(channels, output);
            pool.run_blocked(level, &to_blocked(&planar, channels), &mut blocked);
            let mut back = vec![f32::NAN; wanted.len()];
            blocked_to_planar(places(output), &blocked, &mut back);
            prop_assert!(back.iter().zip(&found).all(|(a, b)| a == b || (a - b).abs() < 1e-5), "{name}");
        }
    }
}

fn depthwise_shape(shape: &ConvShape) -> DepthwiseShape {
    let ConvShape { outputs, kernel, stride, before, input, output, .. } = *shape;
    DepthwiseShape { channels: outputs, side: kernel[0], stride, before, input, output }
}

#[test]
fn upsampling_repeats_each_place_and_adds() {
    let (fine, coarse) = (noise(5 * 4 * 6, 1), noise(5 * 2 * 2, 2));
    for (name, level) in levels() {
        let mut output = unset(5, [4, 6]);
        upsample_add(level, [4, 6], [2, 3], Some(&to_blocked(&fine, 5)), &to_blocked(&coarse, 5), &mut output);
        for at in 0..5 * 24 {
            let (channel, y, x) = (at / 24, at % 24 / 6, at % 6);
            let wanted = fine[at] + coarse[channel * 4 + y / 2 * 2 + x / 3];
            assert_eq!(output[y * 6 + x][channel], wanted, "{name}");
        }
    }
}

#[test]
fn rows_of_a_picture_are_interpolated_between_their_neighbours() {
    // Longer than any vector, and not a multiple of one.
    let columns = 37;
    let [above, below] =
        [3usize, 5].map(|step| (0..3 * columns).map(|at| (at * step * 41 % 256) as u8).collect::<Vec<_>>());
    let taps: Vec<ColumnTap> = (0..23).map(|x| ColumnTap { first: x * 36 / 22, weight: x as f32 / 31.0 }).collect();
    let [scale, shift] = [[0.5, 0.25, 2.0], [1.0, -3.0, 0.0]];
    for (name, level) in levels() {
        let mut row = vec![f32::NAN; 3 * columns + 3];
        blend_rows(level, &above, &below, 0.3, &mut row[..3 * columns]);
        row.copy_within(3 * columns - 3..3 * columns, 3 * columns);
        let mut planes = [(); 3].map(|()| vec![f32::NAN; taps.len()]);
        let [red, green, blue] = &mut planes;
        resample_row(level, &row, &taps, [scale, shift], [red, green, blue]);
        for (channel, plane) in planes.iter().enumerate() {
            for (tap, found) in taps.iter().zip(plane) {
                let blended = |x: usize| {
                    let at = 3 * x.min(columns - 1) + channel;
                    0.7 * f64::from(above[at]) + 0.3 * f64::from(below[at])
                };
                let weight = f64::from(tap.weight);
                let mixed = (1.0 - weight) * blended(tap.first) + weight * blended(tap.first + 1);
                let wanted = mixed * f64::from(scale[channel]) + f64::from(shift[channel]);
                assert!((f64::from(*found) - wanted).abs() < 1e-3, "{name}: {found} in place of {wanted}");
            }
        }
    }
}
